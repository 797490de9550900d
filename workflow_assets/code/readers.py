"""Reading all the user's own code that a function reaches."""

from __future__ import annotations

import ast
import enum
import sys
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workflow_assets.canonical import canonical, digest
from workflow_assets.code import syntax
from workflow_assets.code.analyses import Decorator, analyse_class, analyse_function, bindings
from workflow_assets.code.changes import IMMUTABLE, Changes
from workflow_assets.code.generators import global_function, global_method, is_generator
from workflow_assets.code.labels import Labels, unwrapped
from workflow_assets.code.members import (
    annotated_names,
    class_namespace,
    functions_of,
    is_dunder,
    is_generated,
    methods_without_source,
)
from workflow_assets.code.namespaces import METADATA, Namespace, member
from workflow_assets.code.scopes import Chain, Import
from workflow_assets.code.uses import Call, Change, Uses
from workflow_assets.errors import excerpt
from workflow_assets.modules import binary_digest, is_users_module, qualified_name


@dataclass(eq=False)
class _Variable:
    """A value that is not code; it is written when all code is known. `holder` is the class that it stands in."""

    value: Any
    namespace: Namespace | None = None
    name: str = ""
    holder: Any = None
    written: int = -1  # how many changes were known then


class Reader:
    """Visits what a function reaches, breadth first, each thing once.

    Without `defaults`, those of the function itself are left out: a step's are parameters, which the key knows.
    `parts` maps the names of what was read to digests, `randomness` names what draws from global generators.
    """

    def __init__(self, root: Callable[..., Any] | types.ModuleType, defaults: bool = True) -> None:
        self.root = root
        self.defaults = defaults
        self.parts: dict[str, str] = {}
        self.randomness: list[str] = []
        self._by_method: dict[str, list[str]] = {}  # what methods draw from, by the methods' names
        self._drawn = self.randomness
        self._names: dict[str, str] = {}
        self._variables: dict[str, _Variable] = {}
        self._labels = Labels(root)
        self._changes = Changes(self._labels.home)
        self._uses: list[tuple[Uses, Namespace]] = []

    def read(self) -> None:
        """Read everything; what is state is known only in the end, so that values are written last."""
        self._labels.label(self.root)
        resolved = 0
        while self._labels.queue or any(
            one.written < self._changes.count for one in self._variables.values()
        ):
            while self._labels.queue:
                label, thing = self._labels.queue.popleft()
                if isinstance(thing, type):
                    self._read_class(label, thing)
                elif isinstance(thing, types.ModuleType):
                    self._read_whole_module(label, thing)
                else:
                    self._read_function(label, thing)
            self._changes.reach_methods()
            for uses, namespace in self._uses[resolved:]:
                self._read_changes(uses, namespace)
            resolved = len(self._uses)
            for label, variable in list(self._variables.items()):
                if variable.written < self._changes.count:
                    variable.written = self._changes.count
                    text = self._write(label, variable)
                    if text:
                        self._add_name(label, text)
                    else:
                        self._names.pop(label, None)
        for label, form in self._names.items():
            self.parts[label if label not in self.parts else f"{label} (name)"] = form
        for method, drawn in self._by_method.items():
            if self._changes.is_reached(method):
                self.randomness.extend(drawn)

    # -- names --------------------------------------------------------------------------------------------------

    def _add(self, label: str, text: str) -> None:
        """Note the text of a piece of code."""
        self.parts[label] = digest(text)

    def _add_name(self, label: str, text: str) -> None:
        """Note what a name stands for; it may be the name of a piece of code that was decorated."""
        self._names[label] = digest(text)

    def told(self) -> tuple[dict[str, str], set[str]]:
        """Give what was read as people write it, by the names of the parts, and the packages that its files import."""
        texts: dict[str, str] = {}
        imports: set[str] = set()
        for label, thing in self._labels.labelled():
            found = syntax.definition_text(thing)
            if found is not None:
                source, texts[label] = found
                imports |= source.imports
        for label, variable in self._variables.items():
            texts.setdefault(label, excerpt(variable.value, limit=1000))
        return {label: text for label, text in texts.items() if label in self.parts}, imports

    @property
    def keyed(self) -> dict[str, str]:
        """The parts by names that a script and an imported module share, for the key."""
        return {self._labels.relative(label): form for label, form in self.parts.items()}

    # -- functions ----------------------------------------------------------------------------------------------

    def _read_function(self, label: str, function: types.FunctionType) -> None:
        analysis = analyse_function(function)
        namespace = self._labels.namespace(function, label)
        decorators = [one for one in analysis.decorators if not one.is_ours(function.__globals__)]
        own = function is self.root and not self.defaults and not self._calls_itself(analysis.uses, namespace)
        keeps_state = not own and self._read_defaults(label, function, analysis.uses)
        text = analysis.text if keeps_state else analysis.bare
        self._add(label, " @".join([text, *(one.text for one in decorators)]))
        self._read_decorators(decorators, namespace)
        self._changes.uses(analysis.uses)
        self._read_uses(analysis.uses, namespace)
        self._read_wrapped(label, function)

    def _read_decorators(self, decorators: Iterable[Decorator], namespace: Namespace) -> None:
        for decorator in decorators:
            self._changes.uses(decorator.uses)
            self._read_uses(decorator.uses, namespace)

    def _calls_itself(self, uses: Uses, namespace: Namespace) -> bool:
        """Whether a step calls itself, perhaps leaving out what then takes its default."""
        found = (namespace.find(name) for name in uses.read)
        return any(one is not None and unwrapped(one[1]) is self.root for one in found)

    def _read_defaults(self, label: str, function: types.FunctionType, uses: Uses) -> bool:
        """Read the defaults as they are; tell whether one keeps state, as in ``def f(x, cache={})``."""
        positional = function.__code__.co_varnames[: function.__code__.co_argcount]
        values = function.__defaults__ or ()
        defaults = dict(zip(positional[len(positional) - len(values) :], values, strict=True))
        defaults.update(function.__kwdefaults__ or {})
        changed = {chain[0] for chain, _ in uses.changed_parameters}
        state = {
            name for name, value in defaults.items() if name in changed and not isinstance(value, IMMUTABLE)
        }
        for name in sorted(defaults.keys() - state):
            self._read_value(f"{label}[{name}]", defaults[name])
        return bool(state)

    def _read_wrapped(self, label: str, function: types.FunctionType) -> None:
        inner = getattr(function, "__wrapped__", None)
        if callable(inner):
            self._read_value(f"{label}.__wrapped__", inner)

    def _read_uses(self, uses: Uses, namespace: Namespace, changing: bool = True) -> None:
        if changing:
            self._uses.append((uses, namespace))
        for name, chains in sorted(uses.read.items()):
            found = namespace.find(name)
            if found is not None:
                self._read_value(*found, chains, namespace, name)
        for imported, chains in sorted(uses.imports.items()):
            self._read_import(imported, chains, namespace)

    def _read_import(self, imported: Import, chains: Collection[Chain], namespace: Namespace) -> None:
        found = namespace.find_import(imported, self._labels.home)
        if found is not None:
            module = sys.modules.get(found[0].partition(":")[0])
            inside = None if module is None else Namespace.of_module(module)
            self._read_value(*found, chains, inside, imported.attribute)
        elif not imported.level:
            for chain in sorted(chains):
                self._draw(global_function(".".join((imported.dotted, *chain))))

    def _read_whole_module(self, label: str, module: types.ModuleType) -> None:
        """Read a module that is handed on as a value: all of it may matter."""
        namespace = Namespace.of_module(module)
        sources = syntax.module_sources(vars(module))
        texts = [syntax.canonical_syntax(source.tree) for source in sources]
        self._add(label, " ".join(texts) or binary_digest(module) or module.__name__)
        defined = {
            name
            for source in sources
            for name, statements in source.bindings.items()
            if not all(isinstance(one, ast.Import | ast.ImportFrom) for one in statements)
        }
        for name in sorted(defined):
            found = namespace.find(name)
            if found is not None:
                self._read_value(*found, namespace=namespace, name=name)

    # -- values -------------------------------------------------------------------------------------------------

    def _read_value(
        self,
        label: str,
        value: Any,
        chains: Collection[Chain] = ((),),
        namespace: Namespace | None = None,
        name: str = "",
    ) -> None:
        """Read what a name stands for; `chains` are the attributes that are read from it."""
        value = unwrapped(value)
        drawn = global_method(value)
        if drawn is not None or is_generator(value):
            self._draw(drawn or label.partition(":")[2])
            self._add_name(label, "generator")
        elif isinstance(value, types.ModuleType):
            self._read_module(value, chains)
        elif isinstance(value, types.FunctionType | type):
            self._read_code(label, value, chains)
        elif isinstance(value, types.MethodType):
            self._read_value(f"{label}.__self__", value.__self__, namespace=namespace)
            self._read_value(f"{label}.__func__", value.__func__)
        elif isinstance(value, types.BuiltinFunctionType) and isinstance(
            value.__self__, types.ModuleType | None
        ):
            self._add_name(label, f"installed {qualified_name(value)} {binary_digest(value.__self__)}")
            self._draw(global_function(qualified_name(value).replace(":", ".")))
        elif label not in self._variables:
            self._variables[label] = _Variable(value, namespace, name)

    def _read_code(self, label: str, code: Any, chains: Collection[Chain]) -> None:
        target = self._labels.label(code)
        if not self._labels.is_users(code):
            self._add_name(label, f"installed {target}")
            self._draw(global_function(target.replace(":", ".")))
            if isinstance(code, types.FunctionType):
                self._read_installed(label, code)
        elif target != label:
            self._add_name(label, f"is {self._labels.relative(target)}")
        if isinstance(code, types.FunctionType):
            for attribute in sorted(
                {chain[0] for chain in chains if chain} & vars(code).keys() - {"__wrapped__"}
            ):
                place = f"{target}.{attribute}"
                self._variables.setdefault(
                    place, _Variable(vars(code)[attribute], name=attribute, holder=code)
                )

    def _read_installed(self, label: str, function: types.FunctionType) -> None:
        """Read the user's code that an installed decorator, such as `functools.singledispatch`, keeps."""
        self._read_wrapped(label, function)
        registry = vars(function).get("registry")
        if isinstance(registry, Mapping):
            self._variables.setdefault(f"{label}.registry", _Variable(dict(registry)))
        if not hasattr(function, "__wrapped__"):
            for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
                try:
                    content = unwrapped(cell.cell_contents)
                except ValueError:
                    continue
                if self._labels.is_users(content):
                    self._read_value(f"{label}({name})", content)

    def _read_module(self, module: types.ModuleType, chains: Collection[Chain]) -> None:
        if not is_users_module(module.__name__, self._labels.home):
            self._add_name(f"{module.__name__}:*", "installed")
        elif () in chains:
            self._labels.label(module)
        for chain in sorted(chains):
            holder = module
            for place, attribute in enumerate(chain):
                inner = member(holder, attribute)
                if not isinstance(inner, types.ModuleType):
                    self._draw(global_function(".".join((holder.__name__, *chain[place:]))))
                    users = is_users_module(holder.__name__, self._labels.home)
                    if inner is not None and users and attribute not in METADATA:
                        namespace = Namespace.of_module(holder)
                        rest = {chain[place + 1 :]}
                        self._read_value(namespace.label(attribute), inner, rest, namespace, attribute)
                    break
                holder = inner
            else:
                if chain and is_users_module(holder.__name__, self._labels.home):
                    self._labels.label(holder)

    def _write(self, label: str, variable: _Variable) -> str:
        """Write a variable; nothing for an attribute that code changes, which may not be there yet."""
        if variable.holder is None and (
            label in self._changes.variables or self._changes.is_state(variable.value)
        ):
            return self._write_state(label, variable)
        if variable.holder is not None and variable.name in self._changes.of_holder(variable.holder):
            return ""
        form = canonical(variable.value, self._labels.reference, opaque=True, state=self._state_of)
        # What has no form of its own is known by how it was made.
        return " ".join([form, *self._first_values(variable)]) if "opaque[" in form else form

    def _write_state(self, label: str, variable: _Variable) -> str:
        """Write how a variable that code changes begins: the statements that give it its first value."""
        texts = ["state"]
        if not self._changes.is_rebound(label):
            texts.append(self._labels.reference(type(variable.value)))
        return " ".join([*texts, *self._first_values(variable)])

    def _first_values(self, variable: _Variable) -> Iterator[str]:
        if variable.namespace is not None:
            for node, text, uses in bindings(variable.namespace.names, variable.name):
                yield text
                if isinstance(node, ast.ImportFrom):
                    self._read_origin(node, variable)
                else:
                    self._read_uses(uses, variable.namespace, changing=False)

    def _read_origin(self, node: ast.ImportFrom, variable: _Variable) -> None:
        """Read a variable that is changed here where it is defined."""
        assert variable.namespace is not None
        for alias in node.names:
            if (alias.asname or alias.name) == variable.name:
                imported = Import(node.module or "", alias.name, node.level)
                self._read_import(imported, {()}, variable.namespace)

    def _state_of(self, value: Any) -> Collection[str] | None:
        if is_generator(value):
            self._draw(f"a {type(value).__name__}")
        return self._changes.state_of(value)

    # -- classes ------------------------------------------------------------------------------------------------

    def _read_class(self, label: str, cls: type) -> None:
        functions = {name: list(functions_of(item)) for name, item in vars(cls).items()}
        namespace = class_namespace(label, cls, [one for found in functions.values() for one in found])
        analysis = analyse_class(cls)
        texts = [
            f"class {[self._labels.reference(base) for base in (*cls.__bases__, type(cls))]} {annotated_names(cls)}"
        ]
        if analysis is not None:
            decorators = [one for one in analysis.decorators if not one.is_ours(namespace.names)]
            texts += [analysis.text, *(one.text for one in decorators)]
            methods, assigned = analysis.methods, analysis.assigned
            self._read_decorators(decorators, namespace)
            self._read_uses(analysis.uses, namespace)
            self._read_running(label, {method.name for method in methods}, functions)
        else:
            running = list(methods_without_source(cls, functions))
            methods = tuple(method for method, _ in running)
            assigned = tuple(name for name, found in functions.items() if not found and not is_dunder(name))
            texts += [f"{method.name} {text}" for method, text in running]
        self._add(label, " ".join(texts))
        self._changes.methods(cls, methods)
        for method in methods:
            self._drawn = self._by_method.setdefault(method.name, [])
            self._read_uses(method.uses, namespace)
        self._drawn = self.randomness
        if issubclass(cls, enum.Enum):
            members = {name: one.value for name, one in cls.__members__.items()}
            self._variables.setdefault(f"{label}.__members__", _Variable(members))
        else:
            if issubclass(cls, tuple) and isinstance(defaults := vars(cls).get("_field_defaults"), dict):
                self._variables.setdefault(f"{label}._field_defaults", _Variable(defaults))
            self._read_attributes(label, cls, assigned, functions)

    def _read_attributes(
        self, label: str, cls: type, names: Iterable[str], functions: Mapping[str, list[types.FunctionType]]
    ) -> None:
        for name in names:
            value = vars(cls).get(name)
            place = f"{label}.{name}"
            if name not in vars(cls) or is_generated(value):
                continue
            if functions[name]:
                for function in functions[name]:
                    self._read_value(place, function)
            elif isinstance(value, types.ModuleType | type):
                self._read_value(place, value)
            else:
                self._variables.setdefault(place, _Variable(value, name=name, holder=cls))

    def _read_running(
        self, label: str, names: Collection[str], functions: Mapping[str, list[types.FunctionType]]
    ) -> None:
        """Read what runs in place of the methods in the source: decorators, and code that was edited since."""
        for name in sorted(names):
            texts = []
            for outer in functions.get(name, ()):
                function = outer
                while isinstance(inner := getattr(function, "__wrapped__", None), types.FunctionType):
                    self._labels.label(function)
                    function = inner
                analysis = analyse_function(function)
                self._read_defaults(f"{label}.{name}", function, analysis.uses)
                if syntax.find_function(function.__code__, function.__globals__) is None:
                    texts.append(analysis.text)
                    self._read_uses(analysis.uses, self._labels.namespace(function, f"{label}.{name}"))
            if texts:
                self._add(f"{label}.{name}", " ".join(texts))

    # -- what is changed ----------------------------------------------------------------------------------------

    def _read_changes(self, uses: Uses, namespace: Namespace) -> None:
        for name in sorted(uses.rebound):
            self._changes.variable(namespace.label(name), rebound=True)
        for chain, method in sorted(uses.changed):
            self._changes.change(namespace.find(chain[0]), chain[1:], method)
        for imported, chain, method in sorted(uses.changed_imports):
            self._changes.change(namespace.find_import(imported, self._labels.home), chain, method)
        for call in uses.calls:
            for place, chain in call.outside:
                for rest, method in self._changed_by(call, place, namespace):
                    self._changes.change(namespace.find(chain[0]), (*chain[1:], *rest), method)

    def _changed_by(
        self, call: Call, place: int | str, namespace: Namespace, seen: frozenset[int] = frozenset()
    ) -> Iterator[Change]:
        """Give what a call changes of the object that it is handed at a place."""
        found = namespace.find(call.function[0])
        function = unwrapped(found[1]) if found is not None else None
        for attribute in call.function[1:]:
            function = (
                unwrapped(member(function, attribute)) if isinstance(function, types.ModuleType) else None
            )
        if (
            not isinstance(function, types.FunctionType)
            or id(function) in seen
            or not self._labels.is_users(function)
        ):
            return
        code = function.__code__
        names = code.co_varnames[: code.co_argcount]
        if isinstance(place, str) or place < len(names):
            parameter = place if isinstance(place, str) else names[place]
            uses = analyse_function(function).uses
            for chain, method in uses.changed_parameters:
                if chain[0] == parameter:
                    yield chain[1:], method
            for inner in uses.calls:
                for position, own in inner.own:
                    if own == parameter:
                        yield from self._changed_by(
                            inner, position, self._labels.namespace(function), seen | {id(function)}
                        )

    # -- randomness ---------------------------------------------------------------------------------------------

    def _draw(self, name: str | None) -> None:
        if name is not None:
            self._drawn.append(name)

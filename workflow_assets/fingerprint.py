"""A digest of everything in the user's own code that a step's result depends on.

It follows a function through its helpers, methods, closures, defaults, module constants and classes, through every
module of the user's own packages. Comments, docstrings, formatting and unrelated functions are not seen, and neither
is code that was installed: its version is recorded, and a step that stands in an installed package carries an
explicit version.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
import sysconfig
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workflow_assets import syntax
from workflow_assets.canonical import canonical, digest, module_name, qualified_name

PACKAGE = "workflow_assets"


@dataclass(frozen=True)
class Fingerprint:
    """What a step's code is: one digest, and the parts that it was made of.

    `parts` maps each function, class and constant that the step reaches to the digest of its own code or value, so
    that two fingerprints can be compared part by part. `global_randomness` names the uses of global random
    generators that were seen on the way.
    """

    digest: str
    parts: Mapping[str, str]
    global_randomness: tuple[str, ...] = ()


def fingerprint(function: Callable[..., Any], version: str | None = None) -> Fingerprint:
    """Take the fingerprint of a function; a declared `version` takes the place of its code.

    >>> def double(x):
    ...     return x * 2
    >>> fingerprint(double, version="1").digest == fingerprint(double, version="2").digest
    False
    """
    if version is not None:
        name = getattr(function, "__qualname__", type(function).__qualname__)
        return Fingerprint(digest("version", name, version), {"version": version})
    reader = _Reader(function)
    reader.read()
    return Fingerprint(
        digest("code", *(text for item in sorted(reader.keyed.items()) for text in item)),
        dict(sorted(reader.parts.items())),
        tuple(dict.fromkeys(reader.randomness)),
    )


class _Reader:
    """Visits what a function reaches, breadth first; each thing once."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.root = function
        self.home = getattr(function, "__module__", None) or "__main__"
        self.parts: dict[str, str] = {}  # by full name, for people
        self.keyed: dict[str, str] = {}  # by name relative to the step's module, for the key
        self.labels: dict[int, str] = {}
        self.kept: list[object] = []  # keeps ids unique while reading
        self.queue: deque[tuple[str, Any]] = deque()
        self.randomness: list[str] = []

    def read(self) -> None:
        self._label(self.root)
        while self.queue:
            label, thing = self.queue.popleft()
            if isinstance(thing, type):
                self._read_class(label, thing)
            elif isinstance(thing, types.ModuleType):
                source = syntax.source_file(getattr(thing, "__file__", None) or "")
                self._add(label, syntax.canonical_syntax(source.tree) if source else thing.__name__)
            else:
                self._read_function(label, thing)

    def _add(self, label: str, text: str) -> None:
        form = digest(text)
        self.parts[label] = form
        module, _, name = label.partition(":")
        self.keyed[name if module == module_name(self.home) else label] = form

    def _label(self, thing: Any) -> str:
        """Name a piece of code, and queue it for reading if it is the user's."""
        thing = _unwrapped(thing)
        if id(thing) in self.labels:
            return self.labels[id(thing)]
        if isinstance(thing, types.ModuleType):
            name = f"{thing.__name__}:*"
        else:
            name = qualified_name(thing)
        if not self._is_users(thing):
            return name
        label, count = name, 1
        while label in self.labels.values():  # closures made by one factory
            count += 1
            label = f"{name}#{count}"
        self.labels[id(thing)] = label
        self.kept.append(thing)
        self.queue.append((label, thing))
        return label

    def _reference(self, thing: Any) -> str:
        """Name a piece of code inside a value, in the form that goes into the key."""
        module, _, name = self._label(thing).partition(":")
        return name if module == module_name(self.home) else f"{module}:{name}"

    def _is_users(self, thing: Any) -> bool:
        module = thing.__name__ if isinstance(thing, types.ModuleType) else getattr(thing, "__module__", None)
        if isinstance(thing, types.BuiltinFunctionType) or not isinstance(module, str):
            return False
        return self._is_users_module(module)

    def _is_users_module(self, module: str) -> bool:
        package = module.partition(".")[0]
        if package == PACKAGE:
            return module.startswith(f"{PACKAGE}.examples")
        if package == self.home.partition(".")[0]:
            return True
        if package in sys.stdlib_module_names or package in sys.builtin_module_names:
            return False
        loaded = sys.modules.get(module)
        if loaded is not None:
            return not is_installed(getattr(loaded, "__file__", None))
        try:
            spec = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            return False
        return spec is not None and not is_installed(spec.origin)

    # -- functions ----------------------------------------------------------------------------------------------

    def _read_function(self, label: str, function: Any) -> None:
        code = function.__code__
        node = syntax.function_node(code)
        if node is None:
            self._add(label, f"bytecode {syntax.bytecode(code)}")
            mutated: set[str] = set()
            tree: ast.AST = ast.Module(body=[], type_ignores=[])
        else:
            text = syntax.canonical_syntax(
                self._without_our_decorators(node, function.__globals__), drop_defaults=function is self.root
            )
            rewritten = "@pytest_ar" in function.__globals__  # pytest compiles its own version of a test module
            if not rewritten and not syntax.matches_source(code):
                text += f" bytecode {syntax.bytecode(code)}"
            self._add(label, text)
            mutated = syntax.mutated_names(node)
            tree = node
        self._read_globals(code, tree, function.__globals__, mutated)
        self._read_closure(label, function, tree, mutated)
        if function is not self.root:
            defaults = (function.__defaults__, function.__kwdefaults__)
            if any(defaults):
                self._add(f"{label}(defaults)", canonical(defaults, self._reference, opaque=True))
        if hasattr(function, "__wrapped__"):
            self._label(function.__wrapped__)

    def _without_our_decorators(self, node: syntax.Definition, names: Mapping[str, Any]) -> ast.AST:
        decorators = getattr(node, "decorator_list", [])
        if not decorators or isinstance(node, ast.Lambda):
            return node
        kept = [decorator for decorator in decorators if not _is_ours(decorator, names)]
        if len(kept) == len(decorators):
            return node
        fields = dict(ast.iter_fields(node)) | {"decorator_list": kept}
        return type(node)(**fields)

    def _read_globals(
        self, code: types.CodeType, tree: ast.AST, names: Mapping[str, Any], mutated: set[str]
    ) -> None:
        module = module_name(names.get("__name__", self.home))
        read, written = syntax.global_names(code)
        for name in sorted(read):
            if name not in names:
                continue  # a builtin
            if name in mutated or name in written:
                self._add(f"{module}:{name}", "state")
            else:
                self._read_value(f"{module}:{name}", names[name], tree, name)
        self._read_local_imports(tree, names)

    def _read_closure(self, label: str, function: Any, tree: ast.AST, mutated: set[str]) -> None:
        assigned = {name for child in ast.walk(tree) if isinstance(child, ast.Nonlocal) for name in child.names}
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if name in mutated or name in assigned:
                continue
            try:
                value = cell.cell_contents
            except ValueError:
                continue  # not assigned yet
            self._read_value(f"{label}({name})", value, tree, name)

    def _read_local_imports(self, tree: ast.AST, names: Mapping[str, Any]) -> None:
        package = names.get("__package__") or ""
        for child in ast.walk(tree):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    root = alias.name if alias.asname else alias.name.partition(".")[0]
                    self._read_import(alias.name, root, tree, alias.asname or root)
            elif isinstance(child, ast.ImportFrom):
                try:
                    source = "." * child.level + (child.module or "")
                    module = importlib.util.resolve_name(source, package) if child.level else source
                except ImportError:
                    continue
                for alias in child.names:
                    self._read_import(module, f"{module}.{alias.name}", tree, alias.asname or alias.name)

    def _read_import(self, module: str, target: str, tree: ast.AST, name: str) -> None:
        """Read what a function imports inside its body as `name`; only the user's own modules are imported."""
        if not self._is_users_module(module):
            for chain in _chains(tree, name) | {()}:
                self._note_randomness(".".join((target, *chain)))
            return
        importlib.import_module(module)
        holder, _, attribute = target.rpartition(".")
        value: Any = sys.modules.get(target)
        if value is None and hasattr(sys.modules.get(holder), attribute):
            value = getattr(sys.modules[holder], attribute)
        elif value is None and importlib.util.find_spec(target) is not None:
            value = importlib.import_module(target)
        if value is not None:
            self._read_value(f"{module_name(holder or target)}:{attribute}", value, tree, name)

    # -- values -------------------------------------------------------------------------------------------------

    def _read_value(self, label: str, value: Any, tree: ast.AST, name: str) -> None:
        value = _unwrapped(value)
        self._note_generator(label, value)
        if isinstance(value, types.ModuleType):
            self._read_module(value, tree, name)
        elif isinstance(value, types.FunctionType | types.BuiltinFunctionType | type | types.MethodType):
            if isinstance(value, types.MethodType):
                self._read_value(label, value.__self__, tree, name)
                value = value.__func__
            target = self._label(value)
            if id(value) not in self.labels:
                self._add(label, f"installed {target}")
                if value.__module__:
                    self._note_randomness(f"{value.__module__}.{value.__name__}")
            elif target != label:
                self._add(label, f"is {self._reference(value)}")
        else:
            self._add(label, self._constant(value))

    def _constant(self, value: Any) -> str:
        kind = type(value)
        if self._is_users(kind) and hasattr(value, "__dict__") and not isinstance(value, type):
            node = syntax.class_node(kind)
            changing = _changing_attributes(node) if node is not None else set()
            if changing:  # its methods change them: state, not a constant
                state = {key: item for key, item in vars(value).items() if key not in changing}
                return f"{self._reference(kind)} {canonical(state, self._reference, opaque=True)}"
        return canonical(value, self._reference, opaque=True)

    def _read_module(self, module: types.ModuleType, tree: ast.AST, name: str) -> None:
        users = self._is_users_module(module.__name__)
        chains = _chains(tree, name)
        if users and (() in chains or not chains):
            self._label(module)  # handed on as a value: all of it may matter
        elif not users:
            self._add(f"{module.__name__}:*", "installed")
        for chain in sorted(chains):
            holder: Any = module
            for place, attribute in enumerate(chain):
                inner = getattr(holder, attribute, None)
                if not isinstance(inner, types.ModuleType):
                    dotted = f"{holder.__name__}.{'.'.join(chain[place:])}"
                    self._note_randomness(dotted)
                    if inner is not None and self._is_users_module(holder.__name__):
                        label = f"{module_name(holder.__name__)}:{attribute}"
                        self._read_value(label, inner, tree, attribute)
                    break
                holder = inner

    # -- classes ------------------------------------------------------------------------------------------------

    def _read_class(self, label: str, cls: type) -> None:
        node = syntax.class_node(cls)
        names = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
        if node is not None:
            self._add(label, syntax.canonical_syntax(self._without_our_decorators(node, names)))
            for name in sorted(_class_level_names(node) & set(names)):
                self._read_value(f"{module_name(cls.__module__)}:{name}", names[name], node, name)
        for base in cls.__bases__:
            self._label(base)
        for name, member in sorted(vars(cls).items()):
            for function in _functions(member):
                code = function.__code__
                if code.co_filename.startswith("<"):
                    if node is not None and code.co_filename.startswith("<string"):
                        continue  # generated, by dataclasses for one
                tree = syntax.function_node(code)
                if node is None and tree is None:
                    self._add(f"{label}.{name}", syntax.bytecode(code))
                body: ast.AST = tree or ast.Module(body=[], type_ignores=[])
                mutated = syntax.mutated_names(body)
                self._read_globals(code, body, function.__globals__, mutated)
                self._read_closure(f"{label}.{name}", function, body, mutated)

    # -- randomness ---------------------------------------------------------------------------------------------

    def _note_generator(self, label: str, value: Any) -> None:
        """Note a generator that lives in the module, and functions bound to one: their draws are not in any key."""
        holder = getattr(value, "__self__", value)
        kind = f"{type(holder).__module__}.{type(holder).__qualname__}"
        if kind in _GENERATORS:
            name = label.partition(":")[2]
            self.randomness.append(name if holder is value else f"{kind.partition('.')[0]}'s {name}")

    def _note_randomness(self, dotted: str) -> None:
        module, _, attribute = dotted.rpartition(".")
        if module == "random" and attribute in _RANDOM_FUNCTIONS:
            self.randomness.append(dotted)
        elif module in {"numpy.random", "numpy.random.mtrand"} and attribute in _NUMPY_FUNCTIONS:
            self.randomness.append(f"numpy.random.{attribute}")
        elif module == "torch" and attribute in _TORCH_FUNCTIONS:
            self.randomness.append(dotted)


_GENERATORS = frozenset(
    {
        "random.Random",
        "random.SystemRandom",
        "numpy.random.mtrand.RandomState",
        "numpy.random._generator.Generator",
    }
)
_RANDOM_FUNCTIONS = frozenset(
    "random uniform triangular randint choice randrange sample shuffle choices normalvariate lognormvariate "
    "expovariate vonmisesvariate gammavariate gauss betavariate binomialvariate paretovariate weibullvariate "
    "getrandbits randbytes seed setstate".split()
)
_NUMPY_FUNCTIONS = frozenset(
    "beta binomial bytes chisquare choice dirichlet exponential f gamma geometric gumbel hypergeometric laplace "
    "logistic lognormal logseries multinomial multivariate_normal negative_binomial noncentral_chisquare noncentral_f "
    "normal pareto permutation poisson power rand randint randn random random_integers random_sample ranf rayleigh "
    "sample seed set_state shuffle standard_cauchy standard_exponential standard_gamma standard_normal standard_t "
    "triangular uniform vonmises wald weibull zipf".split()
)
_TORCH_FUNCTIONS = frozenset(
    "rand rand_like randint randint_like randn randn_like randperm bernoulli multinomial normal poisson seed "
    "manual_seed".split()
)


def is_installed(filename: str | None) -> bool:
    """Tell whether a file belongs to Python or to an installed package, not to the user's own code."""
    if filename is None:
        return False
    if "site-packages" in filename or "dist-packages" in filename:
        return True
    paths = sysconfig.get_paths()
    return any(filename.startswith(f"{paths[place]}/") for place in ("stdlib", "platstdlib"))


def _unwrapped(value: Any) -> Any:
    """Give the function inside a step, a cached function or another callable that carries one."""
    seen = 0
    while not isinstance(value, types.FunctionType | type | types.ModuleType) and seen < 16:
        inner = inspect.getattr_static(value, "__dict__", None) and vars(value).get("__wrapped__")
        if inner is None:
            inner = getattr(value, "__wrapped__", None) if callable(value) else None
        if not callable(inner):
            break
        value, seen = inner, seen + 1
    return value


def _is_ours(decorator: ast.expr, names: Mapping[str, Any]) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    chain: list[str] = []
    while isinstance(target, ast.Attribute):
        chain.append(target.attr)
        target = target.value
    if not isinstance(target, ast.Name):
        return False
    value = names.get(target.id)
    for attribute in reversed(chain):
        value = getattr(value, attribute, None)
    module = getattr(value, "__module__", None)
    return isinstance(module, str) and module.partition(".")[0] == PACKAGE


def _chains(tree: ast.AST, name: str) -> set[tuple[str, ...]]:
    """Give the attribute chains that start at a name: ``helpers.io.read`` gives ``("io", "read")``."""
    chains: set[tuple[str, ...]] = set()
    inner: set[int] = set()
    for node in ast.walk(tree):  # outer nodes come first
        if id(node) in inner or not isinstance(node, ast.Attribute | ast.Name):
            continue
        chain: list[str] = []
        target: ast.expr = node
        while isinstance(target, ast.Attribute):
            chain.append(target.attr)
            inner.add(id(target))
            target = target.value
        if isinstance(target, ast.Name) and target.id == name:
            inner.add(id(target))
            chains.add(tuple(reversed(chain)))
    return chains


def _class_level_names(node: ast.ClassDef) -> set[str]:
    names: set[str] = set()
    pending: list[ast.AST] = [*node.decorator_list, *node.body, *(keyword.value for keyword in node.keywords)]
    while pending:
        child = pending.pop()
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.Name):
            names.add(child.id)
        pending.extend(ast.iter_child_nodes(child))
    return names


def _changing_attributes(node: ast.ClassDef) -> set[str]:
    """Give the attributes of `self` that methods other than the constructors change."""
    changing: set[str] = set()
    for method in node.body:
        if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) or method.name in _CONSTRUCTORS:
            continue
        for child in ast.walk(method):
            if isinstance(child, ast.Attribute) and isinstance(child.value, ast.Name) and child.value.id == "self":
                if isinstance(child.ctx, ast.Store | ast.Del):
                    changing.add(child.attr)
            elif isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute):
                holder = child.func.value
                if child.func.attr in syntax.MUTATORS and isinstance(holder, ast.Attribute):
                    changing.add(holder.attr)
            elif isinstance(child, ast.Subscript) and isinstance(child.ctx, ast.Store | ast.Del):
                if isinstance(child.value, ast.Attribute):
                    changing.add(child.value.attr)
    return changing


_CONSTRUCTORS = frozenset({"__init__", "__new__", "__post_init__", "__setstate__"})


def _functions(member: Any) -> Iterator[types.FunctionType]:
    """Give the functions behind a class's attribute: methods, properties, cached and wrapped functions."""
    if isinstance(member, property):
        candidates = [member.fget, member.fset, member.fdel]
    elif isinstance(member, staticmethod | classmethod):
        candidates = [member.__func__]
    else:
        candidates = [member, getattr(member, "func", None)]
    for candidate in candidates:
        function = _unwrapped(candidate) if candidate is not None else None
        if isinstance(function, types.FunctionType):
            yield function

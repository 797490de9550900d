"""What a piece of code uses from outside itself, and what it changes there.

An attribute chain is kept with its name (``helpers.io.read`` is `helpers` with ``("io", "read")``), so that of a
module only what is used counts.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from workflow_assets.code.scopes import (
    Chain,
    Import,
    Scope,
    bind,
    bind_alias,
    own_functions,
    own_nodes,
    parameters_of,
    root_of,
)

Change = tuple[Chain, str]
"""The chain of an object that is changed in place, and the method that is called to do so; "" for an assignment."""


@dataclass(frozen=True)
class Call:
    """A call that is handed names from outside, or the caller's own parameters: place → chain."""

    function: Chain
    outside: tuple[tuple[int | str, Chain], ...]
    own: tuple[tuple[int | str, str], ...]


@dataclass
class Uses:
    """What code uses from outside itself.

    `read` maps names to the attribute chains that are read from them, ``()`` where the value itself is. `changed`
    tells which objects are changed in place, `changed_imports` the same of what is imported locally and
    `changed_parameters` of the code's own parameters; `rebound` are names from outside that are assigned, and
    `attributes` the names of all attributes.
    """

    read: dict[str, set[Chain]] = field(default_factory=dict)
    changed: set[Change] = field(default_factory=set)
    changed_imports: set[tuple[Import, Chain, str]] = field(default_factory=set)
    changed_parameters: set[Change] = field(default_factory=set)
    rebound: set[str] = field(default_factory=set)
    imports: dict[Import, set[Chain]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    attributes: set[str] = field(default_factory=set)


MUTATORS = frozenset(
    {"append", "extend", "insert", "remove", "pop", "clear", "update", "add", "discard", "setdefault"}
    | {"popitem", "appendleft", "popleft", "extendleft", "put", "put_nowait", "write", "writelines"}
    | {"writerow", "writerows", "acquire", "release", "set", "sort", "reverse", "move_to_end"}
    | {"subtract", "rotate", "intersection_update", "difference_update", "symmetric_difference_update"}
    | {"fill", "partial_fit", "fit", "fit_transform", "send", "__setitem__", "__delitem__"}
    | {"__setattr__", "__next__", "__iadd__"}
)
"""Methods that change their object, as far as builtin containers and the common libraries go."""

FIRST_ARGUMENT = frozenset(
    {"next", "setattr", "delattr", "__setattr__", "heappush", "heappop", "heapify", "heapreplace"}
    | {"heappushpop", "insort", "insort_left", "insort_right", "shuffle"}
)
"""Functions that change their first argument."""


def uses_of(node: ast.AST) -> Uses:
    """Read a function (its decorators and defaults excepted), or the statements of a module or class body.

    >>> def used(code):
    ...     return uses_of(ast.parse(code).body[0])
    >>> used("def f(x): CALLS.append(x); y = np.random.rand(); return y * RATE").changed
    {(('CALLS',), 'append')}
    >>> used("def f(np): return np.random.rand()").read
    {}
    """
    reader = _Reader()
    if isinstance(node, ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef):
        scope = Scope(None)
        scope.parameters.update(parameters_of(node.args))
        reader.function(node, scope)
    elif isinstance(node, ast.ClassDef):
        outside = Scope(None)
        for expression in (*node.bases, *(keyword.value for keyword in node.keywords)):
            reader.visit(expression, outside)
        reader.class_body(node, outside)
    else:
        reader.visit(node, Scope(None))
    return reader.uses


class _Reader:
    def __init__(self) -> None:
        self.uses = Uses()

    # -- scopes -------------------------------------------------------------------------------------------------

    def function(self, node: ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        body: Sequence[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else node.body
        scope.parameters.update(parameters_of(node.args))
        self._enter(body, scope)

    def class_body(self, node: ast.ClassDef, outside: Scope) -> None:
        self._enter(node.body, Scope(outside, is_class=True))

    def _enter(self, body: Sequence[ast.AST], scope: Scope) -> None:
        for statement in body:
            for child in own_nodes(statement):
                bind(child, scope)
        for statement in body:
            self.visit(statement, scope)

    def visit(self, node: ast.AST, scope: Scope) -> None:
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            handler(self, node, scope)
        else:
            for child in ast.iter_child_nodes(node):
                self.visit(child, scope)

    def read_nested(self, node: ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        defaults = [
            *node.args.defaults,
            *(default for default in node.args.kw_defaults if default is not None),
        ]
        for expression in (*getattr(node, "decorator_list", []), *defaults):
            self.visit(expression, scope)
        if not scope.is_class or isinstance(node, ast.Lambda):
            self.function(node, Scope(scope))

    def read_nested_class(self, node: ast.ClassDef, scope: Scope) -> None:
        for expression in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self.visit(expression, scope)
        inner = Scope(scope, is_class=True)
        self._enter(node.body, inner)
        for child in own_functions(node.body):
            self.function(child, Scope(inner))

    def read_comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, scope: Scope
    ) -> None:
        inner = Scope(scope, is_comprehension=True)
        for part in node.generators:
            for child in ast.walk(part.target):
                if isinstance(child, ast.Name):
                    inner.bound[child.id] = inner.bound.get(child.id, 0) + 1
            if isinstance(part.target, ast.Name):
                bind_alias(inner, part.target.id, part.iter, element=True)
        for place, part in enumerate(node.generators):
            self.visit(part.iter, inner if place else scope)
            self.target(part.target, inner)
            for condition in part.ifs:
                self.visit(condition, inner)
        for result in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.visit(result, inner)

    # -- expressions --------------------------------------------------------------------------------------------

    def read_name(self, node: ast.Name, scope: Scope) -> None:
        self.note(node.id, (), scope)

    def read_attribute(self, node: ast.Attribute, scope: Scope) -> None:
        chain: list[str] = []
        holder: ast.expr = node
        while isinstance(holder, ast.Attribute):
            chain.append(holder.attr)
            holder = holder.value
        self.uses.attributes.update(chain)
        if isinstance(holder, ast.Name):
            self.note(holder.id, tuple(reversed(chain)), scope)
        else:
            self.visit(holder, scope)

    def note(self, name: str, chain: Chain, scope: Scope) -> None:
        for kind, root, whole in self.resolve(name, chain, scope):
            if kind == "outside":
                assert isinstance(root, str)
                self.uses.read.setdefault(root, set()).add(whole)
            elif kind == "import":
                assert isinstance(root, Import)
                self.uses.imports.setdefault(root, set()).add(whole)

    def resolve(
        self, name: str, chain: Chain, scope: Scope, depth: int = 0
    ) -> Iterator[tuple[str, str | Import, Chain]]:
        """Say what a name stands for: something from outside, a local import, or a parameter of the root."""
        owner = scope.owner(name)
        if owner is None:
            yield "outside", name, chain
            return
        for imported in owner.imports.get(name, ()):
            yield "import", imported, chain
        if name in owner.parameters and name not in owner.bound and owner.parent is None:
            yield "parameter", name, chain
        elif name in owner.aliases and owner.bound.get(name) == 1 and depth < 8:
            root, attributes, element = owner.aliases[name]
            above = owner.parent if owner.is_comprehension and owner.parent is not None else owner
            yield from self.resolve(root, attributes if element else (*attributes, *chain), above, depth + 1)

    # -- changes ------------------------------------------------------------------------------------------------

    def target(self, node: ast.expr, scope: Scope) -> None:
        """Note what an assignment, a loop or a deletion changes."""
        if isinstance(node, ast.Tuple | ast.List):
            for element in node.elts:
                self.target(element, scope)
        elif isinstance(node, ast.Starred):
            self.target(node.value, scope)
        elif isinstance(node, ast.Name):
            if scope.owner(node.id) is None:
                self.uses.rebound.add(node.id)
                self.uses.read.setdefault(node.id, set()).add(())
        elif isinstance(node, ast.Attribute | ast.Subscript):
            self.change(node, scope)
            if found := root_of(node):
                self.uses.attributes.update(found[1])
                self.note(*found, scope)
            inner: ast.expr = node
            while isinstance(inner, ast.Attribute | ast.Subscript):
                if isinstance(inner, ast.Subscript):
                    self.visit(inner.slice, scope)
                inner = inner.value
            if not isinstance(inner, ast.Name):
                self.visit(inner, scope)
        else:
            self.visit(node, scope)

    def change(self, node: ast.expr, scope: Scope, method: str = "") -> None:
        """Note that the object that an expression stands for is changed in place."""
        found = root_of(node)
        for kind, root, whole in self.resolve(*found, scope) if found is not None else ():
            if kind == "outside":
                self.uses.changed.add(((str(root), *whole), method))
            elif kind == "parameter":
                self.uses.changed_parameters.add(((str(root), *whole), method))
            elif isinstance(root, Import):
                self.uses.changed_imports.add((root, whole, method))

    def read_assign(
        self, node: ast.Assign | ast.AugAssign | ast.AnnAssign | ast.For | ast.AsyncFor, scope: Scope
    ) -> None:
        if isinstance(node, ast.Assign):
            targets: list[ast.expr] = node.targets
        else:
            targets = [node.target]
        for target in targets:
            self.target(target, scope)
            if isinstance(node, ast.AugAssign) and isinstance(target, ast.Name):
                owner = scope.owner(target.id)
                if owner is not None and not owner.aliases.get(target.id, ("", (), True))[2]:
                    self.change(target, scope)  # `calls += [x]` where `calls = CALLS`
        if isinstance(node, ast.AnnAssign) and scope.is_class:
            self.visit(node.annotation, scope)  # a field's type
        for name, value in ast.iter_fields(node):
            if name not in {"target", "targets", "annotation"}:
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        self.visit(child, scope)

    def read_delete(self, node: ast.Delete, scope: Scope) -> None:
        for target in node.targets:
            self.target(target, scope)

    def read_with(self, node: ast.withitem, scope: Scope) -> None:
        self.visit(node.context_expr, scope)
        if node.optional_vars is not None:
            self.target(node.optional_vars, scope)

    def read_walrus(self, node: ast.NamedExpr, scope: Scope) -> None:
        self.target(node.target, scope)
        self.visit(node.value, scope)

    def read_call(self, node: ast.Call, scope: Scope) -> None:
        for child in ast.iter_child_nodes(node):
            self.visit(child, scope)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if isinstance(node.func, ast.Attribute) and name in MUTATORS:
            self.change(node.func.value, scope, name)
        if name in FIRST_ARGUMENT and node.args:
            changed = node.args[0]
            if name in {"setattr", "delattr", "__setattr__"} and len(node.args) > 1:
                attribute = node.args[1]
                if isinstance(attribute, ast.Constant) and isinstance(attribute.value, str):
                    changed = ast.Attribute(changed, attribute.value)
            self.change(changed, scope)
        self._note_call(node, scope)

    def _note_call(self, node: ast.Call, scope: Scope) -> None:
        callee = root_of(node.func)
        if callee is None:
            return
        places: list[tuple[int | str, ast.expr]] = [*enumerate(node.args)]
        places += [(keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg is not None]
        outside: list[tuple[int | str, Chain]] = []
        own: list[tuple[int | str, str]] = []
        for place, argument in places:
            found = root_of(argument) if isinstance(argument, ast.Name | ast.Attribute) else None
            for kind, root, whole in self.resolve(*found, scope) if found is not None else ():
                if kind == "outside":
                    outside.append((place, (str(root), *whole)))
                elif kind == "parameter":
                    own.append((place, str(root)))
        if outside or own:
            for kind, root, whole in self.resolve(*callee, scope):
                if kind == "outside":
                    self.uses.calls.append(Call((str(root), *whole), tuple(outside), tuple(own)))


def _skip(*_: object) -> None:
    """Imports are read where their names are bound."""


_HANDLERS: dict[type[ast.AST], Callable[[_Reader, Any, Scope], None]] = {
    ast.FunctionDef: _Reader.read_nested,
    ast.AsyncFunctionDef: _Reader.read_nested,
    ast.Lambda: _Reader.read_nested,
    ast.ClassDef: _Reader.read_nested_class,
    ast.ListComp: _Reader.read_comprehension,
    ast.SetComp: _Reader.read_comprehension,
    ast.DictComp: _Reader.read_comprehension,
    ast.GeneratorExp: _Reader.read_comprehension,
    ast.Name: _Reader.read_name,
    ast.Attribute: _Reader.read_attribute,
    ast.Assign: _Reader.read_assign,
    ast.AugAssign: _Reader.read_assign,
    ast.AnnAssign: _Reader.read_assign,
    ast.For: _Reader.read_assign,
    ast.AsyncFor: _Reader.read_assign,
    ast.Delete: _Reader.read_delete,
    ast.withitem: _Reader.read_with,
    ast.NamedExpr: _Reader.read_walrus,
    ast.Call: _Reader.read_call,
    ast.Import: _skip,
    ast.ImportFrom: _skip,
}

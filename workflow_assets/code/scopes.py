"""Which names belong to a piece of code, resolved as Python resolves them.

A parameter or a local variable hides a global one of the same name; what a class body assigns is not seen from its
methods; an assignment expression binds outside the comprehension that it stands in.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

Chain = tuple[str, ...]
"""The attributes that are read from a name, in order."""


@dataclass(frozen=True, order=True)
class Import:
    """What a local ``import`` binds: a module, its outermost package, or (with `attribute`) a name in it."""

    module: str
    attribute: str = ""
    level: int = 0
    outermost: bool = False

    @property
    def dotted(self) -> str:
        """The full name of what is bound."""
        if self.outermost:
            return self.module.partition(".")[0]
        return f"{self.module}.{self.attribute}".strip(".")


class Scope:
    """The names of one function, class or comprehension."""

    def __init__(self, parent: Scope | None, is_class: bool = False, is_comprehension: bool = False) -> None:
        self.parent = parent
        self.is_class = is_class
        self.is_comprehension = is_comprehension
        self.parameters: set[str] = set()
        self.bound: dict[str, int] = {}
        self.aliases: dict[str, tuple[str, Chain, bool]] = {}
        """What a name stands for: another name, its attributes, and whether it is an element of that."""
        self.imports: dict[str, list[Import]] = {}
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()

    def bind(self, name: str, again: int = 1) -> None:
        """Note that a name is given a value here."""
        scope = self
        while scope.is_comprehension and scope.parent is not None:
            scope = scope.parent  # an assignment expression binds outside the comprehension
        if name not in scope.globals and name not in scope.nonlocals:
            scope.bound[name] = scope.bound.get(name, 0) + again

    def owner(self, name: str) -> Scope | None:
        """Find the scope that a name belongs to; None for one from outside."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.globals:
                return None
            known = name in scope.bound or name in scope.parameters
            if known and name not in scope.nonlocals and (scope is self or not scope.is_class):
                return scope
            scope = scope.parent
        return None


def root_of(node: ast.expr) -> tuple[str, Chain] | None:
    """Give the name at which an expression begins, and the attributes up to the first subscript."""
    chain: list[str] = []
    while isinstance(node, ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Attribute):
            chain.append(node.attr)
        else:
            chain.clear()
        node = node.value
    return (node.id, tuple(reversed(chain))) if isinstance(node, ast.Name) else None


def parameters_of(arguments: ast.arguments) -> Iterable[str]:
    """Give the names of a function's parameters."""
    starred = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *starred)
    return [one.arg for one in every]


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a statement without entering the functions, classes and comprehensions inside it."""
    yield node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        # Only assignment expressions bind outside a comprehension.
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr):
                yield inner.target
        return
    for child in ast.iter_child_nodes(node):
        yield from own_nodes(child)


def own_functions(body: Sequence[ast.AST]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Give the functions that statements define, not those inside them."""
    for statement in body:
        for child in own_nodes(statement):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield child


def bind(node: ast.AST, scope: Scope) -> None:
    """Note the names to which a node gives a value in a scope."""
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            scope.bind(node.id)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        scope.bind(node.name)
    elif isinstance(node, ast.Global):
        scope.globals.update(node.names)
    elif isinstance(node, ast.Nonlocal):
        scope.nonlocals.update(node.names)
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name is not None:
        scope.bind(node.name)
    elif isinstance(node, ast.MatchMapping) and node.rest is not None:
        scope.bind(node.rest)
    elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        scope.bind(node.target.id, again=-1)  # what is added to stays what it was
    else:
        _bind_imports(node, scope)
        _bind_aliases(node, scope)


def _bind_imports(node: ast.AST, scope: Scope) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            _bind_import(scope, name, Import(alias.name, outermost=alias.asname is None))
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            _bind_import(scope, alias.asname or alias.name, Import(node.module or "", alias.name, node.level))


def _bind_aliases(node: ast.AST, scope: Scope) -> None:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        bind_alias(scope, node.targets[0].id, node.value)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name) and node.value:
        bind_alias(scope, node.target.id, node.value)
    elif isinstance(node, ast.For | ast.AsyncFor) and isinstance(node.target, ast.Name):
        bind_alias(scope, node.target.id, node.iter, element=True)


def _bind_import(scope: Scope, name: str, imported: Import) -> None:
    scope.bind(name)
    scope.imports.setdefault(name, []).append(imported)


def bind_alias(scope: Scope, name: str, value: ast.expr, element: bool = False) -> None:
    """Note that a name stands for what another name, or an element of it, stands for."""
    if isinstance(value, ast.Name | ast.Attribute):
        found = root_of(value)
        if found is not None:
            scope.aliases[name] = (*found, element)

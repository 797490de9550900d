"""What is known of one definition: its canonical text, and what it uses from outside itself.

Reading a definition takes milliseconds, so each is remembered as long as its source (or its code) lives.
"""

from __future__ import annotations

import ast
import types
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from workflow_assets.code import syntax
from workflow_assets.code.bytecodes import bytecode, instruction_uses
from workflow_assets.code.uses import Uses, uses_of
from workflow_assets.modules import PACKAGE

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Decorator:
    """One decorator of a definition."""

    node: ast.expr
    text: str
    uses: Uses

    def is_ours(self, names: Mapping[str, Any]) -> bool:
        """Whether it is this package's own, such as ``@step(...)``, which changes nothing about the function."""
        target = self.node.func if isinstance(self.node, ast.Call) else self.node
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
        return isinstance(module, str) and module.partition(".")[0] == PACKAGE and not isinstance(value, type)


@dataclass(frozen=True, eq=False)
class FunctionAnalysis:
    """A function's body, without decorators; `bare` leaves out the defaults too."""

    text: str
    bare: str
    uses: Uses
    decorators: tuple[Decorator, ...] = ()


@dataclass(frozen=True, eq=False)
class Method:
    """A function in a class body: `receiver` is its first parameter, usually ``self``."""

    name: str
    receiver: str
    uses: Uses


@dataclass(frozen=True, eq=False)
class ClassAnalysis:
    """A class: its text without decorators, what its body uses, its methods, and the names that the body assigns."""

    text: str
    uses: Uses
    decorators: tuple[Decorator, ...]
    methods: tuple[Method, ...]
    assigned: tuple[str, ...]


_of_codes: weakref.WeakKeyDictionary[types.CodeType, FunctionAnalysis] = weakref.WeakKeyDictionary()


def analyse_function(function: types.FunctionType) -> FunctionAnalysis:
    """Read a function from its source where that is known, else from its instructions."""
    code = function.__code__
    found = syntax.find_function(code, function.__globals__)
    if found is not None:
        source, node = found
        return _remembered(source, node, _function_in_source)
    if code not in _of_codes:
        text = f"bytecode {bytecode(code)}"
        _of_codes[code] = FunctionAnalysis(text, text, instruction_uses(code))
    return _of_codes[code]


def analyse_class(cls: type) -> ClassAnalysis | None:
    """Read a class from its source; None where that is not known."""
    found = syntax.find_class(cls)
    return None if found is None else _remembered(*found, _class_in_source)


def bindings(names: Mapping[str, Any], name: str) -> list[tuple[ast.stmt, str, Uses]]:
    """Give the statements with which a module gives a variable its value: node, text, uses."""
    for source in syntax.module_sources(names):
        statements = source.bindings.get(name, [])
        if statements:  # the newest cell of a notebook that knows the name
            return [(one, *_remembered(source, one, _statement_in_source)) for one in statements]
    return []


def _remembered(source: syntax.SourceFile, node: Any, read: Callable[[Any], T]) -> T:
    known: dict[int, T] = source.memory.setdefault(read, {})
    if id(node) not in known:
        known[id(node)] = read(node)
    return known[id(node)]


def _function_in_source(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> FunctionAnalysis:
    return FunctionAnalysis(
        syntax.canonical_syntax(node, drop_decorators=True),
        syntax.canonical_syntax(node, drop_decorators=True, drop_defaults=True),
        uses_of(node),
        _decorators(node),
    )


def _class_in_source(node: ast.ClassDef) -> ClassAnalysis:
    methods = []
    assigned: dict[str, None] = {}
    for child in syntax.statements(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            parameters = [*child.args.posonlyargs, *child.args.args]
            methods.append(Method(child.name, parameters[0].arg if parameters else "", uses_of(child)))
            methods.extend(Method("__decorated__", "", decorator.uses) for decorator in _decorators(child))
        else:
            assigned.update(dict.fromkeys(sorted(syntax.bound_names(child))))
    return ClassAnalysis(
        syntax.canonical_syntax(node, drop_decorators=True),
        uses_of(node),
        _decorators(node),
        tuple(methods),
        tuple(assigned),
    )


def _statement_in_source(node: ast.stmt) -> tuple[str, Uses]:
    return syntax.canonical_syntax(node), uses_of(node)


def _decorators(node: Any) -> tuple[Decorator, ...]:
    return tuple(
        Decorator(one, syntax.canonical_syntax(one), uses_of(one))
        for one in getattr(node, "decorator_list", ())
    )

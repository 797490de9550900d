"""The source of a function as a syntax tree, written the same way on every Python.

`ast.dump` changes between Python versions, and source text changes with every comment; what is written here changes
only when the code does.
"""

from __future__ import annotations

import ast
import dis
import functools
import linecache
import os
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef


@dataclass(frozen=True)
class SourceFile:
    """One file (or notebook cell) of source: its text, its tree, and where its definitions begin."""

    text: str
    tree: ast.Module
    definitions: dict[int, list[Definition]]
    codes: dict[tuple[int, str], list[types.CodeType]]


def source_file(filename: str) -> SourceFile | None:
    """Read and parse the file that code was compiled from; None where there is no source (``python -c``)."""
    try:
        stat = os.stat(filename)
    except (OSError, ValueError):
        text = "".join(linecache.getlines(filename))  # a notebook cell
        return _parse(text, filename) if text else None
    return _read(filename, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=512)
def _read(filename: str, _modified: int, _size: int) -> SourceFile | None:
    try:
        with open(filename, "rb") as file:
            text = file.read().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return _parse(text, filename)


@functools.lru_cache(maxsize=512)
def _parse(text: str, filename: str) -> SourceFile | None:
    try:
        tree = ast.parse(text)
        compiled = compile(text, filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None  # a notebook cell with magics
    definitions: dict[int, list[Definition]] = {}
    for node in ast.walk(tree):
        if isinstance(node, Definition):
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
            definitions.setdefault(first, []).append(node)
    codes: dict[tuple[int, str], list[types.CodeType]] = {}
    for code in nested_codes(compiled):
        codes.setdefault((code.co_firstlineno, code.co_name), []).append(code)
    return SourceFile(text, tree, definitions, codes)


def function_node(code: types.CodeType) -> Definition | None:
    """Find the definition that a code object was compiled from."""
    source = source_file(code.co_filename)
    if source is None:
        return None
    name = code.co_name
    candidates = [
        node
        for node in source.definitions.get(code.co_firstlineno, [])
        if not isinstance(node, ast.ClassDef) and getattr(node, "name", "<lambda>") == name
    ]
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    # Several lambdas on one line: the smallest that encloses every instruction's position.
    positions = [
        (line, column) for line, _, column, _ in code.co_positions() if line is not None and column is not None
    ][1:]
    enclosing = [
        node
        for node in candidates
        if all(
            (node.lineno, node.col_offset) <= place <= (node.end_lineno or 0, node.end_col_offset or 0)
            for place in positions
        )
    ]
    return min(enclosing, key=_extent, default=None)


def _extent(node: Definition) -> tuple[int, int]:
    return (node.end_lineno or 0) - node.lineno, (node.end_col_offset or 0) - node.col_offset


def class_node(cls: type) -> ast.ClassDef | None:
    """Find the definition of a class in the source of its module."""
    for filename in _filenames(cls):
        source = source_file(filename)
        if source is None:
            continue
        nodes = [node for node in _classes(source.tree, "") if node[0] == cls.__qualname__]
        if len(nodes) == 1:
            return nodes[0][1]
        lines = {value.__code__.co_firstlineno for value in vars(cls).values() if hasattr(value, "__code__")}
        for _, node in nodes:
            if any(node.lineno <= line <= (node.end_lineno or 0) for line in lines):
                return node
        if nodes:
            return nodes[-1][1]  # the last definition of a name is the one that stands
    return None


def _filenames(cls: type) -> Iterator[str]:
    for value in vars(cls).values():
        function = getattr(value, "__func__", getattr(value, "fget", value))
        code = getattr(function, "__code__", None)
        if code is not None and not code.co_filename.startswith("<string"):
            yield code.co_filename
    module = sys.modules.get(cls.__module__)
    if getattr(module, "__file__", None):
        yield str(module.__file__)  # type: ignore[union-attr]
    elif cls.__module__ == "__main__":
        # The cells of a notebook, newest first.
        yield from [name for name in reversed(list(linecache.cache)) if "ipython" in name or "ipykernel" in name]


def _classes(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield prefix + child.name, child
            yield from _classes(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(child, f"{prefix}{child.name}.<locals>.")
        else:
            yield from _classes(child, prefix)


def canonical_syntax(node: ast.AST, *, drop_decorators: bool = False, drop_defaults: bool = False) -> str:
    """Write a syntax tree without positions, comments, docstrings and what differs between Python versions.

    >>> one = ast.parse("def f(x):\\n    'Doubles.'\\n    return x * 2  # twice")
    >>> two = ast.parse("def f( x ):\\n  return (x*2)")
    >>> canonical_syntax(one) == canonical_syntax(two)
    True
    """
    skip: set[str] = set()
    if drop_decorators:
        skip.add("decorator_list")
    fields = [(name, value) for name, value in ast.iter_fields(node) if name not in skip]
    if drop_defaults:
        fields = [
            (name, _without_defaults(value) if isinstance(value, ast.arguments) else value)
            for name, value in fields
        ]
    return _write_node(node, fields)


def _without_defaults(arguments: ast.arguments) -> ast.arguments:
    return ast.arguments(
        posonlyargs=arguments.posonlyargs,
        args=arguments.args,
        vararg=arguments.vararg,
        kwonlyargs=arguments.kwonlyargs,
        kw_defaults=[],
        kwarg=arguments.kwarg,
        defaults=[],
    )


_IGNORED_FIELDS = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_DOCUMENTED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module


def _write(value: object) -> str:
    if isinstance(value, ast.AST):
        return _write_node(value, list(ast.iter_fields(value)))
    if isinstance(value, list):
        return f"[{' '.join(map(_write, value))}]"
    return repr(value)


def _write_node(node: ast.AST, fields: list[tuple[str, object]]) -> str:
    parts = [type(node).__name__]
    for name, value in fields:
        if name in _IGNORED_FIELDS or value is None or value == []:
            continue
        if name == "body" and isinstance(node, _DOCUMENTED) and isinstance(value, list):
            value = _without_docstring(value)
        if name == "format_spec" and isinstance(value, ast.JoinedStr) and not value.values:
            continue  # f"{x:}": an empty specification is none at all on some versions
        parts.append(f"{name}={_write(value)}")
    return f"({' '.join(parts)})"


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return body[1:] or [ast.Pass()]
    return body


def nested_codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Give a code object and all that are defined inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from nested_codes(constant)


def global_names(code: types.CodeType) -> tuple[set[str], set[str]]:
    """Give the global names that code reads, and those that it assigns or deletes.

    Read from the instructions, which know (as the tree does not) which names are local to what.
    """
    read: set[str] = set()
    written: set[str] = set()
    for nested in nested_codes(code):
        for instruction in dis.get_instructions(nested):
            if instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}:
                read.add(str(instruction.argval))
            elif instruction.opname in {"STORE_GLOBAL", "DELETE_GLOBAL"}:
                written.add(str(instruction.argval))
    return {name for name in read if name.isidentifier()}, written


def bytecode(code: types.CodeType) -> str:
    """Write what a code object does, for code that has no source: right, but for one Python version only."""
    constants = [_constant(constant) for constant in code.co_consts]
    return repr((code.co_code.hex(), constants, code.co_names, code.co_varnames, code.co_freevars))


def _constant(value: object) -> str:
    if isinstance(value, types.CodeType):
        return bytecode(value)
    if isinstance(value, frozenset):
        return repr(sorted(map(repr, value)))  # its order differs between processes
    return repr(value)


def matches_source(code: types.CodeType) -> bool:
    """Tell whether the source on disk is still what this code was compiled from.

    It is not when a file was edited after its import, or when an import hook rewrote the tree.
    """
    source = source_file(code.co_filename)
    if source is None:
        return False
    candidates = source.codes.get((code.co_firstlineno, code.co_name), [])
    ours = bytecode(code)
    return any(bytecode(candidate) == ours for candidate in candidates)


MUTATORS = frozenset(
    "append extend insert remove pop clear update add discard setdefault popitem appendleft popleft extendleft put "
    "put_nowait write writelines acquire release set sort reverse move_to_end subtract".split()
)


def mutated_names(node: ast.AST) -> set[str]:
    """Give the names whose objects the code changes in place: they hold state, not constants.

    >>> sorted(mutated_names(ast.parse("calls.append(1); seen['a'] = 2; total.n += 1; print(rate)")))
    ['calls', 'seen', 'total']
    """
    names: set[str] = set()
    for child in ast.walk(node):
        targets: list[ast.expr] = []
        if isinstance(child, ast.Assign):
            targets = child.targets
        elif isinstance(child, ast.AugAssign | ast.AnnAssign):
            targets = [child.target]
        elif isinstance(child, ast.Delete):
            targets = child.targets
        elif isinstance(child, ast.Call):
            function = child.func
            if isinstance(function, ast.Attribute) and function.attr in MUTATORS:
                names.update(_root(function.value))
            elif isinstance(function, ast.Name) and function.id in {"next", "setattr", "delattr"} and child.args:
                names.update(_root(child.args[0]))
        for target in targets:
            if isinstance(target, ast.Attribute | ast.Subscript):
                names.update(_root(target))
    return names


def _root(node: ast.expr) -> set[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()

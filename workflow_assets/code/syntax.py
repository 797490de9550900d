"""The source of a function as a syntax tree, written the same way on every Python.

`ast.dump` changes between Python versions, and source text changes with every comment; what is written here changes
only when the code does.
"""

from __future__ import annotations

import ast
import importlib.util
import linecache
import os
import sys
import textwrap
import types
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from workflow_assets.code.bytecodes import bytecode, nested_codes

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef

# -- files ------------------------------------------------------------------------------------------------------------

VERSIONS_KEPT = 4
"""How many versions of one file are remembered: a long-lived process runs code that was edited since."""


@dataclass(frozen=True, eq=False)
class SourceFile:
    """One file (or notebook cell) of source: its text, its tree, and where its definitions begin."""

    filename: str
    text: str
    tree: ast.Module
    memory: dict[Any, Any] = field(default_factory=dict, repr=False)
    """What was found out about its definitions; it lives as long as the text does."""

    @cached_property
    def definitions(self) -> dict[int, list[Definition]]:
        """The definitions by their first line, that of the first decorator included."""
        found: dict[int, list[Definition]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, Definition):
                decorators = getattr(node, "decorator_list", [])
                first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
                found.setdefault(first, []).append(node)
        return found

    @cached_property
    def classes(self) -> dict[str, list[ast.ClassDef]]:
        """The classes by qualified name, in their order."""
        found: dict[str, list[ast.ClassDef]] = {}
        for name, node in _classes(self.tree, ""):
            found.setdefault(name, []).append(node)
        return found

    @cached_property
    def bindings(self) -> dict[str, list[ast.stmt]]:
        """The statements of the module itself that give a name its value, in their order."""
        found: dict[str, list[ast.stmt]] = {}
        for statement in statements(self.tree):
            for name in bound_names(statement):
                found.setdefault(name, []).append(statement)
        return found

    @cached_property
    def imports(self) -> frozenset[str]:
        """The packages that are imported anywhere in the file, by their first name."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
        return frozenset(found)

    def lines(self, node: Definition) -> str:
        """Give the lines of a definition as they were written, its decorators included."""
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
        return textwrap.dedent("\n".join(self.text.split("\n")[first - 1 : node.end_lineno]))

    def codes(self, flags: int) -> dict[tuple[int, str], list[types.CodeType]]:
        """Compile the text under the given ``from __future__`` flags; the code objects by first line and name."""
        key = ("codes", flags)
        if key not in self.memory:
            found: dict[tuple[int, str], list[types.CodeType]] = {}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # told when it was imported
                try:
                    compiled = compile(
                        self.text,
                        self.filename,
                        "exec",
                        flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
                        dont_inherit=True,
                    )
                except (SyntaxError, ValueError):
                    compiled = compile("", self.filename, "exec")
            for code in nested_codes(compiled):
                found.setdefault((code.co_firstlineno, code.co_name), []).append(code)
            self.memory[key] = found
        return self.memory[key]  # type: ignore[no-any-return]


_files: dict[str, tuple[tuple[int, int], SourceFile | None]] = {}
_versions: dict[str, dict[str, SourceFile]] = {}


def source_file(filename: str, names: Mapping[str, Any] | None = None) -> SourceFile | None:
    """Read and parse the file that code was compiled from; None where there is no source (``python -c``).

    `names` are the globals of the module, whose loader may know the source of what is not a file.
    """
    try:
        stat = os.stat(filename)  # noqa: PTH116 - asked at every reading, and ten times as fast as a path
    except (OSError, ValueError):
        text = "".join(
            linecache.getlines(filename, names if isinstance(names, dict) else None)
        )  # a notebook cell
        return _parsed(filename, text) if text else None
    mark = (stat.st_mtime_ns, stat.st_size)
    known = _files.get(filename)
    if known is None or known[0] != mark:
        try:
            text = importlib.util.decode_source(Path(filename).read_bytes())
        except (OSError, SyntaxError, UnicodeDecodeError):
            known = (mark, None)
        else:
            known = (mark, _parsed(filename, text))
        _files[filename] = known
    return known[1]


def _parsed(filename: str, text: str) -> SourceFile | None:
    versions = _versions.setdefault(filename, {})
    if text not in versions:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                tree = ast.parse(text)
            except (SyntaxError, ValueError, RecursionError):
                return None  # a notebook cell with magics
        versions[text] = SourceFile(filename, text, tree)
        while len(versions) > VERSIONS_KEPT:
            del versions[next(iter(versions))]
    return versions[text]


def known_versions(filename: str, names: Mapping[str, Any] | None = None) -> Iterator[SourceFile]:
    """Give the source of a file as it is now, then as it was seen before in this process, newest first."""
    current = source_file(filename, names)
    if current is not None:
        yield current
    yield from [one for one in reversed(_versions.get(filename, {}).values()) if one is not current]


def module_sources(names: Mapping[str, Any]) -> list[SourceFile]:
    """Give the source of a module, by its globals; that of a notebook is its cells, newest first."""
    filename = names.get("__file__")
    if isinstance(filename, str):
        source = source_file(filename, names)
        return [] if source is None else [source]
    if names.get("__name__") != "__main__":
        return []
    cells = [name for name, entry in linecache.cache.items() if len(entry) == 4 and entry[1] is None]
    return [source for name in reversed(cells) if (source := source_file(name)) is not None]


# -- definitions ------------------------------------------------------------------------------------------------------


def find_function(code: types.CodeType, names: Mapping[str, Any]) -> tuple[SourceFile, Definition] | None:
    """Find the definition that a code object was compiled from, if its source is still known.

    It is not when a file was edited after its import and before its first reading, when an import hook rewrote the
    tree, or when there was no source to begin with. pytest's own rewriting of assertions is seen through.
    """
    rewritten = "@pytest_ar" in names
    for source in known_versions(code.co_filename, names):
        candidates = source.codes(code.co_flags & _FUTURES).get((code.co_firstlineno, code.co_name), [])
        same = [one for one in candidates if one == code] or [
            one for one in candidates if bytecode(one) == bytecode(code)
        ]
        for candidate in same:
            node = _definition(source, candidate)
            if node is not None:
                return source, node
        if rewritten:
            node = _definition(source, code)
            if node is not None and any(isinstance(child, ast.Assert) for child in ast.walk(node)):
                return source, node
    return None


_FUTURES = 0
for _name in ("annotations", "barry_as_FLUFL"):
    _FUTURES |= int(getattr(__import__("__future__"), _name).compiler_flag)


def _definition(source: SourceFile, code: types.CodeType) -> Definition | None:
    name = code.co_name
    candidates = [
        node
        for node in source.definitions.get(code.co_firstlineno, [])
        if not isinstance(node, ast.ClassDef) and getattr(node, "name", "<lambda>") == name
    ]
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    # Several lambdas on one line: the smallest whose body holds every instruction, with the same parameters.
    ranges = [
        (line, column, last, end)
        for line, last, column, end in code.co_positions()
        if None not in (line, last, column, end) and (line, column) != (line, end)
    ]
    fitting = [node for node in candidates if _parameters(node) == _varnames(code)]
    holding = [
        node
        for node in fitting
        if isinstance(node, ast.Lambda)
        and all(_start(node.body) <= place[:2] and place[2:] <= _end(node.body) for place in ranges)
    ]
    return min(holding, key=_extent, default=None)


def _start(node: ast.expr) -> tuple[Any, ...]:
    return node.lineno, node.col_offset


def _end(node: ast.expr) -> tuple[Any, ...]:
    return node.end_lineno, node.end_col_offset


def _extent(node: Definition) -> tuple[int, int]:
    return (node.end_lineno or 0) - node.lineno, (node.end_col_offset or 0) - node.col_offset


def _parameters(node: Definition) -> tuple[str, ...]:
    assert isinstance(node, ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef)
    given = node.args
    starred = [one for one in (given.vararg, given.kwarg) if one is not None]
    return tuple(one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, *starred))


def _varnames(code: types.CodeType) -> tuple[str, ...]:
    starred = bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)  # *args, **kwargs
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + starred]


def definition_text(thing: Any) -> tuple[SourceFile, str] | None:
    """Give the lines that define a function or class, and the file that they stand in; None where it is not known."""
    if isinstance(thing, types.FunctionType):
        found: Any = find_function(thing.__code__, thing.__globals__)
    else:
        found = find_class(thing) if isinstance(thing, type) else None
    return None if found is None else (found[0], found[0].lines(found[1]))


def find_class(cls: type) -> tuple[SourceFile, ast.ClassDef] | None:
    """Find the definition of a class in the source of its module."""
    for source in _class_sources(cls):
        nodes = source.classes.get(cls.__qualname__, [])
        if len(nodes) > 1:  # under `if` and `else`: the one that holds the methods
            lines = {
                value.__code__.co_firstlineno for value in vars(cls).values() if hasattr(value, "__code__")
            }
            lines.add(vars(cls).get("__firstlineno__", 0))  # from Python 3.13 on
            holding = [
                node for node in nodes if any(node.lineno <= line <= (node.end_lineno or 0) for line in lines)
            ]
            nodes = holding or nodes
        if nodes:
            return source, nodes[-1]  # the last definition of a name is the one that stands
    return None


def _class_sources(cls: type) -> Iterator[SourceFile]:
    for value in vars(cls).values():
        function = getattr(value, "__func__", getattr(value, "fget", value))
        code = getattr(function, "__code__", None)
        if isinstance(code, types.CodeType) and getattr(function, "__qualname__", "").startswith(
            cls.__qualname__
        ):
            found = find_function(code, function.__globals__)
            if found is not None:
                yield found[0]
    module = sys.modules.get(cls.__module__)
    if module is not None:
        yield from module_sources(vars(module))


def _classes(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield prefix + child.name, child
            yield from _classes(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(child, f"{prefix}{child.name}.<locals>.")
        else:
            yield from _classes(child, prefix)


def statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Give the statements that a module executes, those inside its ``if``, ``try`` and ``with`` included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            yield from statements(child)


def bound_names(statement: ast.stmt) -> set[str]:
    """Give the names to which a statement of a module or class gives a value."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Expr):
        return set()
    stored = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
    return {node.id for node in stored if isinstance(node.ctx, ast.Store)}


# -- the canonical form -----------------------------------------------------------------------------------------------


def canonical_syntax(node: ast.AST, *, drop_decorators: bool = False, drop_defaults: bool = False) -> str:
    """Write a syntax tree without positions, comments, docstrings and what differs between Python versions.

    >>> one, two = ast.parse("def f(x): return x * 2  # twice"), ast.parse("def f( x ): return (x*2)")
    >>> canonical_syntax(one) == canonical_syntax(two)
    True
    """
    fields = list(ast.iter_fields(node))
    if drop_decorators:
        fields = [(name, value) for name, value in fields if name != "decorator_list"]
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
    if type(value) is int:
        return f"{value:#x}"  # `repr` refuses numbers of many digits
    return repr(value)


def _write_node(node: ast.AST, fields: list[tuple[str, object]]) -> str:
    parts = [type(node).__name__]
    for name, value in fields:
        if isinstance(node, ast.Constant) and name == "value":
            parts.append(f"value={_write(value)}")
        elif name not in _IGNORED_FIELDS:
            plain = _plain(node, name, value)
            written = "" if plain is None or plain == [] else _write(plain)
            if written and (name != "format_spec" or written != _NO_SPECIFICATION):
                parts.append(f"{name}={written}")
    return f"({' '.join(parts)})"


_NO_SPECIFICATION = "(JoinedStr)"
"""Of ``f"{x:}"``, which on some versions is none at all."""


def _plain(node: ast.AST, name: str, value: Any) -> Any:
    if name == "body" and isinstance(node, _DOCUMENTED):
        return _without_docstring(value)
    if name == "values" and isinstance(node, ast.JoinedStr):
        return _joined(value)
    return value


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """Join neighbouring pieces of text in an f-string, which Python versions cut in different places."""
    joined: list[ast.expr] = []
    for value in values:
        last = joined[-1] if joined else None
        if isinstance(value, ast.Constant) and value.value == "":
            continue
        if isinstance(value, ast.Constant) and isinstance(last, ast.Constant):
            joined[-1] = ast.Constant(str(last.value) + str(value.value))
        else:
            joined.append(value)
    return joined


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        return body[1:] or [ast.Pass()]
    return body

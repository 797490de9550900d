"""The names of types in documents, read without executing anything."""

from __future__ import annotations

import ast
import types
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from workflow_assets.contracts.checkers import describe
from workflow_assets.steps import REQUIRED, Step

LONGEST = 300

_PLAIN: Mapping[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "bytes": bytes,
    "list": list,
    "dict": dict,
    "tuple": tuple,
    "set": set,
    "Any": Any,
    "None": types.NoneType,
}


def known_types(steps: Iterable[Step[..., Any]]) -> dict[str, Any]:
    """Give the types that parameters of steps are annotated with, by how they are written."""
    known: dict[str, Any] = {}
    doubtful = set()
    for step in steps:
        for parameter in step.parameters.values():
            if parameter.annotation is not REQUIRED:
                text = describe(parameter.annotation)
                if known.setdefault(text, parameter.annotation) != parameter.annotation:
                    doubtful.add(text)
    return {text: hint for text, hint in known.items() if text not in doubtful}


def read_type(text: str, known: Mapping[str, Any]) -> Any:
    """Read a type: ``list[int]``, ``str | None``, or what a parameter of a step is annotated with.

    Raises `LookupError` with the part that is no type.

    >>> read_type("dict[str, list[float]] | None", {})
    dict[str, list[float]] | None
    """
    if text in known:
        return known[text]
    if len(text) > LONGEST:
        raise LookupError(text[:40])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is no type anyhow
            tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise LookupError(text[:40]) from None
    return _read(tree, known)


def _read(tree: ast.expr, known: Mapping[str, Any]) -> Any:
    if isinstance(tree, ast.Name) and tree.id in known:
        return known[tree.id]
    if isinstance(tree, ast.Name) and tree.id in _PLAIN:
        return _PLAIN[tree.id]
    if isinstance(tree, ast.Constant) and tree.value is None:
        return types.NoneType
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.BitOr):
        return _read(tree.left, known) | _read(tree.right, known)
    if isinstance(tree, ast.Subscript) and isinstance(tree.value, ast.Name):
        inner = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
        if tree.value.id == "Literal" and all(_is_literal(one) for one in inner):
            return Literal[tuple(ast.literal_eval(one) for one in inner)]
        outer: Any = _PLAIN.get(tree.value.id)
        count = len(inner)
        if (
            outer is tuple
            and count == 2
            and isinstance(inner[1], ast.Constant)
            and inner[1].value is Ellipsis
        ):
            return outer[_read(inner[0], known), ...]
        if outer is tuple or (outer, count) in ((list, 1), (set, 1), (dict, 2)):
            return outer[tuple(_read(one, known) for one in inner)]
    raise LookupError(ast.unparse(tree)[:40])


def _is_literal(tree: ast.expr) -> bool:
    return isinstance(tree, ast.Constant) and isinstance(tree.value, str | int | bool | None)


def write_type(hint: Any, known: Mapping[str, Any]) -> str | None:
    """Write a type so that it is read as the same; None if it cannot be."""
    text = describe(hint)
    try:
        return text if read_type(text, known) == hint else None
    except LookupError:
        return None

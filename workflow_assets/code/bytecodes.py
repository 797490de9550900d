"""What is known of code that has no source: its instructions.

Code from ``python -c`` or `exec` leaves nothing else. What is written here is right, but for one version of Python.
"""

from __future__ import annotations

import dis
import itertools
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workflow_assets.code.scopes import Chain, Import
from workflow_assets.code.uses import FIRST_ARGUMENT, MUTATORS, Uses


def nested_codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Give a code object and all that are defined inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from nested_codes(constant)


def bytecode(code: types.CodeType) -> str:
    """Write what a code object does; where it stands in its file is not seen.

    >>> one, two = compile("x = 1", "one.py", "exec"), compile("(x)  =  1  # one", "two.py", "exec")
    >>> bytecode(one) == bytecode(two)
    True
    """
    constants = [_constant(constant) for constant in code.co_consts]
    handlers = getattr(code, "co_exceptiontable", b"").hex()
    parameters = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    return repr(
        (
            code.co_code.hex(),
            constants,
            code.co_names,
            code.co_varnames,
            code.co_freevars,
            handlers,
            parameters,
        )
    )


def _constant(value: object) -> str:
    if isinstance(value, types.CodeType):
        return bytecode(value)
    if isinstance(value, frozenset):
        return f"frozenset {sorted(map(_constant, value))}"  # its order differs between processes
    if isinstance(value, tuple):
        return f"({', '.join(map(_constant, value))})"
    return f"{value:#x}" if type(value) is int else repr(value)


def instruction_uses(code: types.CodeType) -> Uses:
    """Read from the instructions what code uses from outside itself, and what it changes there.

    >>> total = 0
    >>> def count():
    ...     global total
    ...     total += 1
    >>> instruction_uses(count.__code__).rebound
    {'total'}
    """
    uses = Uses()
    for nested in nested_codes(code):
        _Block(nested, frozenset(code.co_freevars), uses, nested is code).read()
    return uses


@dataclass(frozen=True)
class _Instruction:
    opname: str
    argval: Any
    start: tuple[int, int] | None
    """Where the expression that it belongs to begins, if that is known."""


def _instructions(code: types.CodeType) -> Iterator[_Instruction]:
    for one in dis.get_instructions(code):
        if one.opname in _NOISE:
            continue
        places = one.positions
        known = places is not None and places.lineno is not None and places.col_offset is not None
        start = (places.lineno, places.col_offset) if known else None  # type: ignore[union-attr]
        if isinstance(one.argval, tuple) and one.opname.startswith(("LOAD_FAST", "STORE_FAST")):
            # Two instructions in one, from Python 3.13 on: STORE_FAST_LOAD_FAST
            for kind, name in zip(re.findall("LOAD|STORE", one.opname), one.argval, strict=False):
                yield _Instruction(f"{kind}_FAST", name, start)  # type: ignore[arg-type]
                start = None  # the position of the second is lost
        else:
            yield _Instruction(one.opname, one.argval, start)  # type: ignore[arg-type]


class _Block:
    """The instructions of one code object."""

    def __init__(self, code: types.CodeType, free: frozenset[str], uses: Uses, outermost: bool) -> None:
        self.instructions = list(_instructions(code))
        self.free = free
        self.uses = uses
        self.imports: dict[str, list[Import]] = {}
        self.parameters = code.co_varnames[: code.co_argcount] if outermost else ()
        self.roots: dict[tuple[int, int] | None, Chain] = {}  # where an expression begins → what it names

    def read(self) -> None:
        self._read_imports()
        for place, one in enumerate(self.instructions):
            name = str(one.argval)
            self._place(place, one)
            if one.opname in _ATTRIBUTES:
                self.uses.attributes.add(name)
                if name in MUTATORS:
                    self._change(one, name)
            elif one.opname in _LOADS:
                self._read_load(place, one, name)
                self._read_argument(place, one)
            elif one.opname in {"STORE_GLOBAL", "DELETE_GLOBAL"} or (
                one.opname in {"STORE_DEREF", "DELETE_DEREF"} and name in self.free
            ):
                self.uses.rebound.add(name)
                self.uses.read.setdefault(name, set()).add(())
            elif one.opname in {"STORE_ATTR", "DELETE_ATTR"}:
                self._change(one, name, assigned=True)
            elif one.opname in {"STORE_SUBSCR", "DELETE_SUBSCR"}:
                self._change(one, "")

    def _place(self, place: int, one: _Instruction) -> None:
        """Find where the expression begins whose name was loaded by the second half of an instruction."""
        back = 1 if one.opname in _ATTRIBUTES | {"STORE_ATTR", "DELETE_ATTR"} else 2
        if place < back or one.start in self.roots or (back == 2 and one.opname != "STORE_SUBSCR"):
            return
        loaded = self.instructions[place - back]
        if loaded.opname in _LOCALS and loaded.start is None and loaded.argval in self.parameters:
            self.roots[one.start] = (_OWN, str(loaded.argval), *self._chain(place - back))

    def _change(self, one: _Instruction, name: str, assigned: bool = False) -> None:
        """Note that the expression which begins where an instruction does is changed."""
        root = self.roots.get(one.start)
        if root is None:
            return
        if name in root[1:]:
            root = root[: root.index(name, 1)]
        if assigned:
            root = (*root, name)
        if root[0] == _OWN:
            self.uses.changed_parameters.add((root[1:], "" if assigned else name))
        else:
            self.uses.changed.add((root, "" if assigned else name))

    def _read_argument(self, place: int, one: _Instruction) -> None:
        """Note what is the first argument of a function that changes it, such as ``next(numbers)``."""
        called = self.instructions[place - 1] if place else one
        if called.opname not in _GLOBALS | _ATTRIBUTES or called.argval not in FIRST_ARGUMENT:
            return
        following = self.instructions[place + 1 + len(self._chain(place))]
        by_name = (
            "attr" in called.argval and following.opname == "LOAD_CONST" and isinstance(following.argval, str)
        )
        self._change(one, following.argval if by_name else "", assigned=by_name)

    def _read_load(self, place: int, one: _Instruction, name: str) -> None:
        chain = self._chain(place)
        if name.isidentifier() and (one.opname in _GLOBALS or name in self.free):
            self.uses.read.setdefault(name, set()).add(chain)
            if one.start is not None:
                self.roots[one.start] = (name, *chain)
        elif name in self.parameters and one.start is not None:
            self.roots[one.start] = (_OWN, name, *chain)
        for imported in self.imports.get(name, ()):
            self.uses.imports.setdefault(imported, set()).add(chain)

    def _chain(self, place: int) -> Chain:
        attributes = itertools.takewhile(
            lambda one: one.opname in _ATTRIBUTES, self.instructions[place + 1 :]
        )
        return tuple(str(one.argval) for one in attributes)

    def _read_imports(self) -> None:
        pending: Import | None = None
        names: Any = None
        for place, one in enumerate(self.instructions):
            if one.opname == "IMPORT_NAME":
                level, names = (self.instructions[place - back].argval for back in (2, 1))
                pending = Import(str(one.argval), level=level, outermost=True)
            elif one.opname == "IMPORT_FROM" and pending is not None:
                # `import a.b as c` fetches `b` from `a` in the same way, with no names after IMPORT_NAME.
                attribute = "" if names is None else str(one.argval)
                pending = Import(pending.module, attribute, pending.level)
            elif one.opname.startswith("STORE_") and pending is not None:
                self.imports.setdefault(str(one.argval), []).append(pending)
                pending = None if names is None else pending
            elif one.opname not in {"SWAP", "POP_TOP"}:
                pending = None


_OWN = "<parameter>"
_NOISE = frozenset(
    {"CACHE", "EXTENDED_ARG", "NOP", "PUSH_NULL", "RESUME", "PRECALL", "COPY_FREE_VARS", "MAKE_CELL"}
)
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_GLOBALS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_LOCALS = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW"})
_CELLS = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF", "LOAD_CLOSURE"})
_LOADS = _GLOBALS | _LOCALS | _CELLS

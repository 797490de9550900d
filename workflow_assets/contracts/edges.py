"""Edges between steps: may what one gives be handed to what another takes?"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import operator
import sys
import typing
from typing import Any, Literal, get_args, get_origin

from workflow_assets.contracts.checkers import NUMBERS, array_parts, checker, is_array_type, metric_type
from workflow_assets.contracts.hints import marks_of, plain_hint, says_nothing, union_members


def compatible(produced: Any, consumed: Any) -> bool:
    """Tell whether a value of one declared type may be handed to a parameter of another.

    False only where no value fits: a subclass may be expected where its base is produced, and `int` where
    ``int | None`` is, since what arrives is checked again when it runs.

    >>> compatible(str, int), compatible(int, float), compatible(list[str], list[int])
    (False, True, False)
    """
    try:
        return _compatible(produced, consumed)
    except TypeError:  # a type that cannot be hashed, as one that is marked with a list
        return _compatible.__wrapped__(produced, consumed)


@functools.lru_cache(maxsize=4096)
def _compatible(produced: Any, consumed: Any) -> bool:
    (one, mine), (two, theirs) = (marks_of(plain_hint(hint)) for hint in (produced, consumed))
    if mine or theirs:
        return compatible(one, two) and not _exclude(mine, theirs)
    if says_nothing(one) or says_nothing(two) or _is_protocol(one) or _is_protocol(two):
        return True
    if (members := union_members(one)) is not None:
        return any(compatible(member, two) for member in members)
    if (members := union_members(two)) is not None:
        return any(compatible(one, member) for member in members)
    for literal, other in ((one, two), (two, one)):
        if get_origin(literal) is Literal:
            look = checker(other)
            return look is None or any(look(value) is None for value in get_args(literal))
    return _classes_meet(one, two) and _arguments_meet(one, two)


def handed(produced: Any) -> Any:
    """Give the type of what others are handed, where a step's result is stored as something else.

    >>> handed(collections.abc.Iterator[bytes]), handed(float)
    (<class 'workflow_assets.store.contents.File'>, <class 'float'>)
    """
    if type(produced) is type and produced.__module__ == "builtins":
        return produced
    hint = marks_of(plain_hint(produced))[0]
    members = union_members(hint)
    if members is not None:
        changed = [handed(member) for member in members]
        return produced if changed == list(members) else functools.reduce(operator.or_, changed)
    origin = get_origin(hint) or hint
    if origin in _ONCE:
        from workflow_assets.store.contents import File
        from workflow_assets.store.sequences import Items

        yielded = get_args(hint)[:1]
        if not yielded or says_nothing(yielded[0]):
            return Items | File
        items: Any = Items
        return File if yielded[0] in {bytes, bytearray, memoryview} else items[yielded[0]]
    figure = sys.modules.get("matplotlib.figure")
    if figure is not None and isinstance(origin, type) and issubclass(origin, figure.Figure):
        from workflow_assets.store.pictures import Picture

        return Picture
    return produced


_ONCE = (collections.abc.Iterator, collections.abc.Generator)
"""What can be iterated once."""


def _exclude(mine: tuple[Any, ...], theirs: tuple[Any, ...]) -> bool:
    pairs = [(one, two) for one in mine for two in theirs if type(one) is type(two)]
    return any(callable(getattr(one, "excludes", None)) and one.excludes(two) for one, two in pairs)


def _is_protocol(hint: Any) -> bool:
    return bool(getattr(get_origin(hint) or hint, "_is_protocol", False))


def _classes_meet(produced: Any, consumed: Any) -> bool:
    one, two = _class(produced), _class(consumed)
    if one is None or two is None:
        return True
    given, taken = (
        metric_type(one) or one,
        metric_type(two) or two,
    )  # a number of numpy's counts as one of Python's
    if {given, taken} & {bool, *NUMBERS} and {given, taken} <= {bool, str, *NUMBERS}:
        return given is taken or given in NUMBERS.get(taken, ())
    try:
        if issubclass(given, taken) or issubclass(taken, given):
            return True
    except TypeError:
        return True
    return inspect.isabstract(given) and inspect.isabstract(taken)  # one class may be both


def _class(hint: Any) -> type | None:
    if typing.is_typeddict(hint):
        return dict
    origin = get_origin(hint) or hint
    return origin if isinstance(origin, type) else None


def _arguments_meet(produced: Any, consumed: Any) -> bool:
    one, two = _class(produced), _class(consumed)
    inside, wanted = get_args(produced), get_args(consumed)
    if not inside or not wanted:
        return True
    if is_array_type(one) and is_array_type(two):
        return _arrays_meet(inside, wanted)
    if one is not two and not (_is_standard(one) and _is_standard(two)):
        return True  # how the arguments of two generic classes correspond is their own business
    if one is tuple and two is tuple:
        if Ellipsis not in (*inside, *wanted) and len(inside) != len(wanted):
            return False
        length = max(len(inside), len(wanted))
        inside, wanted = (_repeated(arguments, length) for arguments in (inside, wanted))
    return all(
        compatible(mine, theirs)
        for mine, theirs in zip(inside, wanted, strict=False)
        if _is_hint(mine, theirs)
    )


def _repeated(arguments: tuple[Any, ...], length: int) -> tuple[Any, ...]:
    return arguments[:1] * length if arguments[-1] is Ellipsis else arguments


def _is_hint(*arguments: Any) -> bool:
    return not any(isinstance(argument, list) or argument is Ellipsis for argument in arguments)


def _is_standard(cls: type | None) -> bool:
    return cls is not None and cls.__module__ in {
        "builtins",
        "collections",
        collections.abc.Sequence.__module__,
    }


def _arrays_meet(inside: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    (mine, my_types), (other, other_types) = array_parts(inside), array_parts(wanted)
    if None not in (mine, other) and mine != other:
        return False
    if not my_types or not other_types:
        return True
    return any(issubclass(one, two) or issubclass(two, one) for one in my_types for two in other_types)

"""Mappings that stay as they were declared."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """A dict that is part of a declaration: it can be read, copied, compared and pickled, and not be changed.

    >>> FrozenDict(a=1) == {"a": 1}
    True
    """

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            "this is part of a declaration, which stays as it is: change a copy, and declare that"
        )

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)

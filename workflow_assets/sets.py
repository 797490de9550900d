"""Sets: ready steps over collections, whose configuration is plain values, so that documents can hold it.

A collection is a list, what a step yielded, or the rows of a frame; `field` names what of each item is meant, and ""
the item itself. What is done to each item alone is a step of its own, ``step.each()``.
"""

from __future__ import annotations

import math
import operator
import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from workflow_assets.errors import did_you_mean, excerpt
from workflow_assets.steps import step
from workflow_assets.wires import rows_of

Relation = Literal["equal", "unequal", "less", "at_most", "greater", "at_least", "among", "present"]
Reduction = Literal["sum", "product", "count", "least", "most", "mean", "median", "first", "last", "join"]

_RELATIONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "equal": operator.eq,
    "unequal": operator.ne,
    "less": operator.lt,
    "at_most": operator.le,
    "greater": operator.gt,
    "at_least": operator.ge,
    "among": lambda value, several: value in several,
    "present": lambda value, _: value is not None and value == value,  # noqa: PLR0124 - NaN is not itself
}
_REDUCTIONS: Mapping[str, Callable[[list[Any]], Any]] = {
    "sum": sum,
    "product": math.prod,
    "count": len,
    "least": min,
    "most": max,
    "mean": statistics.fmean,
    "median": statistics.median,
    "first": lambda items: items[0],
    "last": lambda items: items[-1],
    "join": lambda items: "".join(map(str, items)),
}


@step(slug="flatten")
def flatten(items: Any) -> list[Any]:
    """Join lists of lists into one, a level; the values of a mapping are joined, too.

    >>> flatten([[1, 2], [], [3]])
    [1, 2, 3]
    """
    parts = items.values() if isinstance(items, Mapping) else items
    joined: list[Any] = []
    for part in parts:
        if isinstance(part, str | bytes | Mapping) or not isinstance(part, Iterable):
            raise TypeError(f"{excerpt(part)} is no list: flatten joins lists of lists")
        joined.extend(part)
    return joined


@step(slug="filter")
def keep(items: Any, field: str = "", relation: Relation = "present", value: Any = None) -> list[Any]:
    """Keep the items that stand in a relation to a value.

    >>> keep([1, -5, 3], relation="greater", value=0)
    [1, 3]
    >>> keep([{"name": "a", "age": 4}, {"name": "b", "age": 9}], field="age", relation="at_most", value=5)
    [{'name': 'a', 'age': 4}]
    """
    holds = _chosen(_RELATIONS, relation, "relation")
    return [item for item in _items(items) if holds(_part(item, field), value)]


@step(slug="reduce")
def reduce(items: Any, field: str = "", by: Reduction = "sum") -> Any:
    """Make one value of all items.

    Raises ValueError for no items, where that has no value.

    >>> reduce([1, 2, 3], by="product")
    6
    """
    return _chosen(_REDUCTIONS, by, "by")([_part(item, field) for item in _items(items)])


@step(slug="expand")
def expand(items: Any, field: str) -> list[dict[str, Any]]:
    """Make a row of each thing in a list that rows hold, with the other fields repeated.

    >>> expand([{"video": 1, "people": ["host", "guest"]}], field="people")
    [{'video': 1, 'people': 'host'}, {'video': 1, 'people': 'guest'}]
    """
    return [{**item, field: one} for item in _items(items) for one in _part(item, field)]


@step(slug="group")
def group(items: Any, field: str = "") -> dict[str, list[Any]]:
    """Put items together that have the same value, by that value as text, in the order in which these come.

    >>> group([{"kind": "a", "n": 1}, {"kind": "b", "n": 2}, {"kind": "a", "n": 3}], field="kind")
    {'a': [{'kind': 'a', 'n': 1}, {'kind': 'a', 'n': 3}], 'b': [{'kind': 'b', 'n': 2}]}
    """
    groups: dict[str, list[Any]] = {}
    for item in _items(items):
        groups.setdefault(str(_part(item, field)), []).append(item)
    return groups


@step(slug="summarise")
def summarise(items: Any, field: str = "") -> dict[str, float]:
    """Give count, mean, standard deviation (of a sample), least, median and most of numbers.

    >>> summarise([1, 2, 3, 6])["mean"]
    3.0
    """
    numbers = [float(_part(item, field)) for item in _items(items)]
    if not numbers:
        return {"count": 0}
    return {
        "count": len(numbers),
        "mean": statistics.fmean(numbers),
        "sd": statistics.stdev(numbers) if len(numbers) > 1 else 0.0,
        "least": min(numbers),
        "median": statistics.median(numbers),
        "most": max(numbers),
    }


READY = (flatten, keep, reduce, expand, group, summarise)
"""All of them, for a registry."""


def _items(items: Any) -> Iterable[Any]:
    if (rows := rows_of(items)) is not None:
        return rows
    if isinstance(items, Mapping):
        return items.values()
    if isinstance(items, str | bytes) or not isinstance(items, Iterable):
        raise TypeError(f"{excerpt(items)} has no items: expected a list, a mapping or a frame")
    return items


def _part(item: Any, field: str) -> Any:
    if not field:
        return item
    if isinstance(item, Mapping):
        if field not in item:
            raise KeyError(f"an item has no {field!r}: {did_you_mean(field, list(map(str, item)))}")
        return item[field]
    return getattr(item, field)


def _chosen(known: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in known:
        raise ValueError(f"{what} = {name!r}: {did_you_mean(str(name), known)}")
    return known[name]

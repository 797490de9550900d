"""Documents that are changed in one place, in all the ways in which people and programs get them wrong."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]

_DEEP: Any = 1
for _ in range(100):
    _DEEP = [_DEEP]

VALUES: list[Any] = [
    *(None, True, -1, 0, 1, 10**99, 10**200, 1e308, -0.0, float("nan"), float("inf")),
    *("", "nobody", "plus", "last.b", "x" * 5_000, "a b", "é", "rng", "results", "\ud800", "baseline"),
    *([], {}, [1], ["x"], [[]], {"x": 1}, {"from": "plus"}, {"value": 1}, [{"value": 1}], _DEEP),
]
"""What may stand anywhere by mistake."""

KEYS = ["colour", "", "x" * 5_000, "a.b", "é", "from", "value", "of", "id", "step", "each", "metric"]


def places(tree: Any, path: Path = ()) -> Iterator[Path]:
    """Give all places of a tree but its root; those of a front end's own only where they begin."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, inner in items:
        yield (*path, key)
        if key != "ui":
            yield from places(inner, (*path, key))


def value_at(tree: Any, path: Path) -> Any:
    """Give what stands in a place."""
    for key in path:
        tree = tree[key]
    return tree


@st.composite
def mutations(draw: Any, document: Any) -> tuple[Any, Path, set[str]]:
    """Change one place; give the document, the place, and what was named there before or is now."""
    path = draw(st.sampled_from(list(places(document))))
    made = copy.deepcopy(document)
    *way, key = path
    holder = value_at(made, tuple(way))
    old = holder[key]
    names = {text for text in _texts([key, old]) if text}
    kind = draw(
        st.sampled_from(
            ["removed", "value", "value", "taken", "misspelt", "turned", "renamed", "added", "doubled"]
        )
    )
    if kind == "removed":
        del holder[key]
    elif kind == "misspelt" and isinstance(old, str):
        holder[key] = draw(st.sampled_from([f"{old}x", old[:-1], old.upper(), f"{old}.low", f".{old}"]))
    elif kind == "turned" and isinstance(old, list | dict):
        holder[key] = (
            list(old.values()) if isinstance(old, dict) else {str(n): one for n, one in enumerate(old)}
        )
    elif kind == "renamed" and isinstance(holder, dict):
        other = draw(st.sampled_from([f"{key}x", "é", "other"]))
        items = [(other if one == key else one, inner) for one, inner in holder.items()]
        holder.clear()
        holder.update(items)
    elif kind == "added" and isinstance(holder, dict):
        key = draw(st.sampled_from(KEYS))
        holder[key] = draw(st.sampled_from(VALUES))
    elif kind == "doubled" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(old))
        return made, tuple(way), names
    elif kind == "taken":
        holder[key] = copy.deepcopy(value_at(document, draw(st.sampled_from(list(places(document))))))
    else:
        holder[key] = draw(st.sampled_from(VALUES))
    now = holder.get(key) if isinstance(holder, dict) else None
    return made, (*way, key), names | {text for text in (str(key), now) if isinstance(text, str) and text}


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    inner = [*tree, *tree.values()] if isinstance(tree, dict) else tree if isinstance(tree, list) else []
    for one in inner:
        yield from _texts(one)

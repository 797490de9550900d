"""Several partitions of an asset as one lazy mapping."""

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from functools import cached_property
from typing import Any, NoReturn

from workflow_assets.errors import UnknownNameError, did_you_mean, listing
from workflow_assets.store.base import Store


class LazyPartitions(dict[str, Any]):
    """The values of several partitions, each loaded when it is asked for, and anew each time.

    Look one up by its key, ``totals["0003|strong"]``, or by its place in the grid,
    ``totals.at(treatment="strong", replicate=3)``; `only` narrows the mapping. It shows what the partitions held when
    it was made, whatever is materialised meanwhile.

    A dict, since that is what Dagster passes for a parameter annotated `dict` or `Mapping`; such an annotation makes
    Dagster look at every value once, leave it out where they are large.
    """

    def __init__(
        self,
        store: Store,
        asset: tuple[str, ...],
        held: Mapping[str, str],
        coordinates: Mapping[str, Mapping[str, str]] | None = None,
        dimensions: Mapping[str, list[str]] | None = None,
    ) -> None:
        """Take the key of the datum that each partition holds, its coordinates, and the keys of each dimension."""
        super().__init__(dict.fromkeys(held))
        self.held = dict(held)
        self._store = store
        self._asset = asset
        self._coordinates = coordinates or {}
        self._dimensions = dimensions or {}

    def __getitem__(self, partition: str) -> Any:
        if partition not in self:
            raise KeyError(
                f"{'/'.join(self._asset)!r} has no partition {partition!r} here: {did_you_mean(partition, self.held)}"
            )
        return self._store.load(self.held[partition])

    def at(self, **coordinates: str | int) -> Any:
        """Load the value at one place in the grid: ``at(treatment="strong", replicate=3)``.

        A whole number counts along its dimension, from 0.

        Raises `UnknownNameError` for a dimension or key that the partitions do not have, and where the place is not
        among them.
        """
        place = self._place(coordinates)
        if missing := [name for name in self._dimensions if name not in place]:
            raise UnknownNameError(
                f"at() takes one place in the grid of {'/'.join(self._asset)!r}: say {listing(missing)} too, or take "
                "only(...) for several"
            )
        partition = self._by_place.get(tuple(place[name] for name in self._dimensions))
        if partition is None:
            told = ", ".join(f"{name} {key!r}" for name, key in place.items())
            raise UnknownNameError(
                f"{'/'.join(self._asset)!r} holds nothing at {told}: materialise that partition first"
            )
        return self[partition]

    def only(self, **coordinates: str | int) -> "LazyPartitions":
        """Give the partitions with these coordinates as a lazy mapping: ``only(treatment="strong").values()``.

        Raises `UnknownNameError` for a dimension or key that the partitions do not have.
        """
        place = self._place(coordinates)
        chosen = {
            partition: key
            for partition, key in self.held.items()
            if place.items() <= self._coordinates[partition].items()
        }
        return LazyPartitions(self._store, self._asset, chosen, self._coordinates, self._dimensions)

    def _place(self, coordinates: Mapping[str, str | int]) -> dict[str, str]:
        place = {}
        for name, key in coordinates.items():
            if name not in self._dimensions:
                raise UnknownNameError(
                    f"the partitions of {'/'.join(self._asset)!r} have no dimension {name!r}: "
                    f"{did_you_mean(name, self._dimensions)}"
                )
            keys = self._dimensions[name]
            if isinstance(key, int) and 0 <= key < len(keys):
                place[name] = keys[key]
            elif key in keys:
                place[name] = str(key)
            else:
                raise UnknownNameError(
                    f"{'/'.join(self._asset)!r} has no {name} {key!r}: {did_you_mean(str(key), keys)}"
                )
        return place

    @cached_property
    def _by_place(self) -> dict[tuple[str, ...], str]:
        return {
            tuple(self._coordinates[partition][name] for name in self._dimensions): partition
            for partition in self.held
        }

    # -- a dict does these without asking __getitem__ -------------------------------------------------------------

    def __iter__(self) -> Iterator[str]:  # overridden, so that dict(self) and {**self} ask __getitem__
        return super().__iter__()

    def get(self, partition: str, default: Any = None) -> Any:
        """Load one partition's value, or give the default where there is no such partition."""
        return self[partition] if partition in self else default  # noqa: SIM401 - that would call this

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        """Load the values one by one while iterating."""
        return ItemsView(self)

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        """Load the values one by one while iterating."""
        return ValuesView(self)

    def copy(self) -> dict[str, Any]:
        """Load all values into a plain dict."""
        return dict(self.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and self.copy() == dict(other.items())

    __hash__ = None

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self.copy(),)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            "these are the partitions of an asset, which stay as they are: change a dict(...) of them"
        )

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __repr__(self) -> str:
        return f"<{len(self)} partitions of {'/'.join(self._asset)}>"

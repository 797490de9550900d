"""The IO manager over the datum store: what steps computed is read by any asset, in Python or in a notebook."""

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import Any

import dagster as dg

from workflow_assets.canonical import digest
from workflow_assets.store.base import Store
from workflow_assets.store.codecs import encode

DATUMS = "datums"
"""The resource key of the IO manager."""


class LazyPartitions(dict[str, Any]):
    """The values of several partitions, each loaded when it is asked for, and anew each time.

    A dict, since that is what Dagster passes for a parameter annotated `dict` or `Mapping`; such an annotation makes
    Dagster look at every value once, leave it out where they are large.
    """

    def __init__(self, store: Store, asset: tuple[str, ...], partitions: Iterable[str]) -> None:
        super().__init__(dict.fromkeys(partitions))
        self._store = store
        self._asset = asset

    def __getitem__(self, partition: str) -> Any:
        if partition not in self:
            raise KeyError(partition)
        return self._store.load_asset(self._asset, str(partition))

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

    def __repr__(self) -> str:
        return f"<{len(self)} partitions of {'/'.join(self._asset)}>"


class DatumIOManager(dg.IOManager):
    """Reads what assets hold from the datum store, and stores what other assets return.

    One partition is a value, several are a lazy mapping from partition keys to values, both ways.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def load_input(self, context: dg.InputContext) -> Any:
        """Load the partitions that the input stands for."""
        asset = tuple(context.asset_key.path)
        if not context.has_asset_partitions:
            return self.store.load_asset(asset)
        partitions = list(context.asset_partition_keys)
        if len(partitions) == 1:
            return self.store.load_asset(asset, partitions[0])
        return LazyPartitions(self.store, asset, partitions)

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Store what an asset returned: a value, or for several partitions a mapping from their keys to values."""
        asset = tuple(context.asset_key.path)
        partitions = list(context.asset_partition_keys) if context.has_asset_partitions else [""]
        values = {partitions[0]: obj} if len(partitions) == 1 else _by_partition(asset, partitions, obj)
        keys = {}
        for partition, value in values.items():
            encoded = encode(value, pickles=self.store.pickles, place=f"the value of {'/'.join(asset)}")
            key = digest("asset", encoded.codec, *map(bytes, encoded.pieces))
            if self.store.find(key) is None:
                made = {"asset": "/".join(asset), "run": context.run_id}
                self.store.put_encoded(key, encoded, metrics={}, provenance=made)
            keys[str(partition)] = key
        self.store.refer(asset, keys)
        context.add_output_metadata({"keys": list(keys.values())[:10]})


def _by_partition(asset: tuple[str, ...], partitions: list[str], obj: Any) -> Mapping[str, Any]:
    path = "/".join(asset)
    if not isinstance(obj, Mapping):
        raise dg.DagsterInvariantViolationError(
            f"asset {path!r} was asked for {len(partitions)} partitions and returned a {type(obj).__qualname__}: "
            "expected a mapping from each partition's key to its value"
        )
    missing = [partition for partition in partitions if partition not in obj]
    if missing:
        raise dg.DagsterInvariantViolationError(
            f"asset {path!r} returned no value for {len(missing)} of {len(partitions)} partitions, {missing[0]!r} "
            "among them"
        )
    return {partition: obj[partition] for partition in partitions}

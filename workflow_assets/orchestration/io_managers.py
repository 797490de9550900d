"""The IO manager over the datum store: what steps computed is read by any asset, in Python or in a notebook."""

import time
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

import dagster as dg
from dagster._core.definitions.partitions.utils import infer_partition_mapping

from workflow_assets.canonical import digest
from workflow_assets.errors import UnknownNameError, did_you_mean, excerpt
from workflow_assets.fingerprint import Fingerprint, fingerprint
from workflow_assets.modules import qualified_name
from workflow_assets.orchestration.partitions import LazyPartitions
from workflow_assets.provenance import Origins, peak_memory
from workflow_assets.store.base import Record, Store
from workflow_assets.store.codecs import Encoded, encode

DATUMS = "datums"
"""The resource key of the IO manager."""

ALLOW_MISSING = "allow_missing_partitions"
"""Metadata of an input that takes the partitions that are there; the name that Dagster's own IO managers know."""


class DatumIOManager(dg.IOManager):
    """Reads what assets hold from the datum store, and stores what other assets return.

    One partition is a value, several are a lazy mapping from partition keys to values, both ways. An asset that reads
    a whole grid, or a treatment's whole column of it, is given a mapping also where that has one partition only.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._claim = store.claim()
        self._origins = Origins(store, "", self._claim)
        self._reader: tuple[str, str] = ("", "")
        self._read: dict[str, str] = {}

    @classmethod
    def of(cls, store: Store) -> "DatumIOManager":
        """Give the one over a store: Dagster merges definitions only whose resources are the same."""
        if id(store) not in _MANAGERS:
            _MANAGERS[id(store)] = made = cls(store)
            return made
        return _MANAGERS[id(store)]

    def load_input(self, context: dg.InputContext) -> Any:
        """Load the partitions that the input stands for.

        Raises `UnknownNameError` naming the asset and the partition that is not in the store.
        """
        asset = tuple(context.asset_key.path)
        if _is_partitioned(context):
            partitions = self._partitions(context)
            value, held = (partitions, partitions.held) if _takes_many(context) else _only(partitions)
        else:
            held = self.store.references(asset)
            value = self.store.load_asset(asset)
        if context.has_input_name:
            self._note_input(context, held)
        return value

    def _partitions(self, context: dg.InputContext) -> LazyPartitions:
        asset, path = tuple(context.asset_key.path), context.asset_key.to_user_string()
        definition = context.asset_partitions_def
        held = self.store.references(asset)
        instance = _instance(context)
        every = definition.get_partition_keys(dynamic_partitions_store=instance)
        if context.has_asset_partitions:
            asked = set(context.asset_partition_keys)
            wanted = [partition for partition in every if partition in asked]
            for partition in asked.difference(every):
                raise UnknownNameError(
                    f"asset {path!r} has no partition {partition!r}: {did_you_mean(partition, every)}"
                )
        else:
            wanted = [partition for partition in every if partition in held]
        _check_held(context, held, wanted)
        chosen = {str(partition): held[partition] for partition in wanted if partition in held}
        if not isinstance(definition, dg.MultiPartitionsDefinition):
            return LazyPartitions(self.store, asset, chosen)
        coordinates = {
            str(partition): partition.keys_by_dimension
            for partition in wanted
            if isinstance(partition, dg.MultiPartitionKey)
        }
        dimensions = {
            dimension.name: list(
                dimension.partitions_def.get_partition_keys(dynamic_partitions_store=instance)
            )
            for dimension in definition.partitions_defs
        }
        return LazyPartitions(self.store, asset, chosen, coordinates, dimensions)

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Store what an asset returned: a value, or for several partitions a mapping from their keys to values."""
        asset = tuple(context.asset_key.path)
        path = context.asset_key.to_user_string()
        partitions = list(context.asset_partition_keys) if context.has_asset_partitions else [""]
        values = {partitions[0]: obj} if len(partitions) == 1 else _by_partition(path, partitions, obj)
        made = self._made(context)
        keys = {}
        for partition, value in values.items():
            encoded = encode(value, pickles=self.store.pickles, place=f"the value of {path}")
            key = digest("asset", path, encoded.codec, then=encoded.pieces)
            record = self._put(key, encoded, made)
            keys[str(partition)] = key
        self.store.refer(asset, keys)
        if len(keys) > 1:
            context.add_output_metadata({"keys": list(keys.values())[:10]})
            return
        context.add_output_metadata(
            {"key": key, "codec": record.codec, "bytes": record.size, "digest": record.digest}
        )
        # By default, an asset without a code version has a new data version each time, whatever it holds.
        context.step_context.set_data_version(context.asset_key, dg.DataVersion(key))

    def _put(self, key: str, encoded: Encoded, made: Mapping[str, Any]) -> Record:
        """Store a value; one that is there already is told to come from what it was made from last."""
        self._claim.add([key])
        known = self.store.find(key)
        if (
            known is not None
            and all(known.provenance.get(name) == made[name] for name in ("made", "inputs"))
            and self.store.would_load(known, encoded)
        ):
            return known
        return self.store.put_encoded(key, encoded, metrics={}, provenance=made, replace=known is not None)

    # -- provenance ---------------------------------------------------------------------------------------------

    def _note_input(self, context: dg.InputContext, held: Mapping[str, str]) -> None:
        """Note what a run's asset was handed, until it returns."""
        reader = context.step_context.run_id, context.step_context.step.key
        if reader != self._reader:
            self._reader, self._read = reader, {}
        run = self._of_run(reader[0])
        key = (
            next(iter(held.values()))
            if len(held) == 1
            else run.listing("/".join(context.asset_key.path), held)
        )
        self._read[context.name] = key

    def _made(self, context: dg.OutputContext) -> dict[str, Any]:
        step = context.step_context
        return {
            "made": self._of_run(step.run_id).note(_Asset(context)),
            "inputs": self._read if (step.run_id, step.step.key) == self._reader else {},
            "created": round(time.time(), 3),
            "peak_memory": peak_memory(),
            "run": step.run_id,
        }

    def _of_run(self, run_id: str) -> Origins:
        if self._origins.run_id != run_id:
            self._claim.__exit__(None, None, None)
            self._claim = self.store.claim()
            self._origins = Origins(self.store, run_id, self._claim)
        return self._origins


_MANAGERS: WeakValueDictionary[int, DatumIOManager] = WeakValueDictionary()
"""Those that are in use, by the identity of the store, which they keep."""


class _Asset:
    """An asset that a user has written, as far as a note tells of it."""

    def __init__(self, context: dg.OutputContext) -> None:
        compute = context.op_def.compute_fn
        self.function: Any = getattr(compute, "decorated_fn", compute)
        config = context.step_context.op_config
        parameters = config if isinstance(config, Mapping) else {}
        self.made_by: Mapping[str, Any] = {
            "step": context.asset_key.to_user_string(),
            "function": qualified_name(self.function),
            "parameters": {name: excerpt(value, 1000) for name, value in parameters.items()},
            "forms": {},
            "more": [],
        }

    @property
    def fingerprint(self) -> Fingerprint:
        """What its code is."""
        return fingerprint(self.function)


def _is_partitioned(context: dg.InputContext) -> bool:
    if context.has_asset_partitions:
        return True
    try:
        return context.asset_partitions_def is not None
    except dg.DagsterInvariantViolationError:  # Dagster's way to say that it is not
        return False


def _check_held(context: dg.InputContext, held: Mapping[str, str], wanted: list[str]) -> None:
    """Raise `UnknownNameError` for partitions that are wanted and not in the store, saying what to do."""
    path = context.asset_key.to_user_string()
    missing = [partition for partition in wanted if partition not in held]
    if not held:
        raise UnknownNameError(f"asset {path!r} is not in this store: materialise it first")
    if len(wanted) == 1 and missing:
        raise UnknownNameError(
            f"asset {path!r} has no value for partition {missing[0]!r} in this store: materialise that partition first"
        )
    if missing and not context.definition_metadata.get(ALLOW_MISSING):
        raise UnknownNameError(
            f"asset {path!r} has no value for {len(missing)} of {len(wanted)} partitions, {missing[0]!r} among them, "
            "in this store: materialise them first, or take those that are there with "
            f"AssetIn(metadata={{{ALLOW_MISSING!r}: True}})"
        )


def _instance(context: dg.InputContext) -> dg.DagsterInstance | None:
    """Give the instance, which a script that loads a value need not have; it knows of dynamic partitions."""
    try:
        return context.instance
    except dg.DagsterInvariantViolationError:
        return None


def _takes_many(context: dg.InputContext) -> bool:
    """Whether several partitions are meant, also where there is but one."""
    if not context.has_asset_partitions:
        return True
    if not context.has_input_name:  # loaded without a run
        return not context.has_partition_key
    if len(context.asset_partition_keys) != 1:
        return True
    step = context.step_context
    reader = step.job_def.asset_layer.get_assets_def_for_node(step.node_handle)
    if reader is None:
        return False
    definition = context.asset_partitions_def
    mapping = infer_partition_mapping(
        reader.get_partition_mapping_for_dep(context.asset_key), reader.partitions_def, definition
    )
    return isinstance(mapping, dg.AllPartitionMapping) or (
        isinstance(mapping, dg.MultiToSingleDimensionPartitionMapping)
        and isinstance(definition, dg.MultiPartitionsDefinition)
    )


def _only(partitions: LazyPartitions) -> tuple[Any, Mapping[str, str]]:
    (partition,) = partitions
    return partitions[partition], partitions.held


def _by_partition(path: str, partitions: list[str], obj: Any) -> Mapping[str, Any]:
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

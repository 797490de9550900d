"""Tables that assets hold: kept in the store, and read again as the results that they were made of."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from workflow_assets.canonical import digest
from workflow_assets.errors import UnknownNameError
from workflow_assets.experiments import Experiment
from workflow_assets.orchestration.keys import RESULTS
from workflow_assets.outcomes import Failure
from workflow_assets.provenance import Origins
from workflow_assets.results import Result
from workflow_assets.store.base import Record, Store
from workflow_assets.store.codecs import encode
from workflow_assets.tables import COMPLETED, Row

DECLARED = "declared"
"""The entry of a table's provenance that the ledger knows its data by: configuration and seed."""


def store_table(name: str, result: Result, store: Store, run_id: str) -> Record:
    """Store the table of an experiment's results, told to come from the data of each step."""

    def inputs(origins: Origins) -> dict[str, str]:
        return {slot: origins.listing(f"{name}/{slot}", keys) for slot, keys in result.keys().items()}

    more = {DECLARED: {"configuration": result.configuration, "seed": result.declaration.seed}}
    return put_table((name, RESULTS), ("results", name), result.table, store, run_id, inputs, more)


def put_table(
    asset: tuple[str, str],
    kind: tuple[str, str],
    table: pd.DataFrame,
    store: Store,
    run_id: str,
    inputs: Callable[[Origins], Mapping[str, str]],
    more: Mapping[str, Any] | None = None,
) -> Record:
    """Store a table as what an asset holds now.

    Args:
        asset: the asset's key.
        kind: what tells its key in the store from that of the same table elsewhere.
        table: the table.
        store: where to.
        run_id: the run that made it.
        inputs: gives the keys of what it was made from, which are noted on the way.
        more: what its provenance says besides.
    """
    path = "/".join(asset)
    encoded = encode(table, pickles=store.pickles, place=f"the table of {path!r}")
    key = digest(*kind, encoded.codec, then=encoded.pieces)
    with store.claim() as claim:
        claim.add([key])
        origins = Origins(store, run_id, claim)
        made = {"made": origins.gathering(path), "inputs": inputs(origins), **(more or {})}
        record = store.find(key)
        if record is None or any(record.provenance.get(name) != value for name, value in made.items()):
            said = {**made, "created": round(time.time(), 3), "run": run_id}
            record = store.put_encoded(key, encoded, metrics={}, provenance=said, replace=record is not None)
        store.refer(asset, {"": key})
        return record


def stored_result(experiment: Experiment, store: Store) -> tuple[str, Result]:
    """Give the key of the results that an experiment's asset holds, and these as far as its verdicts rest on them.

    They are judged as they are, though its code may have changed since: the asset is then called stale, not this.

    Raises `UnknownNameError` where there are none, or none of this declaration.
    """
    name = experiment.name
    path = f"{name}/{RESULTS}"
    key = store.references((name, RESULTS)).get("")
    record = store.find(key) if key else None
    if not key or record is None:
        raise UnknownNameError(f"asset {path!r} is not in this store: materialise it first")
    made = record.provenance.get(DECLARED, {})
    table = store.load(record)
    numbered = experiment.replicates.units is None
    keys = {int(one) if numbered else one: one for one in experiment.replicates.keys}
    columns = {name: table[name].tolist() for name in table.columns}
    replicates = [keys.get(one, "") for one in columns["replicate"]]
    declared = experiment.confirming(
        experiment.hypotheses, experiment.replicates.head(len(dict.fromkeys(replicates)))
    )
    cells = {(treatment, one) for treatment in declared.treatments for one in declared.replicates.keys}
    if (
        set(zip(columns["treatment"], replicates, strict=True)) != cells
        or not declared.metrics.keys() <= columns.keys()
        or made.get("seed") != experiment.seed
    ):
        raise UnknownNameError(
            f"asset {path!r} was made of another declaration of {name!r}: materialise it again"
        )
    rows = [
        _row(dict(zip(columns, values, strict=True)), keys, declared.metrics)
        for values in zip(*columns.values(), strict=True)
    ]
    return key, Result(declared, rows, store=store, configuration=made["configuration"])


def _row(told: Mapping[str, Any], keys: Mapping[Any, str], metrics: Iterable[str]) -> Row:
    treatment, replicate, seed = told["treatment"], keys[told["replicate"]], int(told["seed"])
    values: dict[str, Any] = {}
    failure = None
    if told["status"] == COMPLETED:
        values = {name: told[name] for name in metrics if told[name] is not None and told[name] is not pd.NA}
    else:
        failure = Failure("", treatment, replicate, seed, "", str(told["error"]), "")
    return Row(treatment, replicate, seed, values, {}, {}, frozenset(), failure, {})

"""Tables: one row for every cell of an experiment, and what else is known of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from workflow_assets.arms import Arm
from workflow_assets.contracts.checkers import MetricType
from workflow_assets.declarations import Declaration
from workflow_assets.errors import UnknownNameError, did_you_mean
from workflow_assets.findings import wide
from workflow_assets.outcomes import CellOutcome, Failure
from workflow_assets.store.base import Store

if TYPE_CHECKING:
    import pandas as pd

FAILED, COMPLETED = "failed", "completed"
_DTYPES: dict[MetricType, str] = {float: "float64", int: "Int64", bool: "boolean", str: "object"}


@dataclass(frozen=True)
class Tables:
    """What the cells of an experiment came to, in the order of their declaration.

    `outcomes` has a row for each cell, `tagged` what steps recorded with tags; `store` is where the data are, and
    `configuration` the digest of what they were made with.
    """

    declaration: Declaration
    outcomes: Sequence[Row]
    tagged: Sequence[tuple[str, str, str, str, Any, Mapping[str, Any]]] = field(default=(), repr=False)
    store: Store | None = field(default=None, repr=False)
    configuration: str = field(default="", repr=False)

    @classmethod
    def collect(
        cls,
        declaration: Declaration,
        outcomes: Iterable[CellOutcome],
        store: Store | None = None,
        configuration: str = "",
    ) -> Self:
        """Collect the outcomes of cells, in whatever order they came; `store` is where their data are.

        `configuration` is the digest of what they were made with, for the ledger of the store.
        """
        rows: dict[tuple[str, str], Row] = {}
        tagged = []
        for outcome in outcomes:
            row = Row.of(outcome)
            rows[row.treatment, row.replicate] = row
            tagged += [
                (row.treatment, row.replicate, slot, name, value, tags)
                for slot, record in outcome.records.items()
                for name, value, tags in record.records
            ]
        ordered = [
            rows[treatment, replicate]
            for treatment in declaration.treatments
            for replicate in declaration.replicates.keys
            if (treatment, replicate) in rows
        ]
        return cls(declaration, ordered, tagged, store, configuration)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row for every cell, treatments and replicates in the order of their declaration."""
        import pandas as pd

        units = self.declaration.replicates.units
        columns: dict[str, Any] = {
            "treatment": pd.Series([row.treatment for row in self.outcomes], dtype="object"),
            "replicate": pd.Series(
                [row.replicate if units is not None else int(row.replicate) for row in self.outcomes],
                dtype="object" if units is not None else "int64",
            ),
        }
        if (levels := self.declaration.replicates.levels) is not None:
            for name in levels.names:
                groups = [levels.group(row.replicate, name) for row in self.outcomes]
                columns[name] = pd.Series(groups, dtype="object")
        columns |= {
            "status": pd.Series(
                [COMPLETED if row.failure is None else FAILED for row in self.outcomes], dtype="object"
            ),
            "seed": pd.Series([row.seed for row in self.outcomes], dtype="int64"),
        }
        for name, kind in self.declaration.metrics.items():
            values = [row.metrics.get(name) for row in self.outcomes]
            try:
                columns[name] = pd.Series(values, dtype=_DTYPES[kind])
            except OverflowError:  # a whole number of more than 64 bits
                columns[name] = pd.Series(values, dtype="object")
        columns["error"] = pd.Series(
            [str(row.failure) if row.failure else None for row in self.outcomes], dtype="object"
        )
        return pd.DataFrame(columns)

    @cached_property
    def timings(self) -> pd.DataFrame:
        """The seconds and bytes of memory that each step of each cell took, and whether it was computed now.

        They were taken when the datum was computed. `peak_memory` is the most that the process used: during the step in
        a worker process, on Linux (not told of one of less than a millisecond); elsewhere until then.
        """
        import pandas as pd

        rows = [
            (row.treatment, row.replicate, slot, seconds, slot in row.computed, row.memory[slot])
            for row in self.outcomes
            for slot, seconds in row.seconds.items()
        ]
        columns = ["treatment", "replicate", "step", "seconds", "computed", "peak_memory"]
        return pd.DataFrame(rows, columns=columns).astype({"peak_memory": "Int64"})

    @cached_property
    def records(self) -> pd.DataFrame:
        """What steps recorded with tags, one row each."""
        import pandas as pd

        return pd.DataFrame(
            list(self.tagged), columns=["treatment", "replicate", "step", "metric", "value", "tags"]
        )

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        """The failures of cells, with their tracebacks."""
        return tuple(row.failure for row in self.outcomes if row.failure is not None)

    def arm(self, treatment: str, metric: str) -> Arm:
        """Give a metric's values under a treatment, by replicate; failed cells are not among them."""
        if treatment not in self.declaration.treatments:
            known = did_you_mean(treatment, self.declaration.treatments)
            raise UnknownNameError(f"no treatment is called {treatment!r}: {known}")
        if metric not in self.declaration.metrics:
            raise UnknownNameError(
                f"no metric is called {metric!r}: {did_you_mean(metric, self.declaration.metrics)}"
            )
        rows = self._by_treatment.get(treatment, [])
        values = {row.replicate: row.metrics[metric] for row in rows if row.metrics.get(metric) is not None}
        failed = sum(row.failure is not None for row in rows)
        return Arm(treatment, metric, values, len(self.declaration.replicates), failed)

    @cached_property
    def _by_treatment(self) -> dict[str, list[Row]]:
        rows: dict[str, list[Row]] = {}
        for row in self.outcomes:
            rows.setdefault(row.treatment, []).append(row)
        return rows

    def keys(self) -> dict[str, dict[str, str]]:
        """Give, for each step, the key of the datum of each partition that holds one."""
        keys: dict[str, dict[str, str]] = {}
        for row in self.outcomes:
            for slot, key in row.keys.items():
                keys.setdefault(slot, {})[f"{row.replicate}|{row.treatment}"] = key
        return keys

    def wide(self, metric: str) -> pd.DataFrame:
        """Give a metric with a row for every replicate and a column for every treatment; missing cells are NA.

        Raises `UnknownNameError` naming near matches.
        """
        return wide(self.table, metric, list(self.declaration.treatments), self.declaration.metrics)


class Row(NamedTuple):
    """What a table keeps of a cell: far less than its records hold."""

    treatment: str
    replicate: str
    seed: int
    metrics: Mapping[str, Any]
    seconds: Mapping[str, float]
    memory: Mapping[str, int | None]
    computed: frozenset[str]
    failure: Failure | None
    keys: Mapping[str, str]

    @classmethod
    def of(cls, outcome: CellOutcome) -> Row:
        """Keep of an outcome what tables tell."""
        return cls(
            outcome.treatment,
            outcome.replicate,
            outcome.seed,
            outcome.metrics() if outcome.failure is None else {},
            {slot: record.provenance.get("seconds", 0.0) for slot, record in outcome.records.items()},
            {slot: record.provenance.get("peak_memory") for slot, record in outcome.records.items()},
            outcome.computed,
            outcome.failure,
            {slot: record.key for slot, record in outcome.records.items()},
        )


def describe_failures(failures: Sequence[Failure], cells: int) -> str:
    """Name the cells that failed, ten at most, and why."""
    lines = [f"{len(failures)} of {cells} cells failed:"]
    lines += [f"  {failure.treatment} × {failure.replicate}: {failure}" for failure in failures[:10]]
    if len(failures) > 10:
        lines.append(f"  … and {len(failures) - 10} more")
    return "\n".join(lines)

"""Findings: all that a report tells of an experiment, as plain values that a file can hold.

Whatever shows results (page, Markdown, terminal, plots, gate) is made from these, so that it can be made again from a
saved file, without running anything.
"""

from __future__ import annotations

import dataclasses
import json
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from workflow_assets.errors import ReportError, UnknownNameError, did_you_mean, excerpt, listing
from workflow_assets.hypotheses import DECISIONS

if TYPE_CHECKING:
    import pandas as pd

FORMAT, SCHEMA = "workflow_assets report", 1
EXIT_CODES = {"refuted": 3, "undecidable": 4, "inconclusive": 5, "supported": 6}
"""What a gate exits with for a decision that it does not accept, the gravest first; 1 is any other error."""

MOST_METRICS = 20

Column = Mapping[str, Any]


@dataclass(frozen=True)
class Findings:
    """What an experiment came to, as plain values.

    Args:
        experiment: name, description, seed, count of replicates, digest of the declaration, share of overlap.
        treatments: what each changes, in words.
        metrics: the type of each metric.
        units: the unit of each metric that declares one.
        cells: the columns of the table, each with its dtype and values.
        times: the columns of the timings.
        steps: what each step took in all.
        failures: the cells that failed, with their errors.
        verdicts: what the data say about each hypothesis.
        made: when, and with which versions and git commit, this was made.
        rankings: the treatments by each metric that hypotheses are about, where there are more than two.
        trade_offs: the treatments by all metrics at once of which hypotheses say what is better, where two or more are.
        looks: what each look at each hypothesis said, where replicates were added until it was decided.
    """

    experiment: Mapping[str, Any]
    treatments: Mapping[str, str]
    metrics: Mapping[str, str]
    units: Mapping[str, str]
    cells: Mapping[str, Column] = field(repr=False)
    times: Mapping[str, Column] = field(repr=False)
    steps: Sequence[Mapping[str, Any]] = field(repr=False)
    failures: Sequence[Mapping[str, Any]] = field(repr=False)
    verdicts: Mapping[str, Mapping[str, Any]]
    made: Mapping[str, Any] = field(repr=False)
    rankings: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    trade_offs: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    looks: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """The experiment's name."""
        return str(self.experiment["name"])

    @property
    def count(self) -> int:
        """How many cells there are."""
        return len(self.cells["treatment"]["values"])

    @property
    def numeric(self) -> list[str]:
        """The metrics that are numbers."""
        return [name for name, kind in self.metrics.items() if kind != "str"]

    @cached_property
    def claims(self) -> list[Mapping[str, Any]]:
        """The verdicts on one metric each: those on several by their parts."""
        return [part for one in self.verdicts.values() for part in one.get("parts") or [one]]

    @cached_property
    def judged(self) -> list[str]:
        """The metrics that hypotheses are about, or the first ones where there is no hypothesis; those with values."""
        about = list(dict.fromkeys(str(one["metric"]) for one in self.claims))
        return [name for name in about or self.shown if any(self.values(name).values())]

    @cached_property
    def shown(self) -> list[str]:
        """The metrics that a summary has room for, those that hypotheses are about before the others."""
        about = [str(one["metric"]) for one in self.claims]
        chosen = set(list(dict.fromkeys([*about, *self.numeric]))[:MOST_METRICS])
        return [name for name in self.numeric if name in chosen]

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row for every cell, the same as the result's."""
        return _frame(self.cells)

    @cached_property
    def timings(self) -> pd.DataFrame:
        """What every step of every cell took, the same as the result's."""
        return _frame(self.times)

    def wide(self, metric: str) -> pd.DataFrame:
        """Give a metric with a row for every replicate and a column for every treatment; missing cells are NA."""
        return wide(self.table, metric, list(self.treatments), self.metrics)

    def values(self, metric: str) -> dict[str, dict[Any, float]]:
        """Give a metric's finite values by treatment and replicate; those of failed cells are not among them."""
        if metric not in self._values:
            found: dict[str, dict[Any, float]] = {name: {} for name in self.treatments}
            columns = [self.cells[name]["values"] for name in ("treatment", "replicate", metric)]
            for treatment, replicate, value in zip(*columns, strict=True):
                if value is not None and math.isfinite(value):
                    found[treatment][replicate] = float(value)
            self._values[metric] = found
        return self._values[metric]

    @cached_property
    def _values(self) -> dict[str, dict[str, dict[Any, float]]]:
        return {}

    def blocked(self) -> dict[str, Mapping[str, Any]]:
        """Give the verdicts that their gates do not accept."""
        return {name: one for name, one in self.verdicts.items() if one["gate"] and not accepted(one)}

    def to_json(self) -> str:
        """Give the findings as JSON; `from_json` gives them back, equal."""
        held = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        return strict_json({"format": FORMAT, "schema": SCHEMA, **held})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` has written.

        Raises `ReportError` for what is no report, is cut off, or was written by a later version.
        """
        try:
            held = read_strict(text)
        except (ValueError, RecursionError) as error:
            raise ReportError(
                f"this is no report, since it is no valid JSON ({error}): give what to_json() has written"
            ) from None
        if not isinstance(held, dict) or held.get("format") != FORMAT:
            raise ReportError(
                f"this is no report: expected an object with the format {FORMAT!r}, got {excerpt(held)}"
            )
        if held.get("schema") != SCHEMA:
            raise ReportError(
                f"the report has the schema {excerpt(held.get('schema'))}, and this version of workflow_assets reads "
                f"{SCHEMA}: read it with the version that wrote it"
            )
        for name in ("rankings", "trade_offs", "looks"):
            held.setdefault(name, [])  # which earlier versions did not have
        names = [one.name for one in dataclasses.fields(cls)]
        if missing := [name for name in names if name not in held]:
            raise ReportError(f"the report lacks {listing(missing)}: it is cut off or was edited")
        made = cls(**{name: held[name] for name in names})
        try:
            made.check()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ReportError(
                f"the report is damaged or was edited ({type(error).__name__}: {error}): save it again"
            ) from None
        return made

    def check(self) -> None:
        """Raise where the parts do not fit each other."""
        for columns in (self.cells, self.times):
            if len({len(column["values"]) for column in columns.values()}) > 1:
                raise ValueError("columns of one table differ in length")
        if unknown := set(self.cells["treatment"]["values"]) - set(self.treatments):
            raise ValueError(f"the table has the unknown treatments {listing(sorted(unknown))}")
        for name in self.metrics:
            self.cells[name]["values"]
        for name, verdict in self.verdicts.items():
            if verdict["decision"] not in DECISIONS:
                raise ValueError(f"the verdict on {name!r} is {excerpt(verdict['decision'])}")
        for parts, needed in (
            (self.verdicts.values(), ("accept", "claim", "flags", "gate", "metric", "text")),
            (self.rankings, ("metric", "places", "text")),
            (self.trade_offs, ("directions", "places", "notes")),
            (self.looks, ("hypothesis", "look", "replicates", "n", "decision", "estimate", "p")),
        ):
            for part in parts:
                operator.itemgetter(*needed)(part)


def accepted(verdict: Mapping[str, Any]) -> bool:
    """Tell whether a verdict is one that its hypothesis's gate lets pass."""
    return verdict["decision"] in verdict["accept"]


def columns_of(frame: pd.DataFrame) -> dict[str, Column]:
    """Take a frame apart into columns of plain values; what is missing is None."""
    columns: dict[str, Column] = {}
    for name, series in frame.items():
        known = zip(series.astype(object).tolist(), series.notna().tolist(), strict=True)
        values = [value if there else None for value, there in known]
        columns[str(name)] = {"dtype": str(series.dtype), "values": values}
    return columns


def wide(
    table: pd.DataFrame, metric: str, treatments: Sequence[str], metrics: Mapping[str, Any]
) -> pd.DataFrame:
    """Turn a tidy table into one with a row for every replicate and a column for every treatment."""
    if metric not in metrics:
        raise UnknownNameError(f"no metric is called {metric!r}: {did_you_mean(metric, metrics)}")
    replicates = table["replicate"].drop_duplicates()
    cells = table.set_index(["replicate", "treatment"])[metric].unstack("treatment")
    return cells.reindex(index=replicates, columns=list(treatments))


def _frame(columns: Mapping[str, Column]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {name: pd.Series(column["values"], dtype=column["dtype"]) for name, column in columns.items()},
        columns=list(columns),
    )


def strict_json(value: Any, indent: int | None = None) -> str:
    """Write plain values as JSON that any reader understands; `read_strict` gives them back.

    >>> strict_json([1.5, float("inf")])
    '[1.5, {"float": "inf"}]'
    """
    return json.dumps(_plain(value), allow_nan=False, indent=indent)


def read_strict(text: str) -> Any:
    """Read what `strict_json` wrote; raise `ValueError` for what is no JSON, NaN and names that come twice among it."""
    return json.loads(text, object_pairs_hook=_revived, parse_constant=_refused)


def _plain(value: Any) -> Any:
    """Give a value as JSON can hold it: what is not finite as ``{"float": "inf"}``."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(float(value))}
    return value


def _revived(pairs: list[tuple[str, Any]]) -> Any:
    held = dict(pairs)
    if len(held) < len(pairs):
        raise ValueError("an object names something twice")
    return float(held["float"]) if held.keys() == {"float"} else held


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")

"""Results: one tidy table, a row for every cell, and what goes with it."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow_assets.arms import Arm
from workflow_assets.dossiers import Cell, write_bundle
from workflow_assets.errors import CellsFailedError, UnknownNameError, did_you_mean
from workflow_assets.findings import columns_of
from workflow_assets.flags import Flag
from workflow_assets.judgements import calibrate, judge
from workflow_assets.looks import Look
from workflow_assets.provenance import Provenance, checkout, trace
from workflow_assets.rankings import (
    RESAMPLES,
    Best,
    Ranker,
    Ranking,
    rank_treatments,
    reported,
    trade_offs,
    traded,
)
from workflow_assets.reports import Report
from workflow_assets.store.base import Store
from workflow_assets.store.codecs import installed_version
from workflow_assets.tables import Tables, describe_failures
from workflow_assets.verdicts import Verdict

if TYPE_CHECKING:
    import pandas as pd

    from workflow_assets.stats.calibrations import Calibration

LIBRARIES = ("workflow_assets", "numpy", "scipy", "pandas")
"""What a verdict is computed with."""


@dataclass(frozen=True, repr=False)
class Result(Tables):
    """What an experiment came to.

    `table` has a row for every cell: treatment, replicate, its levels if declared, status, seed, a column for each
    metric, error. It depends on code, parameters, data and seed only: the same on every machine, warm or cold.
    `timings` has the seconds of every step that was computed or read.
    """

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """The verdict on each hypothesis, p values adjusted over all of them.

        That they were looked at is noted in the store's ledger, and what it knows is flagged.
        """
        verdicts = judge(self.declaration, self.arm)
        return verdicts if self.store is None else self._look(self.store).seen(verdicts)

    def _look(self, store: Store) -> Look:
        return Look(self.declaration, store, self.configuration, self.arm, self.keys)

    def override(
        self, flag: Flag | str, *, reason: str, who: str | None = None, hypothesis: str | None = None
    ) -> None:
        """Say why a flag on the verdicts does not matter; the reason is kept in the store, and shown beside the flag.

        The flag stays, and so a verdict never becomes clean by this. It holds for these data only.

        Args:
            flag: one of a verdict's, or its code for all of that code.
            reason: why it does not matter here.
            who: who says so; by default the user of this process.
            hypothesis: only on the verdict on this one; by default on all that bear the flag.

        Raises `UnknownNameError` where no verdict bears the flag, and `ValueError` where no reason is given.
        """
        code = flag.code if isinstance(flag, Flag) else flag
        chosen = self.verdicts if hypothesis is None else {hypothesis: self.verdict(hypothesis)}
        borne = {
            name: [one for one in verdict.flags if one.code == code and str(flag) in (code, one.message)]
            for name, verdict in chosen.items()
        }
        if not any(borne.values()):
            known = sorted({one.code for verdict in chosen.values() for one in verdict.flags})
            raise UnknownNameError(f"no verdict bears the flag {code!r}: {did_you_mean(code, known)}")
        if self.store is None:
            raise ValueError("these results have no store to keep the override in: run with store=...")
        look = self._look(self.store)
        for name, flags in borne.items():
            look.override(chosen[name], flags, reason, who)
        del self.__dict__["verdicts"]  # which are judged again, with the reason beside the flag

    def verdict(self, hypothesis: str) -> Verdict:
        """Give the verdict on a hypothesis; raise `UnknownNameError` naming near matches."""
        if hypothesis not in self.verdicts:
            raise UnknownNameError(
                f"no hypothesis is called {hypothesis!r}: {did_you_mean(hypothesis, self.verdicts)}"
            )
        return self.verdicts[hypothesis]

    def calibrate(self, hypothesis: str, trials: int = 1_000) -> Calibration:
        """Show how often a hypothesis's test finds something in its own values when there is nothing to find.

        The labels of the treatments are permuted, the same way whenever it is asked; print what this gives.

        Raises `UnknownNameError` naming near matches, and ValueError for a hypothesis that cannot be judged, or whose
        labels cannot be permuted.
        """
        if hypothesis not in (known := {one.name: one for one in self.declaration.hypotheses}):
            near = did_you_mean(str(hypothesis), known)
            raise UnknownNameError(f"no hypothesis is called {hypothesis!r}: {near}")
        return calibrate(self.declaration, known[hypothesis], self.arm, trials)

    def ranking(self, metric: str, *, best: str = "max", by: str = "mean") -> list[tuple[str, float]]:
        """Rank the treatments by a metric, the best first; ties keep the order of declaration.

        Args:
            metric: a declared metric.
            best: "max" or "min".
            by: "mean" or "median" of the metric; or "p", the p value of the first hypothesis about each treatment,
                the smallest first.
        """
        from workflow_assets.stats.rankings import rank

        if by == "p":
            values: dict[str, float] = {}
            for verdict in self.verdicts.values():
                for one in verdict.parts or (verdict,):
                    about = one.hypothesis
                    if about.metric == metric and one.p is not None and isinstance(about.treatment, str):
                        values.setdefault(about.treatment, one.p)
            return rank(values, best="min")
        if by not in {"mean", "median"} or best not in {"max", "min"}:
            raise ValueError(
                f"ranking by {by!r}, best {best!r}: expected 'mean', 'median' or 'p', and 'max' or 'min'"
            )
        import numpy as np

        summarise = np.mean if by == "mean" else np.median
        scores = {}
        for treatment in self.declaration.treatments:
            measured = list(self.arm(treatment, metric).values.values())
            scores[treatment] = float(summarise(measured)) if measured else float("nan")
        return rank(scores, best="max" if best == "max" else "min")

    def rankings(
        self,
        metric: str,
        *,
        best: Best = "max",
        ranker: Ranker | None = None,
        paired: bool = True,
        confidence: float = 0.95,
        resamples: int = RESAMPLES,
    ) -> Ranking:
        """Rank the treatments by a metric, and say how sure that is and which are not told apart.

        Args:
            metric: a declared metric, or ``"model.seconds"`` for what a step took.
            best: "max" or "min".
            ranker: a function from a table such as `wide` gives to a score for each treatment; by default the mean. It
                is asked once per resample.
            paired: whether treatments are compared within replicates.
            confidence: that of intervals and groups.
            resamples: how often replicates are drawn again.

        Raises `UnknownNameError` for an unknown metric, and `ValueError` where fewer than two treatments can be
        compared.
        """
        return rank_treatments(
            self.declaration,
            self._measured,
            metric,
            best=best,
            paired=paired,
            ranker=ranker,
            confidence=confidence,
            resamples=resamples,
        )

    def pareto(
        self, directions: Mapping[str, Best], *, paired: bool = True, resamples: int = RESAMPLES
    ) -> pd.DataFrame:
        """Say which treatments are worth having, when several metrics pull in different directions: a tidy table.

        A row for each treatment: its mean of each metric, ``n``, ``front`` (no other is at least as good in the mean of
        every metric and better in one), ``on_front`` (the share of resamples of which that holds; NaN for one
        replicate) and ``dominated_by``. What a reader should know stands in ``table.attrs["notes"]``.

        Args:
            directions: "max" or "min" for each metric; ``"model.seconds"`` is what the step `model` took.
            paired: whether replicates are drawn for all treatments together.
            resamples: how often replicates are drawn again.

        Raises `UnknownNameError` for an unknown metric, and `ValueError` where fewer than two treatments have values.
        """
        return trade_offs(self.declaration, self._measured, directions, paired=paired, resamples=resamples)

    def _measured(self, treatment: str, metric: str) -> Arm:
        """Give a metric's values, or the seconds that a step took."""
        slot, _, what = metric.rpartition(".")
        if (
            metric in self.declaration.metrics
            or what != "seconds"
            or slot not in self.declaration.asset_slots
        ):
            return self.arm(treatment, metric)
        rows = self._by_treatment.get(treatment, [])
        values = {row.replicate: row.seconds[slot] for row in rows if not row.failure and slot in row.seconds}
        failed = sum(row.failure is not None for row in rows)
        return Arm(treatment, metric, values, len(self.declaration.replicates), failed)

    def trace(self, treatment: str, replicate: str | int, name: str) -> Provenance:
        """Tell how a number in the table came to be: the exact code, parameters, inputs, seed and machine.

        `name` is a metric (``"score.accuracy"``) or a step; `replicate` a key (``"0007"``), or an index.

        Raises `UnknownNameError` naming near matches, also for a step that failed or was not run in that cell.
        """
        replicate = self.declaration.replicates.key(replicate)
        cells = {(row.treatment, row.replicate): row for row in self.outcomes}
        for what, given, known in (
            ("treatment", treatment, self.declaration.treatments),
            ("replicate", replicate, self.declaration.replicates.keys),
        ):
            if given not in known:
                near = did_you_mean(str(given), known)
                raise UnknownNameError(
                    f"experiment {self.declaration.name!r} has no {what} {given!r}: {near}"
                )
        row = cells.get((treatment, replicate))
        held = {} if row is None else row.keys
        slot = name if name in held else name.partition(".")[0]
        if slot not in held or self.store is None:
            near = did_you_mean(name, [*held, *self.declaration.metrics])
            raise UnknownNameError(f"{treatment} × {replicate} holds no datum of {name!r}: {near}")
        return trace(self.store, held[slot])

    def report(self, path: str | os.PathLike[str] | None = None) -> Report:
        """Give all that there is to tell as plain values, and write it to a path as one HTML page.

        The page needs neither network nor scripts. `Report.save` keeps what it is made from.
        """
        report = self._report
        if path is not None:
            report.html(path)
        return report

    @cached_property
    def _report(self) -> Report:
        one = self.declaration
        overlap = one.replicates.test_fraction
        code = getattr(one.steps[0].function, "__code__", None)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        versions = {name: version for name in LIBRARIES if (version := installed_version(name))}
        return Report(
            experiment={
                "name": one.name,
                "description": one.description,
                "version": one.version(),
                "seed": one.seed,
                "replicates": len(one.replicates),
                "overlap": "" if overlap is None else f" re-splits, test fraction {overlap:.3g}",
            },
            treatments={name: treatment.summary() for name, treatment in one.treatments.items()},
            metrics={name: kind.__name__ for name, kind in one.metrics.items()},
            units=one.metric_units,
            cells=columns_of(self.table),
            times=columns_of(self.timings),
            steps=self._steps(),
            failures=[
                {
                    "treatment": failure.treatment,
                    "replicate": failure.replicate,
                    "step": failure.step,
                    "kind": failure.kind,
                    "message": failure.message,
                    "traceback": failure.traceback,
                }
                for failure in self.failures
            ],
            verdicts={name: verdict.as_dict() for name, verdict in self.verdicts.items()},
            made={
                "time": now,
                "versions": {"python": platform.python_version(), **versions},
                "git": checkout(code.co_filename if code else ""),
            },
            rankings=reported(one, self.arm),
            trade_offs=traded(one, self.arm),
            looks=[],
        )

    def _steps(self) -> list[dict[str, Any]]:
        """Tell of each step what its data took, each datum counted once."""
        taken: dict[str, dict[str, tuple[float, int | None]]] = {}
        computed: Counter[str] = Counter()
        for row in self.outcomes:
            computed.update(row.computed)
            for slot, seconds in row.seconds.items():
                taken.setdefault(slot, {})[row.keys[slot]] = seconds, row.memory[slot]
        steps = []
        for slot in self.declaration.asset_slots:
            data = taken.get(slot, {}).values()
            seconds_of = [seconds for seconds, _ in data] or [0.0]
            steps.append(
                {
                    "step": slot,
                    "data": len(data),
                    "computed": computed[slot],
                    "total": sum(seconds_of),
                    "median": statistics.median(seconds_of),
                    "max": max(seconds_of),
                    "peak_memory": max((peak for _, peak in data if peak is not None), default=None),
                }
            )
        return steps

    def bundle(self, path: str | os.PathLike[str]) -> Path:
        """Write an archive with values, verdicts, provenance, ledger, code and report; the same result, the same bytes.

        ``python -m workflow_assets.bundles study.zip`` judges every hypothesis again from it, offline and without the
        experiment's code.
        """
        cells = [
            Cell(row.treatment, row.replicate, row.seed, row.failure is not None, row.metrics)
            for row in self.outcomes
        ]
        return write_bundle(
            path, self.declaration, cells, self.report(), self.store, self.configuration, self.keys()
        )

    def to_json(self) -> str:
        """Give the report as JSON; `Report.from_json` gives it back, equal."""
        return self.report().to_json()

    def markdown(self) -> str:
        """Tell the results in Markdown, for a pull request."""
        return self.report().markdown()

    def gate(self) -> None:
        """Raise `GateError` where a hypothesis with ``gate=True`` has a verdict that it does not accept."""
        self.report().gate()

    def raise_failures(self) -> None:
        """Raise `CellsFailedError` naming the failed cells, if there are any."""
        if self.failures:
            raise CellsFailedError(describe_failures(self.failures, len(self.outcomes)))

    def __repr__(self) -> str:
        lines = [f"{len(self.outcomes)} cells, {len(self.failures)} failed"]
        lines += [str(verdict) for verdict in self.verdicts.values()]
        return "\n".join(lines)

"""Alignments: the values of some metrics under all treatments, made comparable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflow_assets.arms import FindArm, failure_flags, finite_values, per_unit
from workflow_assets.declarations import Declaration
from workflow_assets.flags import Flag, budgets, dropping, low_n
from workflow_assets.levels import nesting_flag, plural

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Alignment:
    """Values by metric and treatment, in each treatment of the same replicates for all metrics; aligned if paired."""

    arms: Mapping[str, Mapping[str, npt.NDArray[np.float64]]]
    left_out: Mapping[str, str]
    note: str
    flags: tuple[Flag, ...]
    overlap: float | None

    @classmethod
    def of(
        cls, declaration: Declaration, find: FindArm, metrics: Sequence[str], *, paired: bool, least: int
    ) -> Alignment:
        """Find the values of all treatments; those with fewer than `least` are left out.

        Raises ValueError where fewer than two treatments are left, or replicates are not independent of each other.
        """
        import numpy as np

        replicates = declaration.replicates
        if replicates.levels is not None and (refusal := replicates.levels.refusal()):
            raise ValueError(refusal)
        whole, flags, lost = _whole(declaration, find, metrics)
        left_out = {}
        for treatment in list(whole):
            _, gone, expected = lost[treatment]
            if expected - gone < least:
                kept = (
                    "no cell has" if gone == expected else f"only {expected - gone} of {expected} cells has"
                )
                left_out[treatment] = f"{kept} a finite value of {' and of '.join(metrics)}"
                del whole[treatment]
        named = " and of ".join(metrics)
        if len(whole) < 2:
            told = "".join(f"; {treatment} is left out: {why}" for treatment, why in left_out.items())
            raise ValueError(
                f"{len(whole)} of {len(declaration.treatments)} treatments can be ranked by {named}, and it takes 2: "
                f"declare treatments, or run more replicates{told}"
            )
        block = None if replicates.levels is None else replicates.levels.block
        if paired and block is None:
            first, *others = whole.values()
            both = [key for key in first[metrics[0]] if all(key in one[metrics[0]] for one in others)]
            whole = {
                name: {metric: {key: values[key] for key in both} for metric, values in one.items()}
                for name, one in whole.items()
            }
        arms: dict[str, dict[str, npt.NDArray[np.float64]]] = {}
        note = ""
        for metric in metrics:
            columns = [one[metric] for one in whole.values()]
            if replicates.levels is not None:
                columns, note = per_unit(columns, replicates.levels, paired)
            if paired:
                units = [key for key in columns[0] if all(key in column for column in columns)]
                columns = [{key: column[key] for key in units} for column in columns]
            arms[metric] = {
                name: np.array(list(column.values())) for name, column in zip(whole, columns, strict=True)
            }
        sizes = {name: values.size for name, values in arms[metrics[0]].items()}
        fewest = min(sizes, key=lambda name: sizes[name])
        if sizes[fewest] < least:
            level = (replicates.levels and replicates.levels.compared) or "replicate"
            few = f"1 {level} has" if sizes[fewest] == 1 else f"{sizes[fewest]} {plural(level)} have"
            raise ValueError(
                f"{few} a value of {named} under "
                f"{'all of ' + ', '.join(sizes) if paired else fewest}, and at least {least} are needed: run more"
                + (", or compare with paired=False" if paired else "")
            )
        flags += low_n((sizes[fewest], max(sizes.values())), paired)
        if replicates.test_fraction is not None:
            told = "the replicates are overlapping re-splits, which resampling and groups do not account for"
            flags.append(Flag("overlap", told))
        return cls(arms, left_out, note, tuple(dict.fromkeys(flags)), replicates.test_fraction)


def _whole(
    declaration: Declaration, find: FindArm, metrics: Sequence[str]
) -> tuple[dict[str, dict[str, dict[str, float]]], list[Flag], dict[str, tuple[str, int, int]]]:
    """Give by treatment and metric the values of replicates that have all metrics, flags, and what is lost."""
    for metric in metrics:
        if declaration.metrics.get(metric) is str:
            raise ValueError(f"{metric} is a text: rank by a metric that is a number")
    whole, lost = {}, {}
    flags: list[Flag] = []
    for treatment in declaration.treatments:
        columns: dict[str, dict[str, float]] = {}
        for metric in metrics:
            arm = find(treatment, metric)
            columns[metric], dropped = finite_values(arm)
            flags += [*failure_flags(arm), *dropped]
        keys = [key for key in columns[metrics[0]] if all(key in column for column in columns.values())]
        whole[treatment] = {name: {key: column[key] for key in keys} for name, column in columns.items()}
        lost[treatment] = treatment, arm.expected - len(keys), arm.expected
    replicates = declaration.replicates
    if nested := nesting_flag(replicates.units or (), replicates.levels):
        flags.append(Flag("nested_units", nested))
    first, *others = lost.values()
    for other in others:
        flags += dropping([other, first])
    flags += budgets({name: one.tuned for name, one in declaration.treatments.items()})
    return whole, flags, lost

"""Arms: the values of a metric under each treatment, made comparable."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from workflow_assets.flags import Flag, budgets, dropping
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.levels import nesting_flag
from workflow_assets.studies import Asking


@dataclass(frozen=True)
class Arm:
    """A metric's values under one treatment, by replicate: `expected` many, less those of `failed` cells."""

    treatment: str
    metric: str
    values: Mapping[str, Any]
    expected: int
    failed: int


FindArm = Callable[[str, str], Arm]
"""Gives a metric's values under a treatment."""


@dataclass
class Aligned:
    """The values of a hypothesis's arms, aligned if they are paired, and what is to be known of them.

    `note` says what was aggregated, `overlap` is the test fraction of replicates that re-split one data set.
    """

    values: list[list[float]]
    flags: list[Flag]
    note: str
    overlap: float | None

    @classmethod
    def of(cls, declaration: Asking, one: Hypothesis, find: FindArm) -> Aligned:
        """Find the values of all arms that a hypothesis compares, by unit where it has several replicates."""
        arms = [find(treatment, one.metrics[0]) for treatment in one.arms]
        flags = [flag for arm in arms for flag in failure_flags(arm)]
        finite = []
        for arm in arms:
            values, dropped = finite_values(arm)
            finite.append(values)
            flags += dropped
        replicates = declaration.replicates
        if nested := nesting_flag(replicates.units or (), replicates.levels):
            flags.append(Flag("nested_units", nested))
        lost = [
            (arm.treatment, arm.expected - len(values), arm.expected)
            for arm, values in zip(arms, finite, strict=True)
        ]
        for other in lost[:-1]:
            flags += dropping([other, lost[-1]])
        flags += budgets({name: declaration.treatments[name].tuned for name in one.arms})
        if not isinstance(one.against, str):  # the same number wherever there is a value
            finite.append(dict.fromkeys(finite[0], float(one.against)))
        note = ""
        if (levels := replicates.levels) is not None:
            if one.paired and levels.block is None:
                finite = _shared(finite)
            finite, note = per_unit(finite, levels, one.paired)
        aligned = [list(values.values()) for values in (_shared(finite) if one.paired else finite)]
        return cls(aligned, flags, note, replicates.test_fraction)


def _shared(arms: list[dict[str, float]]) -> list[dict[str, float]]:
    """Keep what all arms have, in the order of the first."""
    keys = [key for key in arms[0] if all(key in arm for arm in arms)]
    return [{key: arm[key] for key in keys} for arm in arms]


def per_unit(arms: list[dict[str, float]], levels: Any, paired: bool) -> tuple[list[dict[str, float]], str]:
    """Make one value per unit (or block) of the values of two or more arms, and tell what was done in a note."""
    *others, last = arms
    aligned, note = [], ""
    for arm in others:
        one, second, note = levels.align(arm, last, paired=paired)
        aligned.append(one)
    return [*aligned, second], note


def failure_flags(arm: Arm) -> list[Flag]:
    """Say how many cells of an arm failed, or have no value."""
    told = []
    if arm.failed:
        told.append(f"{arm.failed} of {arm.expected} cells of {arm.treatment} failed and are left out")
    missing = arm.expected - arm.failed - len(arm.values)
    if missing:
        told.append(
            f"{missing} of {arm.expected} cells of {arm.treatment} have no {arm.metric} and are left out"
        )
    return [Flag("dropped_cells", one) for one in told]


def finite_values(arm: Arm) -> tuple[dict[str, float], list[Flag]]:
    """Give the values that can be judged, and say how many cannot."""
    values = {key: float(value) for key, value in arm.values.items()}
    finite = {key: value for key, value in values.items() if math.isfinite(value)}
    lost = len(values) - len(finite)
    if not lost:
        return finite, []
    told = f"{lost} values of {arm.metric} under {arm.treatment} are not finite and are left out"
    return finite, [Flag("dropped_cells", told)]

"""Flags: what a reader should know before trusting a verdict, by a code that stays the same and a message.

A flag is never erased. Who thinks that one does not matter overrides it with a reason, which is shown beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from workflow_assets.errors import did_you_mean, excerpt

CODES: Mapping[str, str] = {
    "reused_data": "the data are not fresh: somebody has seen them, or data that they share rows with",
    "changed_hypothesis": "the hypothesis is not the one that was declared first",
    "changed_code": "code, parameters or sources are not those that were declared first",
    "peeking": "the data were looked at before they were complete, with a test that is made for one look",
    "selected_seed": "other seeds were tried, and this is the best of them",
    "spent_alpha": "more confirmations were attempted than the first of them declared",
    "dropped_cells": "cells failed or have no usable value, and are left out",
    "dropping_depends_on_treatment": "cells are left out more often under one treatment than under the other",
    "unequal_budgets": "the treatments were tuned with unequal effort",
    "low_n": "there are very few replicates",
    "unaudited_environment": "nobody has shown that computing again gives the same, or what it was computed with",
    "nested_units": "names of replicates look as if several of them belonged to one unit",
    "overlap": "the replicates share data, which the test does not account for",
}
"""Each code, and what it stands for."""

LOW_N = 6
"""The fewest pairs with which signs alone can reach p <= 0.05, two-sided: 2 / 2**6 = 0.031."""

DROPPING_ALPHA = 0.05
"""From which p on Fisher's exact test calls dropping dependent on the treatment."""


@dataclass(frozen=True)
class Flag:
    """One reason for care: a code of `CODES`, and what it is about in words.

    `reason` says why somebody thinks that it does not matter, `who` who that is; both are "" for a flag that nobody
    has overridden.

    >>> print(Flag("low_n", "3 pairs are very few"))
    3 pairs are very few
    """

    code: str
    message: str
    reason: str = ""
    who: str = ""

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"no flag has the code {self.code!r}: {did_you_mean(str(self.code), CODES)}")

    @property
    def overridden(self) -> bool:
        """Whether somebody has said that it does not matter, and why."""
        return bool(self.reason)

    def override(self, reason: str, who: str) -> Flag:
        """Give the same flag with a reason why it does not matter; raise ValueError where there is none."""
        if not isinstance(reason, str) or not reason.strip():
            raise ValueError(
                f"the flag {self.code!r} is overridden without a reason: say why it does not matter here"
            )
        return replace(self, reason=reason.strip(), who=who)

    def told(self) -> str:
        """Tell the flag with its override, if there is one."""
        return f"{self.message} [overridden by {self.who}: {self.reason}]" if self.reason else self.message

    def as_dict(self) -> dict[str, str]:
        """Give the flag as plain values."""
        return {"code": self.code, "message": self.message, "reason": self.reason, "who": self.who}

    def __str__(self) -> str:
        return self.message


def override_faults(overrides: Any) -> list[str]:
    """Say what is wrong with overrides that are declared as reasons by code."""
    if not isinstance(overrides, Mapping):
        return [f"overrides = {excerpt(overrides)}: expected reasons by flag, such as {{'low_n': 'a pilot'}}"]
    faults = []
    for code, reason in overrides.items():
        if code not in CODES:
            faults.append(f"overrides has no flag to override in {code!r}: {did_you_mean(str(code), CODES)}")
        if not isinstance(reason, str) or not reason.strip():
            faults.append(f"overrides[{code!r}] = {excerpt(reason)}: say why the flag does not matter")
    return faults


def low_n(n: tuple[int, int], paired: bool) -> list[Flag]:
    """Flag very few replicates."""
    if min(n) >= LOW_N:
        return []
    told = f"{n[0]} pairs are" if paired else f"{n[0]} and {n[1]} values are"
    return [Flag("low_n", f"{told} very few: an effect is overlooked easily, and outliers decide")]


def dropping(arms: Iterable[tuple[str, int, int]]) -> list[Flag]:
    """Flag dropping that depends on the treatment, from (treatment, cells left out, cells expected) of two arms.

    Fisher's exact test, two-sided, at 5 %: by chance one experiment with failures in twenty is flagged, at most.

    >>> dropping([("baseline", 0, 10), ("strong", 6, 10)])[0].code
    'dropping_depends_on_treatment'
    """
    (one, a, m), (two, b, n) = arms
    p = _fisher(a, m, b, n)
    if p > DROPPING_ALPHA:
        return []
    return [
        Flag(
            "dropping_depends_on_treatment",
            f"{a} of {m} cells are left out under {one}, {b} of {n} under {two} (Fisher's exact p = {p:.2g}): "
            "those that remain may not be comparable",
        )
    ]


def budgets(tuned: Mapping[str, int | None]) -> list[Flag]:
    """Flag treatments that were tuned with unequal effort, where it is declared for any of them."""
    if (
        all(effort is None for effort in tuned.values())
        or len({effort or 0 for effort in tuned.values()}) < 2
    ):
        return []
    told = ", ".join(f"{name} {effort or 'not'}" for name, effort in tuned.items())
    return [
        Flag(
            "unequal_budgets",
            f"unequal tuning (configurations tried): {told}; the difference may be one of effort",
        )
    ]


def _fisher(a: int, m: int, b: int, n: int) -> float:
    """Give the two-sided p of Fisher's exact test of a of m against b of n."""
    drawn, low, high = a + b, max(0, a + b - n), min(a + b, m)
    logs = [
        _log_choose(m, k) + _log_choose(n, drawn - k) - _log_choose(m + n, drawn)
        for k in range(low, high + 1)
    ]
    observed = logs[a - low] + 1e-7  # as R does, so that ties up to rounding count
    return min(1.0, math.fsum(math.exp(one) for one in logs if one <= observed))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

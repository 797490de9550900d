"""Top-ups: replicates added in batches until claims are decided, by tests that may be looked at after every one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from workflow_assets.declarations import Declaration
from workflow_assets.errors import DeclarationError, did_you_mean, excerpt
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.reports import Report
from workflow_assets.results import Result
from workflow_assets.stats.methods import JOINT, METHODS
from workflow_assets.verdicts import Verdict

if TYPE_CHECKING:
    import pandas as pd

    from workflow_assets.stats.sequences import Until

D = TypeVar("D", bound=Declaration)

GAVE_UP = "NotRunError"
"""The kind of failure of a cell that was not begun, since too many had failed."""


@dataclass(frozen=True, repr=False)
class ToppedUp(Result):
    """The results after the last batch of replicates: `seen` has what was seen after each, `reason` why it ended."""

    seen: tuple[Mapping[str, Any], ...] = field(default=())
    reason: str = ""

    @cached_property
    def looks(self) -> pd.DataFrame:
        """What each look at a hypothesis said, one row each: replicates, n, decision, p, effect and its interval."""
        import pandas as pd

        return pd.DataFrame(list(self.seen)).astype(dict.fromkeys(_NUMBERS, "float64"))

    @cached_property
    def _report(self) -> Report:
        return replace(super()._report, looks=[dict(one) for one in self.seen])

    def __repr__(self) -> str:
        told = f"stopped after {len(self.declaration.replicates)} replicates: {self.reason}"
        return f"{told}\n{super().__repr__()}"


_NUMBERS = ("p", "p_adjusted", "estimate", "low", "high")


def top_up(
    declaration: D,
    until: Until,
    compute: Callable[[D, list[str]], Result],
    *,
    hypotheses: str | Sequence[str] | None = None,
    peek: bool = False,
    grow: bool = True,
) -> ToppedUp:
    """Compute replicates batch by batch, and judge after each, until a rule says that it is enough.

    Args:
        declaration: the experiment.
        until: the rule.
        compute: gives the results of the replicates of these keys, of the experiment with all replicates so far.
        hypotheses: those that the rule waits for; all by default.
        peek: whether tests may be waited for that are made for one look.
        grow: whether there may be more replicates than are declared, if they are numbered.

    Raises `DeclarationError` for what cannot be topped up.
    """
    awaited = _checked(declaration, until, hypotheses, peek=peek, grow=grow)
    result: Result | None = None
    seen: list[Mapping[str, Any]] = []
    reason, n, look = "", until.next_n(), 0
    while n is not None:
        replicates = declaration.replicates.head(n)
        grown = declaration.confirming(declaration.hypotheses, replicates)
        known = set() if result is None else set(result.declaration.replicates.keys)
        batch = compute(grown, [key for key in replicates.keys if key not in known])
        result = _joined(result, batch, grown)
        look += 1
        seen += _rows(look, len(replicates), result.verdicts)
        verdicts = [result.verdicts[one.name] for one in awaited]
        decisions, widths = [one.decision for one in verdicts], [_width(one) for one in verdicts]
        reason = until.reason(len(replicates), decisions=decisions, widths=widths)
        n = until.next_n(len(replicates), decisions=decisions, widths=widths)
        if n is not None and any(one.kind == GAVE_UP for one in batch.failures):
            reason, n = "too many cells had failed", None
    assert result is not None  # the first look is always taken
    parts = {name: getattr(result, name) for name in ("outcomes", "tagged", "store", "configuration")}
    return ToppedUp(result.declaration, **parts, seen=tuple(seen), reason=reason)


def _joined(before: Result | None, batch: Result, grown: Declaration) -> Result:
    """Put the cells of a batch to those before, in the order of declaration."""
    if before is None:
        return replace(batch, declaration=grown)
    if batch.configuration != before.configuration:
        raise DeclarationError(
            "top_up",
            ["code or sources changed while replicates were added: top up again, for results of one kind"],
        )
    rows = {(row.treatment, row.replicate): row for row in (*before.outcomes, *batch.outcomes)}
    ordered = [
        rows[treatment, key]
        for treatment in grown.treatments
        for key in grown.replicates.keys
        if (treatment, key) in rows
    ]
    return replace(batch, declaration=grown, outcomes=ordered, tagged=[*before.tagged, *batch.tagged])


def _rows(look: int, replicates: int, verdicts: Mapping[str, Verdict]) -> Iterator[Mapping[str, Any]]:
    for name, verdict in verdicts.items():
        effect = verdict.effect
        yield {
            "look": look,
            "replicates": replicates,
            "hypothesis": name,
            "n": min(verdict.n),
            "decision": verdict.decision,
            "p": verdict.p,
            "p_adjusted": verdict.p_adjusted,
            "estimate": None if effect is None else effect.estimate,
            "low": None if effect is None else effect.low,
            "high": None if effect is None else effect.high,
        }


def _width(verdict: Verdict) -> float:
    return math.inf if verdict.interval is None else verdict.interval[1] - verdict.interval[0]


# -- what can be topped up -------------------------------------------------------------------------------------------


def rule_faults(
    declaration: Declaration,
    until: Until,
    hypotheses: str | Sequence[str] | None = None,
    *,
    peek: bool = False,
) -> list[str]:
    """Say why the declared replicates of an experiment cannot be topped up by a rule."""
    try:
        _checked(declaration, until, hypotheses, peek=peek, grow=False)
    except DeclarationError as error:
        return list(error.faults)
    return []


def _checked(
    declaration: Declaration, until: Until, hypotheses: str | Sequence[str] | None, *, peek: bool, grow: bool
) -> list[Hypothesis]:
    awaited = _awaited(declaration, hypotheses)
    _check(declaration, until, awaited, peek=peek, grow=grow)
    return awaited


def _awaited(declaration: Declaration, names: str | Sequence[str] | None) -> list[Hypothesis]:
    known = {one.name: one for one in declaration.hypotheses}
    if not known:
        raise DeclarationError(
            "top_up",
            [f"experiment {declaration.name!r} has no hypotheses to wait for: declare one, or use run"],
        )
    if names is None:
        return list(known.values())
    given = [names] if isinstance(names, str) else list(names)
    faults = [
        f"experiment {declaration.name!r} has no hypothesis {excerpt(name)} to wait for: "
        f"{did_you_mean(str(name), known)}"
        for name in given
        if name not in known
    ]
    if not given:
        faults.append("hypotheses is empty: name one to wait for, or leave it out for all")
    if faults:
        raise DeclarationError("top_up", faults)
    return [known[name] for name in dict.fromkeys(given)]


def _check(
    declaration: Declaration, until: Until, awaited: Sequence[Hypothesis], *, peek: bool, grow: bool
) -> None:
    from workflow_assets.stats.sequences import Until

    if not isinstance(until, Until):
        raise DeclarationError("top_up", [f"until = {excerpt(until)}: expected a rule, Until(n_max=100)"])
    faults = [*_count_faults(declaration, until, grow)]
    if declaration.preregistration is not None:
        faults.append("a confirmation has as many replicates as were preregistered: top up the exploration")
    several_looks = until.first < until.n_max
    if several_looks and not peek:
        if declaration.replicates.test_fraction is not None:
            faults.append(
                "the replicates are re-splits of one data set, of which no test may be looked at again and again: "
                "run a number of them that is fixed beforehand, or say peek=True to look all the same"
            )
        else:
            faults += [fault for one in awaited if (fault := _fixed(declaration, one)) is not None]
    if faults:
        raise DeclarationError("top_up", faults)


def _count_faults(declaration: Declaration, until: Until, grow: bool) -> list[str]:
    replicates = declaration.replicates
    if until.n_max > len(replicates) and (replicates.units is not None or not grow):
        what, cure = (
            ("replicates are declared", "declare")
            if replicates.units is None
            else ("units are named", "name")
        )
        there = len(replicates)
        return [f"n_max = {until.n_max}, but {there} {what}: {cure} more, or say n_max={there}"]
    whole = len(replicates.head(until.n_max))
    if whole != until.n_max:
        levels = replicates.levels
        level = levels.compared if levels is not None else "unit"
        return [
            f"n_max = {until.n_max} ends within a {level}: say n_max={whole}, or list each {level} in one piece"
        ]
    return []


def _fixed(declaration: Declaration, one: Hypothesis) -> str | None:
    """Say why a test must not be waited for, and what to do; None where it may."""
    joint = declaration.families[one.family]
    if joint in JOINT:
        test, cure = joint, f"adjust its family {one.family!r} by 'holm', with "
    elif one.several:
        test, cure = one.test_name, "make a claim about each treatment, with "
    elif isinstance(one.test, str) and one.test in METHODS and METHODS[one.test].anytime:
        return None
    else:
        test, cure = one.test_name, "say "
    made = "which chooses tests that are made" if test == "auto" else "which is made"
    shares = all(declaration.metrics[metric] is bool for metric in one.metrics)
    anytime = "sequential_shares" if shares else "sequential_t"
    return (
        f"hypothesis {one.name!r} is tested by {test!r}, {made} for one look, and its p would be too small "
        f"after several: {cure}test={anytime!r}, which holds at every look, or peek=True, and the verdict is flagged"
    )

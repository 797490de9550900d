"""Unions: families of claims that span several experiments of a project, adjusted as the one family they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from workflow_assets.declarations import Declaration
from workflow_assets.errors import DeclarationError, excerpt, joined
from workflow_assets.judgements import adjusted
from workflow_assets.results import Result
from workflow_assets.stats.methods import JOINT
from workflow_assets.verdicts import Verdict, decided

D = TypeVar("D", bound=Declaration)


def judge_together(results: Iterable[Result]) -> dict[tuple[str, str], Verdict]:
    """Give the verdicts of several experiments by (experiment, hypothesis), families of one name adjusted together.

    A family spans the experiments whose hypotheses name it, ``Hypothesis(family="speed")``, and its p values are
    adjusted as if all had been declared in one. Hypotheses that name none are adjusted within their own experiment.
    Attempts of confirmations are accounted for after that, as ever. What is known of several treatments together needs
    all of them in one experiment, so that a family that is compared by ``"dunnett"`` and the like cannot span.

    >>> from workflow_assets import Experiment, Hypothesis, step
    >>> @step
    ... def measure(rng, gain: float = 1.0) -> float:
    ...     return gain * rng.normal(5.0)
    >>> better = Hypothesis("better", metric="measure", treatment="double", family="gain")
    >>> one, two = (
    ...     Experiment(name, [measure], {"double": {"measure.gain": 2.0}}, 9, [better]) for name in "ab"
    ... )
    >>> verdict = judge_together([one.run(), two.run()])["a", "better"]
    >>> verdict.p_adjusted == 2 * verdict.p, verdict.note
    (True, "family 'gain' has 2 claims: 1 of a and 1 of b")

    Raises `DeclarationError` for two results of one experiment, and for a family that is not adjusted by one and the
    same method in all of them.
    """
    from workflow_assets.stats.families import spend

    if isinstance(results, Result):
        raise DeclarationError(
            "judge_together", ["one result has nothing to be judged with: give several, in a list"]
        )
    given = list(results)
    _check(given)
    verdicts = {
        (result.declaration.name, name): verdict
        for result in given
        for name, verdict in result.verdicts.items()
    }
    for family, sharing in spanning(result.declaration for result in given).items():
        members = {
            key: verdict
            for key, verdict in verdicts.items()
            if verdict.hypothesis.family == family and key[0] in sharing
        }
        told = f"family {family!r} has {len(members)} claims: {_told(list(members))}"
        method = next(iter(sharing.values())).families[family]
        p_values = adjusted(method, list(members.values()))
        for (key, verdict), p in zip(members.items(), p_values, strict=True):
            declared = sharing[key[0]].preregistration
            spent = p if declared is None else spend(p, *declared.spent(key[1]))
            noted = replace(verdict, note="; ".join(filter(None, (verdict.note, told))))
            verdicts[key] = decided(noted, spent)
    return verdicts


def spanning(declarations: Iterable[D]) -> dict[str, dict[str, D]]:
    """Give the families that several experiments name, each with those experiments by their names.

    >>> from workflow_assets import Experiment, Hypothesis, step
    >>> @step
    ... def measure(gain: float = 1.0) -> float:
    ...     return gain
    >>> claims = [Hypothesis("better", "measure", "double", family="gain")]
    >>> several = [Experiment(name, [measure], {"double": {"measure.gain": 2.0}}, 9, claims) for name in "ab"]
    >>> {family: list(sharing) for family, sharing in spanning(several).items()}
    {'gain': ['a', 'b']}
    """
    sharing: dict[str, dict[str, D]] = {}
    for one in declarations:
        for family in dict.fromkeys(claim.family for claim in one.hypotheses if claim.family):
            sharing.setdefault(family, {})[one.name] = one
    return {family: those for family, those in sharing.items() if len(those) > 1}


def union_faults(declarations: Iterable[Declaration]) -> list[str]:
    """Say which families that span experiments cannot be adjusted as one, and what to do."""
    return [
        fault
        for family, sharing in spanning(declarations).items()
        for fault in _method_faults(family, sharing)
    ]


def _check(results: Sequence[Result]) -> None:
    faults = [f"{excerpt(one)} is no result of a run" for one in results if not isinstance(one, Result)]
    if not faults:
        names = [one.declaration.name for one in results]
        faults = [
            f"several results are of experiment {name!r}, whose claims would count twice: give one of each"
            for name in dict.fromkeys(names)
            if names.count(name) > 1
        ] or union_faults(one.declaration for one in results)
    if faults:
        raise DeclarationError("judge_together", faults)


def _method_faults(family: str, sharing: Mapping[str, Declaration]) -> list[str]:
    methods = {name: one.families[family] for name, one in sharing.items()}
    if len(set(methods.values())) > 1:
        told = joined([f"{method!r} in {name}" for name, method in methods.items()])
        return [f"family {family!r} is adjusted by {told}: declare one method for it in all of them"]
    method = next(iter(methods.values()))
    if method not in JOINT:
        return []
    where = f"all of its treatments in one experiment, and is in {joined(list(methods))}"
    cure = f"declare families={{{family!r}: 'holm'}} in each, or another name for each"
    return [f"family {family!r} is compared by {method!r}, which needs {where}: {cure}"]


def _told(keys: Sequence[tuple[str, str]]) -> str:
    counts = Counter(experiment for experiment, _ in keys)
    return joined([f"{count} of {name}" for name, count in counts.items()])

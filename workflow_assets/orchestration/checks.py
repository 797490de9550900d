"""Verdicts and completeness as asset checks."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from workflow_assets.declarations import Declaration
from workflow_assets.errors import listing
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.orchestration.keys import COMPLETE, claim_name, family_key, results_key
from workflow_assets.results import Result
from workflow_assets.tables import describe_failures
from workflow_assets.verdicts import Verdict

Spanning = Mapping[str, Collection[str]]
"""The families that span experiments, each with the names of these."""


def check_specs(declaration: Declaration, spanning: Spanning) -> list[dg.AssetCheckSpec]:
    """Give a check for every hypothesis, and the one that no cell failed."""
    key = results_key(declaration.name)
    specs = [
        dg.AssetCheckSpec(
            COMPLETE,
            asset=key,
            blocking=True,
            description="Every cell of the grid was computed; failed cells are named.",
        )
    ]
    for one in declaration.hypotheses:
        told = where_judged(declaration.name, one, spanning)
        specs.append(claim_spec(key, one.name, one, told and f"Adjusted {told}."))
    return specs


def claim_spec(key: dg.AssetKey, name: str, one: Hypothesis, more: str = "") -> dg.AssetCheckSpec:
    """Give the check on a claim; `more` is what its description says besides."""
    return dg.AssetCheckSpec(
        name,
        asset=key,
        blocking=one.gate,
        description=" ".join(filter(None, (one.description, f"Claim: {one.claim()}.", more))),
        metadata={"gate": one.gate, "accept": list(one.accept), "alpha": one.alpha},
    )


def where_judged(experiment: str, one: Hypothesis, spanning: Spanning) -> str:
    """Say of a claim whose family spans experiments where the verdict over the whole of it is; "" of any other."""
    if one.family not in spanning:
        return ""
    only = f"within {experiment} only: family {one.family!r} spans {listing(spanning[one.family])}"
    if experiment not in spanning[one.family]:
        return f"{only}; judge_together adjusts the results of several confirmations"
    path = family_key(one.family).to_user_string()
    return (
        f"{only}, and check {claim_name(experiment, one.name)} of the asset {path} is adjusted over all of it"
    )


def evaluate(
    declaration: Declaration, result: Result, selected: Sequence[str], spanning: Spanning
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the selected checks."""
    if COMPLETE in selected:
        yield _completeness(declaration, result)
    key = results_key(declaration.name)
    for name, verdict in result.verdicts.items():
        if name in selected:
            told = where_judged(declaration.name, verdict.hypothesis, spanning)
            yield evaluated(key, name, result, verdict, told)


def evaluated(
    key: dg.AssetKey, name: str, result: Result, verdict: Verdict, adjusted: str = ""
) -> dg.AssetCheckResult:
    """Evaluate the check on a claim; `adjusted` says over what its p value is, where that is not all of its family."""
    try:
        return _evaluation(key, name, result, verdict, adjusted)
    except Exception as error:  # noqa: BLE001 - one check that cannot be told costs no other
        return dg.AssetCheckResult(
            asset_key=key,
            check_name=name,
            passed=False,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{verdict.decision}; telling of it raised {type(error).__name__}: {error}",
        )


def blocking_reasons(result: Result, selected: Sequence[str]) -> list[str]:
    """Say why a run must not succeed: failed cells, and gates that do not accept their verdicts."""
    reasons = []
    if COMPLETE in selected and result.failures:
        reasons.append(describe_failures(result.failures, len(result.outcomes)))
    return reasons + gate_reasons(result.verdicts, selected)


def gate_reasons(verdicts: Mapping[str, Verdict], selected: Sequence[str]) -> list[str]:
    """Say which gates do not accept their verdicts, given by the names of their checks."""
    return [
        f"gate {name!r} is {verdict.decision}: {verdict}"
        for name, verdict in verdicts.items()
        if name in selected and verdict.hypothesis.gate and not verdict.accepted
    ]


def _completeness(declaration: Declaration, result: Result) -> dg.AssetCheckResult:
    failures = result.failures
    metadata: dict[str, Any] = {"cells": len(result.outcomes), "failed": len(failures)}
    if failures:
        metadata["failed cells"] = dg.MetadataValue.md(
            "\n".join(
                ["| treatment | replicate | step | error |", "| --- | --- | --- | --- |"]
                + [
                    f"| {one.treatment} | {one.replicate} | {one.step} | {_cell(f'{one.kind}: {one.message}')} |"
                    for one in failures[:100]
                ]
            )
        )
        metadata["first traceback"] = dg.MetadataValue.md(f"```\n{failures[0].traceback}\n```")
    return dg.AssetCheckResult(
        asset_key=results_key(declaration.name),
        check_name=COMPLETE,
        passed=not failures,
        severity=dg.AssetCheckSeverity.ERROR,
        description=describe_failures(failures, len(result.outcomes))
        if failures
        else _all_computed(len(result.declaration.replicates), len(declaration.replicates)),
        metadata=metadata,
    )


def _all_computed(replicates: int, declared: int) -> str:
    if replicates == declared:
        return "every cell was computed"
    return f"every cell of {replicates} of {declared} replicates was computed, which were enough"


def _evaluation(
    key: dg.AssetKey, name: str, result: Result, verdict: Verdict, adjusted: str
) -> dg.AssetCheckResult:
    one = verdict.hypothesis
    metadata: dict[str, Any] = {
        "decision": verdict.decision,
        "clean": verdict.clean,
        "claim": one.claim(),
        "estimand": verdict.estimand,
        "reason": verdict.reason,
        "n": verdict.n[0] if one.paired else f"{verdict.n[0]} and {verdict.n[1]}",
        "alpha": one.alpha,
        "margin": float(one.margin),
    }
    if verdict.test is not None:
        metadata["test"] = verdict.test
    for entry, value in (
        ("p", verdict.p),
        ("adjusted p", verdict.p_adjusted),
        ("statistic", verdict.statistic),
    ):
        if value is not None:
            metadata[entry] = float(value)
    if verdict.effect is not None:
        metadata["effect"] = verdict.effect.estimate
        metadata["interval"] = f"{verdict.effect.low:.6g} to {verdict.effect.high:.6g}"
        metadata["effects"] = dg.MetadataValue.md(_effects(verdict))
    for size in verdict.sizes:
        metadata[size.name.replace("_", " ")] = size.value
    if verdict.parts:
        metadata["parts"] = dg.MetadataValue.md(_parts(verdict))
    if verdict.pairs:
        metadata["pairs"] = dg.MetadataValue.md(_pairs(verdict))
    for part in one.parts:
        best = "min" if part.alternative == "less" else "max"
        metadata[f"ranking by {part.metrics[0]}" if one.together else "ranking"] = ", ".join(
            f"{place}. {arm} ({score:.4g})" if not math.isnan(score) else f"{place}. {arm} (no values)"
            for place, (arm, score) in enumerate(result.ranking(part.metrics[0], best=best), start=1)
        )
    if verdict.flags:
        metadata["flags"] = dg.MetadataValue.md("\n".join(f"- {flag.told()}" for flag in verdict.flags))
    lines = [line.strip() for line in str(verdict).splitlines()]
    if adjusted:
        metadata["adjusted"] = adjusted
        lines.append(f"adjusted {adjusted}")
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=verdict.accepted,
        severity=dg.AssetCheckSeverity.ERROR if one.gate else dg.AssetCheckSeverity.WARN,
        description="; ".join(lines),
        metadata=metadata,
    )


def _effects(verdict: Verdict) -> str:
    lines = ["| effect | estimate | low | high | confidence |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {effect.name} | {effect.estimate:.6g} | {effect.low:.6g} | {effect.high:.6g} | {effect.confidence:.0%} |"
        for effect in verdict.effects
    ]
    return "\n".join(lines)


def _pairs(verdict: Verdict) -> str:
    lines = ["| pair | estimate | low | high | p | by |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [
        f"| {pair.x} − {pair.y} | {pair.estimate:.6g} | {pair.low:.6g} | {pair.high:.6g} | {pair.p:.3g} "
        f"| {pair.procedure} |"
        for pair in verdict.pairs
    ]
    return "\n".join(lines)


def _parts(verdict: Verdict) -> str:
    lines = ["| metric | decision | p | effect | test |", "| --- | --- | --- | --- | --- |"]
    for part in verdict.parts:
        p = "–" if part.p is None else f"{part.p:.3g}"
        effect = "–" if part.effect is None else f"{part.effect.estimate:.6g}"
        lines.append(
            f"| {part.hypothesis.metrics[0]} | {part.decision} | {p} | {effect} | {part.test or '–'} |"
        )
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())[:300]

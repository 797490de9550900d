"""Verdicts and completeness as asset checks."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from workflow_assets.declarations import Declaration
from workflow_assets.orchestration.keys import COMPLETE, results_key
from workflow_assets.results import Result
from workflow_assets.tables import describe_failures
from workflow_assets.verdicts import Verdict


def check_specs(declaration: Declaration) -> list[dg.AssetCheckSpec]:
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
        description = f"{one.description} " if one.description else ""
        specs.append(
            dg.AssetCheckSpec(
                one.name,
                asset=key,
                blocking=one.gate,
                description=f"{description}Claim: {one.claim()}.",
                metadata={"gate": one.gate, "accept": list(one.accept), "alpha": one.alpha},
            )
        )
    return specs


def evaluate(
    declaration: Declaration, result: Result, selected: Sequence[str]
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the selected checks."""
    if COMPLETE in selected:
        yield _completeness(declaration, result)
    for name, verdict in result.verdicts.items():
        if name in selected:
            try:
                yield _evaluation(declaration, result, verdict)
            except Exception as error:  # noqa: BLE001 - one check that cannot be told costs no other
                yield dg.AssetCheckResult(
                    asset_key=results_key(declaration.name),
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
    for name, verdict in result.verdicts.items():
        if name in selected and verdict.hypothesis.gate and not verdict.accepted:
            reasons.append(f"gate {name!r} is {verdict.decision}: {verdict}")
    return reasons


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


def _evaluation(declaration: Declaration, result: Result, verdict: Verdict) -> dg.AssetCheckResult:
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
    for name, value in (
        ("p", verdict.p),
        ("adjusted p", verdict.p_adjusted),
        ("statistic", verdict.statistic),
    ):
        if value is not None:
            metadata[name] = float(value)
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
            f"{place}. {name} ({score:.4g})" if not math.isnan(score) else f"{place}. {name} (no values)"
            for place, (name, score) in enumerate(result.ranking(part.metrics[0], best=best), start=1)
        )
    if verdict.flags:
        metadata["flags"] = dg.MetadataValue.md("\n".join(f"- {flag.told()}" for flag in verdict.flags))
    return dg.AssetCheckResult(
        asset_key=results_key(declaration.name),
        check_name=one.name,
        passed=verdict.accepted,
        severity=dg.AssetCheckSeverity.ERROR if one.gate else dg.AssetCheckSeverity.WARN,
        description="; ".join(line.strip() for line in str(verdict).splitlines()),
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

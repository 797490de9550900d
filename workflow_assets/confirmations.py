"""Confirmations: fresh replicates for a hypothesis, taken from the ledger and preregistered before any is computed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from workflow_assets.acceptances import current_user
from workflow_assets.canonical import digest
from workflow_assets.declarations import Declaration
from workflow_assets.errors import DeclarationError, excerpt, listing
from workflow_assets.ledgers import AUDIT, FAILURES, RUN, Ledger, last_index, lenient, moment, spans
from workflow_assets.plans import Plan
from workflow_assets.preregistrations import (
    Attempts,
    Confirmation,
    Preregistration,
    chosen,
    claim_of,
    family_of,
)
from workflow_assets.provenance import checkout
from workflow_assets.replicates import Replicates
from workflow_assets.store.base import Store

D = TypeVar("D", bound=Declaration)


@dataclass(frozen=True)
class Configuration:
    """What the results follow from, but seed and replicates: code, parameters and wiring, and sources."""

    code: Mapping[str, str]
    parameters: Mapping[str, str]
    sources: Mapping[str, str]

    @property
    def digest(self) -> str:
        """One digest for all of it."""
        return digest("configuration", json.dumps([self.code, self.parameters, self.sources], sort_keys=True))


def configuration(plan: Plan) -> Configuration:
    """Tell what the results of a plan follow from; code that was accepted as the same is the same."""
    code = {f"source {name}": plan.code(source.fingerprint) for name, source in plan.sources.items()}
    parameters: dict[str, str] = {}
    for step in plan.steps:
        slot, declared = step.node.slot, step.node.step
        where = (
            "" if len(step.treatments) == len(plan.by_treatment) else f" under {', '.join(step.treatments)}"
        )
        code[f"{slot}{where}"] = plan.code(step.fingerprint)
        parameters.update({f"{slot}.{name}{where}": form for name, form in step.forms.items()})
        parameters[f"{slot}{where}"] = digest(
            declared.stream or slot,
            repr((declared.random, declared.legacy_rng)),
            *(f"{name}<{given.name}" for name, given in step.inputs),
            *(one for one in step.more if not one.startswith("run ")),  # which is another each time
        )
    return Configuration(code, parameters, {name: source.key for name, source in plan.sources.items()})


def note_run(plan: Plan, store: Store, cells: Iterable[tuple[str, str]], run_id: str = "") -> None:
    """Note in the ledger which cells are about to be found or computed."""
    treatments, replicates = zip(*cells, strict=True) if (cells := list(cells)) else ((), ())
    plan.check_cells(cells)
    about = {
        **_made(plan),
        "treatments": sorted(set(treatments)),
        "replicates": spans(plan.replicates[key].identity for key in set(replicates)),
    }
    run = run_id or plan.nonce
    Ledger(store, plan.declaration.ledger_name).note(RUN, about, {"run": run}, run)


def note_failures(plan: Plan, store: Store, cells: Iterable[tuple[str, str]]) -> None:
    """Note in the ledger which cells have failed: their replicates, by treatment."""
    failed: dict[str, list[int | str]] = {}
    for treatment, key in cells:
        failed.setdefault(treatment, []).append(plan.replicates[key].identity)
    about = {**_made(plan), "failed": {treatment: spans(one) for treatment, one in failed.items()}}
    Ledger(store, plan.declaration.ledger_name).note(FAILURES, about)


def note_audit(plan: Plan, store: Store, computed: Mapping[str, int], *, deterministic: bool) -> None:
    """Note in the ledger that data were computed again, and whether all came out the same; not if none were."""
    if any(computed.values()):
        about = {
            "configuration": configuration(plan).digest,
            "computed": dict(computed),
            "deterministic": deterministic,
        }
        with lenient(f"the audit of {plan.declaration.name}"):
            Ledger(store, plan.declaration.ledger_name).note(AUDIT, about)


def _made(plan: Plan) -> dict[str, Any]:
    declared = plan.declaration.preregistration
    return {
        "seed": plan.declaration.seed,
        "configuration": configuration(plan).digest,
        "preregistration": declared.digest if declared else "",
    }


def preregister(declaration: Declaration, store: Store, one: Confirmation) -> Preregistration:
    """Give the preregistration of a confirmation: the one that is there if it asks for the same, or a new one.

    A new one takes replicates that nobody has used, and is in the store before this returns; of two processes that
    preregister at once, each gets its own.

    Raises `DeclarationError` for what cannot be confirmed, and `StoreError` where the store cannot be written.
    """
    hypotheses = chosen(declaration.hypotheses, one.hypotheses, declaration.name)
    made = configuration(plan := Plan(declaration, store))
    families = {hypothesis.name: family_of(hypothesis) for hypothesis in hypotheses}
    asked: dict[str, Any] = {
        "attempt": one.attempt,
        "claims": {hypothesis.name: claim_of(hypothesis) for hypothesis in hypotheses},
        "families": families,
        "seed": declaration.seed,
        "configuration": made.digest,
    }
    wanted = Replicates.read(one.replicates)
    _check_units(declaration, wanted)
    ledger = Ledger(store, declaration.name)
    writable = False
    git: Mapping[str, Any] | None = None
    while True:
        known = [Preregistration.from_dict(told) for told in ledger.preregistrations()]
        for same in known:
            if _asks(same, asked, wanted):
                _check_attempts(one.attempts, same.tries)
                return same
        if not writable:
            store.check_writable()
            writable, git = True, checkout(_file(plan))
        new = Preregistration(
            experiment=declaration.name,
            number=len(known) + 1,
            **asked,
            tries=_tries(known, families.values(), one.attempts),
            replicates=_fresh(declaration, wanted, known, ledger),
            code=made.code,
            parameters=made.parameters,
            sources=made.sources,
            git=git,
            who=current_user(),
            when=moment(),
        )
        if ledger.preregister(new.number, new.as_dict()):
            return new


def confirming(declaration: D, one: Preregistration, name: str = "") -> D:
    """Give the experiment of a confirmation: only its hypotheses, on its fresh replicates."""
    hypotheses = chosen(declaration.hypotheses, list(one.claims), declaration.name)
    return declaration.confirming(hypotheses, replicates_of(declaration, one), one, name)


def replicates_of(declaration: Declaration, one: Preregistration) -> Replicates:
    """Give the replicates of a confirmation; what else is declared of the experiment's holds for them too."""
    fresh = one.replicates
    if "units" in fresh:
        return replace(declaration.replicates, count=len(fresh["units"]), units=tuple(fresh["units"]))
    return replace(declaration.replicates, count=fresh["count"], first=fresh["first"])


def _asks(same: Preregistration, asked: Mapping[str, Any], wanted: Replicates) -> bool:
    count = len(same.replicates["units"]) if "units" in same.replicates else same.replicates["count"]
    units = list(wanted.units) if wanted.units is not None else same.replicates.get("units")
    return (
        all(getattr(same, name) == value for name, value in asked.items())
        and count == len(wanted)
        and same.replicates.get("units") == units
    )


def _tries(
    known: Sequence[Preregistration], families: Iterable[str], attempts: Attempts | None
) -> dict[str, tuple[int, Attempts]]:
    """Number this attempt in each family; how many there may be is what the first of them declared."""
    tries: dict[str, tuple[int, Attempts]] = {}
    for family in dict.fromkeys(families):
        before = [one.tries[family] for one in known if family in one.tries]
        tries[family] = len(before) + 1, before[0][1] if before else (attempts or 1)
    _check_attempts(attempts, tries)
    return tries


def _check_attempts(attempts: Attempts | None, tries: Mapping[str, tuple[int, Attempts]]) -> None:
    faults = [
        f"attempts = {excerpt(attempts)}: the first preregistration in the family {family!r} declared {declared!r}, "
        "which stands; leave it out"
        for family, (_, declared) in tries.items()
        if attempts not in (None, declared)
    ]
    if faults:
        raise DeclarationError("confirmation", faults)


def _check_units(declaration: Declaration, wanted: Replicates) -> None:
    named = declaration.replicates.units is not None
    if named != (wanted.units is not None):
        raise DeclarationError(
            "confirmation",
            [
                "the experiment's replicates are named units: name fresh ones, replicates=['...', ...]"
                if named
                else "the experiment's replicates are numbered: say how many fresh ones, replicates=30"
            ],
        )


def _fresh(
    declaration: Declaration, wanted: Replicates, known: Sequence[Preregistration], ledger: Ledger
) -> dict[str, Any]:
    """Choose replicates beyond all that were ever used, under whatever seed, or see that named ones are fresh."""
    runs = [entry.told["replicates"] for entry in ledger.entries(RUN)]
    if wanted.units is not None:
        used = {name for spans_of in runs for name in spans_of if isinstance(name, str)}
        used.update(declaration.replicates.units or ())
        used.update(name for one in known for name in one.replicates.get("units", ()))
        if stale := [unit for unit in wanted.units if unit in used]:
            raise DeclarationError(
                "confirmation",
                [
                    f"{listing(stale)} {'is' if len(stale) == 1 else 'are'} not fresh: name units nobody has used"
                ],
            )
        return {"units": list(wanted.units)}
    own = declaration.replicates
    beyond = [own.first + len(own) - 1, *(last_index(one) for one in runs)]
    beyond += [
        one.replicates["first"] + one.replicates["count"] - 1 for one in known if "first" in one.replicates
    ]
    return {"first": max(beyond) + 1, "count": len(wanted)}


def _file(plan: Plan) -> str:
    code = getattr(plan.steps[0].function, "__code__", None) if plan.steps else None
    return code.co_filename if code else ""

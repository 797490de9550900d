"""Looks: what the ledger of a store knows about verdicts, and the note that they were looked at."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflow_assets.acceptances import current_user
from workflow_assets.arms import FindArm
from workflow_assets.canonical import digest
from workflow_assets.errors import listing
from workflow_assets.flags import Flag
from workflow_assets.ledgers import AUDIT, LOOK, OVERRIDE, RUN, Entry, Ledger, lenient, overlap, spans
from workflow_assets.preregistrations import Preregistration, claim_of, family_of
from workflow_assets.stats.methods import METHODS
from workflow_assets.store.base import Store
from workflow_assets.studies import Asking
from workflow_assets.verdicts import Verdict, decided


@dataclass(frozen=True)
class Look:
    """Somebody looks at the verdicts on an experiment, or on its confirmation.

    Args:
        declaration: the experiment.
        store: where its data and its ledger are.
        configuration: the digest of what the results follow from.
        arm: gives a metric's values under a treatment.
        keys: gives the keys of the data of each step.
    """

    declaration: Asking
    store: Store
    configuration: str
    arm: FindArm
    keys: Callable[[], Mapping[str, Mapping[str, str]]]

    def seen(self, verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
        """Give verdicts with what the ledger knows of them, and note that they were looked at."""
        if not verdicts:
            return {}
        ledger = self._ledger
        entries: list[Entry] = []
        with lenient(f"what was tried for {self.declaration.name}"):
            entries = ledger.entries()
        known = (
            [Preregistration.from_dict(told) for told in ledger.preregistrations()] if self._confirms else []
        )
        found, noted = {}, []
        for name, judged in verdicts.items():
            verdict = self._spent(judged)
            about = self._about(verdict)
            flags = [*verdict.flags, *self._flags(verdict, about, entries, known)]
            found[name] = self._overridden(dataclasses.replace(verdict, flags=tuple(flags)), about, entries)
            noted.append((about, {"test": verdict.test, "p_adjusted": verdict.p_adjusted}))
        with lenient(f"the look at the verdicts on {self.declaration.name}"):
            ledger.note_all(LOOK, noted)
        return found

    def override(self, verdict: Verdict, flags: Sequence[Flag], reason: str, who: str | None) -> None:
        """Note why flags on a verdict do not matter."""
        about = self._about(verdict)
        by = current_user() if who is None else who
        noted = []
        for flag in flags:
            stated = flag.override(reason, by)
            noted.append((_override(about, flag), {"reason": stated.reason, "who": by}))
        self._ledger.note_all(
            OVERRIDE, [({**which, "reason": more["reason"]}, more) for which, more in noted]
        )

    @property
    def _ledger(self) -> Ledger:
        return Ledger(self.store, self.declaration.ledger_name)

    @property
    def _confirms(self) -> Preregistration | None:
        return self.declaration.preregistration

    def _about(self, verdict: Verdict) -> dict[str, Any]:
        """Tell a look apart from others: what is asked of which data, and what came out."""
        one = verdict.hypothesis
        values = [
            repr(sorted(map(float, self.arm(treatment, metric).values.values())))
            for metric in one.metrics
            for treatment in one.arms
        ]
        return {
            "hypothesis": one.name,
            "claim": digest(json.dumps(claim_of(one), sort_keys=True)),
            "family": family_of(one),
            "seed": self.declaration.seed,
            "configuration": self.configuration,
            "preregistration": self._confirms.digest if self._confirms else "",
            "data": digest(*values),
            "n": min(verdict.n),
            "p": verdict.p,
            "decision": verdict.decision,
        }

    def _spent(self, verdict: Verdict) -> Verdict:
        """Adjust the verdict of a confirmation for the attempts in its family, and say so."""
        declared = self._confirms
        if declared is None:
            return verdict
        attempt, attempts = declared.spent(verdict.hypothesis.name)
        told = f"attempt {attempt} of {attempts} to confirm {declared.families[verdict.hypothesis.name]!r}"
        flags = verdict.flags
        if isinstance(attempts, int) and attempt > attempts:
            wrong = f"{told}: none of alpha is left, so that its adjusted p is 1 and it cannot be supported"
            flags = (*flags, Flag("spent_alpha", wrong))
        noted = "; ".join(filter(None, (verdict.note, told)))
        verdict = dataclasses.replace(verdict, note=noted, preregistration=declared.digest, flags=flags)
        if verdict.p_adjusted is None:
            return verdict
        from workflow_assets.stats.families import spend

        return decided(verdict, spend(verdict.p_adjusted, attempt, attempts))

    def _flags(
        self,
        verdict: Verdict,
        about: Mapping[str, Any],
        entries: Sequence[Entry],
        known: Sequence[Preregistration],
    ) -> Iterator[Flag]:
        looks = [entry for entry in entries if entry.kind == LOOK]
        first = min(
            (entry.when for entry in looks if _same(entry.told, about)), default="~"
        )  # after any time
        earlier = [entry.told for entry in looks if entry.when < first]
        yield from _peeking(verdict, about, earlier)
        declared = self._confirms
        # An attempt that came later takes nothing from a confirmation: it has spent its own share of alpha.
        yield from _selected_seed(about, earlier if declared else [entry.told for entry in looks])
        if declared is None:
            yield from _changed_claim(about, earlier)
            return
        yield from self._reused(about, declared, earlier, [one for one in entries if one.when < first])
        yield from _changed_since(declared, about, self.configuration, known)
        yield from self._unaudited(verdict, declared, entries)

    def _reused(
        self,
        about: Mapping[str, Any],
        declared: Preregistration,
        earlier: Sequence[Mapping[str, Any]],
        entries: Sequence[Entry],
    ) -> Iterator[Flag]:
        if self.declaration.replicates.test_fraction is not None:
            yield Flag("reused_data", "the fresh re-splits share their rows with those that were explored")
        if any(
            look["data"] == about["data"] and look["preregistration"] != declared.digest for look in earlier
        ):
            yield Flag(
                "reused_data", "an earlier look saw the very same values: the replicates bring nothing new"
            )
        mine = spans(one.identity for one in self.declaration.replicates)
        if any(
            entry.kind == RUN
            and entry.told["preregistration"] != declared.digest
            and entry.told["seed"] == declared.seed
            and overlap(entry.told["replicates"], mine)
            for entry in entries
        ):
            yield Flag("reused_data", "another run used these replicates before the confirmation was judged")

    def _unaudited(
        self, verdict: Verdict, declared: Preregistration, entries: Sequence[Entry]
    ) -> Iterator[Flag]:
        audits = [
            entry.told
            for entry in entries
            if entry.kind == AUDIT and entry.told["configuration"] == declared.configuration
        ]
        wrong = []
        if not audits:
            wrong.append(
                "nothing was computed again to see whether it gives the same: experiment.audit(store)"
            )
        elif not audits[-1]["deterministic"]:
            wrong.append("computing again gave something else: see experiment.audit(store)")
        if declared.git and declared.git["dirty"]:
            wrong.append("the checkout had changes that are in no commit when it was preregistered")
        for slot in dict.fromkeys(metric.partition(".")[0] for metric in verdict.hypothesis.metrics):
            wrong += self._packages(slot)
        yield from (Flag("unaudited_environment", one) for one in wrong)

    def _packages(self, slot: str) -> list[str]:
        """Say which packages were of different versions in different cells."""
        keys = list(self.keys().get(slot, {}).values())
        notes = {record.provenance.get("made") for record in self.store.recorded(keys).values()} - {None}
        versions: dict[str, set[str]] = {}
        for record in self.store.find_all(str(note) for note in notes).values():
            for name, version in self.store.load(record)["libraries"].items():
                versions.setdefault(name, set()).add(version)
        differing = sorted(name for name, those in versions.items() if len(those) > 1)
        return [f"cells were computed with different versions of {listing(differing)}"] if differing else []

    def _overridden(self, verdict: Verdict, about: Mapping[str, Any], entries: Sequence[Entry]) -> Verdict:
        stated = [entry.told for entry in entries if entry.kind == OVERRIDE]
        flags = []
        for flag in verdict.flags:
            which = _override(about, flag)
            reasons = [one for one in stated if all(one[name] == which[name] for name in which)]
            if reasons:
                flags.append(flag.override(reasons[-1]["reason"], reasons[-1]["who"]))
            elif flag.code in verdict.hypothesis.overrides:
                flags.append(flag.override(verdict.hypothesis.overrides[flag.code], "the declaration"))
            else:
                flags.append(flag)
        return dataclasses.replace(verdict, flags=tuple(flags))


def _same(told: Mapping[str, Any], about: Mapping[str, Any]) -> bool:
    return all(
        told[name] == about[name] for name in ("claim", "seed", "data", "configuration", "preregistration")
    )


def _override(about: Mapping[str, Any], flag: Flag) -> dict[str, Any]:
    which = {name: about[name] for name in ("hypothesis", "claim", "data", "preregistration")}
    return {**which, "code": flag.code, "message": flag.message}


def _peeking(
    verdict: Verdict, about: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]
) -> Iterator[Flag]:
    method = METHODS.get(verdict.test or "")
    if verdict.test is None or getattr(method, "anytime", False):
        return
    same = ("claim", "seed", "configuration", "preregistration")
    sizes = sorted(
        {
            look["n"]
            for look in earlier
            if 1 < look["n"] < about["n"] and all(look[name] == about[name] for name in same)
        }
    )
    if sizes:
        told = ", ".join(map(str, sizes))
        yield Flag(
            "peeking",
            f"looked at before with n = {told}: {verdict.test} is made for one look, and its p is too small after more",
        )


def _selected_seed(about: Mapping[str, Any], looks: Sequence[Mapping[str, Any]]) -> Iterator[Flag]:
    others: dict[int, float] = {}
    for look in looks:
        alike = bool(look["preregistration"]) == bool(about["preregistration"])
        if (
            alike
            and look["family"] == about["family"]
            and look["seed"] != about["seed"]
            and look["p"] is not None
        ):
            others[look["seed"]] = min(look["p"], others.get(look["seed"], 1.0))
    if about["p"] is not None and others and about["p"] <= min(others.values()):
        tried = ", ".join(map(str, sorted(others)))
        yield Flag(
            "selected_seed", f"seed {about['seed']} has the smallest p of those tried; others are {tried}"
        )


def _changed_claim(about: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> Iterator[Flag]:
    """Flag a claim that was changed after its data had been looked at."""
    if any(
        look["hypothesis"] == about["hypothesis"]
        and look["data"] == about["data"]
        and look["claim"] != about["claim"]
        for look in earlier
    ):
        yield Flag("changed_hypothesis", "the hypothesis was changed after these data had been looked at")


def _changed_since(
    declared: Preregistration,
    about: Mapping[str, Any],
    configuration: str,
    known: Sequence[Preregistration],
) -> Iterator[Flag]:
    """Flag what differs from the first preregistration in the family, and from the one that is being judged."""
    first = next((one for one in known if about["family"] in one.tries), declared)
    claims = [digest(json.dumps(dict(claim), sort_keys=True)) for claim in first.claims.values()]
    if about["claim"] not in claims:
        yield Flag(
            "changed_hypothesis",
            f"it is not what the first confirmation of {about['family']!r} preregistered",
        )
    if first.configuration != declared.configuration:
        changed = [
            name
            for what in ("code", "parameters", "sources")
            for name in dict.fromkeys((*getattr(first, what), *getattr(declared, what)))
            if getattr(first, what).get(name) != getattr(declared, what).get(name)
        ]
        told = f"changed since the first preregistration: {listing(dict.fromkeys(changed))}"
        yield Flag("changed_code", told)
    elif configuration != declared.configuration:
        yield Flag("changed_code", "code, parameters or sources were changed after the preregistration")

"""A confirmation is written down before its data exist, takes fresh replicates, and spends alpha."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workflow_assets import Experiment, FileStore, Hypothesis, MemoryStore, Replicates, resamples, step
from workflow_assets import confirmations as module
from workflow_assets.confirmations import preregister
from workflow_assets.errors import DeclarationError, StoreError
from workflow_assets.ledgers import RUN, Ledger
from workflow_assets.preregistrations import Preregistration
from workflow_assets.results import Result
from workflow_assets.stats.families import spend


@step
def noise(rng: np.random.Generator, scale: float = 1.0, shift: float = 0.0) -> float:
    return float(scale * rng.normal() + shift)


def study(
    names: Any = ("better",), seed: int = 0, replicates: Any = 8, shift: float = 0.0, **options: Any
) -> Experiment:
    """Two treatments that differ by noise and a shift."""
    claims = [Hypothesis(name, "noise", "more", **options) for name in names]
    change = {"noise.scale": 2.0, "noise.shift": shift}
    return Experiment("study", [noise], {"more": change}, replicates, claims, seed=seed)


@pytest.fixture(autouse=True)
def committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no uncommitted changes, whoever tests."""
    monkeypatch.setattr(module, "checkout", lambda _: {"commit": "c0ffee", "dirty": False})


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def codes(result: Result, name: str = "better") -> list[str]:
    return [flag.code for flag in result.verdict(name).flags]


def test_fresh_replicates_are_those_of_a_bigger_run(store: MemoryStore) -> None:
    study().run(store)
    confirmed = study().confirm("better", 5, store=store)
    assert confirmed.table["replicate"].unique().tolist() == [8, 9, 10, 11, 12]
    bigger = study(replicates=20).run().table
    drawn = bigger[bigger["replicate"].between(8, 12)].reset_index(drop=True)
    assert confirmed.table.equals(drawn)


def test_replicates_are_beyond_all_that_the_ledger_knows_under_whatever_seed(store: MemoryStore) -> None:
    study(replicates=30, seed=3).run(store)
    assert study().confirm("better", 5, store=store).table["replicate"].min() == 30
    assert study().confirm("better", 5, store=store, attempt=2).table["replicate"].min() == 35
    assert Experiment.confirm(study(), "better", 5, store=MemoryStore()).table["replicate"].min() == 8


def test_preregistration_is_stored_before_the_first_cell(store: MemoryStore) -> None:
    seen: list[list[Any]] = []

    @step
    def looking(replicate: int, treatment: str) -> float:
        seen.append(list(Ledger(store, "looking").preregistrations()))
        return replicate + len(treatment) * replicate**2

    claims = [Hypothesis("better", "looking", "more", margin=0.5, alpha=0.01)]
    experiment = Experiment("looking", [looking], {"more": {}}, 4, claims, seed=7)
    verdict = experiment.confirm("better", 3, store=store).verdict("better")
    assert len(seen) == 6
    assert all(told == seen[0] for told in seen)
    (written,) = (Preregistration.from_dict(told) for told in seen[0])
    assert written.digest == verdict.preregistration
    assert (written.seed, written.replicates) == (7, {"first": 4, "count": 3})
    claim = written.claims["better"]
    assert (claim["margin"], claim["alpha"], claim["test"], claim["treatment"]) == (0.5, 0.01, "auto", "more")
    assert set(written.code) == {"looking under baseline", "looking under more"}
    assert "attempt 1 of 1" in str(written)


def test_preregistration_is_on_disk_before_the_first_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[bool] = []
    genuine = os.fsync

    def fsync(descriptor: int) -> None:
        genuine(descriptor)
        waited.append(Path(f"/proc/self/fd/{descriptor}").readlink().name == "records.jsonl")

    monkeypatch.setattr("workflow_assets.store.logs.os.fsync", fsync)
    seen: list[bool] = []

    @step
    def looking(replicate: int) -> float:
        seen.append(any(waited))
        return float(replicate)

    claims = [Hypothesis("better", "looking", "more")]
    Experiment("looking", [looking], {"more": {}}, 4, claims).confirm("better", 2, store=FileStore(tmp_path))
    assert seen == [True, True]


def test_preregistration_changes_its_digest_with_whatever_it_says(store: MemoryStore) -> None:
    study().confirm("better", 3, store=store)
    (told,) = Ledger(store, "study").preregistrations()
    digest = Preregistration.from_dict(told).digest
    for name, value in {"seed": 1, "when": "", "replicates": {"first": 0, "count": 3}, "claims": {}}.items():
        assert Preregistration.from_dict({**told, name: value}).digest != digest


def test_an_interrupted_confirmation_continues_with_the_same_preregistration(tmp_path: Any) -> None:
    interrupted = [True]

    @step(version="1")
    def fragile(rng: np.random.Generator, replicate: int, scale: float = 1.0) -> float:
        if interrupted and replicate == 10:
            raise KeyboardInterrupt
        return float(scale * rng.normal())

    claims = [Hypothesis("better", "fragile", "more")]
    experiment = Experiment("fragile", [fragile], {"more": {"fragile.scale": 2.0}}, 8, claims)
    with pytest.raises(KeyboardInterrupt):
        experiment.confirm("better", 6, store=FileStore(tmp_path))
    interrupted.clear()
    verdicts = [
        experiment.confirm("better", 6, store=FileStore(tmp_path)).verdict("better") for _ in range(2)
    ]
    assert verdicts[0] == verdicts[1]
    assert verdicts[0].n == (6, 6)
    assert "peeking" not in [flag.code for flag in verdicts[0].flags]
    assert len(list(Ledger(FileStore(tmp_path), "fragile").preregistrations())) == 1


def test_only_the_chosen_are_judged_and_adjusted_for_each_other(store: MemoryStore) -> None:
    names = ("one", "two", "three")
    assert set(study(names).confirm("one", 5, store=store).verdicts) == {"one"}
    verdicts = study(names, family="other").confirm(["one", "two"], 5, store=store).verdicts
    assert set(verdicts) == {"one", "two"}
    assert all(one.p is not None and one.p_adjusted == min(1.0, 2 * one.p) for one in verdicts.values())


def test_attempts_are_counted_in_a_family_by_whatever_name_and_seed(store: MemoryStore) -> None:
    shifted: dict[str, Any] = {"shift": 9.0}
    assert study(**shifted).confirm("better", 9, store=store).verdict("better").confirmed
    for number, other in enumerate(
        (study(("renamed",), **shifted), study(seed=1, **shifted), study(alternative="two-sided", **shifted)),
        start=2,
    ):
        (verdict,) = other.confirm(other.hypotheses[0].name, 9, store=store).verdicts.values()
        assert (verdict.p_adjusted, verdict.supported, verdict.confirmed) == (1.0, False, False)
        assert f"attempt {number} of 1" in verdict.note
        assert "spent_alpha" in [flag.code for flag in verdict.flags]
        assert verdict.p is not None
        assert verdict.p < 0.001
    elsewhere = study(family="another question", **shifted)
    assert elsewhere.confirm("better", 9, store=store).verdict("better").confirmed


def test_declared_attempts_share_alpha_and_the_first_declaration_stands(store: MemoryStore) -> None:
    first = study().confirm("better", 9, store=store, attempts=5).verdict("better")
    second = study().confirm("better", 9, store=store, attempt=2).verdict("better")
    for verdict in (first, second):
        assert verdict.p is not None
        assert verdict.p_adjusted == min(1.0, 5 * verdict.p)
    for attempt in (1, 3):
        with pytest.raises(DeclarationError, match="declared 5, which stands"):
            study().confirm("better", 9, store=store, attempt=attempt, attempts="unlimited")
    with pytest.raises(DeclarationError, match="attempts = 0: expected a whole number"):
        study().confirm("better", 9, store=store, attempts=0)


def test_shares_of_alpha_never_exceed_it() -> None:
    assert sum(0.05 / (spend(1e-9, k, "unlimited") / 1e-9) for k in range(1, 2000)) < 0.05
    assert spend(1e-9, 5, 5) == pytest.approx(5e-9)
    assert spend(1e-9, 6, 5) == 1.0


def test_what_differs_from_the_first_preregistration_is_flagged(store: MemoryStore) -> None:
    study().confirm("better", 9, store=store, attempts=9)
    changed = study(alternative="two-sided").confirm("better", 9, store=store)
    assert "changed_hypothesis" in codes(changed)
    other = study(shift=0.1).confirm("better", 9, store=store)
    (flag,) = (flag for flag in other.verdict("better").flags if flag.code == "changed_code")
    assert "noise.shift under more" in str(flag)
    assert "changed_code" not in codes(study().confirm("better", 9, store=store, attempt=2))


def test_a_seed_that_was_selected_is_flagged_among_confirmations(store: MemoryStore) -> None:
    results = [study(seed=seed).confirm("better", 9, store=store, attempts=9) for seed in range(4)]
    p = [one.verdict("better").p or 1.0 for one in results]
    again = [study(seed=seed).confirm("better", 9, store=store) for seed in range(4)]
    flagged = ["selected_seed" in codes(one) for one in again]
    assert flagged == [False, *(p[number] == min(p[: number + 1]) for number in range(1, 4))]
    assert any(flagged)


def test_data_that_are_not_fresh_are_flagged(store: MemoryStore) -> None:
    splits = study(replicates=resamples(9, test_fraction=0.3), shift=9.0)
    verdict = splits.confirm("better", 9, store=MemoryStore()).verdict("better")
    assert "reused_data" in [flag.code for flag in verdict.flags]
    assert not verdict.confirmed
    written = preregister(study(shift=9.0), store, study().confirmation("better", 9))
    study(replicates=30, shift=9.0).run(store)  # somebody computes what is preregistered, and can see it
    result = study(shift=9.0).confirm("better", 9, store=store)
    assert result.verdict("better").preregistration == written.digest
    assert "reused_data" in codes(result)


def test_the_same_values_in_fresh_replicates_are_no_fresh_data(store: MemoryStore) -> None:
    @step
    def cyclic(replicate: int, scale: float = 1.0) -> float:
        return scale * (replicate % 4) ** 2

    claims = [Hypothesis("better", "cyclic", "more")]
    experiment = Experiment("cyclic", [cyclic], {"more": {"cyclic.scale": 2.0}}, 8, claims)
    assert experiment.run(store).verdict("better").supported
    assert "reused_data" in codes(experiment.confirm("better", 8, store=store))


def test_an_audit_is_asked_for_and_what_it_finds_is_told(store: MemoryStore) -> None:
    def confirmed() -> Result:
        return study(shift=9.0).confirm("better", 9, store=store)

    assert codes(confirmed()) == ["unaudited_environment"]
    study(shift=9.0).audit(store)
    assert codes(confirmed()) == ["unaudited_environment"], "of nothing: no cell of the exploration is stored"
    study(shift=9.0).run(store)
    study(shift=9.0).audit(store)
    assert codes(confirmed()) == []
    assert confirmed().verdict("better").clean
    assert confirmed().verdict("better").confirmed


def test_uncommitted_changes_are_told(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "checkout", lambda _: {"commit": "c0ffee", "dirty": True})
    verdict = study().confirm("better", 9, store=store).verdict("better")
    assert any("changes that are in no commit" in str(flag) for flag in verdict.flags)


def test_units_have_to_be_fresh(store: MemoryStore) -> None:
    plates = study(replicates=["P1", "P2", "P3"], shift=9.0)
    plates.run(store)
    with pytest.raises(DeclarationError, match="'P2' is not fresh"):
        plates.confirm("better", ["P2", "P4"], store=store)
    result = plates.confirm("better", ["P4", "P5", "P6"], store=store)
    assert result.table["replicate"].unique().tolist() == ["P4", "P5", "P6"]
    assert plates.confirm("better", ["P4", "P5", "P6"], store=store).verdicts == result.verdicts
    with pytest.raises(DeclarationError, match="'P4' is not fresh"):
        plates.confirm("better", ["P4", "P7"], store=store)
    with pytest.raises(DeclarationError, match="name fresh ones"):
        plates.confirm("better", 3, store=store)
    with pytest.raises(DeclarationError, match="say how many fresh ones"):
        study().confirm("better", ["P9"], store=store)


def test_what_cannot_be_confirmed_is_refused_before_anything_is_written(store: MemoryStore) -> None:
    with pytest.raises(DeclarationError, match="did you mean 'better'"):
        study().confirm("bettr", store=store)
    for wrong in (0, -1):
        with pytest.raises(DeclarationError, match="expected"):
            study().confirm("better", wrong, store=store)
        with pytest.raises(DeclarationError, match="attempt = "):
            study().confirm("better", 3, store=store, attempt=wrong)
    assert list(Ledger(store, "study").preregistrations()) == []


def test_without_a_writable_store_nothing_is_preregistered_but_a_finished_one_is_read(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = study().confirm("better", 9, store=store)

    def refuse(*_: object) -> None:
        raise StoreError("read only")

    for method in ("check_writable", "_write_record", "refer"):
        monkeypatch.setattr(store, method, refuse)
    assert study().confirm("better", 9, store=store).table.equals(before.table)
    with pytest.raises(StoreError, match="read only"):
        study().confirm("better", 9, store=store, attempt=2)


def test_the_ledger_knows_which_runs_were_confirmations(store: MemoryStore) -> None:
    study().run(store)
    written = study().confirm("better", 5, store=store).declaration.preregistration
    assert written is not None
    runs = Ledger(store, "study").entries(RUN)
    assert [one.told["preregistration"] for one in runs] == ["", written.digest]


def test_a_null_that_is_tried_twenty_times_is_supported_in_few_lineages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under other names and seeds, too; of 16 lineages, 4 or fewer with probability 0.999 where 5 % are wrong."""
    monkeypatch.setattr(module, "checkout", lambda _: None)
    monkeypatch.setattr("workflow_assets.provenance.checkout", lambda _: None)
    wrong = {1: 0, 20: 0, "unlimited": 0, "naive": 0}
    for lineage in range(16):
        declared: Any = ("unlimited", 20)[lineage % 2]
        store, p = MemoryStore(), []
        for number in range(1, 21):
            experiment = study((f"null_{number % 3}",), seed=1000 * lineage + number // 2, replicates=2)
            name, attempts = experiment.hypotheses[0].name, declared if number == 1 else None
            verdict = experiment.confirm(name, 4, store=store, attempt=number, attempts=attempts).verdict(
                name
            )
            assert verdict.p is not None
            assert verdict.p_adjusted == spend(verdict.p, number, declared)
            assert verdict.supported == (verdict.p_adjusted <= 0.05)
            p.append(verdict.p)
        for scheme in wrong:
            shares = p if scheme == "naive" else [spend(one, k, scheme) for k, one in enumerate(p, start=1)]  # type: ignore[arg-type]
            wrong[scheme] += min(shares) <= 0.05
    assert max(wrong[1], wrong[20], wrong["unlimited"]) <= 4
    assert wrong["naive"] >= 6, "without alpha spending, two thirds of them end supported"


def test_replicates_may_begin_anywhere() -> None:
    fresh = Replicates(2, first=9_999)
    assert fresh.keys == ["9999", "10000"]
    assert [fresh.key(one) for one in (9_999, "0003", 3)] == ["9999", "0003", "3"]
    for wrong in (-1, 0.5, True):
        with pytest.raises(DeclarationError, match="expected the index of the first"):
            Replicates(2, first=wrong)  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="units have none"):
        Replicates(1, ("a",), first=1)

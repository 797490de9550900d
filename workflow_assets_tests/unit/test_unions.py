"""A family that spans experiments is adjusted as the one family that it is."""

from typing import Any

import numpy as np
import pytest

from workflow_assets import Experiment, Hypothesis, MemoryStore, judge_together, step
from workflow_assets.errors import DeclarationError
from workflow_assets.results import Result
from workflow_assets.stats.families import adjust


@step
def noise(rng: np.random.Generator, shift: float = 0.0) -> float:
    return float(rng.normal() + shift + (rng.normal() if shift else 0.0))


@step(version="1")
def nothing() -> float:
    return float("nan")


def experiment(name: str, shift: float, *families: str, methods: Any = None, **options: Any) -> Experiment:
    """An experiment with one hypothesis for each family, and margins that tell them apart."""
    claims = [
        Hypothesis(f"more_{place}", "noise", "more", margin=0.1 * place, family=family, **options)
        for place, family in enumerate(families)
    ]
    change = {"more": {"noise.shift": shift}}
    return Experiment(name, [noise], change, 12, claims, families=methods, seed=sum(map(ord, name)))


def run(name: str, shift: float, *families: str, **options: Any) -> Result:
    return experiment(name, shift, *families, **options).run()


def test_p_values_are_adjusted_as_if_all_claims_were_of_one_experiment() -> None:
    for method in ("holm", "bonferroni", "benjamini_hochberg"):
        results = [
            run("one", 0.6, "gain", "gain", methods={"gain": method}),
            run("other", 0.4, "gain", methods={"gain": method}),
        ]
        verdicts = judge_together(results)
        assert list(verdicts) == [("one", "more_0"), ("one", "more_1"), ("other", "more_0")]
        expected = adjust(method, [verdict.p or 1.0 for verdict in verdicts.values()])
        assert [verdict.p_adjusted for verdict in verdicts.values()] == pytest.approx(list(expected))
        for verdict in verdicts.values():
            assert "family 'gain' has 3 claims: 2 of one and 1 of other" in verdict.note


def test_a_claim_may_hold_alone_and_not_together() -> None:
    results = [run(f"study{place}", 0.7, "gain") for place in range(8)]
    alone = {result.declaration.name: result.verdict("more_0") for result in results}
    together = judge_together(results)
    lost = [
        name
        for name, verdict in alone.items()
        if verdict.supported and not together[name, "more_0"].supported
    ]
    assert lost
    assert all(together[name, "more_0"].decision == "inconclusive" for name in lost)


def test_unnamed_families_and_those_of_one_experiment_stay_its_own() -> None:
    results = [run("one", 0.5, "", "gain"), run("other", 0.4, "", "speed")]
    verdicts = judge_together(results)
    for result in results:
        for name, verdict in result.verdicts.items():
            assert verdicts[result.declaration.name, name] == verdict


def test_a_claim_that_cannot_be_decided_counts() -> None:
    claim = Hypothesis("same", "nothing", "more", family="gain")
    dull = Experiment("dull", [nothing], {"more": {}}, 12, [claim]).run()
    verdicts = judge_together([run("one", 0.5, "gain"), dull])
    assert verdicts["dull", "same"].decision == "undecidable"
    found = verdicts["one", "more_0"]
    assert found.p is not None
    assert found.p_adjusted == pytest.approx(2 * found.p)


def test_attempts_to_confirm_are_accounted_for_too() -> None:
    store = MemoryStore()
    confirmed = experiment("one", 0.5, "gain").confirm("more_0", 12, store=store, attempts=5)
    found = judge_together([confirmed, run("other", 0.4, "gain")])["one", "more_0"]
    assert found.p is not None
    expected = adjust("holm", [found.p, run("other", 0.4, "gain").verdict("more_0").p or 1.0])[0]
    assert found.p_adjusted == pytest.approx(min(1.0, 5 * expected))
    assert found.preregistration == confirmed.verdict("more_0").preregistration
    assert found.flags == confirmed.verdict("more_0").flags


def test_one_experiment_counts_once() -> None:
    result = run("one", 0.5, "gain")
    with pytest.raises(DeclarationError, match=r"several results are of experiment 'one'.*give one of each"):
        judge_together([result, run("one", 0.4, "gain")])
    assert judge_together([result]) == {("one", "more_0"): result.verdict("more_0")}


@pytest.mark.parametrize(
    ("methods", "fault"),
    [
        (("holm", "bonferroni"), "adjusted by 'holm' in one and 'bonferroni' in other: declare one method"),
        (("dunnett", "dunnett"), "needs all of its treatments in one experiment, and is in one and other"),
    ],
)
def test_what_cannot_be_adjusted_together_is_refused(methods: tuple[str, str], fault: str) -> None:
    one, other = (
        run(name, 0.5, "gain", methods={"gain": method})
        for name, method in zip(("one", "other"), methods, strict=True)
    )
    with pytest.raises(DeclarationError, match=fault):
        judge_together([one, other])


def test_what_is_no_result_is_refused() -> None:
    with pytest.raises(DeclarationError, match="give several, in a list"):
        judge_together(run("one", 0.5, "gain"))  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="is no result of a run"):
        judge_together([experiment("one", 0.5, "gain")])  # type: ignore[list-item]

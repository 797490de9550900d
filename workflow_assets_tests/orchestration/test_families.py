"""A family that spans experiments is an asset of its own, whose checks are adjusted over all of it."""

from typing import Any

import dagster as dg
import numpy as np
import pytest

from workflow_assets import (
    Experiment,
    Hypothesis,
    MemoryStore,
    Store,
    Until,
    judge_together,
    step,
    to_dagster,
    trace,
)
from workflow_assets.errors import DeclarationError
from workflow_assets.orchestration.tables import store_table, stored_result
from workflow_assets_tests.orchestration.studies import checks, failure_text
from workflow_assets_tests.orchestration.test_confirmations import materialised

FAILING: set[int] = set()


@step
def noise(rng: np.random.Generator, replicate: int, shift: float = 0.0) -> float:
    if replicate in FAILING:
        raise ValueError("out of luck")
    return float(rng.normal() + (shift + rng.normal() if shift else 0.0))


def experiment(name: str, *, shift: float = 0.7, family: str = "gain", **options: Any) -> Experiment:
    methods, seed = options.pop("families", None), options.pop("seed", sum(map(ord, name)))
    claim = Hypothesis("more", "noise", "shifted", family=family, **options)
    changes = {"shifted": {"noise.shift": shift}}
    return Experiment(name, [noise], changes, 12, [claim], families=methods, seed=seed)


MANY = [experiment("study0", seed=17), experiment("study1", seed=49)]
JOB = "family_gain"


@pytest.fixture
def store() -> MemoryStore:
    """Nothing."""
    return MemoryStore()


def run(
    instance: dg.DagsterInstance, store: Store, *experiments: Experiment, job: str = JOB, **options: Any
) -> Any:
    """Run a job of definitions."""
    defs = to_dagster(*experiments, store=store, **options)
    return defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)


def judge(instance: dg.DagsterInstance, store: Store, *experiments: Experiment) -> dg.ExecuteInProcessResult:
    """Materialise the family by itself."""
    defs = to_dagster(*experiments, store=store)
    return dg.materialize(
        list(defs.assets or []),  # type: ignore[arg-type]
        instance=instance,
        resources=defs.resources,
        selection=dg.AssetSelection.assets(["families", "gain"]),
        raise_on_error=False,
    )


def by_asset(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    """The evaluations of checks, by asset and name."""
    return {
        ("/".join(one.asset_key.path), one.check_name): one for one in result.get_asset_check_evaluations()
    }


def test_a_job_runs_the_experiments_and_judges_their_claims_together(
    instance: dg.DagsterInstance, store: MemoryStore
) -> None:
    result = run(instance, store, *MANY)
    assert result.success
    plain = judge_together([one.run() for one in MANY])
    found = by_asset(result)
    lost = []
    for one in MANY:
        verdict = plain[one.name, "more"]
        mine = found["families/gain", f"{one.name}__more"]
        assert mine.passed == verdict.accepted
        assert mine.metadata["p"].value == verdict.p
        assert mine.metadata["adjusted p"].value == verdict.p_adjusted
        assert "family 'gain' has 2 claims" in str(mine.description)
        assert "adjusted" not in mine.metadata
        alone = found[f"{one.name}/results", "more"]
        assert alone.metadata["adjusted p"].value == verdict.p
        where = f"check {one.name}__more of the asset families/gain is adjusted over all of it"
        assert str(alone.metadata["adjusted"].value).startswith(
            f"within {one.name} only: family 'gain' spans"
        )
        assert where in str(alone.metadata["adjusted"].value)
        assert where in str(alone.description)
        lost += [one.name] if alone.passed and not mine.passed else []
    assert lost, "some claim holds alone and not together"
    told = materialised(result)["families/gain"]
    assert told["method"].value == "holm"
    assert told["verdicts"].value.count("| more |") == 2


def test_what_the_asset_holds_can_be_loaded_and_traced(
    instance: dg.DagsterInstance, store: MemoryStore
) -> None:
    result = run(instance, store, *MANY)
    defs = to_dagster(*MANY, store=store)
    table: Any = defs.load_asset_value(dg.AssetKey(["families", "gain"]), instance=instance)
    verdicts = judge_together([one.run() for one in MANY])
    assert table["p_adjusted"].tolist() == [verdict.p_adjusted for verdict in verdicts.values()]
    assert table["experiment"].tolist() == ["study0", "study1"]
    told = materialised(result)
    made = trace(store, str(told["families/gain"]["key"].value))
    assert made.inputs == {name: told[f"{name}/results"]["key"].value for name in ("study0", "study1")}


def test_specs_say_that_the_family_spans(store: MemoryStore) -> None:
    graph = to_dagster(*MANY, store=store).get_repository_def().asset_graph
    (spec,) = (graph.get_check_spec(dg.AssetCheckKey(dg.AssetKey(["study0", "results"]), "more")),)
    assert "Adjusted within study0 only: family 'gain' spans 'study0' and 'study1'" in str(spec.description)
    node = graph.get(dg.AssetKey(["families", "gain"]))
    assert {key.path[0] for key in node.parent_keys} == {"study0", "study1"}


def test_results_are_judged_as_they_are_stored_flags_included(
    instance: dg.DagsterInstance, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.FAILING", {3})
    for one in MANY:
        assert not run(instance, store, one, job=one.name).success
    plain = [one.run(store) for one in MANY]
    monkeypatch.setattr(f"{__name__}.FAILING", set())
    for one, result in zip(MANY, plain, strict=False):
        _, stored = stored_result(one, store)
        assert stored.verdicts == result.verdicts
        assert stored.verdict("more").flags
    found = checks(judge(instance, store, *MANY))
    for (name, _), verdict in judge_together(plain).items():
        assert found[f"{name}__more"].metadata["adjusted p"].value == verdict.p_adjusted
        assert [flag.told() for flag in verdict.flags] == [
            line.removeprefix("- ")
            for line in str(found[f"{name}__more"].metadata["flags"].value).splitlines()
        ]


@step
def won(rng: np.random.Generator, replicate: str, chance: float = 0.3) -> bool:
    if replicate == "P3":
        raise ValueError("out of luck")
    return bool(rng.random() < chance)


@step
def count(rng: np.random.Generator, replicate: str, chance: float = 0.3) -> int:
    if replicate == "P3":
        raise ValueError("out of luck")
    return int(rng.poisson(10 * chance))


@pytest.mark.parametrize("judged", [won, count])
@pytest.mark.parametrize("units", [[f"P{place}" for place in range(1, 13)], [str(one) for one in range(12)]])
def test_stored_values_are_what_they_were_of_each_kind(
    judged: Any, units: list[str], store: MemoryStore
) -> None:
    claim = Hypothesis("more", judged.slug, "often", test="auto")
    one = Experiment("study", [judged], {"often": {f"{judged.slug}.chance": 0.9}}, units, [claim])
    result = one.run(store)
    record = store_table("study", result, store, "")
    key, stored = stored_result(one, store)
    assert key == record.key
    assert stored.verdicts == result.verdicts
    assert [row.metrics for row in stored.outcomes] == [row.metrics for row in result.outcomes]
    assert len(stored.failures) == len(result.failures) == (2 if "P3" in units else 0)


def test_a_family_alone_needs_its_results_and_says_which_are_missing(
    instance: dg.DagsterInstance, store: MemoryStore
) -> None:
    one, other = MANY
    assert run(instance, store, one, other, job="study0").success
    missing = judge(instance, store, one, other)
    assert not missing.success
    assert "asset 'study1/results' is not in this store: materialise it first" in cause(missing)
    assert run(instance, store, one, other, job="study1").success
    assert judge(instance, store, one, other).success
    reseeded = experiment("study1", seed=5)
    changed = judge(instance, store, one, reseeded)
    assert "asset 'study1/results' was made of another declaration of 'study1'" in cause(changed)


def cause(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step raised."""
    (event,) = [one for one in result.all_events if one.event_type_value == "STEP_FAILURE"]
    failure: Any = event.event_specific_data
    return str(failure.error.cause.message)


def test_gate_and_accept_are_obeyed_over_the_family(instance: dg.DagsterInstance, store: MemoryStore) -> None:
    gated = experiment("study0", seed=17, gate=True)
    assert run(instance, store, gated, MANY[1], job="study0").success, "it holds alone"
    result = run(instance, store, gated, MANY[1])
    assert not result.success
    assert "gate 'study0__more' is inconclusive" in failure_text(result)
    evaluation = by_asset(result)["families/gain", "study0__more"]
    assert evaluation.severity == dg.AssetCheckSeverity.ERROR
    assert evaluation.blocking
    assert not evaluation.passed
    assert "families/gain" in materialised(result), "what was found is there"
    lenient = experiment("study0", seed=17, gate=True, accept=("supported", "inconclusive"))
    assert run(instance, store, lenient, MANY[1]).success


def test_a_family_is_as_topped_up_as_its_experiments(
    instance: dg.DagsterInstance, store: MemoryStore
) -> None:
    several = [experiment(name, shift=9.0, test="sequential_t") for name in ("one", "other")]
    result = run(instance, store, *several, until={"one": Until(n_max=12, first=8, batch=2)})
    assert result.success
    assert materialised(result)["one/results"]["dagster/row_count"].value == 16
    assert materialised(result)["other/results"]["dagster/row_count"].value == 24
    found = by_asset(result)
    assert found["families/gain", "one__more"].metadata["n"].value == 8
    assert found["families/gain", "other__more"].metadata["n"].value == 12
    assert "flags" not in found["families/gain", "one__more"].metadata


def test_a_family_of_one_experiment_stays_its_own(store: MemoryStore) -> None:
    defs = to_dagster(experiment("one", family="gain"), experiment("other", family=""), store=store)
    assert {job.name for job in defs.jobs or ()} == {"one", "other"}
    graph = defs.get_repository_def().asset_graph
    assert not [key for key in graph.get_all_asset_keys() if key.path[0] == "families"]


def test_a_confirmation_says_that_it_is_adjusted_by_itself(store: MemoryStore) -> None:
    defs = to_dagster(*MANY, store=store, confirmations=[MANY[0].confirmation("more", name="sure")])
    graph = defs.get_repository_def().asset_graph
    spec = graph.get_check_spec(dg.AssetCheckKey(dg.AssetKey(["sure", "results"]), "more"))
    assert "Adjusted within sure only" in str(spec.description)
    assert "judge_together adjusts the results of several confirmations" in str(spec.description)


def test_a_sensor_that_is_switched_on_judges_new_results(
    instance: dg.DagsterInstance, store: MemoryStore
) -> None:
    defs = to_dagster(*MANY, store=store)
    key = dg.AssetKey(["families", "gain"])
    before = dg.evaluate_automation_conditions(defs, instance, dg.AssetSelection.all())
    assert before.get_num_requested(key) == 0
    for one in MANY:
        assert run(instance, store, *MANY, job=one.name).success
    after = dg.evaluate_automation_conditions(defs, instance, dg.AssetSelection.all(), cursor=before.cursor)
    assert after.get_num_requested(key) == 1


@pytest.mark.parametrize(
    ("several", "fault"),
    [
        (
            [
                experiment("one", families={"gain": "holm"}),
                experiment("other", families={"gain": "bonferroni"}),
            ],
            "family 'gain' is adjusted by 'holm' in one and 'bonferroni' in other",
        ),
        (
            [experiment(name, families={"gain": "dunnett"}) for name in ("one", "other")],
            "family 'gain' is compared by 'dunnett'",
        ),
        (
            [experiment(name) for name in ("one", "families")],
            "family 'gain', which spans 'one' and 'families', needs the name 'families' in Dagster",
        ),
        (
            [experiment(name) for name in ("one", "family_gain")],
            "needs the name 'family_gain' in Dagster",
        ),
        (
            [
                *(experiment(one, family="a b") for one in "xy"),
                *(experiment(one, family="a-b") for one in "zw"),
            ],
            "family 'a-b', which spans 'z' and 'w', and family 'a b' would both be the asset families/a_b",
        ),
    ],
)
def test_families_that_cannot_be_one_are_told_when_definitions_are_made(
    several: list[Experiment], fault: str, store: MemoryStore
) -> None:
    with pytest.raises(DeclarationError, match=fault):
        to_dagster(*several, store=store)


def test_claims_whose_checks_would_have_one_name_are_told(store: MemoryStore) -> None:
    one = Experiment("one", [noise], {"on": {}}, 9, [Hypothesis("two__more", "noise", "on", family="gain")])
    other = Experiment("one__two", [noise], {"on": {}}, 9, [Hypothesis("more", "noise", "on", family="gain")])
    with pytest.raises(DeclarationError, match="two claims whose check would be called 'one__two__more'"):
        to_dagster(one, other, store=store)

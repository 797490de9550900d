"""A job may compute only as many of the declared replicates as a decision takes."""

from typing import Any

import dagster as dg
import pytest

from workflow_assets import FileStore, Schedule, Until, to_dagster
from workflow_assets.errors import DeclarationError
from workflow_assets_tests.orchestration.studies import Bench, Study, checks
from workflow_assets_tests.orchestration.test_confirmations import materialised
from workflow_assets_tests.orchestration.test_jobs import failure_of


@pytest.fixture
def bench(study: Study, store: FileStore, instance: Any) -> Bench:
    study.edit(
        'metric="total", treatment="double")', 'metric="total", treatment="double", test="sequential_t")'
    )
    study.edit('alternative="less"),', 'alternative="less", test="sequential_t"),')
    study.edit("replicates=8", "replicates=30")
    return Bench(study.experiment(), store, instance)


def run(bench: Bench, **until: Any) -> Any:
    return bench.job(run_config={"ops": {"study__results": {"config": {"until": until}}}})


def test_a_job_stops_when_its_hypotheses_are_decided(bench: Bench, study: Study) -> None:
    result = run(bench, first=8, batch=4)
    assert result.success
    told = materialised(result)["study/results"]
    assert told["stopped"].value == "after 12 replicates: every claim is decided"
    assert told["looks"].value.count("| 8 |") == told["looks"].value.count("| 12 |") == 2
    assert told["dagster/row_count"].value == 36
    assert study.calls().count("total") == 36
    assert bench.materialised() == {"noisy": 36, "scaled": 36, "total": 36}
    told_of = checks(result)
    assert told_of["complete"].passed
    assert (
        told_of["complete"].description == "every cell of 12 of 30 replicates was computed, which were enough"
    )
    assert told_of["doubling_adds"].passed
    assert not told_of["doubling_adds"].metadata.get("flags")
    plain = study.experiment().top_up(Until(n_max=30, first=8, batch=4), bench.store)
    assert plain.table.equals(bench.table())
    assert study.calls() == []


@pytest.mark.parametrize(
    ("until", "fault"),
    [
        ({"n_max": 40}, "n_max = 40, but 30 replicates are declared: declare more, or say n_max=30"),
        ({"batch": 0}, "batch is 0: add at least 1 replicate at a time"),
        ({"hypotheses": ["doubling"]}, "no hypothesis 'doubling' to wait for"),
    ],
)
def test_a_rule_that_cannot_be_ends_the_run_before_anything_is_computed(
    bench: Bench, study: Study, until: dict[str, Any], fault: str
) -> None:
    result = run(bench, **until)
    assert not result.success
    assert fault in failure_of(result)
    assert "total" not in study.calls()


def stopped(result: Any) -> str:
    return str(materialised(result)["study/results"]["stopped"].value)


def test_a_job_and_a_schedule_top_up_by_their_own_rules(bench: Bench, study: Study) -> None:
    experiment = study.experiment()
    defs = to_dagster(
        experiment,
        store=bench.store,
        until=Until(n_max=20, first=8, batch=4),
        automations=[
            experiment.schedule("0 3 * * *", name="as_the_job"),
            experiment.schedule(
                "0 4 * * *", name="its_own", until=Until(n_max=16, first=15), hypotheses="doubling_adds"
            ),
            experiment.watch("data"),
        ],
    )
    job = defs.resolve_job_def("study")
    assert (
        stopped(job.execute_in_process(instance=bench.instance))
        == "after 12 replicates: every claim is decided"
    )
    expected = {"as_the_job": 12, "its_own": 15}
    for name, replicates in expected.items():
        with dg.build_schedule_context(bench.instance) as context:
            (request,) = defs.resolve_schedule_def(name).evaluate_tick(context).run_requests or ()
        result = job.execute_in_process(request.run_config, bench.instance)
        assert stopped(result) == f"after {replicates} replicates: every claim is decided"
    look = defs.resolve_sensor_def("study_watches_data")
    with dg.build_sensor_context(bench.instance, definitions=defs, sensor_name=look.name) as context:
        assert look.evaluate_tick(context).skip_message == "the results are made of this version of 'data'"
    study.edit('version="1"', 'version="2"')
    changed = study.experiment()
    again = to_dagster(
        changed, store=bench.store, until={"study": Until(n_max=12)}, automations=[changed.watch("data")]
    )
    look = again.resolve_sensor_def("study_watches_data")
    with dg.build_sensor_context(bench.instance, definitions=again, sensor_name=look.name) as context:
        (request,) = look.evaluate_tick(context).run_requests or ()
    assert request.run_config["ops"]["study__results"]["config"]["until"]["n_max"] == 12


def test_a_launch_may_say_otherwise_than_the_job(bench: Bench, study: Study) -> None:
    defs = to_dagster(study.experiment(), store=bench.store, until=Until(n_max=20, first=8, batch=4))
    job = defs.resolve_job_def("study")

    def launch(until: Any) -> dg.ExecuteInProcessResult:
        config = {"ops": {"study__results": {"config": {"until": until}}}}
        return job.execute_in_process(config, bench.instance)

    assert stopped(launch({"first": 10, "n_max": 10})).startswith("after 10 replicates")
    result = launch(None)
    assert "stopped" not in materialised(result)["study/results"]
    assert len(bench.table()) == 90


@pytest.mark.parametrize(
    ("until", "fault"),
    [
        (Until(n_max=40), "until of 'study': n_max = 40, but 30 replicates are declared"),
        (
            {"studdy": Until(n_max=20)},
            "until names the experiment 'studdy', which is not given here: did you mean",
        ),
        (20, r"until of 'study': until = 20: expected a rule, Until\(n_max=100\)"),
    ],
)
def test_a_rule_that_cannot_be_is_told_when_definitions_are_made(
    bench: Bench, study: Study, until: Any, fault: str
) -> None:
    with pytest.raises(DeclarationError, match=fault):
        to_dagster(study.experiment(), store=bench.store, until=until)


def test_a_schedule_by_hand_is_checked_too(bench: Bench, study: Study) -> None:
    by_hand = Schedule("study", "0 3 * * *", until=Until(n_max=40))
    with pytest.raises(DeclarationError, match="automation 'study_schedule': n_max = 40, but 30 replicates"):
        to_dagster(study.experiment(), store=bench.store, automations=[by_hand])

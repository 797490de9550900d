"""A job may compute only as many of the declared replicates as a decision takes."""

from typing import Any

import pytest

from workflow_assets import FileStore, Until
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

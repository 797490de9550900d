"""What Dagster's daemon does by itself: it cuts backfills into runs, starts runs, and ends them.

A real daemon and a real web server, with the settings that the project ships; only does the daemon look at its work
every two seconds, not every half minute. All is set going at once, and each test waits for its part of it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from workflow_assets_tests.browser import beds
from workflow_assets_tests.browser.servers import Server, happens, serve

ROOT = Path(__file__).parents[2]
WORKSPACE = "load_from: [{python_file: {relative_path: beds.py, location_name: beds}}]\n"
HASTEN = """
import sys

if sys.orig_argv[1:3] == ["-m", "dagster._daemon"]:
    from dagster._daemon import controller, sensor

    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = sensor.MIN_INTERVAL_LOOP_TIME = 2
"""

PATIENCE = 300
"""Seconds for all that was set going, on a machine that is busy with other tests; alone it takes a minute."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * PATIENCE)]

RUNS = """query ($filter: RunsFilter!) { runsOrError(filter: $filter) {
  ... on Runs { results { runId status startTime endTime assetSelection { path }
                          tags { key value } } } ... on PythonError { message } } }"""

TICKS = """query ($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) {
  ... on Sensor { sensorState { ticks(limit: 2) { status skipReason error { message causes { message } } } } } } }"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`dagster dev` with the settings that the project ships, and a daemon in haste."""
    folder = tmp_path_factory.mktemp("beds")
    shutil.copy(ROOT / "dagster.yaml", folder)
    shutil.copy(beds.__file__, folder / "beds.py")
    (folder / "workspace.yaml").write_text(WORKSPACE)
    (folder / "haste").mkdir()
    (folder / "haste" / "sitecustomize.py").write_text(HASTEN)
    (folder / beds.SEEDS).write_text("1")
    (folder / beds.FROST).touch()
    (folder / beds.DIARY).touch()
    path = os.pathsep.join([str(folder / "haste"), str(ROOT)])
    with serve([sys.executable, "-m", "dagster", "dev"], folder, PYTHONPATH=path) as server:
        yield server


@dataclass(frozen=True)
class Garden:
    """What was set going, and how to ask for what has become of it."""

    server: Server
    tomatoes: str
    peppers: str
    mint: str

    def runs(self, tag: str, value: str) -> list[dict[str, Any]]:
        """Give the runs with a tag, the first first."""
        found = self.server.ask(RUNS, filter={"tags": [{"key": tag, "value": value}]})
        return list(reversed(found["runsOrError"]["results"]))

    def done(self, backfill: str) -> str:
        """Wait for the end of a backfill; give its status."""
        query = """query ($id: String!) { partitionBackfillOrError(backfillId: $id) {
                     ... on PartitionBackfill { status } ... on PythonError { message } } }"""

        def status() -> str:
            return str(self.server.ask(query, id=backfill)["partitionBackfillOrError"]["status"])

        assert happens(lambda: status().startswith(("COMPLETED_", "FAIL")), PATIENCE), self.server.told()
        return status()

    def checks(self, experiment: str, check: str) -> list[str]:
        """Give the runs in which a check was evaluated."""
        found = self.server.ask(
            """query ($key: AssetKeyInput!, $check: String!) {
                 assetCheckExecutions(assetKey: $key, checkName: $check, limit: 10) { runId } }""",
            key={"path": [experiment, "results"]},
            check=check,
        )
        return [execution["runId"] for execution in found["assetCheckExecutions"]]

    def looked(self, text: str) -> bool:
        """Say whether the latest look at the seeds was told in these words."""
        selector = {
            "repositoryLocationName": "beds",
            "repositoryName": "__repository__",
            "sensorName": "mint_watches_seeds",
        }
        sensor = self.server.ask(TICKS, selector=selector)["sensorOrError"]
        over = [tick for tick in sensor["sensorState"]["ticks"] if tick["status"] != "STARTED"]
        return text in str(over[:1])

    def diary(self, *words: str) -> list[list[str]]:
        """Give what was noted with these words first."""
        lines = (line.split() for line in (self.server.folder / beds.DIARY).read_text().splitlines())
        return [line for line in lines if tuple(line[: len(words)]) == words]


@pytest.fixture(scope="module")
def garden(server: Server) -> Garden:
    """Two backfills are asked for, and the first results of mint."""
    return Garden(
        server,
        backfill(server, "tomatoes", "sow", "pick", "results", replicates=5, treatments=("baseline", "fed")),
        backfill(server, "peppers", "pick", "results", replicates=3, treatments=("baseline", "glass")),
        server.launch("beds", "mint"),
    )


def backfill(server: Server, name: str, *assets: str, replicates: int, treatments: tuple[str, ...]) -> str:
    """Ask for all partitions of some assets, as the UI does; give the backfill's id."""
    launched = server.ask(
        """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
             __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
        params={
            "assetSelection": [{"path": [name, asset]} for asset in assets],
            "partitionNames": [
                f"{replicate:04}|{treatment}" for replicate in range(replicates) for treatment in treatments
            ],
        },
    )["launchPartitionBackfill"]
    assert "backfillId" in launched, launched
    return str(launched["backfillId"])


def cells_of(run: dict[str, Any]) -> tuple[str, str]:
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    return (
        tags.get("dagster/asset_partition_range_start", ""),
        tags.get("dagster/asset_partition_range_end", ""),
    )


def test_a_backfill_goes_over_the_grid_in_chunks_two_runs_at_a_time_and_judges_once_at_the_end(garden):
    assert garden.done(garden.tomatoes) == "COMPLETED_SUCCESS"
    runs = garden.runs("dagster/backfill", garden.tomatoes)
    *chunks, last = sorted(runs, key=lambda run: run["startTime"])
    assert {cells_of(run) for run in chunks} == {
        ("0000|baseline", "0002|baseline"),
        ("0003|baseline", "0004|baseline"),
        ("0000|fed", "0002|fed"),
        ("0003|fed", "0004|fed"),
    }
    assert [asset["path"] for asset in last["assetSelection"]] == [["tomatoes", "results"]]
    assert {run["status"] for run in runs} == {"SUCCESS"}

    for event in ("begin", "end"):  # each cell was computed once
        told = [(treatment, number) for _, _, treatment, number, _ in garden.diary(event, "tomato")]
        assert Counter(told) == Counter(
            (treatment, str(number)) for treatment in ("baseline", "fed") for number in range(5)
        )
    assert most_at_once([line[-1] for line in garden.diary() if "tomato" in line]) == 2

    assert last["startTime"] >= max(run["endTime"] for run in chunks)
    for check in ("fed_helps", "complete"):
        assert garden.checks("tomatoes", check) == [last["runId"]]
    assert garden.server.materialised("tomatoes", "results") == {None}
    assert len(garden.server.materialised("tomatoes", "pick")) == 10


def most_at_once(processes: list[str]) -> int:
    """Count the processes between whose first and last line another line lies."""
    first = {process: processes.index(process) for process in processes}
    last = {process: number for number, process in enumerate(processes)}
    return max(
        sum(first[process] <= number <= last[process] for process in first)
        for number in range(len(processes))
    )


def test_a_failing_cell_fails_its_chunk_and_the_results_materialised_afterwards_retry_it_and_judge(garden):
    assert garden.done(garden.peppers) == "COMPLETED_FAILED"
    runs = garden.runs("dagster/backfill", garden.peppers)
    assert {cells_of(run): run["status"] for run in runs} == {
        ("0000|baseline", "0002|baseline"): "SUCCESS",
        ("0000|glass", "0002|glass"): "FAILURE",
    }
    server = garden.server
    assert server.materialised("peppers", "results") == set()
    assert len(server.materialised("peppers", "pick")) == 5
    assert garden.checks("peppers", "complete") == []

    (server.folder / beds.FROST).unlink()
    again = server.launch("beds", "peppers")
    assert happens(lambda: server.status(again) in ("SUCCESS", "FAILURE"), PATIENCE), server.told()
    assert server.status(again) == "SUCCESS"
    calls = Counter((treatment, number) for _, treatment, number, _ in garden.diary("pepper"))
    assert calls.pop(("glass", "1")) == 2
    assert set(calls.values()) == {1}
    assert len(server.materialised("peppers", "pick")) == 6
    for check in ("glass_helps", "complete"):
        assert garden.checks("peppers", check) == [again]


@pytest.fixture(scope="module")
def basil(garden: Garden) -> str:
    """The run that a schedule has started."""

    def runs() -> list[dict[str, Any]]:
        return garden.runs("dagster/schedule_name", "basil_schedule")

    assert happens(lambda: bool(runs()) and ended(runs()[0]), PATIENCE), garden.server.told()
    return str(runs()[0]["runId"])


@pytest.fixture(scope="module")
def mint(garden: Garden) -> str:
    """The run that a sensor has started, after seeds had changed."""
    server = garden.server

    def runs() -> list[dict[str, Any]]:
        return garden.runs("dagster/sensor_name", "mint_watches_seeds")

    assert happens(lambda: garden.looked("made of this version of 'seeds'"), PATIENCE), server.told()
    assert runs() == []
    (server.folder / beds.SEEDS).write_text("2")
    assert happens(lambda: bool(runs()) and ended(runs()[0]), PATIENCE), server.told()
    return str(runs()[0]["runId"])


def ended(run: dict[str, Any]) -> bool:
    return run["status"] in ("SUCCESS", "FAILURE")


def test_a_schedule_starts_a_run_of_the_experiment(garden, basil):
    assert garden.server.status(basil) == "SUCCESS"
    assert garden.server.materialised("basil", "results") == {None}
    assert garden.runs("dagster/schedule_name", "nights") == [], "it is off until somebody turns it on"


def test_a_new_version_of_a_source_starts_one_run_and_a_loader_that_fails_none(garden, mint):
    server = garden.server
    assert server.status(mint) == "SUCCESS"
    (server.folder / beds.SEEDS).write_text("none left")
    failure = "the source 'seeds' cannot be loaded (ValueError: could not convert string to float"
    assert happens(lambda: garden.looked(failure), PATIENCE), server.told()
    (server.folder / beds.SEEDS).write_text("2")
    assert happens(lambda: garden.looked("made of this version of 'seeds'"), PATIENCE), server.told()
    assert len(garden.runs("dagster/sensor_name", "mint_watches_seeds")) == 1


def test_the_automation_page_shows_what_is_on_and_turns_on_what_is_off(page, garden):
    page.goto("/automation")
    for name, kind, on in (
        ("basil_schedule", "Scheduled Every minute", True),
        ("mint_watches_seeds", "Standard sensor", True),
        ("nights", "Scheduled At 03:00 AM", False),
    ):
        row = page.locator("[data-index]").filter(has=page.get_by_text(name, exact=True))
        expect(row).to_contain_text(kind)
        expect(row.get_by_role("checkbox").last).to_be_checked(checked=on)
    row.locator("label").last.click()
    expect(row.get_by_role("checkbox").last).to_be_checked()


def test_the_list_of_runs_tells_which_were_started_by_a_schedule_and_which_by_a_watch(page, basil, mint):
    page.goto("/runs")
    for run, starter in ((basil, "basil_schedule"), (mint, "mint_watches_seeds")):
        row = page.locator("[data-index], tr").filter(has=page.get_by_text(run[:8], exact=True))
        expect(row).to_contain_text(starter)


def test_a_run_that_is_cancelled_in_the_ui_ends_its_workers_and_keeps_what_is_done(server):
    """Within seconds; no process is left, and the next run computes what is missing."""
    config = {"ops": {"oaks__results": {"config": {"backend": "processes", "workers": 2}}}}
    run = server.launch("beds", "oaks", config)
    diary = server.folder / beds.DIARY

    def felled(number: int) -> list[str]:
        words = [line.split() for line in diary.read_text().splitlines()]
        return [word[-1] for word in words if word[:2] == ["oak", str(number)]]

    assert happens(lambda: bool(felled(3)), PATIENCE), server.told()
    assert happens(lambda: bool(felled(2)), PATIENCE), server.told()
    worker = int(felled(3)[0])
    group = os.getpgid(worker)
    assert group == worker
    server.terminate(run)
    assert happens(lambda: server.status(run) == "CANCELED", 30), server.status(run)
    assert happens(lambda: not alive_in(group), 10), alive_in(group)

    (server.folder / beds.DOWN).touch()
    again = server.launch("beds", "oaks", config)
    assert happens(lambda: server.status(again) in {"SUCCESS", "FAILURE"}, PATIENCE), server.told()
    assert server.status(again) == "SUCCESS"
    assert len(felled(3)) == 2
    assert len(felled(0)) == 1
    assert "0003|baseline" in server.materialised("oaks", "fell")


def alive_in(group: int) -> list[str]:
    """Give the commands of the living processes of a group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] != "Z":
                found.append(stat.with_name("cmdline").read_text().replace("\0", " "))
    return found

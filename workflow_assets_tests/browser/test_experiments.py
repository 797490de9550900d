"""What Dagster's UI shows of an experiment, and what a user does there by clicking."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from workflow_assets_tests.browser import trials
from workflow_assets_tests.browser.pages import (
    confirm,
    counted,
    edges,
    log_rows,
    metadata,
    node,
    open_markdown,
    partition,
)
from workflow_assets_tests.browser.servers import Server, serve

ROOT = Path(__file__).parents[2]
TREATMENTS = ("baseline", "little", "plenty")
REPLICATES = ("0000", "0001", "0002", "0003")
WORKSPACE = "load_from: [{python_file: {relative_path: fields.py, location_name: fields}}]\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`dagster dev` with the settings that the project ships, on the trials."""
    folder = tmp_path_factory.mktemp("fields")
    shutil.copy(ROOT / "dagster.yaml", folder)
    shutil.copy(trials.__file__, folder / "fields.py")
    (folder / "workspace.yaml").write_text(WORKSPACE)
    with serve([sys.executable, "-m", "dagster", "dev"], folder) as server:
        yield server


@dataclass(frozen=True)
class Harvest:
    """What was seen when the job of barley was launched."""

    missing: str
    asked: bool
    run: str


@pytest.fixture(scope="module")
def harvest(chromium: Browser, server: Server) -> Harvest:
    """Barley is done: its job was launched by the Materialize button."""
    page = chromium.new_page(base_url=server.url)
    page.goto("/assets/barley/grow?view=partitions")
    expect(counted(page, "Materialized")).to_have_text("Materialized (0)")
    missing = counted(page, "Missing").inner_text()
    page.goto("/locations/fields/jobs/barley")
    page.get_by_role("button", name="Materialize all").click()
    choice = page.get_by_text("Partition selection")
    confirm(page, then=page.get_by_text("Launched run").or_(choice))
    asked = choice.is_visible()
    page.get_by_role("link", name="View", exact=True).click()
    expect(page.get_by_text("Success", exact=True)).to_be_visible(timeout=60_000)
    run = page.url
    page.context.close()
    return Harvest(missing, asked, run)


def test_the_materialize_button_of_the_job_runs_the_experiment_and_asks_for_no_partition(page, harvest):
    assert not harvest.asked
    page.goto(harvest.run)
    expect(page.get_by_text("Success", exact=True)).to_be_visible()
    expect(page.get_by_text("3 checks")).to_be_visible()


def test_the_grid_of_treatments_and_replicates_is_missing_before_the_run_and_filled_after_it(page, harvest):
    assert harvest.missing == "Missing (12)"
    page.goto("/assets/barley/weigh?view=partitions")
    for dimension, keys in (("replicate", REPLICATES), ("treatment", TREATMENTS)):
        expect(page.get_by_placeholder(f"Filter by {dimension}")).to_be_visible()
        for key in keys:
            expect(page.get_by_title(key, exact=True)).to_be_visible()
    expect(counted(page, "Materialized")).to_have_text("Materialized (12)")
    expect(counted(page, "Missing")).to_have_text("Missing (0)")
    page.get_by_title("0003", exact=True).click()
    page.get_by_title("plenty", exact=True).click()
    expect(partition(page, "0003|plenty")).to_contain_text("Materialized")
    expect(metadata(page, "metric: grams")).to_contain_text(re.compile(r"\d\.\d"))


@pytest.mark.usefixtures("harvest")
def test_the_lineage_page_shows_the_assets_of_an_experiment_and_the_edges_between_them(page):
    page.goto("/locations/fields/asset-groups/barley/lineage")
    for name in ("grow", "weigh"):
        expect(node(page, name)).to_contain_text("100% filled")
    expect(node(page, "results")).to_contain_text("2 / 3 Passed")
    assert edges(page, ["soil", "grow", "weigh", "results"]) == {
        ("soil", "grow"),
        ("grow", "weigh"),
        ("soil", "results"),
        ("grow", "results"),
        ("weigh", "results"),
    }


def test_the_log_of_a_run_fills_with_cells_while_the_run_goes_on(page, server):
    run = server.launch("fields", "oats")
    gate = server.folder / trials.GATE
    rows = log_rows(page)
    try:
        page.goto(f"/runs/{run}")
        expect(rows.filter(has_text='Started execution of step "oats__results"')).to_be_visible(
            timeout=60_000
        )
        cells = rows.filter(has_text="ASSET_MATERIALIZATION").filter(has_text="oats / weigh")
        expect(cells.first).to_be_visible(timeout=10_000)
        assert server.status(run) == "STARTED"
        before = last_number(rows)
    finally:
        gate.touch()
    expect(page.get_by_text("Success", exact=True)).to_be_visible(timeout=60_000)
    assert last_number(rows) > before


def last_number(rows: Locator) -> int:
    return max(int(row.get_attribute("data-index") or 0) for row in rows.all())


@pytest.mark.usefixtures("harvest")
@pytest.mark.parametrize(
    ("hypothesis", "outcome", "decision"),
    [("plenty_helps", "Passed", "supported"), ("little_helps", "Failed", "refuted")],
)
def test_the_page_of_a_hypothesis_shows_its_p_value_and_effect(page, hypothesis, outcome, decision):
    page.goto(f"/assets/barley/results?view=checks&checkDetail={hypothesis}")
    expect(page.get_by_text(outcome, exact=True).last).to_be_visible()
    expect(metadata(page, "decision")).to_contain_text(decision)
    p, effect = (
        float(metadata(page, name).get_by_role("cell").last.inner_text()) for name in ("p", "effect")
    )
    if decision == "supported":
        assert 0 < p < 0.05
        assert effect == pytest.approx(9.0, abs=1.0)
    else:
        assert 0.05 < p <= 1
        assert effect == pytest.approx(0.1, abs=0.05)
    effects = open_markdown(page, "effects")
    expect(effects.get_by_role("row").filter(has_text="mean_difference")).to_be_visible()


@pytest.mark.usefixtures("harvest")
def test_the_results_show_a_table_of_the_treatments_and_a_plot(page):
    page.goto("/assets/barley/results?view=overview")
    summary = open_markdown(page, "summary")
    rows = summary.get_by_role("row")
    expect(rows).to_have_count(1 + len(TREATMENTS))
    expect(rows.first).to_contain_text("weigh.grams")
    for number, treatment in enumerate(TREATMENTS, start=1):
        expect(rows.nth(number)).to_contain_text(treatment)
    summary.get_by_role("button", name="Close").click()

    image = open_markdown(page, "plot").locator("img")
    expect(image).to_have_attribute("src", re.compile("^data:image/png;base64,"))
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth * image.naturalHeight)") > 0


@pytest.mark.usefixtures("harvest")
def test_nothing_is_stale_after_a_green_run_and_after_a_change_of_code_what_follows_from_it_is(page, server):
    check_step(page, "weigh", stale=False)
    check_results(page, stale=False)
    code = server.folder / "fields.py"
    before, after = "Yield(grams=grow)", "Yield(grams=grow + 0.0)"
    assert before in code.read_text()
    code.write_text(code.read_text().replace(before, after))
    page.get_by_role("button", name="Reload definitions").click()
    expect(node(page, "results")).to_contain_text("Unsynced")
    check_step(page, "weigh", stale=True)
    check_step(page, "grow", stale=False)


def check_step(page: Page, step: str, *, stale: bool) -> None:
    """Look at one partition: Dagster never calls a partitioned asset stale as a whole."""
    with page.expect_response(
        lambda response: "AssetPartitionStaleQuery" in (response.request.post_data or "")
    ):
        page.goto(f"/assets/barley/{step}?view=partitions&partition=0001%7Cplenty")
    heading = partition(page, "0001|plenty")
    expect(heading).to_contain_text("Materialized")
    expect(heading.get_by_text("Unsynced")).to_have_count(int(stale))


def check_results(page: Page, *, stale: bool) -> None:
    """Look at the lineage page, and stay there."""
    with page.expect_response(
        lambda response: "AssetStaleStatusDataQuery" in (response.request.post_data or "")
    ):
        page.goto("/locations/fields/asset-groups/barley/lineage")
    expect(node(page, "results")).to_contain_text("2 / 3 Passed")
    expect(node(page, "results").get_by_text("Unsynced")).to_have_count(int(stale))

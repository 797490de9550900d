"""What Dagster's UI shows of workflows: what a run can be given, what steps gave, items, samples and faults."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from workflow_assets_tests.browser.pages import edges, metadata
from workflow_assets_tests.browser.servers import Server, happens, serve

ROOT = Path(__file__).parents[2]
WORKSPACE = "load_from: [{python_file: {relative_path: lines.py, location_name: lines}}]\n"
FAULTY = "{kind: workflow, version: 1, name: faulty, steps: [{id: readings, step: raedings}]}\n"
PATIENCE = 90.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`dagster dev` with the settings that the project ships, on the workflows."""
    folder = tmp_path_factory.mktemp("lines")
    shutil.copy(ROOT / "dagster.yaml", folder)
    shutil.copy(Path(__file__).with_name("lines.py"), folder)
    (folder / "documents").mkdir()
    (folder / "documents" / "faulty.yaml").write_text(FAULTY)
    (folder / "workspace.yaml").write_text(WORKSPACE)
    with serve([sys.executable, "-m", "dagster", "dev"], folder) as server:
        yield server


def ran(server: Server, job: str, **told: object) -> tuple[str, str]:
    """Run a job to its end; the run and how it ended."""
    run = server.launch("lines", job, {"ops": {f"{job}__steps": {"config": told}}} if told else None)
    assert happens(lambda: server.status(run) in {"SUCCESS", "FAILURE"}, PATIENCE), server.told()
    return run, server.status(run)


def test_lineage_launchpad_and_asset_pages_of_a_workflow(page: Page, server: Server) -> None:
    assert ran(server, "plots")[1] == "SUCCESS"
    page.goto("/locations/__repository__@lines/asset-groups/plots/lineage")
    names = ["readings", "squared", "tabling__table"]
    expect(page.get_by_text("tabling__table", exact=True)).to_be_visible()
    assert edges(page, names) == {("readings", "squared"), ("squared", "tabling__table")}

    page.goto("/locations/__repository__@lines/jobs/plots/playground")
    editor = page.locator(".CodeMirror").first
    for name, value in (("count", "6"), ("label", "plot")):
        expect(editor).to_contain_text(f"{name}: {value}")

    page.goto("/assets/plots/squared?view=overview")
    expect(metadata(page, "preview")).to_contain_text("[0, 1, 4, 9, 16, 25]")
    expect(metadata(page, "items: completed")).to_contain_text("6")
    expect(page.get_by_role("cell", name="completed", exact=True)).to_have_count(6)

    page.goto("/assets/plots/tabling__table?view=overview")
    expect(page.get_by_role("columnheader", name="square")).to_be_visible()


def test_a_run_whose_items_failed_names_them_and_lists_them(page: Page, server: Server) -> None:
    run, status = ran(server, "torn")
    assert status == "FAILURE"
    page.goto(f"/runs/{run}")
    told = "1 of 6 items of 'parsed' failed (item 4: ValueError: reading 4 is torn)"
    expect(page.get_by_text(told).first).to_be_visible()
    expect(page.get_by_text("parsed: items: failed", exact=True).first).to_be_attached()


def test_a_faulty_document_says_what_is_wrong_and_costs_itself_alone(page: Page) -> None:
    page.goto("/assets/documents/faulty_yaml")
    expect(page.get_by_text("The document faulty.yaml could not be read")).to_be_visible()
    expect(page.get_by_text("no step is registered under 'raedings'").first).to_be_visible()

"""The example that the project ships, in Dagster's UI as `dg dev` opens it in a fresh checkout."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from workflow_assets_tests.browser.pages import choose, confirm, counted, node, partition
from workflow_assets_tests.browser.servers import Server, serve

ROOT = Path(__file__).parents[2]
SHIPPED = ("dagster.yaml", "pyproject.toml", "workspace.yaml")
PACKAGE = "workflow_assets"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`dg dev` on what a checkout holds, with nothing set up: no home folder, no variable, no earlier run."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in SHIPPED:
        shutil.copy(ROOT / name, folder)
    (folder / PACKAGE).symlink_to(ROOT / PACKAGE)
    with serve([Path(sys.executable).with_name("dg"), "dev"], folder) as server:
        yield server


def test_dg_dev_opens_the_example_with_nothing_set_up(page, server):
    page.goto("/")
    page.get_by_role("link", name="Jobs").click()
    page.locator("a[href='/locations/workflow_assets/jobs/regularisation']").click()
    expect(page.get_by_text("Does regularisation matter when telling benign from malignant")).to_be_visible()
    page.goto("/locations/workflow_assets/asset-groups/regularisation/lineage")
    for name in ("breast_cancer", "split", "scale", "model", "score", "results"):
        expect(node(page, name)).to_be_visible()


def test_what_dg_dev_leaves_behind_lies_in_one_folder(server):
    new = {path.name for path in server.folder.iterdir()} - {*SHIPPED, PACKAGE}
    # The temporary folder is Dagster's own, and goes when it ends.
    assert {re.sub(r"^(\.tmp_dagster_home_).*", r"\1", name) for name in new} == {
        ".tmp_dagster_home_",
        ".workflow_assets",
    }


def test_a_selection_of_partitions_is_materialised_by_clicking_and_no_other_partition_is(page, server):
    page.goto("/assets/regularisation/split?view=partitions")
    expect(counted(page, "Missing")).to_have_text("Missing (120)")

    page.get_by_role("button", name="Materialize").first.click()
    confirm(page, then=page.get_by_text("Partition selection"))
    choose(page, "replicate", "0001", "0002")
    choose(page, "treatment", "strong")
    page.get_by_role("button", name="Launch backfill").click()
    expect(page.get_by_text("Created backfill")).to_be_visible()

    # The daemon looks for backfills every 30 s.
    expect(counted(page, "Materialized")).to_have_text("Materialized (2)", timeout=90_000)
    expect(counted(page, "Missing")).to_have_text("Missing (118)")
    for key in ("0001", "0002"):
        page.get_by_title(key, exact=True).click()
        page.get_by_title("strong", exact=True).click()
        expect(partition(page, f"{key}|strong")).to_contain_text("Materialized")
    assert server.materialised("regularisation", "split") == {"0001|strong", "0002|strong"}
    assert server.materialised("regularisation", "scale") == set()

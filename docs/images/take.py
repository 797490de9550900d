"""Take the pictures of Dagster's UI that the README shows: `.venv/bin/python -m docs.images.take`.

The example is run in a temporary folder, as `make run` does, and looked at in a headless browser.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from workflow_assets_tests.browser.conftest import FLAGS
from workflow_assets_tests.browser.pages import metadata, node, open_markdown
from workflow_assets_tests.browser.servers import serve

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGE = "workflow_assets"
EXAMPLE = "regularisation"


def main() -> None:
    """Run the example, open the UI, take the pictures."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "checkout"
        home = folder / ".workflow_assets"
        home.mkdir(parents=True)
        for name in ("dagster.yaml", "pyproject.toml", "workspace.yaml"):
            shutil.copy(ROOT / name, folder)
        shutil.copy(ROOT / "dagster.yaml", home)
        (folder / PACKAGE).symlink_to(ROOT / PACKAGE)
        job = ["dagster", "job", "execute", "-m", f"{PACKAGE}.definitions", "-j", EXAMPLE]
        environment = {**os.environ, "DAGSTER_HOME": str(home)}
        subprocess.run([sys.executable, "-m", *job], cwd=folder, env=environment, check=True)
        with (
            serve([Path(sys.executable).with_name("dg"), "dev"], folder) as server,
            sync_playwright() as play,
        ):
            browser = play.chromium.launch(
                executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=FLAGS
            )
            page = browser.new_page(base_url=server.url, viewport={"width": 1440, "height": 900})
            take_lineage(page)
            take_results(page)
            take_check(page)
            browser.close()


def take_lineage(page: Page) -> None:
    """Show the assets with their state; without the navigation they are large enough to be told."""
    page.goto(f"/locations/{PACKAGE}/asset-groups/{EXAMPLE}/lineage")
    page.get_by_text("Hide navigation").click()
    page.set_viewport_size({"width": 1440, "height": 720})
    page.reload()
    for name in ("split", "scale", "model", "score"):
        expect(node(page, name)).to_contain_text("100% filled")
    expect(node(page, "results")).to_contain_text("Passed")
    save(page, "lineage")
    page.set_viewport_size({"width": 1440, "height": 900})


def take_results(page: Page) -> None:
    """Show the plot, over the page of the results."""
    page.goto(f"/assets/{EXAMPLE}/results?view=overview")
    expect(page.get_by_text("Latest check results")).to_be_visible()
    expect(open_markdown(page, "plot").locator("img")).to_be_visible()
    save(page, "results")


def take_check(page: Page) -> None:
    """Show a hypothesis with its p value and effect."""
    page.goto(f"/assets/{EXAMPLE}/results?view=checks&checkDetail=strong_hurts")
    expect(metadata(page, "p")).to_be_visible()
    save(page, "check")


def save(page: Page, name: str) -> None:
    """Save what is in sight when it has come to rest."""
    page.wait_for_load_state("networkidle")
    page.screenshot(path=HERE / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    main()

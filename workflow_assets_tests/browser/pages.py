"""Where things are on the pages of Dagster's UI, by what a user reads there."""

from __future__ import annotations

import re
from collections.abc import Iterable

from playwright.sync_api import Locator, Page, expect

MEASURE = "box => ['x', 'y', 'width', 'height'].map(side => Number(box.getAttribute(side)))"


def node(page: Page, name: str) -> Locator:
    """Give an asset's box in a graph of assets."""
    return page.locator("foreignObject").filter(has=page.get_by_text(name, exact=True))


def edges(page: Page, names: Iterable[str]) -> set[tuple[str, str]]:
    """Give the edges of a graph of assets: from the box that a line leaves to the one that its arrow points to."""
    boxes = {name: node(page, name).evaluate(MEASURE) for name in names}
    found = set()
    for line in page.locator("path[marker-end]").evaluate_all(
        "lines => lines.map(line => line.getAttribute('d'))"
    ):
        numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", line)]
        (left, start), (right, end) = numbers[:2], numbers[-2:]
        gaps = {
            name: (
                abs(x + width - left) + abs(y + height / 2 - start),
                abs(x - right) + abs(y + height / 2 - end),
            )
            for name, (x, y, width, height) in boxes.items()
        }
        found.add((min(gaps, key=lambda name: gaps[name][0]), min(gaps, key=lambda name: gaps[name][1])))
    return found


def metadata(page: Page, name: str) -> Locator:
    """Give the row of a metadata entry."""
    return page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))


def counted(page: Page, status: str) -> Locator:
    """Give the count of partitions in a status, such as "Missing (12)"."""
    return page.locator("label").filter(has_text=re.compile(rf"^{status} \("))


def partition(page: Page, key: str) -> Locator:
    """Give the heading of the chosen partition, with its status."""
    return page.locator(f"[data-tooltip='{key}']")


def log_rows(page: Page) -> Locator:
    """Give the rows of a run's log that are in sight; it keeps to its end."""
    return page.locator("[data-index]").filter(has=page.locator("a[href*=focusedTime]"))


def choose(page: Page, dimension: str, *keys: str) -> None:
    """Tick partitions of a dimension in the dialog that launches runs."""
    dialog = page.get_by_role("dialog").filter(has_text="Partition selection")
    dialog.get_by_text(dimension, exact=True).locator("../..").get_by_text("Select a partition").click()
    for key in keys:
        page.get_by_role("menuitem").filter(has=page.get_by_title(key, exact=True)).click()
    page.keyboard.press("Escape")
    expect(page.get_by_placeholder("Filter partitions")).to_have_count(0)


def confirm(page: Page, then: Locator) -> None:
    """Confirm if Dagster asks whether to launch although assets above were never materialised; wait for what comes."""
    sure = page.get_by_role("button", name="Confirm")
    expect(sure.or_(then)).to_be_visible()
    if sure.is_visible():
        sure.click()
    expect(then).to_be_visible()


def open_markdown(page: Page, name: str) -> Locator:
    """Open a metadata entry that is written in Markdown; give the dialog."""
    metadata(page, name).get_by_text("[Show Markdown]").click()
    dialog = page.get_by_role("dialog").filter(has=page.get_by_text(name, exact=True))
    expect(dialog).to_be_visible()
    return dialog

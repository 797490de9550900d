"""A real browser, headless; a failed test leaves a picture of what it showed."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from workflow_assets_tests.browser.servers import Server

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium with a fresh profile; per module, since Playwright's event loop is in the way of other tests' loops."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=FLAGS
        )
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, server: Server, tmp_path: Path) -> Iterator[Page]:
    """A page without history, on the server of the test's module."""
    context = chromium.new_context(base_url=server.url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    values = getattr(item, "funcargs", {})
    if report.when == "call" and report.failed and isinstance(values.get("page"), Page):
        picture = values["tmp_path"] / "failure.png"
        values["page"].screenshot(path=picture)
        report.sections.append(("Browser", f"at {values['page'].url}\nscreenshot: {picture}"))
        report.sections.append(("Server", values["server"].told()))
    return report

"""How long Dagster's UI takes for an experiment of 5 treatments × 2,000 replicates × 4 steps on the embedded event log.

The experiment is materialised by its job; then ``dagster dev`` serves it, with the shipped ``dagster.yaml``, to a real
Chromium (``CHROMIUM`` names one). A figure is the time from opening a page until it shows what it is opened for: the
count of materialised partitions, the status of one partition, the run's log. Each page is opened several times, every
time by a browser context that has seen nothing; the first time of all is told apart.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rounds import ROOT, load_note, markdown, spread

sys.path.insert(0, str(ROOT))

TREATMENTS, REPLICATES, ROUNDS = 5, 2000, 5
BUDGET = 5.0
"""Seconds for the pages of an asset's partitions."""

FIELDS = """
from workflow_assets import Experiment, MemoryStore, step, to_dagster


@step
def sow(replicate: int, seeds: float = 1.0) -> float:
    return seeds * (replicate + 1)


@step
def grow(sow: float) -> float:
    return sow + 1


@step
def cut(grow: float) -> float:
    return grow * 2


@step
def weigh(cut: float) -> float:
    return cut / 3


field = Experiment(
    "field",
    [sow, grow, cut, weigh],
    {{f"t{{number}}": {{"sow.seeds": number + 1.0}} for number in range(1, {treatments})}},
    replicates={replicates},
)
defs = to_dagster(field, store=MemoryStore())

if __name__ == "__main__":
    import sys
    import time

    import dagster as dg

    with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
        started = time.perf_counter()
        result = defs.resolve_job_def("field").execute_in_process(instance=instance)
        print(result.run_id, time.perf_counter() - started)
"""


def pages(run: str, cells: int) -> dict[str, tuple[str, Callable[[Any], Any]]]:
    """Give the address of each page, and what it must show."""
    count = re.compile(rf"^Materialized \({cells}\)")
    return {
        "partitions of an asset": (
            "/assets/field/weigh?view=partitions",
            lambda page: page.locator("label").filter(has_text=count),
        ),
        "one partition": (
            "/assets/field/weigh?view=partitions&partition=0007%7Ct1",
            lambda page: page.locator("[data-tooltip='0007|t1']").get_by_text("Materialized"),
        ),
        "lineage of the experiment": (
            "/locations/fields.py/asset-groups/field/lineage",
            lambda page: page.get_by_text("All").or_(page.get_by_text("100%")).first,
        ),
        "the run's log": (f"/runs/{run}", lambda page: page.locator("[data-index]").first),
    }


def measure(root: Path, treatments: int, replicates: int, rounds: int) -> str:
    """Materialise, serve and look; give the report."""
    from playwright.sync_api import sync_playwright

    from workflow_assets_tests.browser.conftest import FLAGS
    from workflow_assets_tests.browser.servers import serve

    loads = [os.getloadavg()[0]]
    folder = root / "fields"
    folder.mkdir()
    shutil.copy(ROOT / "dagster.yaml", folder)
    (folder / "fields.py").write_text(FIELDS.format(treatments=treatments, replicates=replicates))
    os.environ["PYTHONPATH"] = str(ROOT)
    filled = subprocess.run(
        [sys.executable, "fields.py", str(folder)], cwd=folder, capture_output=True, text=True, check=True
    )
    run, seconds = filled.stdout.split()[-2:]
    size = (
        sum(file.stat().st_size for file in (folder / ".workflow_assets" / "dagster").rglob("*.db*")) / 2**20
    )
    cells = treatments * replicates
    first: dict[str, float] = {}
    took: dict[str, list[float]] = {}
    command = [Path(sys.executable).with_name("dagster"), "dev", "-f", "fields.py"]
    with serve(command, folder) as server, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=FLAGS
        )
        for _ in range(rounds + 1):
            for name, (address, shown) in pages(run, cells).items():
                context = chromium.new_context(base_url=server.url, viewport={"width": 1440, "height": 900})
                page = context.new_page()
                started = time.perf_counter()
                page.goto(address)
                shown(page).wait_for(timeout=60_000)
                elapsed = time.perf_counter() - started
                if name in first:
                    took.setdefault(name, []).append(elapsed)
                first.setdefault(name, elapsed)
                context.close()
        chromium.close()
    loads.append(os.getloadavg()[0])
    rows = [["page", "s", "the first time s", "budget"]]
    for name, seconds_each in took.items():
        met = "pass" if statistics.median(seconds_each) <= BUDGET else "FAIL"
        budget = f"{BUDGET:g} {met}" if "partition" in name else ""
        rows.append([name, spread(seconds_each, 2), f"{first[name]:.2f}", budget])
    title = f"Pages of {treatments} treatments × {replicates:,} replicates × 4 steps"
    notes = f"- Materialised in {float(seconds):.1f} s; {size:.0f} MB of events.\n- {load_note(loads)}"
    return f"### {title}\n\n{markdown(rows)}\n\n{notes}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few partitions, to see that it works")
    parser.add_argument("--rounds", type=int, help=f"how often to open each page ({ROUNDS})")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    treatments, replicates = (3, 20) if options.quick else (TREATMENTS, REPLICATES)
    with tempfile.TemporaryDirectory() as root:
        print(measure(Path(root), treatments, replicates, rounds))


if __name__ == "__main__":
    main()

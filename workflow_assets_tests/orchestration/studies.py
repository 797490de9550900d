"""Small experiments for the tests of Dagster's side, written to files so that their code can be edited."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from workflow_assets import Experiment, Store, Workflow, to_dagster

STUDY = '''
"""A study whose calls are counted in a file, and whose failures are listed in another."""

import os
from pathlib import Path

from workflow_assets import Experiment, Hypothesis, source, step

FOLDER = Path(os.environ["STUDY_FOLDER"])


def note(name):
    with (FOLDER / "calls").open("a") as calls:
        calls.write(name + "\\n")


def shift(values, by):
    return [value + by for value in values]


@source(version="1")
def data() -> list[float]:
    note("data")
    return [1.0, 2.0]


@step
def noisy(data: list[float], rng) -> list[float]:
    """Add noise."""
    note("noisy")
    return shift(data, rng.normal())


@step
def scaled(noisy: list[float], k: float = 1.0) -> list[float]:
    """Multiply."""
    note("scaled")
    return [k * value for value in noisy]


@step
def total(scaled: list[float], replicate, treatment) -> float:
    """Add up."""
    note("total")
    failing = FOLDER / "failing"
    if failing.exists() and f"{treatment} {replicate}" in failing.read_text().split(","):
        raise ValueError("out of luck")
    return sum(scaled)


study = Experiment(
    "study",
    [noisy, scaled, total],
    {"double": {"scaled.k": 2.0}, "triple": {"scaled.k": 3.0}},
    replicates=8,
    seed=7,
    hypotheses=[
        Hypothesis("doubling_adds", metric="total", treatment="double"),
        Hypothesis("tripling_removes", metric="total", treatment="triple", alternative="less"),
    ],
)
'''

DEFINITIONS = """
from workflow_assets import to_dagster

defs = to_dagster(study, store=FOLDER / "store")
"""


class Study:
    """A study in a folder: its file can be edited, its calls counted, its cells made to fail."""

    def __init__(self, folder: Path, monkeypatch: Any) -> None:
        self.folder = folder
        self.file = folder / "study_of_doubling.py"
        self.file.write_text(STUDY + DEFINITIONS)
        self._edits = 0
        monkeypatch.setenv("STUDY_FOLDER", str(folder))

    def edit(self, old: str, new: str) -> None:
        """Replace text in the file, which must be there."""
        text = self.file.read_text()
        assert old in text, f"{old!r} is not in the study"
        self.file.write_text(text.replace(old, new))

    def load(self) -> ModuleType:
        """Import the file as it is now."""
        self._edits += 1
        name = f"study_of_doubling_{id(self)}_{self._edits}"
        spec = importlib.util.spec_from_file_location(name, self.file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    def experiment(self) -> Experiment:
        """The experiment as the file declares it now."""
        return self.load().study

    def calls(self) -> list[str]:
        """The functions that were called since this was last asked."""
        file = self.folder / "calls"
        names = file.read_text().split() if file.exists() else []
        file.unlink(missing_ok=True)
        return names

    def fail(self, *cells: str) -> None:
        """Let these cells fail from now on; each is "treatment replicate"."""
        (self.folder / "failing").write_text(",".join(cells))


class Bench:
    """Definitions, an instance and what can be asked of both."""

    def __init__(self, experiment: Experiment | Workflow, store: Store, instance: dg.DagsterInstance) -> None:
        self.name = experiment.name
        self.store = store
        self.instance = instance
        self.defs = to_dagster(experiment, store=store)
        self.assets: list[Any] = list(self.defs.assets or [])
        self.graph = self.defs.get_repository_def().asset_graph

    def job(self, **options: Any) -> dg.ExecuteInProcessResult:
        """Run the job of the whole experiment."""
        return self.defs.resolve_job_def(self.name).execute_in_process(
            instance=self.instance, raise_on_error=False, **options
        )

    def materialise(self, selection: dg.AssetSelection, **options: Any) -> dg.ExecuteInProcessResult:
        """Materialise a selection of assets."""
        return dg.materialize(
            self.assets,
            instance=self.instance,
            resources=self.defs.resources,
            selection=selection,
            raise_on_error=False,
            **options,
        )

    def steps(self) -> dg.AssetSelection:
        """All step assets."""
        return dg.AssetSelection.groups(self.name) - dg.AssetSelection.assets([self.name, "results"])

    def range(self, treatments: tuple[str, str], replicates: tuple[str, str], selection: Any = None) -> Any:
        """Materialise a rectangle of the grid, as the UI does for a selection of partitions."""
        tags = {
            "dagster/asset_partition_range_start": f"{replicates[0]}|{treatments[0]}",
            "dagster/asset_partition_range_end": f"{replicates[1]}|{treatments[1]}",
        }
        return self.materialise(self.steps() if selection is None else selection, tags=tags)

    def table(self) -> Any:
        """The results table, as an asset downstream would read it."""
        return self.defs.load_asset_value(dg.AssetKey([self.name, "results"]), instance=self.instance)

    def materialised(self) -> dict[str, int]:
        """How many partitions of each step asset are materialised."""
        return {
            key.path[-1]: len(self.instance.get_materialized_partitions(key))
            for key in self.graph.get_all_asset_keys()
            if self.graph.get(key).is_partitioned
        }

    def not_fresh(self) -> dict[str, set[str]]:
        """The assets that the UI calls anything but fresh, and what it calls them."""
        resolver = CachingStaleStatusResolver(self.instance, self.graph, LoadingContextForTest(self.instance))
        found: dict[str, set[str]] = {}
        for key in self.graph.get_all_asset_keys():
            node = self.graph.get(key)
            partitions = node.partitions_def.get_partition_keys() if node.partitions_def else [None]
            states = {resolver.get_status(key, partition).name for partition in partitions} - {"FRESH"}
            if states:
                found[key.path[-1]] = states
        return found


def failure_text(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step said."""
    events = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert len(events) == 1
    failure: Any = events[0].event_specific_data
    return str(failure.user_failure_data.description if failure.user_failure_data else failure.error.message)


def checks(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The check evaluations of a run, by name."""
    found: dict[str, Any] = {}
    for event in result.all_events:
        if event.event_type_value == "ASSET_CHECK_EVALUATION":
            evaluation: Any = event.event_specific_data
            found[evaluation.check_name] = evaluation
    return found

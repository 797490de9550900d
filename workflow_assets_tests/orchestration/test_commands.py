"""The commands that the README names, as a user or a CI job types them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workflow_assets_tests.orchestration.studies import Study

PROJECT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def command(
    *arguments: str, folder: Path, home: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of the environment with its files in a folder of the test."""
    inherited = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(BIN / arguments[0]), *arguments[1:]],
        cwd=folder,
        env={**inherited, "PATH": path, "WORKFLOW_ASSETS_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


@pytest.fixture
def folder(study: Study) -> Path:
    """The study's folder with the shipped instance file, so that it is a project of its own."""
    (study.folder / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    return study.folder


def test_shipped_example_runs_with_either_command_and_no_other_argument(tmp_path: Path) -> None:
    first = command(
        *["dagster", "job", "execute", "-m", "workflow_assets.definitions", "-j", "regularisation"],
        folder=PROJECT,
        home=tmp_path,
    )
    assert first.returncode == 0, first.stderr[-3000:]
    assert "120 cells, 0 failed" in first.stdout + first.stderr
    assert "strong_hurts: supported" in first.stdout + first.stderr
    assert "forest_is_more_accurate: refuted" in first.stdout + first.stderr
    second = command(*["dg", "launch", "--job", "regularisation"], folder=PROJECT, home=tmp_path)
    assert second.returncode == 0, second.stderr[-3000:]
    assert "strong_hurts: supported" in second.stdout + second.stderr
    assert {path.name for path in tmp_path.iterdir()} <= {"dagster", "artifacts", "logs", "store"}


def test_command_with_a_gated_refuted_hypothesis_exits_non_zero_and_names_it(
    study: Study, folder: Path
) -> None:
    study.edit('alternative="less")', 'alternative="less", gate=True)')
    done = command(
        "dagster", "job", "execute", "-f", study.file.name, "-j", "study", folder=folder, home=folder / "home"
    )
    assert done.returncode != 0
    assert "gate 'tripling_removes' is refuted" in done.stdout + done.stderr


TABLE = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("study_of_doubling", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["study_of_doubling"] = module
spec.loader.exec_module(module)
from workflow_assets import FileStore
result = module.study.run(FileStore(sys.argv[2]))
sys.stdout.write(result.table.to_csv())
assert "dagster" not in sys.modules
"""


AROUND = """
import dagster as dg
from workflow_assets import Experiment, asset_source, step, to_dagster

@dg.asset(io_manager_key="datums")
def readings():
    return [1.0, 2.0]

@step
def total(readings: list[float], k: float = 1.0) -> float:
    return k * sum(readings)

study = Experiment("study", [total], {"double": {"total.k": 2.0}}, 2, sources=[asset_source(readings)])

@dg.asset(
    ins={"totals": dg.AssetIn(["study", "total"])}, deps=[["study", "results"]], io_manager_key="datums"
)
def greatest(totals):
    return {name: max(totals.only(treatment=name).values()) for name in ("baseline", "double")}

defs = dg.Definitions.merge(to_dagster(study), dg.Definitions(assets=[readings, greatest]))
"""

NOTEBOOK = """
from around import defs
print(defs.load_asset_value("greatest"), defs.load_asset_value("readings"))
print(defs.load_asset_value(["study", "total"], partition_key="0001|double"))
print(defs.load_asset_value(["study", "total"]).at(treatment="double", replicate=1))
print(defs.load_asset_value(["study", "results"])["total"].tolist())
"""


def test_assets_around_an_experiment_are_made_by_a_command_and_loaded_in_a_plain_script(folder: Path) -> None:
    (folder / "around.py").write_text(AROUND)
    select = "readings,study/results,greatest"
    made = command(
        *["dagster", "asset", "materialize", "-f", "around.py", "--select", select],
        folder=folder,
        home=folder / "home",
    )
    assert made.returncode == 0, made.stderr[-3000:]
    shown = command("python", "-W", "error", "-c", NOTEBOOK, folder=folder, home=folder / "home")
    assert shown.returncode == 0, shown.stderr[-3000:]
    assert shown.stdout.splitlines() == [
        "{'baseline': 3.0, 'double': 6.0} [1.0, 2.0]",
        "6.0",
        "6.0",
        "[3.0, 3.0, 6.0, 6.0]",
    ]


def test_other_processes_with_another_hash_seed_compute_nothing_and_give_the_same_table_without_dagster(
    study: Study, folder: Path
) -> None:
    text = study.file.read_text()
    study.file.write_text(text.partition("\nfrom workflow_assets import to_dagster")[0])
    tables = []
    for seed in ("1", "2"):
        done = command(
            *["python", "-c", TABLE, study.file.name, "shared"],
            folder=folder,
            home=folder,
            PYTHONHASHSEED=seed,
        )
        assert done.returncode == 0, done.stderr
        tables.append(done.stdout)
        calls = study.calls()
        assert bool(calls) == (seed == "1")
    study.file.write_text(text)
    assert tables[0] == tables[1] == study.experiment().run().table.to_csv()

"""From a number in the table to the code, parameters, inputs, seed and machine that made it."""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workflow_assets import Experiment, FileStore, MemoryStore, Metrics, source, step
from workflow_assets.errors import UnknownNameError
from workflow_assets.provenance import checkout, trace

STUDY = """
import numpy
from workflow_assets import step

FACTOR = 2.0

def scaled(value):
    return value * FACTOR

@step
def draw(rng, width: float = 1.0) -> float:
    return scaled(rng.normal(0.0, width))
"""


class Score(Metrics):
    error: float


@source(version="7")
def numbers() -> list[float]:
    return [1.0, 2.0]


@source
def unversioned() -> list[float]:
    return [3.0]


def doubled(values: list[float]) -> list[float]:
    return [2 * value for value in values]


@step
def shuffled(numbers: list[float], unversioned: list[float], rng: np.random.Generator) -> list[float]:
    return [float(one) for one in rng.permutation(doubled(numbers + unversioned))]


@step
def score(shuffled: list[float], weight: float = 1.5) -> Score:
    return Score(error=weight * shuffled[0])


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "store")


def study(**changes: Any) -> Experiment:
    given = {"treatments": {"heavy": {"score.weight": 3.0}}, "replicates": 3, "seed": 5, **changes}
    return Experiment("study", [shuffled, score], **given)


def test_a_number_in_the_table_leads_to_its_code_parameters_and_inputs(store):
    result = study().run(store)
    found = result.trace("heavy", "0001", "score.error")
    assert (found.step, found.function) == ("score", f"{__name__}:score")
    assert found.parameters == {"weight": "3.0"}
    assert found.code[f"{__name__}:score"].splitlines()[-1] == "    return Score(error=weight * shuffled[0])"
    assert f"{__name__}:Score" in found.code
    before = found.input("shuffled")
    assert "    return [2 * value for value in values]" in before.code[f"{__name__}:doubled"]
    assert before.value()[0] == found.value().error / 3.0
    assert set(before.inputs) == {"numbers", "unversioned"}
    assert before.input("numbers").parameters == {"version": "7"}
    assert before.input("unversioned").value() == [3.0]
    assert "return [3.0]" in before.input("unversioned").code[f"{__name__}:unversioned"]


def test_seed_replicate_and_run_are_told(store):
    result = study().run(store)
    found = result.trace("baseline", 2, "shuffled")
    row = result.table.query("treatment == 'baseline'").iloc[2]
    assert (found.replicate, found.seed) == ("0002", row["seed"])
    assert found.run["host"] == platform.node()
    assert found.run["run"]
    assert found.libraries["python"] == platform.python_version()
    assert found.libraries["numpy"] == np.__version__
    assert found.seconds >= 0
    assert (found.peak_memory or 0) > 2**20
    assert found.finished is not None


def test_what_was_stored_keeps_the_provenance_of_the_run_that_computed_it(store):
    first = study().run(store).trace("baseline", 0, "score")
    assert study().run(store).trace("baseline", 0, "score") == first


def test_a_hit_in_another_treatment_leads_to_the_datum_that_is_shared(store):
    result = study().run(store)
    assert result.trace("heavy", 0, "shuffled").key == result.trace("baseline", 0, "shuffled").key


def test_names_that_are_not_there_are_told_with_near_matches(store):
    result = study().run(store)
    with pytest.raises(UnknownNameError, match=r"no treatment 'heavi': did you mean 'heavy'"):
        result.trace("heavi", 0, "score")
    with pytest.raises(UnknownNameError, match=r"no replicate '0009'"):
        result.trace("heavy", "0009", "score")
    with pytest.raises(UnknownNameError, match=r"holds no datum of 'scor.error': did you mean 'score"):
        result.trace("heavy", 0, "scor.error")
    with pytest.raises(UnknownNameError, match=r"no input 'shufled': did you mean 'shuffled'"):
        result.trace("heavy", 0, "score").input("shufled")
    with pytest.raises(UnknownNameError, match="no datum is stored under 'abc'"):
        trace(store, "abc")
    store.put("abc", 1)
    with pytest.raises(UnknownNameError, match="no note on how the datum 'abc' was made"):
        trace(store, "abc")


def test_notes_are_shared_by_all_replicates(tmp_path):
    store = FileStore(tmp_path / "store")

    def notes() -> int:
        lines = (tmp_path / "store" / "records.jsonl").read_text().splitlines()
        return sum('"made"' not in line for line in lines)

    study(replicates=2).run(store)
    before = notes()
    study(replicates=20).run(store)
    assert notes() == before + 2  # that of the second run, and the ledger's entry of it


def run_git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_of_the_code_is_told_and_whether_files_differ(tmp_path):
    code = tmp_path / "study.py"
    code.write_text(STUDY)
    run_git(tmp_path, "init", "-q")
    run_git(tmp_path, "add", ".")
    assert checkout(str(code)) is None  # nothing is committed yet
    run_git(tmp_path, "commit", "-q", "-m", "first")
    commit = run_git(tmp_path, "rev-parse", "HEAD")
    assert checkout(str(code)) == {"commit": commit, "dirty": False}
    (tmp_path / "new.txt").write_text("not tracked")
    assert checkout(str(code)) == {"commit": commit, "dirty": False}
    code.write_text(STUDY + "\n")
    assert checkout(str(code)) == {"commit": commit, "dirty": True}


def test_without_git_nothing_is_told_and_nothing_fails(tmp_path, monkeypatch):
    (tmp_path / "study.py").write_text(STUDY)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert checkout(str(tmp_path / "study.py")) is None
    monkeypatch.setenv("PATH", "")
    assert checkout(str(tmp_path / "study.py")) is None


def test_the_code_is_told_as_it_was_when_the_number_was_made(tmp_path):
    """Another process, and an edited file, change nothing about it."""
    (tmp_path / "study.py").write_text(STUDY)
    script = (
        "from study import draw\nfrom workflow_assets import Experiment, FileStore\n"
        "result = Experiment('s', [draw], replicates=1).run(FileStore('store'))\n"
        "print(result.trace('baseline', 0, 'draw').key)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (tmp_path / "study.py").write_text(STUDY.replace("2.0", "3.0").replace("value *", "-value *"))
    found = trace(FileStore(tmp_path / "store"), done.stdout.strip())
    assert found.code["study:scaled"] == "def scaled(value):\n    return value * FACTOR"
    assert found.code["study:FACTOR"] == "2.0"
    assert "    return value * FACTOR" in str(found)


@step
def large(replicate: int) -> int:
    return len(b"x" * (100 * 2**20)) + replicate


@step
def small(large: int) -> int:
    time.sleep(0.02)  # memory is not asked for at the end of a brief step
    return large


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the system keeps the peak")
def test_memory_of_a_step_in_a_worker_process_is_its_own():
    result = Experiment("study", [large, small], replicates=1).run(backend="processes", workers=1)
    peak = dict(zip(result.timings["step"], result.timings["peak_memory"], strict=True))
    assert peak["large"] - peak["small"] > 80 * 2**20

"""Worker processes that die, hang or are left alone: they cost what they were at, and none outlives its run."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from workflow_assets import Experiment, FileStore, Result, step
from workflow_assets.errors import DeclarationError
from workflow_assets.traits import Retries


@step
def level(folder: str = "") -> float:
    """Shared by all cells."""
    with Path(folder, "level").open("a") as file:
        file.write("called\n")
    return 10.0


@step
def drawn(level: float, rng: Any, replicate: int, folder: str = "", fault: str = "") -> float:
    """Fails in many ways, for replicate 3."""
    value = level + rng.normal()
    if replicate != 3 or not fault:
        return value
    kind, _, times = fault.partition(" ")
    tries = Path(folder, kind)
    with tries.open("a") as file:
        file.write("tried\n")
    if times and len(tries.read_text().split()) > int(times):
        return value
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "left":
        os._exit(3)
    elif kind == "sleeping":
        time.sleep(600)
    elif kind == "holding":
        re.match(r"(a+)+$", "a" * 60 + "b")  # in C, without letting another thread run
    return value


@step
def scored(drawn: float, level: float) -> float:
    """Needs what may fail, and what does not."""
    return drawn - level


def study(
    folder: Path, fault: str, limit: float | None = None, retries: int = 0, replicates: int = 6
) -> Experiment:
    """Declare an experiment of which one replicate meets a fault."""
    trying = Retries(retries, wait=0.0)
    faulty = step(timeout=limit, retries=trying, name="drawn")(drawn.function)
    settings = {"level.folder": str(folder), "drawn.folder": str(folder)}
    return Experiment(
        "study",
        [level, faulty, scored],
        {"faulty": {"drawn.fault": fault}},
        replicates=replicates,
        parameters=settings,
    )


def failures(result: Result) -> dict[tuple[str, str], tuple[str, str]]:
    """Give what failed, where and why."""
    return {
        (one.treatment, one.replicate): (one.step, f"{one.kind}: {one.message}") for one in result.failures
    }


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("killed", "WorkerLostError: a worker process died: killed by SIGKILL"),
        pytest.param("left", "WorkerLostError: a worker process died: exit code 3", marks=pytest.mark.slow),
    ],
)
def test_a_step_that_kills_its_worker_costs_its_cell_alone(tmp_path: Path, fault: str, message: str) -> None:
    """It is tried twice; everybody else's cell is there, and what they share was computed once."""
    store = FileStore(tmp_path / "store")
    result = study(tmp_path, fault).run(store, backend="processes", workers=2)
    assert failures(result) == {("faulty", "0003"): ("drawn", message)}
    assert len(result.table.dropna(subset=["scored"])) == 11
    assert (tmp_path / fault).read_text().split() == ["tried", "tried"]
    assert (tmp_path / "level").read_text().split() == ["called"]


def test_a_worker_that_is_killed_once_changes_nothing(tmp_path: Path) -> None:
    """The results are those of a run in which nobody was killed."""
    undisturbed = study(tmp_path, "killed 0").run()
    (tmp_path / "killed").unlink()
    disturbed = study(tmp_path, "killed 1").run(backend="processes", workers=2)
    assert (tmp_path / "killed").read_text().split() == ["tried", "tried"]
    assert disturbed.failures == ()
    assert disturbed.table.to_csv() == undisturbed.table.to_csv()


@pytest.mark.parametrize("fault", [pytest.param("sleeping", marks=pytest.mark.slow), "holding"])
def test_a_step_that_exceeds_its_timeout_is_ended_with_its_worker(tmp_path: Path, fault: str) -> None:
    """Also in the middle of C code; the worker's place is free for other cells."""
    result = study(tmp_path, fault, limit=0.5).run(FileStore(tmp_path / "store"), workers=1)
    message = "TimeoutError: step 'drawn' took longer than its timeout of 0.5 s"
    assert failures(result) == {("faulty", "0003"): ("drawn", message)}
    assert len(result.table.dropna(subset=["scored"])) == 11


@pytest.mark.slow
def test_a_step_that_exceeds_its_timeout_is_tried_again(tmp_path: Path) -> None:
    """As often as its retries say."""
    result = study(tmp_path, "sleeping 2", limit=0.5, retries=2).run(backend="processes", workers=1)
    assert result.failures == ()
    assert (tmp_path / "sleeping").read_text().split() == ["tried"] * 3


@pytest.mark.parametrize("backend", ["serial", "threads", "asyncio"])
def test_a_timeout_that_cannot_be_kept_is_refused(tmp_path: Path, backend: str) -> None:
    """Before anything runs."""
    with pytest.raises(
        DeclarationError, match=r"step 'drawn' has a timeout, and the backend .* cannot end a call"
    ):
        study(tmp_path, "", limit=1.0).run(backend=backend)
    assert not (tmp_path / "level").exists()


def test_workers_that_are_killed_from_outside_are_replaced(tmp_path: Path) -> None:
    """Whatever they are doing, or while they are doing nothing."""
    experiment = study(tmp_path, "", replicates=300)
    undisturbed = experiment.run()
    done = threading.Event()
    killed: list[int] = []

    def kill() -> None:
        while not done.wait(0.25):
            for pid in children(os.getpid()):
                if len(killed) < 6:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                    break

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        slowed = Experiment(
            "study",
            [level, slowly, scored],
            {"faulty": {"drawn.fault": ""}},
            replicates=300,
            parameters={"level.folder": str(tmp_path)},
        )
        result = slowed.run(FileStore(tmp_path / "store"), backend="processes", workers=2)
    finally:
        done.set()
        killer.join()
    assert len(killed) >= 3
    assert result.failures == ()
    assert result.table.to_csv() == undisturbed.table.to_csv()


@step(name="drawn")
def slowly(level: float, rng: Any, fault: str = "") -> float:
    """Draws what `drawn` draws, later."""
    time.sleep(0.005 if not fault else 0)
    return level + rng.normal()


SCRIPT = """
import signal, subprocess, sys, time
from pathlib import Path
from workflow_assets import Experiment, FileStore, step

@step
def drawn(replicate: int, rng) -> float:
    if replicate == 5:
        subprocess.Popen(["sleep", "611"])
        Path("stuck").touch()
        time.sleep(600)
    return rng.normal()

# Whoever starts us may ignore or hold back signals.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGTERM])
study = Experiment("study", [drawn], replicates=12)
store = FileStore("store") if sys.argv[1:] else None
study.run(store, backend="processes", workers=2)
"""


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        (signal.SIGINT, True),
        pytest.param(signal.SIGTERM, True, marks=pytest.mark.slow),
        (signal.SIGKILL, True),
        pytest.param(signal.SIGKILL, False, marks=pytest.mark.slow),
    ],
)
def test_no_process_outlives_a_run_that_is_ended(tmp_path: Path, number: signal.Signals, kept: bool) -> None:
    """Ctrl-C, a polite end and a rude one: what is done is kept, what steps have started is ended."""
    (tmp_path / "script.py").write_text(SCRIPT)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(temporary)}
    run = subprocess.Popen(
        [sys.executable, "script.py", *(["store"] if kept else [])],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: (tmp_path / "stuck").exists())
    workers = children(run.pid)
    assert workers
    groups = {pid: os.getpgid(pid) for pid in workers}
    run.send_signal(number)
    run.wait(90)  # its last write may take its time on a busy disk
    own = {pid for pid, group in groups.items() if group == pid}
    assert own
    wait_for(lambda: not any(map(is_alive, workers)))
    wait_for(lambda: not [pid for pid in everybody() if group_of(pid) in own])
    wait_for(lambda: not list(temporary.iterdir()))
    assert not kept or len(list(FileStore(tmp_path / "store").keys())) > 1


def test_what_workers_print_and_log_arrives_here(tmp_path: Path, capfd: Any, caplog: Any) -> None:
    """From Python, from other programs, and from loggers at the levels that are set here."""
    result = Experiment("talk", [talking], replicates=2).run(backend="processes", workers=1)
    assert result.failures == ()
    out, err = capfd.readouterr()
    assert out.count("said by python 0") == 1
    assert out.count("said by a program") == 2
    assert "told to errors" in err
    assert "logged 1" in caplog.text
    assert "hidden" not in caplog.text


@step
def talking(replicate: int) -> int:
    """Say something in every way."""
    import logging

    print(f"said by python {replicate}")
    print("told to errors", file=sys.stderr)
    subprocess.run(["echo", "said by a program"], check=True)
    logging.getLogger("mine").warning("logged %d", replicate)
    logging.getLogger("mine").debug("hidden")
    return replicate


def test_what_cannot_be_sent_to_a_worker_is_named() -> None:
    """Before anything runs, with what to do."""
    experiment = Experiment("study", [talking])
    with pytest.raises(
        DeclarationError, match=r"resource 'lock' cannot be sent to another process .*per_worker"
    ):
        experiment.run(backend="processes", resources={"lock": threading.Lock()})


@pytest.mark.parametrize("feed", [pytest.param("file", marks=pytest.mark.slow), "stdin"])
def test_functions_of_scripts_and_notebooks_run_in_processes(tmp_path: Path, feed: str) -> None:
    """Without a guard around the main module, and with classes that it defines."""
    text = """
from dataclasses import dataclass
from workflow_assets import Experiment, Metrics, step

@dataclass
class Pair:
    left: float
    right: float

class Score(Metrics):
    total: float

def helper(pair):
    return pair.left + pair.right

@step
def pair(rng) -> Pair:
    return Pair(rng.normal(), 1.0)

def make():
    bonus = 2.0

    @step
    def score(pair: Pair) -> Score:
        assert isinstance(pair, Pair)
        return Score(total=helper(pair) + bonus)

    return score

study = Experiment("study", [pair, make()], replicates=4)
here = study.run()
there = study.run(backend="processes", workers=2)
assert not here.failures, here.failures[0].traceback
assert not there.failures, there.failures[0].traceback
assert here.table.equals(there.table)
print(type(there.store.load_asset(("study", "pair"), "0000|baseline")).__name__)
"""
    script = tmp_path / "script.py"
    script.write_text(text)
    command = [sys.executable, *(["script.py"] if feed == "file" else ["-"])]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        input=None if feed == "file" else text,
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "Pair"), done.stderr


def wait_for(what: Any, seconds: float = 60.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def everybody() -> list[int]:
    """Give all processes."""
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]


def children(parent: int) -> list[int]:
    """Give the worker processes that a process has started."""
    found = []
    for pid in everybody():
        try:
            status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if int(status[1]) == parent and b"spawn_main" in command:
            found.append(pid)
    return found


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def group_of(pid: int) -> int:
    """Give the process group of a living process; 0 for none."""
    try:
        return os.getpgid(pid) if is_alive(pid) else 0
    except ProcessLookupError:
        return 0

"""Progress: a bar that tells the truth on a terminal, and lines that come now and then."""

import io
import logging
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
import types
from pathlib import Path

import pytest

import workflow_assets
from workflow_assets import Experiment, MemoryStore, progress, step

STUDY = """
import logging, signal, sys, time

# Whoever starts us may ignore or hold back signals.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

from pathlib import Path
from workflow_assets import Experiment, step

@step
def measured(replicate: int, seconds: float = {seconds}) -> int:
    if replicate == 1:
        raise ValueError("out of luck")
    print("printed", replicate)
    logging.getLogger("mine").warning("logged %s", replicate)
    Path({started!r}).touch()
    time.sleep(seconds)
    return replicate

logging.basicConfig(format="%(message)s")
logging.getLogger("workflow_assets").setLevel(logging.ERROR)
study = Experiment("study", [measured], replicates=4)
study.run(**{options!r})
print("the end")
"""


def on_a_terminal(code: str, folder: Path, interrupt_at: Path | None = None) -> list[str]:
    """Run code on a terminal; give the lines as the terminal shows them at the end."""
    script = folder / "script.py"
    script.write_text(code)
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 100))
    root = str(Path(workflow_assets.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, script],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": root, "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 1 << 16)
        except OSError:  # the end of a terminal
            break
        shown += data
        if interrupt_at is not None and interrupt_at.exists() and b"cells" in shown:
            process.send_signal(signal.SIGINT)
            interrupt_at = None
    os.close(ours)
    process.wait(20)
    return [displayed(line) for line in shown.decode().split("\n")]


def displayed(line: str) -> str:
    """Overwrite from the start of the line after each carriage return, as a terminal does."""
    cells: list[str] = []
    for part in re.sub(r"\x1b\[\w", "", line).split("\r"):
        cells[: len(part)] = part
    return "".join(cells).rstrip()


def test_the_bar_counts_and_output_stands_above_it(tmp_path):
    started = str(tmp_path / "started")
    code = STUDY.format(seconds=0.3, started=started, options={})
    lines = on_a_terminal(code, tmp_path)
    assert [line for line in lines if line.startswith(("printed", "logged"))] == [
        f"{what} {replicate}" for replicate in (0, 2, 3) for what in ("printed", "logged")
    ]
    bars = [line for line in lines if "cells" in line]
    assert len(bars) == 1, lines
    assert re.fullmatch(r"study: 100%\|█+\| 4/4 \[00:0\d<00:00, .*cells.*, 0 stored, 1 failed\]", bars[0]), (
        bars
    )
    assert lines[lines.index(bars[0]) + 1] == "the end"


def test_output_of_worker_processes_does_not_tear_the_bar(tmp_path):
    options = {"backend": "processes", "workers": 1, "progress": True}
    code = STUDY.format(seconds=0.1, started=str(tmp_path / "started"), options=options)
    lines = on_a_terminal(code, tmp_path)
    told = sorted(line for line in lines if line.startswith(("printed", "logged")))
    assert told == [f"{what} {replicate}" for what in ("logged", "printed") for replicate in (0, 2, 3)]
    assert [line.partition("|")[0] for line in lines if "cells" in line] == ["study: 100%"]


def test_an_interrupted_run_leaves_the_bar_where_it_was(tmp_path):
    started = tmp_path / "started"
    code = STUDY.format(seconds=100, started=str(started), options={})
    lines = on_a_terminal(code, tmp_path, interrupt_at=started)
    assert "KeyboardInterrupt" in lines
    (bar,) = [line for line in lines if line.startswith("study:")]
    assert "0/4" in bar
    assert lines.index(bar) < lines.index("Traceback (most recent call last):")


@step
def measured(replicate: int) -> int:
    return replicate


@step
def slow(replicate: int) -> int:
    time.sleep(0.02)
    return replicate


def test_nothing_is_shown_where_nobody_looks(capsys):
    Experiment("study", [measured], replicates=3).run()
    Experiment("study", [measured], replicates=3).run(progress=False)
    assert capsys.readouterr() == ("", "")


def test_a_bar_that_is_asked_for_is_shown_at_once(capsys):
    store = MemoryStore()
    study = Experiment("study", [measured], replicates=3)
    study.run(store, treatments=["baseline"], replicates=["0000"])
    study.run(store, progress=True)
    *_, last = capsys.readouterr().err.replace("\r", "\n").strip().split("\n")
    assert last.startswith("study: 100%")
    assert "3/3" in last
    assert "1 stored, 0 failed" in last


def test_a_short_run_shows_no_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "_SOON", 30.0)
    Experiment("study", [measured], replicates=3).run()
    assert capsys.readouterr().err == ""


def test_what_was_replaced_for_the_bar_is_put_back(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    handler = logging.StreamHandler(terminal)
    logging.getLogger("mine").addHandler(handler)
    try:

        @step
        def telling(replicate: int) -> int:
            assert sys.stderr is not terminal
            assert handler.stream is sys.stderr
            sys.stderr.write("half a line")
            return replicate

        assert not Experiment("study", [telling], replicates=1).run(progress=True).failures
        assert sys.stderr is terminal
        assert handler.stream is terminal
        assert "half a line\n" in terminal.getvalue()
    finally:
        logging.getLogger("mine").removeHandler(handler)


def test_a_notebook_without_widgets_shows_the_plain_bar_and_no_warning(monkeypatch, capsys):
    kernel = types.SimpleNamespace(config={"IPKernelApp": {}})
    shell = types.SimpleNamespace(get_ipython=lambda: kernel, version_info=(8, 0))
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setattr(progress, "_SOON", 0.01)
    Experiment("study", [slow], replicates=5).run()
    *_, last = capsys.readouterr().err.replace("\r", "\n").strip().split("\n")
    assert last.startswith("study: 100%")


class Clock:
    """A clock that the test turns."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(progress, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def outcome(*, computed=(), failure=None):
    return types.SimpleNamespace(computed=frozenset(computed), failure=failure)


def test_log_lines_come_seldom_and_tell_the_latest_rate(clock):
    lines: list[str] = []
    log = progress.Log(lines.append, 200)
    for _ in range(100):
        log.add(outcome())  # stored: found in no time
    for _ in range(12):
        clock.now += 4.0
        log.add(outcome(computed=["noise"]))
    log.add(outcome(failure="out of luck"))
    assert lines == [
        "103 of 200 cells done, 100 stored, 0 failed; 8.58 cells/s, 00:11 left",
        "106 of 200 cells done, 100 stored, 0 failed; 4 s/cell, 06:16 left",
        "109 of 200 cells done, 100 stored, 0 failed; 4 s/cell, 06:04 left",
        "112 of 200 cells done, 100 stored, 0 failed; 4 s/cell, 05:52 left",
    ]
    log.close()
    assert lines[-1] == "113 of 200 cells done, 100 stored, 1 failed; 2.35 cells/s, in 00:48"


@pytest.mark.parametrize("given", [0.0, 0.4])
def test_a_run_that_takes_no_time_is_told_all_the_same(clock, given):
    lines: list[str] = []
    log = progress.Log(lines.append, 1)
    clock.now += given
    log.add(outcome(computed=["noise"]))
    log.close()
    assert len(lines) == 1
    assert lines[0].startswith("1 of 1 cells done, 0 stored, 0 failed")

"""The ledger keeps what was tried and looked at, once, whoever writes and whatever happens meanwhile."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from workflow_assets import Experiment, FileStore, Hypothesis, MemoryStore, Store, collect_garbage, step
from workflow_assets.errors import StoreError
from workflow_assets.ledgers import FAILURES, LOOK, RUN, Ledger, overlap, spans
from workflow_assets.store.records import Record


@step
def score(replicate: int, treatment: str, rng, failing: int = 0) -> float:
    if replicate < failing:
        raise RuntimeError("out of luck")
    return float(rng.normal())


def study(replicates: int = 6, failing: int = 0) -> Experiment:
    claims = [Hypothesis("better", "score", "more")]
    return Experiment("study", [score], {"more": {"score.failing": failing}}, replicates, claims)


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path)


def test_runs_failures_and_looks_are_noted_once(store: Store) -> None:
    for _ in range(3):
        assert study(failing=2).run(store).verdict("better").n == (4, 4)
    (run,) = Ledger(store, "study").entries(RUN)
    assert run.told["replicates"] == [[0, 5]]
    assert run.told["treatments"] == ["baseline", "more"]
    (failures,) = Ledger(store, "study").entries(FAILURES)
    assert failures.told["failed"] == {"more": [[0, 1]]}
    (look,) = Ledger(store, "study").entries(LOOK)
    assert (look.told["hypothesis"], look.told["n"]) == ("better", 4)
    study(8).run(store)
    assert [entry.told["replicates"] for entry in Ledger(store, "study").entries(RUN)] == [[[0, 5]], [[0, 7]]]
    assert Ledger(store, "other").entries() == []


def test_a_run_is_noted_before_its_first_cell(store: Store) -> None:
    seen: list[int] = []

    @step
    def looking(replicate: int) -> float:
        seen.append(len(Ledger(store, "looking").entries(RUN)))
        return 1.0

    Experiment("looking", [looking], replicates=2).run(store)
    assert seen == [1, 1]


def test_the_collector_of_garbage_keeps_the_ledger(store: Store) -> None:
    study().run(store).verdict("better")
    before = Ledger(store, "study").entries()
    collect_garbage(store)
    assert (
        Ledger(type(store)(store.folder) if isinstance(store, FileStore) else store, "study").entries()
        == before
    )
    assert len(before) == 2


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    def write(first: int) -> None:
        ledger = Ledger(FileStore(tmp_path), "study")
        for number in range(first, first + 60):
            ledger.note(RUN, {"number": number})

    writers = [threading.Thread(target=write, args=(start,)) for start in (0, 30)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    entries = Ledger(FileStore(tmp_path), "study").entries(RUN)
    assert sorted(entry.told["number"] for entry in entries) == list(range(90))


def test_only_one_of_several_gets_a_number(tmp_path: Path) -> None:
    won: list[int] = []

    def write(who: int) -> None:
        if Ledger(FileStore(tmp_path), "study").preregister(1, {"who": who, "when": "now"}):
            won.append(who)

    writers = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (standing,) = Ledger(FileStore(tmp_path), "study").preregistrations()
    assert won == [standing["who"]]


KILLED = """
import os, signal, sys
from workflow_assets import FileStore
from workflow_assets.ledgers import RUN, Ledger

store = FileStore(sys.argv[1])
Ledger(store, "study").note(RUN, {"number": 1})
method = sys.argv[2]
genuine = getattr(store, method)

def killed(*arguments, **options):
    if sys.argv[3] == "after":
        genuine(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(store, method, killed)
Ledger(store, "study").note(RUN, {"number": 2})
"""


@pytest.mark.parametrize("point", ["refer before", "refer after", "put before", "put after"])
def test_a_writer_killed_in_between_leaves_whole_entries_and_the_next_completes(
    point: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), *point.split()],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    ledger = Ledger(FileStore(tmp_path), "study")
    numbers = [entry.told["number"] for entry in ledger.entries(RUN)]
    assert numbers == ([1, 2] if point == "put after" else [1])
    ledger.note(RUN, {"number": 2})
    assert [entry.told["number"] for entry in Ledger(FileStore(tmp_path), "study").entries(RUN)] == [1, 2]


def test_a_store_that_takes_no_note_loses_no_result(caplog: pytest.LogCaptureFixture) -> None:
    class Full(MemoryStore):
        def refer(self, asset, keys) -> None:
            if asset[0] == "#ledger":
                raise StoreError("no space is left")
            super().refer(asset, keys)

    result = study().run(Full())
    assert result.verdict("better").n == (6, 6)
    assert "is not in the ledger: no space is left" in caplog.text


def test_a_store_that_cannot_be_written_gives_its_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    before = study().run(store).table

    def refuse(*_: object) -> Record:
        raise StoreError("read only")

    for method in ("check_writable", "_write_record", "refer"):
        monkeypatch.setattr(store, method, refuse)
    again = study().run(store)
    assert again.table.equals(before)
    assert again.verdict("better").n == (6, 6)


def test_spans_of_replicates_overlap_where_they_share_one() -> None:
    assert spans([3, 1, 2, 7]) == [[1, 3], [7, 7]]
    assert overlap([[0, 9]], [[9, 12]])
    assert not overlap([[0, 9]], [[10, 12], "a"])
    assert overlap(["a", "b"], [[0, 3], "b"])

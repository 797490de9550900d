"""Whatever happens to the files of a store: the next run computes what it cost, and gives the same table."""

import os
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from workflow_assets import Experiment, FileStore, collect_garbage, pin, pins, provenance, step, verify
from workflow_assets.errors import StoreError
from workflow_assets_tests.crash.disks import small_disk

CALLS: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _no_calls(monkeypatch):
    CALLS.clear()
    monkeypatch.setattr(provenance, "checkout", lambda filename: None)  # git takes longer than all else


@step(version="1")
def drawn(rng: np.random.Generator, size: int = 10) -> np.ndarray:
    CALLS["drawn"] += 1
    return rng.normal(size=size)


@step(version="1")
def total(drawn: np.ndarray) -> float:
    CALLS["total"] += 1
    return float(drawn.sum())


@step(version="1")
def doubled(total: float) -> float:
    CALLS["doubled"] += 1
    return 2 * total


@step(version="1")
def largest(drawn: np.ndarray) -> float:
    CALLS["largest"] += 1
    return float(drawn.max())


LARGE = 300
"""So many numbers make an object of 2.5 KB."""


def study(*more, size=10, replicates=2):
    return Experiment(
        "study", [drawn, total, doubled, *more], {"more": {"drawn.size": size + 1}}, replicates, seed=1
    )


def wide(*more, replicates=1):
    return study(*more, size=LARGE, replicates=replicates)


def counts():
    found = dict(CALLS)
    CALLS.clear()
    return found


def flip(path, place):
    """Change all bits of a byte, and leave size and times as they are, as a bad disk does."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 0xFF]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def made(tmp_path):
    """A store of a study, and the table that it gave."""
    folder = tmp_path / "store"
    result = study().run(FileStore(folder))
    CALLS.clear()
    return folder, result


def test_any_flipped_byte_of_a_record_costs_that_datum_alone(made):
    """The record of a step in the middle: nothing before it is computed again, and nothing that it was handed to."""
    folder, first = made
    path = folder / "records.jsonl"
    whole = path.read_bytes()
    key = first.trace("more", 1, "total").key
    start = whole.index(b'{"key":"%b"' % key.encode())
    end = whole.index(b"\n", start)
    lines, experiment = whole.count(b"\n"), study()
    for place in range(start, end):
        flip(path, place)
        table = experiment.run(FileStore(folder)).table
        assert counts() == {"total": 1}, place
        assert table.equals(first.table)
        assert path.read_bytes().count(b"\n") >= lines + 1
        path.write_bytes(whole)
    assert study().plan(FileStore(folder)).data.to_compute == 0


def test_a_flipped_end_of_a_line_costs_two_data_at_most(made):
    """That of the line, and the next, which cannot be told from it."""
    folder, first = made
    path = folder / "records.jsonl"
    whole, experiment = path.read_bytes(), study()
    for place in [place for place, byte in enumerate(whole) if byte == ord("\n")]:
        flip(path, place)
        table = experiment.run(FileStore(folder)).table
        assert sum(counts().values()) <= 2
        assert table.equals(first.table)
        assert experiment.plan(FileStore(folder)).data.to_compute == 0
        path.write_bytes(whole)


def test_any_flipped_byte_of_an_object_is_found_and_mended(tmp_path):
    """By a step that reads it, which is given the whole value; by `verify` where none does."""
    folder = tmp_path / "store"
    first = wide().run(FileStore(folder))
    experiment = wide(largest)
    also = experiment.run(FileStore(tmp_path / "other"))
    key = first.trace("more", 0, "drawn").key
    (path,) = folder.glob(f"objects/*/{key}.*")
    records, whole = folder / "records.jsonl", path.read_bytes()
    before = records.read_bytes()
    assert 2048 < len(whole) < 3000
    for place in range(0, len(whole), 7):
        flip(path, place)
        counts()
        table = experiment.run(FileStore(folder), treatments=["more"]).table
        assert counts() == {"drawn": 1, "largest": 1}, place
        assert table["largest"][0] == also.table["largest"][1]
        assert path.read_bytes() == whole
        records.write_bytes(before)

        flip(path, place)
        opened = FileStore(folder)
        assert opened.find(key) is not None, "nobody reads it"
        assert "do not have the digest" in opened.damage(opened.recorded([key])[key])
        assert opened.find(key) is None
        path.write_bytes(whole)
    flip(path, place)
    (damage,) = verify(FileStore(folder)).damaged
    assert (damage.key, damage.step) == (key, "drawn")
    assert wide().run(FileStore(folder)).table.equals(first.table)
    assert counts() == {"drawn": 1}
    assert path.read_bytes() == whole


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1])


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path):
    path.write_bytes(b"")


def zero(path):
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("harm", [cut_short, halve, lengthen, empty, zero, Path.unlink])
def test_an_object_of_another_size_is_missed_at_once(tmp_path, harm):
    """And one of zeros, as a power cut leaves it, when it is read."""
    folder = tmp_path / "store"
    first = wide(replicates=3).run(FileStore(folder))
    counts()
    (path,) = folder.glob(f"objects/*/{first.trace('more', 1, 'drawn').key}.*")
    whole = path.read_bytes()
    harm(path)
    again = wide(largest, replicates=3).run(FileStore(folder))
    assert counts() == {"drawn": 1, "largest": 6}
    assert again.table[list(first.table)].equals(first.table)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("harm", [cut_short, halve, lengthen, empty, zero, Path.unlink])
def test_what_is_lost_of_the_records_is_computed_again(tmp_path, harm):
    """And no more; who had opened the store before gets the same, too."""
    folder = tmp_path / "store"
    opened = FileStore(folder)
    first = wide(replicates=3).run(opened)
    counts()
    path = folder / "records.jsonl"
    keys = {key for row in first.outcomes for key in row.keys.values()}
    harm(path)
    lost = len(keys - FileStore(folder).find_all(keys).keys())
    assert lost == {cut_short: 1, halve: lost, lengthen: 0}.get(harm, len(keys))
    assert wide(replicates=3).run(FileStore(folder)).table.equals(first.table)
    assert sum(counts().values()) == lost
    assert wide(replicates=3).run(opened).table.equals(first.table)
    assert verify(FileStore(folder)).damaged == ()
    assert wide(replicates=3).plan(FileStore(folder)).data.to_compute == 0


def test_a_clock_that_was_set_back_changes_nothing(tmp_path, monkeypatch):
    """Neither what is found, nor which datum a partition holds, nor what garbage is."""
    folder = tmp_path / "store"

    def hold(size):
        assert not study(size=size).run(FileStore(folder)).failures
        return FileStore(folder).references(("study", "drawn"))["0001|more"]

    first = hold(LARGE)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 365 * 86_400)
    second = hold(LARGE + 1)
    assert first != second
    made_later = [
        path for path in folder.rglob("*") if path.is_file() and second in path.read_text("latin-1")
    ]
    for path in [path for path in made_later if path.name != "records.jsonl"]:
        os.utime(path, (time.time(), time.time()))
    counts()
    assert study(size=LARGE).plan(FileStore(folder)).data.to_compute == 0
    assert study(size=LARGE + 1).plan(FileStore(folder)).data.to_compute == 0
    assert FileStore(folder).versions(("study", "drawn"), "0001|more") == [first, second]
    pin(FileStore(folder), first)
    assert pins(FileStore(folder)) == {first}
    collect_garbage(FileStore(folder))
    assert {first, second} <= set(FileStore(folder).keys())
    assert study(size=LARGE + 1).plan(FileStore(folder)).data.to_compute == 0
    assert study(size=LARGE).plan(FileStore(folder)).data.to_compute == 5
    monkeypatch.setattr(time, "time", now)
    assert hold(LARGE) == first
    assert FileStore(folder).versions(("study", "drawn"), "0001|more")[-1] == first
    assert counts() == {"drawn": 1, "total": 2, "doubled": 2}, "all but the pinned datum"


def test_a_full_disk_stops_a_run_and_the_next_computes_what_is_missing(tmp_path):
    """With a clear error, and with what was stored before it."""
    experiment = study(size=LARGE, replicates=40)
    with small_disk(tmp_path / "disk", 800) as disk:
        store, ballast = FileStore(disk / "store"), disk / "ballast"
        ballast.write_bytes(bytes(600_000))
        with pytest.raises(
            StoreError, match=r"disk/store cannot .*: No space left on device. Free some space"
        ):
            experiment.run(store)
        computed = counts()
        assert 0 < computed["doubled"] < 80
        stored = experiment.plan(store).steps
        for name, count in computed.items():
            assert count - 1 <= stored[name].stored <= count
        with pytest.raises(StoreError, match=r"No space left on device"):
            experiment.run(store)
        counts()
        missing = {name: needs.to_compute for name, needs in experiment.plan(store).steps.items()}
        ballast.unlink()
        result = experiment.run(FileStore(store.folder))
        assert counts() == missing
        assert not result.failures
        assert verify(store).damaged == ()
        assert not any(path.name.endswith(".tmp") for path in disk.rglob("*"))

"""The file of records: who appends, who reads meanwhile, and what is torn or too long."""

import json
import os
import threading

import pytest

from workflow_assets.errors import StoreError
from workflow_assets.store import logs
from workflow_assets.store.files import FileStore


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "store")


def lines(store):
    return (store.folder / "records.jsonl").read_bytes().splitlines(keepends=True)


def test_what_others_append_is_seen_at_once(store):
    """By a store that was open before, although it looked in vain."""
    other = FileStore(store.folder)
    assert other.find("a1") is None
    for number in range(3):
        store.put(f"a{number}", number)
        assert other.load(f"a{number}") == number
        other.put(f"b{number}", number)
        assert store.load(f"b{number}") == number
    assert sorted(store.keys()) == sorted(other.keys()) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert len(lines(store)) == 6


def test_a_torn_line_costs_only_itself(store):
    """It is ended by whoever appends next, and hides no whole line of its key."""
    store.put("a1", 1)
    (line,) = lines(store)
    path = store.folder / "records.jsonl"
    for cut in range(1, len(line)):
        path.write_bytes(line + line[:cut])
        opened = FileStore(store.folder)
        assert opened.load("a1") == 1
        opened.put("a2", 2)
        assert lines(opened)[1] == line[:cut] + b"\n"
        for reader in (opened, FileStore(store.folder)):
            assert [reader.load("a1"), reader.load("a2")] == [1, 2]


def test_a_reader_waits_for_no_writer(store):
    """Half a line is no record; when its other half is there, it is."""
    store.put("a1", 1)
    store.put("a2", 2)
    first, second = lines(store)
    path = store.folder / "records.jsonl"
    path.write_bytes(first + second[:50])
    reader = FileStore(store.folder)
    assert reader.find("a2") is None
    with path.open("ab") as file:
        file.write(second[50:])
    assert reader.load("a2") == 2


def test_a_file_that_was_written_anew_is_read_anew(store):
    """Both by who reads and by who appends; nothing that is appended is lost with the old file."""
    reader, writer = FileStore(store.folder), FileStore(store.folder)
    for number in range(4):
        store.put(f"a{number}", number)
    assert reader.load("a1") == writer.load("a1") == 1
    store._log.delete({"a1", "a3"})
    writer.put("a4", 4)
    for opened in (reader, writer, store):
        assert sorted(opened.keys()) == ["a0", "a2", "a4"]
        assert opened.find("a1") is None


def test_a_file_that_was_cut_or_copied_back_is_read_anew(store):
    """As when a backup is put in its place."""
    for number in range(4):
        store.put(f"a{number}", number)
    path = store.folder / "records.jsonl"
    path.write_bytes(b"".join(lines(store)[:2]))
    assert store.find("a3") is None
    store.put("a4", 4)
    assert [json.loads(line)["key"] for line in lines(store)] == ["a0", "a1", "a4"]


def test_lines_that_do_not_count_go_when_the_file_is_written_anew(store):
    """Replaced ones, torn ones, and what is no record at all."""
    store.put("a1", 1)
    store.put_encoded("a1", encoded(2), metrics={}, provenance={}, replace=True)
    with (store.folder / "records.jsonl").open("ab") as file:
        file.write(b'no record\n{"key":"a1", torn')
    opened = FileStore(store.folder)
    opened._log.delete(set())
    assert len(lines(store)) == 1
    assert FileStore(store.folder).load("a1") == store.load("a1") == 2


def encoded(value):
    from workflow_assets.store.codecs import encode

    return encode(value, pickles=False)


def test_lines_of_any_length_are_read(store, monkeypatch):
    """Longer than what is read at a time; but none that is longer than any may be."""
    monkeypatch.setattr(logs, "_STEP", 1 << 12)
    monkeypatch.setattr(logs, "_LONGEST", 1 << 16)
    for number in range(20):
        store.put(f"a{number}", number, metrics={"text": "x" * 3000 * number})
    with pytest.raises(
        StoreError, match=r"the record of a9 takes \d+ bytes, and may take 65536: record fewer"
    ):
        store.put("a9", 1, metrics={"text": "x" * (1 << 16)})
    with (store.folder / "records.jsonl").open("ab") as file:
        file.write(b'{"key":"b1","' + b"x" * (1 << 18))
    reader = FileStore(store.folder)
    assert [reader.load(f"a{number}") for number in range(20)] == list(range(20))
    reader.put("b2", 2)
    assert FileStore(store.folder).load("b2") == 2


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 warns of what is tested here
def test_a_process_that_was_forked_appends_on_its_own(store):
    """It neither shares the lock of its parent, nor waits for a thread that it does not have."""
    store.put("a1", 1)
    held = threading.Event()
    done = threading.Event()

    def hold():
        with store._log.locked():
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if not child:
        try:
            assert store.load("a1") == 1
            store.put("a2", 2)
            os._exit(0)
        finally:
            os._exit(1)
    assert "a2" not in FileStore(store.folder).keys()  # noqa: SIM118 - it waits
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.load("a2") == 2


def test_threads_append_to_one_store(store):
    """Each finds what the others have put, and no line is lost."""

    def work(worker):
        for number in range(100):
            record = store.put(f"k{number}", number, metrics={"worker": worker})
            kept.append((record.key, record.metrics["worker"]))

    kept: list[tuple[str, int]] = []
    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(store)) == 100
    assert {store.find(key).metrics["worker"] == worker for key, worker in kept} == {True}

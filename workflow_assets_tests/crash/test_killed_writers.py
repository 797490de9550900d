"""A writer killed at any point leaves whole data or none, and who comes after it finishes the work."""

import signal
import subprocess
import sys
import time

import pytest

from workflow_assets.store.files import FileStore
from workflow_assets.store.records import record_from_bytes
from workflow_assets_tests.conformance.sameness import assert_same
from workflow_assets_tests.crash import writers
from workflow_assets_tests.forks import begin

# Putting a small datum is: write its line (the very first: open the file of records before). Putting a large one is:
# open, write, write, close, rename of its object, then its line. They are put in turn.
POINTS = {
    "before anything": "open before 1",
    "after the file of records was made": "open after 1",
    "before a record": "write before 1",
    "halfway through a record": "write halfway 1",
    "after a record": "write after 1",
    "after an object's temporary file was made": "open after 3",
    "halfway through an object": "write halfway 3",
    "before an object's temporary file is closed": "close before 1",
    "after an object's temporary file was closed": "close after 1",
    "before an object gets its name": "rename before 2",
    "between an object and its record": "rename after 2",
    "halfway through the record of an object": "write halfway 4",
    "after the record of an object": "write after 4",
    "between the last object and its record": "rename after 13",
    "before the references get their name": "rename before 14",
    "after the references got their name": "rename after 14",
    "before waiting for an object": "fsync before 4",
    "between waiting for an object and its folder": "fsync after 4",
    "before waiting for a record": "fdatasync before 3",
    "in the middle of many": "write before 31",
}


def run(folder, work, point=""):
    """Let a process write, and see it end as it should."""
    process = begun(folder, work, point)
    process.join()
    assert process.exitcode == (-signal.SIGKILL if point else 0), errors(folder, point).read_text()


def begun(folder, work, point=""):
    return begin(writers.write, str(folder), work, point, err=errors(folder, point))


def errors(folder, point):
    """Give the file that a process writes its errors to."""
    return folder.with_name(f"{folder.name} {point}.err")


def whole_files(folder):
    """Give the bytes of all records and files but temporary ones; names of references end in chance."""
    files = {
        (path.parent if path.parent.name == "a" else path).relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.*")
        if path.suffix != ".tmp"
    }
    lines = files.pop("records.jsonl", b"").splitlines(keepends=True)
    records = {
        f"record {key}": line for line in lines for key, _ in writers.datums() if record_from_bytes(key, line)
    }
    return {**files, **records}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The files of a store whose writer was not disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run(folder, "datums")
    return whole_files(folder)


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_nothing_torn_is_readable_and_a_second_run_finishes(point, tmp_path, undisturbed):
    """What is there is whole; then all is there, byte for byte as if nothing had happened."""
    run(tmp_path, "datums", point)
    store = FileStore(tmp_path)
    for key, value in writers.datums():
        if store.find(key) is not None:
            assert_same(store.load(key), value)
    assert store.references(("a",)) in ({}, {key: key for key, _ in writers.datums()})
    assert whole_files(tmp_path).items() <= undisturbed.items()
    run(tmp_path, "datums")
    finished = whole_files(tmp_path)
    references = finished.pop("references/a")
    assert finished == {name: data for name, data in undisturbed.items() if name != "references/a"}
    assert references
    assert FileStore(tmp_path).references(("a",)) == {key: key for key, _ in writers.datums()}


@pytest.mark.parametrize(
    "point",
    ["rename before 5", "rename after 5", "rename before 6", "rename after 6", "unlink after 1", "unlink before 3",
     "write halfway 6", "unlink after 4", "rename after 12"],
)  # fmt: skip
def test_references_survive_a_writer_killed_while_it_merges_them(point, tmp_path):
    """What was noted before stays noted, and the next writer goes on."""
    run(tmp_path, "references", point)
    held = FileStore(tmp_path).references(("a",))
    noted = len(held) - 1
    assert noted >= 3
    assert held == {**{f"p{number}": "k" for number in range(noted)}, "last": f"k{noted - 1}"}
    run(tmp_path, "references")
    assert FileStore(tmp_path).references(("a",)) == {
        **{f"p{number}": "k" for number in range(12)},
        "last": "k11",
    }


def test_a_writer_killed_at_any_time_leaves_whole_data(tmp_path, undisturbed):
    """Wherever it happened to be, again and again, until one is let finish."""
    for delay in (0.0, 0.002, 0.005, 0.01, 0.02):
        process = begun(tmp_path, "datums")
        while process.is_alive() and not (tmp_path / "records.jsonl").exists():
            time.sleep(0.001)
        time.sleep(delay)
        process.kill()
        process.join()
        store = FileStore(tmp_path)
        for key, value in writers.datums():
            if store.find(key) is not None:
                assert_same(store.load(key), value)
    run(tmp_path, "datums")
    finished = whole_files(tmp_path)
    assert {**finished, "references/a": b""} == {**undisturbed, "references/a": b""}


@pytest.mark.parametrize(
    "point",
    ["open before 1", "open after 2", "write before 1", "write halfway 7", "write after 8", "fsync before 1",
     "close before 1", "rename before 1", "rename after 1"],
)  # fmt: skip
def test_a_collector_killed_while_it_writes_the_records_anew(point, tmp_path, undisturbed):
    """All records are there, or all but those that were to go; and the next collector finishes."""
    run(tmp_path, "datums")
    run(tmp_path, "delete", point)
    left = whole_files(tmp_path)
    gone = {f"record {key}" for key, _ in list(writers.datums())[::2]}
    assert undisturbed.keys() - left.keys() in (set(), gone)
    run(tmp_path, "delete")
    assert undisturbed.keys() - whole_files(tmp_path).keys() == gone
    run(tmp_path, "datums")
    assert whole_files(tmp_path).keys() == undisturbed.keys()


@pytest.mark.parametrize("workers", [2, 8])
def test_processes_that_write_the_same_keys_agree(workers, tmp_path):
    """No error, no lost record, no lost reference; each key has one record, and its value."""
    names = [f"w{number}" for number in range(workers)]
    processes = [begun(tmp_path, "same", name) for name in names]
    for name, process in zip(names, processes, strict=True):
        process.join()
        assert process.exitcode == 0, errors(tmp_path, name).read_text()
    store = FileStore(tmp_path)
    for number in range(500):
        assert_same(
            store.load(f"{number:03x}"), number * 0.5 if number % 4 else writers.LARGE[: 300 + number]
        )
    held = store.references(("a",))
    assert held.pop("shared") in {f"w{number}" for number in range(workers)}
    assert held == {
        f"w{worker}-{number}": f"{number:03x}" for worker in range(workers) for number in range(0, 500, 10)
    }
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".tmp"]


def test_a_file_may_not_be_larger_than_the_user_allows(tmp_path):
    """A limit on the size of files is an error with a cure, and leaves no torn file."""
    code = (
        "import resource, sys, numpy as np\n"
        "from workflow_assets import FileStore\n"
        "from workflow_assets.errors import StoreError\n"
        "store = FileStore(sys.argv[1])\n"
        "store.put('a1', np.zeros(1000))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    store.put('a2', np.zeros(100_000))\n"
        "except StoreError as error:\n"
        "    print(error)\n"
        "store.put('a3', np.zeros(1000))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert f"the store folder {tmp_path} cannot take a datum: File too large. Raise the limit" in ran.stdout
    store = FileStore(tmp_path)
    assert [store.find(key) is None for key in ("a1", "a2", "a3")] == [False, True, False]
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".tmp"]

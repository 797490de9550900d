"""Files that steps write and are handed."""

import collections
import os
import pathlib
import tracemalloc

import pandas as pd
import pytest

from workflow_assets import Experiment, File, source, step
from workflow_assets.errors import CodecError
from workflow_assets.store.base import MemoryStore
from workflow_assets.store.codecs import decode, encode, independent_copy
from workflow_assets.store.files import FileStore

BIG = 3 * (1 << 20) + 5


def written(folder, name="reads.csv", data=b"a,b\n1,2\n"):
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("size", [0, 8, 5000, BIG])
@pytest.mark.parametrize("wrap", [lambda file: file, lambda file: {"n": [file, 1]}], ids=["whole", "member"])
@pytest.mark.parametrize("memory", [True, False], ids=["memory", "folder"])
def test_a_file_is_stored_as_it_is(size, wrap, memory, tmp_path):
    """Its bytes and its ending, also where the place that it was written to is gone; without a pickle."""
    path = written(tmp_path, data=(bytes(range(256)) * (size // 256 + 1))[:size])
    value = wrap(File(path))
    expected = path.read_bytes()
    path.unlink()
    store = MemoryStore(pickles=False) if memory else FileStore(tmp_path / "store", pickles=False)
    encoded = encode(value, pickles=False)
    record = store.put_encoded("a1", encoded, metrics={}, provenance={})
    for given in (store.load(record), store.load(record), independent_copy(encoded, pickles=False)):
        file = given if isinstance(given, File) else given["n"][0]
        assert (file.suffix, file.size, file.read_bytes()) == (".csv", size, expected)
        assert b"".join(file) == expected


def test_a_file_has_its_own_ending_in_the_store(tmp_path):
    """So that other tools open it; what is no plain ending is bytes."""
    endings = {"a.csv": "csv", "b.TIFF": "tiff", "c": "bin", "d.tar.gz": "gz", "e.../..": "bin", "f.ö": "bin"}
    for number, (name, ending) in enumerate(endings.items()):
        path = (
            written(tmp_path, name, b"x" * 5000) if "/" not in name else written(tmp_path, "g.", b"x" * 5000)
        )
        record = FileStore(tmp_path / "store").put(f"a{number}", File(path))
        assert record.codec == f"file.{ending}"
        assert record.location is not None
        assert record.location.endswith(f".{ending}")


def test_a_large_file_is_never_all_in_memory(tmp_path):
    """Neither when it is stored, alone or beside others, nor when it is read and copied."""
    path = tmp_path / "big.bin"
    with path.open("wb") as file:
        file.truncate(40 << 20)
    store = FileStore(tmp_path / "store")
    tracemalloc.start()
    try:
        for number, value in enumerate([File(path), {"file": File(path)}]):
            given = store.load(store.put(f"a{number}", value))
            file = given if isinstance(given, File) else given["file"]
            assert sum(map(len, file)) == 40 << 20
            file.save(tmp_path / "copy.bin")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "copy.bin").stat().st_size == 40 << 20
    assert peak < 12 << 20


def test_a_file_is_read_as_any_other(tmp_path):
    """By the line, from any place, and by libraries that read files."""
    file = MemoryStore().load(MemoryStore().put("a1", File(written(tmp_path))))
    assert pd.read_csv(file.open()).to_dict("list") == {"a": [1], "b": [2]}
    with file.open() as opened:
        assert list(opened) == [b"a,b\n", b"1,2\n"]
        assert opened.seek(-4, os.SEEK_END) == 4
        assert opened.read(1) == b"1"
        assert opened.seek(100) == 100
        assert opened.read() == b""
        with pytest.raises((ValueError, OSError)):
            opened.seek(-1)
    assert file.read_text() == "a,b\n1,2\n"


def test_what_is_handed_cannot_be_written_to(tmp_path):
    """The next reader is given the same."""
    store = FileStore(tmp_path / "store")
    record = store.put("a1", File(written(tmp_path, data=b"x" * (4 << 20))))
    with store.load(record).open() as opened, pytest.raises(OSError, match="write"):
        opened.write(b"y")
    with pytest.raises(TypeError, match="read-only"):
        store.load(record).content.read(0, 10)[0] = 1


def test_a_copy_is_whole_or_not_there(tmp_path):
    """And stands in place of a file that was there."""
    source = written(tmp_path, data=b"x" * BIG)
    file = File(source)
    target = written(tmp_path, "target", b"old")
    file.save(target)
    assert target.read_bytes() == b"x" * BIG
    os.truncate(source, 10)
    with pytest.raises(CodecError, match=r"reads\.csv was written to after File"):
        file.save(target)
    assert target.read_bytes() == b"x" * BIG
    assert {path.name for path in tmp_path.iterdir()} == {"reads.csv", "target"}


def test_a_file_that_is_written_to_while_it_is_stored_is_refused(tmp_path):
    """As one that the step had not closed, or that another process writes its result to."""
    path = written(tmp_path, data=b"x" * BIG)
    value = File(path)
    path.write_bytes(b"y" * BIG)
    os.utime(path, ns=(1, 1))
    store = FileStore(tmp_path / "store")
    with pytest.raises(CodecError, match="was written to after"):
        store.put("a1", value)
    assert store.find("a1") is None


def test_what_is_no_file_is_refused(tmp_path):
    """At once, by its name."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(CodecError, match="is no file: return File"):
            File(path)
    with pytest.raises(FileNotFoundError, match="absent"):
        File(tmp_path / "absent")


def test_a_path_alone_stays_a_path(tmp_path):
    """It is a setting as any other, and what it leads to may be anywhere."""
    path = written(tmp_path)
    assert MemoryStore().load(MemoryStore().put("a1", path)) == path
    assert encode(path, pickles=False).codec == "json"


def test_files_are_equal_by_their_bytes_and_endings(tmp_path):
    """And cannot be keys, which would have to read all of them."""
    one, two = File(written(tmp_path)), File(written(tmp_path, "again.csv"))
    assert one == two != File(written(tmp_path, "a.txt"))
    assert one != File(written(tmp_path, "b.csv", b"a,b\n1,3\n"))
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_a_file_inside_what_is_pickled_is_kept(tmp_path):
    """With its ending."""
    encoded = encode(collections.OrderedDict(a=File(written(tmp_path))), pickles=True)
    assert decode(encoded.codec, encoded.bytes(), pickles=True)["a"] == File(tmp_path / "reads.csv")


@pytest.mark.parametrize("codec", ["file.", "file.../x", "file./etc/passwd", "file.a.b", "file.CSV", "files"])
def test_an_ending_that_could_lead_elsewhere_is_refused(codec):
    """What a record says is no path."""
    with pytest.raises(CodecError, match=r"claims to end in|no codec is called"):
        decode(codec, b"data", pickles=True)


@step
def table(replicate: int) -> File:
    path = pathlib.Path(f"table-{replicate}.csv")
    path.write_text(f"n\n{replicate}\n")
    return File(path)


@step
def score(table: File) -> float:
    return float(pd.read_csv(table.open()).n.sum())


def test_steps_hand_files_on(tmp_path, monkeypatch):
    """In the run that makes them, and from the store in a later one."""
    monkeypatch.chdir(tmp_path)
    store = FileStore(tmp_path / "store", pickles=False)
    experiment = Experiment("files", [table, score], replicates=3)
    assert list(experiment.run(store).table["score"]) == [0.0, 1.0, 2.0]
    (tmp_path / "table-1.csv").write_text("n\n7\n")
    assert list(experiment.run(store, force=["score"]).table["score"]) == [0.0, 1.0, 2.0]


@source
def archive() -> File:
    return File("archive.bin")


@step
def sized(archive: File) -> int:
    return archive.size


def test_the_content_of_a_source_is_digested_piece_by_piece(tmp_path, monkeypatch):
    """Also of one that is larger than memory; another content is another key."""
    monkeypatch.chdir(tmp_path)
    store = FileStore(tmp_path / "store")
    written(tmp_path, "archive.bin", bytes(40 << 20))
    experiment = Experiment("archives", [sized], sources=[archive])
    tracemalloc.start()
    try:
        table = experiment.run(store).table
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert list(table["sized"]) == [40 << 20]
    assert peak < 20 << 20
    written(tmp_path, "archive.bin", b"short")
    assert list(experiment.run(store).table["sized"]) == [5]

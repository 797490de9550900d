"""The store in a local folder: its files, its errors, and what it does not follow."""

import errno
import fcntl
import json
import mmap
import os
import pickle
import shutil
import stat
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workflow_assets.errors import CorruptDatumError, StoreError
from workflow_assets.store import files, folders
from workflow_assets.store.files import FileStore
from workflow_assets.store.folders import Folder
from workflow_assets_tests.conformance.sameness import assert_same
from workflow_assets_tests.crash.disks import read_only, small_disk

LARGE = np.arange(1000.0)
MEGABYTES = np.zeros(1 << 18)


def files_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "store")


# -- what lies where -----------------------------------------------------------------------------------------


def test_a_store_is_made_when_it_is_first_written_to(store):
    """Looking into one that is not there makes nothing."""
    assert store.find("a1") is None
    assert store.references(("a",)) == {}
    assert not store.folder.exists()
    store.put("a1", 1.0)
    assert files_of(store.folder) == {"records.jsonl"}


def test_values_lie_in_files_that_other_tools_read(store):
    """Large ones under the key, the digest and the ending of their format; small ones in the record."""
    values = {
        "a1": LARGE,
        "b2": pd.DataFrame({"x": LARGE}),
        "c3": {"x": LARGE},
        "d4": ["x" * 3000],
        "e5": {"n": 1},
    }
    for key, value in values.items():
        store.put(key, value)
    objects = sorted((store.folder / "objects").rglob("*.*"))
    assert [path.parent.name for path in objects] == ["a1", "b2", "c3", "d4"]
    assert [path.name.split(".")[0] for path in objects] == ["a1", "b2", "c3", "d4"]
    array, frame, composite, text = objects
    assert_same(np.load(array), LARGE)
    assert_same(pd.read_parquet(frame), values["b2"])
    with tarfile.open(composite) as archive:
        assert archive.getnames() == ["manifest.json", "x.npy"]
    assert json.loads(text.read_text()) == values["d4"]
    records = [json.loads(line) for line in (store.folder / "records.jsonl").read_text().splitlines()]
    assert [record["key"] for record in records] == list(values)
    assert records[-1]["value"] == {"n": 1}


def test_nothing_else_is_left_in_the_folder(store):
    """No temporary file, however often a key was written."""
    for value in (1.0, LARGE, {"x": LARGE}):
        for key in ("a1", "a1", "a2"):
            store.put(key, value)
    store.check_writable()
    store.refer(("a", "b"), {"p": "a1"})
    names = files_of(store.folder)
    assert not [name for name in names if Path(name).name.startswith(".") or name.endswith(".tmp")]
    assert len([name for name in names if name.startswith("references/a/b/")]) == 1


def test_a_folder_may_be_named_in_any_way(tmp_path, monkeypatch):
    """Relative to where the process is, or to its home; and stays where it was then."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    relative, at_home = FileStore("one"), FileStore("~/two")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    relative.put("a1", 1.0)
    at_home.put("a1", 2.0)
    assert FileStore(tmp_path / "one").load("a1") == 1.0
    assert FileStore(tmp_path / "two").load("a1") == 2.0
    assert repr(relative) == f"FileStore({str(tmp_path / 'one')!r})"


def test_a_store_is_sent_to_another_process_as_its_settings(tmp_path):
    """Not with what it remembers."""
    store = FileStore(tmp_path, pickles=False, fsync=True)
    store.put("a1", LARGE)
    store.load("a1")
    sent = pickle.loads(pickle.dumps(store))
    assert (sent.folder, sent.pickles, sent.fsync, sent._verified) == (store.folder, False, True, set())
    assert_same(sent.load("a1"), LARGE)


def test_files_are_as_open_to_others_as_the_user_wishes(store):
    """Their mode is that of any file which the user makes, so that a group can share a store."""
    before = os.umask(0o027)
    try:
        store.put("a1", LARGE)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.folder.rglob("*.*")} == {0o640}


# -- reading -------------------------------------------------------------------------------------------------


def test_a_large_array_is_mapped_and_its_file_never_written_to(store):
    """The array can be written to, and only its reader sees that."""
    record = store.put("a1", MEGABYTES)
    array = store.load(record)
    base = array
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    assert isinstance(base, mmap.mmap)
    array[:] = 7
    assert store.load(record).sum() == 0
    assert np.load(store.folder / "objects" / "a1" / record.location).sum() == 0


def test_a_mapped_array_outlives_its_file(store):
    """It was there when it was loaded: deleting or replacing the file changes nothing."""
    record = store.put("a1", MEGABYTES + 1)
    array = store.load(record)
    path = store.folder / "objects" / "a1" / record.location
    path.unlink()
    path.write_bytes(bytes(record.size))
    assert array.sum() == MEGABYTES.size


def test_so_many_arrays_may_be_held_as_fit_in_memory(store, monkeypatch):
    """Past some hundred, they are read: each that is mapped holds a file open."""
    monkeypatch.setattr(folders, "_MOST_MAPPED", 3)
    record = store.put("a1", MEGABYTES)
    held = [store.load(record) for _ in range(5)]
    assert len(store._files._mapped) == 3
    assert sum(array.sum() for array in held) == 0
    del held
    assert len(store._files._mapped) == 0


def test_a_datum_without_its_object_is_not_there(store):
    """As after a power cut that tore it: nothing is found, and putting it again heals it."""
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(b"")):
        record = store.put("a1", LARGE)
        damage(store.folder / "objects" / "a1" / record.location)
        assert store.find("a1") is None
        assert_same(store.put("a1", LARGE + 1, metrics={"n": 1}).metrics, {"n": 1})
        assert_same(store.load("a1"), LARGE + 1)
        shutil.rmtree(store.folder)


def test_bytes_are_verified_once(store, monkeypatch):
    """Small ones whenever they are read; an object when it is first used, and a new one again."""
    seen = []
    monkeypatch.setattr(store, "verify", lambda record, data: seen.append(record.key))
    for _ in range(2):
        store.put("a1", LARGE)
        store.load("a1")
    assert seen == ["a1"]
    store.put("a2", LARGE)
    store.load("a2")
    assert seen == ["a1", "a2"]
    store.put_encoded("a1", files_encoded(LARGE + 1), metrics={}, provenance={}, replace=True)
    store.load("a1")
    assert seen == ["a1", "a2", "a1"]


def files_encoded(value):
    from workflow_assets.store.codecs import encode

    return encode(value, pickles=False)


def test_memory_of_what_was_verified_is_bounded(store, monkeypatch):
    """A store that is open for years does not grow."""
    from workflow_assets.store import base

    monkeypatch.setattr(base, "_REMEMBERED", 10)
    for number in range(25):
        store.put(f"k{number}", LARGE + number)
        store.load(f"k{number}")
    assert len(store._verified) <= 10


# -- what is not followed ------------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path):
    """A store of somebody else, and the bytes of all its files."""
    other = FileStore(tmp_path / "outside")
    record = other.put("a1", LARGE)
    return other.folder, record


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files_of(folder)}


def test_an_object_that_is_a_link_out_of_the_store_is_refused(store, outside):
    """Whatever lies there, and although it has the right digest; computing it again puts a file in its place."""
    folder, record = outside
    before = contents(folder)
    store.put("a1", LARGE)
    path = store.folder / "objects" / "a1" / record.location
    path.unlink()
    path.symlink_to(folder / "objects" / "a1" / record.location)
    with pytest.raises(
        CorruptDatumError, match=r"is a link that leads out of the store, to .*outside.*: it is not followed"
    ):
        store.load(record)
    store.put_encoded("a1", files_encoded(LARGE), metrics={}, provenance={}, replace=True)
    assert not path.is_symlink()
    assert_same(store.load("a1"), LARGE)
    assert contents(folder) == before


def test_records_that_are_a_link_out_of_the_store_are_refused(store, outside):
    """Nothing is read through it, and nothing written."""
    folder, _ = outside
    before = contents(folder)
    store.folder.mkdir()
    (store.folder / "records.jsonl").symlink_to(folder / "records.jsonl")
    for use in (lambda: store.find("a1"), lambda: store.put("a1", 2.0), store.check_writable):
        with pytest.raises(StoreError, match="is a link that leads out of the store"):
            use()
    assert contents(folder) == before


@pytest.mark.parametrize("part", ["objects", "objects/a1", "references", "references/a"])
def test_a_folder_that_is_a_link_out_of_the_store_is_refused(store, outside, part):
    """Nothing is read through it, and nothing written."""
    folder, record = outside
    FileStore(folder).refer(("a",), {"": "a1"})
    before = contents(folder)
    store.folder.joinpath(part).parent.mkdir(parents=True)
    store.folder.joinpath(part).symlink_to(folder / part)
    uses = {
        "objects": [lambda: store.load(record), lambda: store.put("a1", LARGE)],
        "references": [lambda: store.references(("a",)), lambda: store.refer(("a",), {"": "a2"})],
    }[part.partition("/")[0]]
    for use in [*uses, *([store.check_writable] if "/" not in part else [])]:
        with pytest.raises(StoreError, match="is a link that leads out of the store"):
            use()
    assert contents(folder) == before


def test_links_within_the_store_are_followed(store):
    """As a tool leaves them that stores equal files once."""
    record = store.put("a1", LARGE)
    path = store.folder / "objects" / "a1" / record.location
    path.rename(store.folder / "objects" / "one")
    path.symlink_to(store.folder / "objects" / "one")
    assert_same(FileStore(store.folder).load("a1"), LARGE)


def test_the_folder_itself_may_be_a_link(store, tmp_path):
    """To a larger disk, say."""
    store.put("a1", LARGE)
    (tmp_path / "link").symlink_to(store.folder)
    linked = FileStore(tmp_path / "link")
    assert_same(linked.load("a1"), LARGE)
    linked.put("a2", LARGE)
    assert_same(store.load("a2"), LARGE)


def test_what_is_no_file_is_no_datum(store):
    """Neither a folder nor a pipe, which would be waited on for ever, nor a link to itself."""
    store.put("a0", 1.0)
    record = store.put("a1", LARGE)
    target = store.folder / "objects" / "a1" / record.location
    for make in (os.mkdir, os.mkfifo, lambda path: path.symlink_to(path)):
        target.unlink()
        make(target)
        with pytest.raises(CorruptDatumError):
            FileStore(store.folder).load(record)
        target.rmdir() if target.is_dir() and not target.is_symlink() else target.unlink()
        store._write_object(record.location, [b"x"])


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["a folder", "a pipe"])
def test_records_that_are_no_file_are_complained_about(store, make):
    """They are not taken for an empty store, and nothing waits for them."""
    store.folder.mkdir()
    make(store.folder / "records.jsonl")
    for use in (lambda: store.find("a1"), lambda: store.put("a1", 2.0), store.check_writable):
        with pytest.raises(StoreError, match="move it away, or give the store another folder"):
            use()


def test_files_of_others_are_left_alone(store):
    """In the folder of the references, say."""
    store.refer(("a",), {"p": "a1"})
    folder = store.folder / "references" / "a"
    for name in ("README.jsonl", ".00000009-ab.jsonl", "00000009-ab.jsonl~", "00000009.jsonl", "9-ab.jsonl"):
        (folder / name).write_text('["p", "a9", 9, "?"]\n')
    assert store.references(("a",)) == {"p": "a1"}


# -- references ----------------------------------------------------------------------------------------------


def journal(store, *asset):
    return sorted(path.name for path in store.folder.joinpath("references", *asset).iterdir())


def test_a_long_journal_is_merged(store):
    """Into one file, whose number is that of the last: numbers never fall back."""
    for number in range(1, 70):
        store.refer(("a",), {f"p{number % 10}": f"k{number}"})
        assert len(journal(store, "a")) <= 65
    assert len(journal(store, "a")) == 69 - 65 + 1
    assert journal(store, "a")[0].startswith("00000065-")
    assert store.references(("a",)) == {f"p{number % 10}": f"k{number}" for number in range(60, 70)}


def test_a_writer_who_was_slow_neither_loses_nor_overrules(store, monkeypatch):
    """It chose its number, then others wrote and merged: it stands above what it knew of, and below the others."""
    store.refer(("a",), {"old": "k1", "both": "k1"})
    slow = FileStore(store.folder)
    names = files._journal(str(store.folder / "references" / "a"))
    for number in range(80):
        store.refer(("a",), {"both": "later", f"p{number}": "k"})
    with monkeypatch.context() as patch:
        patch.setattr(files, "_journal", lambda folder: names)
        slow.refer(("a",), {"old": "k2", "both": "slow"})
    for _ in range(70):
        store.refer(("a",), {"other": "k"})
    held = store.references(("a",))
    assert (held["old"], held["both"], len(held)) == ("k2", "later", 83)


def test_a_file_that_is_merged_while_it_is_read_is_read_again(store, monkeypatch):
    """The reader begins anew, and misses nothing."""
    for number in range(5):
        store.refer(("a",), {f"p{number}": "k"})
    read = Folder.read
    merged: list[bool] = []

    def merge_meanwhile(self, folder, name, *, mapped):
        if not merged:
            merged.append(True)
            store._merge(folder)
        return read(self, folder, name, mapped=mapped)

    monkeypatch.setattr(Folder, "read", merge_meanwhile)
    assert len(FileStore(store.folder).references(("a",))) == 5
    assert len(journal(store, "a")) == 1


# -- writing -------------------------------------------------------------------------------------------------


def test_a_file_system_without_locks_is_complained_about(store, monkeypatch):
    """Before anything is computed: two writers could not know of each other."""

    def no_locks(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(StoreError, match=r"No locks available\. Its file system cannot lock files"):
        store.check_writable()


def test_two_processes_never_use_one_temporary_name(store):
    """Not even those of two machines whose process numbers are the same."""
    names = {FileStore(store.folder)._files.unique() for _ in range(1000)}
    assert len(names) == 1000


def test_waiting_for_the_disk_is_for_those_who_ask(tmp_path, monkeypatch):
    """With `fsync`, each file and its folder, and the folders of a new folder; without, none."""
    synced = []
    for call in ("fsync", "fdatasync"):
        monkeypatch.setattr(
            os, call, lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        )
    FileStore(tmp_path / "one").put("a1", LARGE)
    assert synced == []
    store = FileStore(tmp_path / "two", fsync=True)
    store.put("a1", 1.0)
    folder = str(tmp_path / "two")
    assert synced == [str(tmp_path), folder, f"{folder}/records.jsonl"]
    del synced[:]
    store.put("a2", LARGE)
    made, objects, above, file, again, records = synced
    assert [made, objects, above] == [f"{folder}/objects", folder, str(tmp_path)]
    assert file.startswith(f"{folder}/objects/a2/.")
    assert [again, records] == [f"{folder}/objects/a2", f"{folder}/records.jsonl"]


@pytest.mark.parametrize(
    ("make", "reason", "cure"),
    [
        (
            lambda path: path.write_text("mine"),
            "(Not a directory|File exists)",
            "A part of its path is a file",
        ),
        (
            lambda path: path.parent.rmdir() or path.parent.write_text("mine"),
            "Not a directory",
            "A part of its path is",
        ),
        (
            lambda path: path.symlink_to("/proc/1/nowhere"),
            "(No such file|File exists)",
            "give the store another folder",
        ),
    ],
    ids=["the folder is a file", "its parent is a file", "a link to nowhere"],
)
def test_a_folder_that_cannot_be_written_is_complained_about(tmp_path, make, reason, cure):
    """With its name, the reason and a cure; and nothing is left half done."""
    (tmp_path / "parent").mkdir()
    path = tmp_path / "parent" / "store"
    make(path)
    store = FileStore(path)
    before = sorted(tmp_path.rglob("*"))
    for use, what in (
        (store.check_writable, "be written"),
        (lambda: store.put("a1", 1.0), "take a datum"),
        (lambda: store.put("a1", LARGE), "take a datum"),
        (lambda: store.refer(("a",), {"p": "a1"}), "note what an asset holds"),
    ):
        with pytest.raises(StoreError, match=rf"the store folder {path} cannot {what}: {reason}.*{cure}"):
            use()
    assert store.find("a1") is None
    assert store.references(("a",)) == {}
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("folder", ["/proc/store", "/proc/1/store", "a\0b"])
def test_a_folder_that_can_never_be_is_complained_about(folder):
    """As one in a file system that takes no files."""
    with pytest.raises(
        StoreError, match=r"the store folder .* cannot be written: .*give the store another folder"
    ):
        FileStore(folder).check_writable()


def test_a_store_that_is_read_only_can_be_read(store):
    """All but writing works; writing is complained about at once, and changes nothing."""
    store.put("a1", LARGE)
    store.put("a2", {"x": MEGABYTES})
    store.refer(("a",), {"": "a1"})
    with read_only(store.folder):
        opened = FileStore(store.folder)
        assert_same(opened.load_asset(("a",)), LARGE)
        assert_same(opened.load("a2"), {"x": MEGABYTES})
        before = contents(store.folder)
        for use in (
            opened.check_writable,
            lambda: opened.put("a3", 1.0),
            lambda: opened.put("a1", LARGE),
            lambda: opened.refer(("a",), {"": "a2"}),
        ):
            with pytest.raises(
                StoreError, match=r"(Read-only file system|Permission denied)\. Check who owns it"
            ):
                use()
        assert contents(store.folder) == before


def test_a_store_that_may_not_be_read_is_complained_about(store):
    """It is not taken for an empty one."""
    store.put("a1", 1.0)
    (store.folder / "records.jsonl").chmod(0)
    store = FileStore(store.folder)
    user = os.geteuid()
    os.seteuid(user or 65534)  # root reads anything
    try:
        with pytest.raises(StoreError, match="cannot be read: Permission denied"):
            store.find("a1")
    finally:
        os.seteuid(user)


def test_an_error_of_the_disk_is_not_an_empty_store(store, monkeypatch):
    """What cannot be read is an error, since computing everything again would be one."""
    record = store.put("a1", LARGE)

    def broken(*arguments):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "open", broken)
    opened = FileStore(store.folder)
    for use in (lambda: opened.find("a1"), lambda: store.load(record), lambda: opened.put("a2", 1.0)):
        with pytest.raises(
            StoreError, match=rf"the store folder {store.folder} cannot .*: Input/output error"
        ):
            use()


def fill(path):
    """Write to a file until the disk is full."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(descriptor, bytes(4096))
    except OSError as error:
        assert error.errno == errno.ENOSPC  # noqa: PT017
    finally:
        os.close(descriptor)


def test_a_full_disk_is_complained_about_and_nothing_is_torn(tmp_path):
    """With the folder, the reason and a cure; what was stored stays, and with some space it goes on."""
    with small_disk(tmp_path / "disk", 512) as disk:
        store = FileStore(disk / "store")
        store.put("a1", LARGE)
        ballast = disk / "ballast"
        with pytest.raises(
            StoreError, match=r"cannot take a datum: No space left on device\. Free some space"
        ):
            store.put("a2", MEGABYTES)
        fill(ballast)
        kept = []

        def put_many():
            for number in range(100):  # what is left of the last page takes some
                store.put(f"b{number}", 1.0)
                kept.append(f"b{number}")

        for use in (
            store.check_writable,
            put_many,
            lambda: store.refer(("a",), {"": "a1"}),
        ):
            with pytest.raises(
                StoreError, match=rf"the store folder {store.folder} cannot .*: No space left on device"
            ):
                use()
        for opened in (store, FileStore(store.folder)):
            assert sorted(opened.keys()) == sorted(["a1", *kept])
            assert all(opened.find(key) for key in ["a1", *kept])
        assert (store.folder / "records.jsonl").read_bytes().endswith(b"}\n")
        assert store.references(("a",)) == {}
        assert_same(FileStore(store.folder).load("a1"), LARGE)
        assert not [name for name in files_of(store.folder) if name.endswith(".tmp")]
        ballast.unlink()
        store.check_writable()
        store.put("a3", LARGE)
        assert_same(FileStore(store.folder).load("a3"), LARGE)


def test_a_folder_that_is_deleted_while_in_use_is_made_again(store):
    """What was in it is gone, and computed again; what is put afterwards is there."""
    record = store.put("a1", LARGE)
    store.refer(("a",), {"": "a1"})
    shutil.rmtree(store.folder)
    assert store.find("a1") is None
    assert store.references(("a",)) == {}
    with pytest.raises(CorruptDatumError, match=r"is gone from .*store; run again to compute it anew"):
        store.load(record)
    store.check_writable()
    shutil.rmtree(store.folder)
    store.put("a1", LARGE)
    store.refer(("a",), {"": "a1"})
    assert_same(FileStore(store.folder).load_asset(("a",)), LARGE)

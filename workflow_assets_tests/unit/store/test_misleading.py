"""Stores whose records and links name what is not theirs: nothing of that is read, written or deleted."""

import json
import os
import time

import numpy as np
import pytest
import xxhash

from workflow_assets import FileStore, collect_garbage, pin, trace, verify
from workflow_assets.errors import CorruptDatumError, StoreError, UnknownNameError
from workflow_assets.store.base import MemoryStore
from workflow_assets.store.records import Record, content_digest, record_from_bytes, record_to_bytes

LARGE = np.arange(1000.0)
LOCATIONS = [
    "../../outside/victim.npy",
    "../../../outside/victim.npy",
    "/OUTSIDE/victim.npy",
    "b1/../../../outside/victim.npy",
    "link.npy",
    ".1-0.tmp",
    "b1.link/victim.npy",
    "b1..npy/../../../../outside/victim.npy",
    "b1.\x00",
    "",
    7,
    ["b1.npy"],
    {"b1.npy": 1},
    True,
]


@pytest.fixture
def outside(tmp_path):
    """A folder beside the store, with a file that is a whole array."""
    folder = tmp_path / "outside"
    folder.mkdir()
    np.save(folder / "victim.npy", LARGE)
    return folder


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "store")


def state(folder):
    """Give name, bytes and times of all files, so that nobody reads or writes them unnoticed."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def crafted(key, location, data):
    """Give the line of a record that names any location, with the right checksum."""
    record = Record(key, "npy", content_digest([data]), len(data), None, "HERE", {}, (), {"inputs": {}})
    text = record_to_bytes(record).replace(b'"HERE"', json.dumps(location).encode())
    body = text[: text.index(b',"checksum"')]
    return body + b',"checksum":"%b"}\n' % xxhash.xxh3_128_hexdigest(body).encode()


def add(store, line):
    with open(store.folder / "records.jsonl", "ab") as file:  # noqa: PTH123
        file.write(line)


@pytest.mark.parametrize("referred", [False, True], ids=["garbage", "held by an asset"])
@pytest.mark.parametrize("location", LOCATIONS, ids=[f"{number}" for number in range(len(LOCATIONS))])
def test_a_record_leads_nowhere_but_to_its_own_object(store, outside, location, referred):
    """Whatever it names, it is no record: found by nobody, told by `verify`, and cleared away with nothing else."""
    if isinstance(location, str):
        location = location.replace("OUTSIDE", str(outside)[1:])
    data = (outside / "victim.npy").read_bytes()
    kept = store.put("a1", LARGE)
    store.refer(("a",), {"": "a1"})
    (store.folder / "objects" / "b1").mkdir()
    os.link(outside / "victim.npy", store.folder / "objects" / "b1" / "link.npy")
    add(store, crafted("b1", location, data))
    if referred:
        store.refer(("b",), {"": "b1"})
    before = state(outside)
    opened = FileStore(store.folder)
    assert opened.find("b1") is None
    assert opened.find_all(["a1", "b1"]) == {"a1": kept}
    assert opened.recorded(["b1"]) == {}
    for use in (lambda: opened.load("b1"), lambda: pin(opened, "b1"), lambda: trace(opened, "b1")):
        with pytest.raises(UnknownNameError):
            use()
    assert [str(one) for one in verify(opened).damaged] == ["a datum b1: its record is damaged"]
    dry = collect_garbage(opened, dry_run=True)
    assert (dry.deleted, dry.objects) == (0 if referred else 1, 0)
    sweep = collect_garbage(opened)
    assert (sweep.deleted, sweep.objects, sweep.kept) == (dry.deleted, 0, dry.kept)
    assert state(outside) == before
    np.testing.assert_array_equal(opened.load("a1"), LARGE)
    opened.put("b1", LARGE)
    np.testing.assert_array_equal(opened.load("b1"), LARGE)
    assert state(outside) == before


@pytest.mark.parametrize("keep_metrics", [False, True])
def test_garbage_does_not_take_what_another_datum_holds_with_it(store, keep_metrics):
    """A record that names the object of another datum is none."""
    kept = store.put("a1", LARGE)
    store.refer(("a",), {"": "a1"})
    data = (store.folder / "objects" / "a1" / kept.location).read_bytes()
    add(store, crafted("b1", kept.location, data))
    opened = FileStore(store.folder)
    assert opened.find("b1") is None
    sweep = collect_garbage(opened, keep_metrics=keep_metrics)
    assert sweep.objects == 0
    np.testing.assert_array_equal(FileStore(store.folder).load("a1"), LARGE)


def test_a_record_made_by_hand_is_refused(store, outside):
    """As somebody may pass one to `load`."""
    data = (outside / "victim.npy").read_bytes()
    record = Record("b1", "npy", content_digest([data]), len(data), None, "../../outside/victim.npy")
    for one in (store, MemoryStore()):
        with pytest.raises(StoreError, match="is no name of a datum or object"):
            one.load(record)
        with pytest.raises(StoreError, match="is no name of a datum or object"):
            one.damage(record)
    right = crafted("b1", f"b1.{content_digest([data])[:16]}.npy", data)
    assert record_from_bytes("b1", right) is not None, "what is crafted here fails for its location alone"


@pytest.mark.parametrize("key", ["../../outside/victim.npy", "..", "a/b", "", "é"])
def test_a_key_that_is_no_name_leads_nowhere(store, outside, key):
    """It is listed at most, and goes with the garbage."""
    store.put("a1", LARGE)
    store.refer(("a",), {"": "a1"})
    add(store, record_to_bytes(Record(key, "json", content_digest([b"1"]), 1, b"1")))
    before = state(outside)
    opened = FileStore(store.folder)
    with pytest.raises(StoreError, match="is no name of a datum or object"):
        opened.load(key)
    verify(opened)
    collect_garbage(opened)
    assert key not in set(FileStore(store.folder).keys())
    assert state(outside) == before
    np.testing.assert_array_equal(FileStore(store.folder).load("a1"), LARGE)


def test_a_link_among_the_objects_is_deleted_but_not_what_it_leads_to(store, outside):
    """Whether a datum has its name, or nobody has, to a file or a folder."""
    record = store.put("b1", LARGE)
    path = store.folder / "objects" / "b1" / record.location
    path.unlink()
    path.symlink_to(outside / "victim.npy")
    others = {
        "b1.0123.npy": outside / "victim.npy",
        "b1.folder": outside,
        ".0c-1.tmp": outside / "victim.npy",
    }
    for name, target in others.items():
        path.with_name(name).symlink_to(target)
    old = time.time() - 7200
    for name in others:
        os.utime(path.with_name(name), (old, old), follow_symlinks=False)
    before = state(outside)
    (found,) = verify(FileStore(store.folder)).damaged
    assert "is a link that leads out of the store" in found.what
    collect_garbage(FileStore(store.folder))
    assert not any(path.with_name(name).is_symlink() for name in others)
    assert state(outside) == before


@pytest.mark.parametrize("part", ["objects", "objects/b1", "references", "references/a", "claims"])
def test_a_folder_that_is_a_link_out_is_not_cleared(store, outside, part):
    """The collector says so before it deletes anything."""
    other = FileStore(outside)
    record = other.put("b1", LARGE)
    other.refer(("a",), {"": "b1"})
    (outside / "claims").mkdir()
    (outside / "claims" / "note").write_text("b1\n")
    old = time.time() - 7200
    os.utime(outside / "objects" / "b1" / record.location, (old, old))
    store.put("a1", 1)
    store.folder.joinpath(part).parent.mkdir(exist_ok=True)
    store.folder.joinpath(part).symlink_to(outside / part)
    before = state(outside)
    for dry_run in (True, False):
        with pytest.raises(StoreError, match="is a link that leads out of the store"):
            collect_garbage(FileStore(store.folder), dry_run=dry_run)
    assert store.load("a1") == 1
    assert state(outside) == before


def test_a_damaged_object_is_not_set_aside_through_a_link(store, outside):
    """Neither by who reads it, nor by `verify`."""
    record = store.put("b1", LARGE)
    folder = store.folder / "objects" / "b1"
    (outside / "b1").mkdir()
    (folder / record.location).rename(outside / "b1" / record.location)
    damaged = bytearray((outside / "b1" / record.location).read_bytes())
    damaged[-1] ^= 1
    (outside / "b1" / record.location).write_bytes(damaged)
    folder.rmdir()
    folder.symlink_to(outside / "b1")
    before = state(outside)
    opened = FileStore(store.folder)
    with pytest.raises(StoreError, match="is a link that leads out of the store"):
        opened.load(record)
    with pytest.raises(StoreError, match="is a link that leads out of the store"):
        verify(opened)
    assert state(outside) == before
    with pytest.raises(CorruptDatumError, match="is gone"):
        store.load(record._replace(key="c1", location=record.location.replace("b1", "c1")))

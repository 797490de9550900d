"""Copies of records save requests, and are never taken for the truth."""

import gzip
import itertools
import json
import re
import tracemalloc
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from workflow_assets.errors import StoreError
from workflow_assets.store import copies, s3
from workflow_assets.store.buckets import Bucket
from workflow_assets.store.codecs import encode
from workflow_assets.store.records import Record, record_from_bytes, record_to_bytes
from workflow_assets.store.s3 import S3Store
from workflow_assets_tests.conformance.buckets import READER, Server, unique_place
from workflow_assets_tests.conformance.sameness import assert_same

LARGE = np.arange(1000.0)


@pytest.fixture(autouse=True)
def requests(monkeypatch) -> Counter[str]:
    """What is asked of the bucket, counted; few are many already."""
    monkeypatch.setattr(s3, "_MANY", 4)
    monkeypatch.setattr(copies, "_WORTHWHILE", 8)
    counted: Counter[str] = Counter()
    real = Bucket._call

    def call(self, operation, name, **parameters):
        counted[f"{operation} {name.partition('/')[0]}"] += 1
        return real(self, operation, name, **parameters)

    monkeypatch.setattr(Bucket, "_call", call)
    return counted


@pytest.fixture
def store(server: Server) -> S3Store:
    """A store of nothing."""
    return server.open(unique_place())


def fill(store: S3Store, count: int = 12) -> list[str]:
    keys = [f"a{number:02}" for number in range(count)]
    for number, key in enumerate(keys):
        store.put(key, LARGE + number if number % 4 == 0 else number, metrics={"n": number})
    store.refer(("a",), {"": keys[0]})
    return keys


def packs(store: S3Store) -> list[str]:
    return [pack.name for pack in store._copies._packs()]


def replace(store: S3Store, key: str, value: object) -> Record:
    return store.put_encoded(key, encode(value, pickles=True), metrics={}, provenance={}, replace=True)


def again(server: Server, store: S3Store) -> S3Store:
    """Open the same place, as another process would."""
    return server.open(store._place)


def test_many_records_are_found_without_asking_for_any(server, store, requests) -> None:
    """A run that refers to them has left a pack, and lists tell the rest."""
    keys = fill(store, 20)
    assert len(packs(store)) == 1
    requests.clear()
    found = again(server, store).find_all([*keys, "a99", "b1"])
    assert requests["get_object records"] == requests["head_object objects"] == 0
    assert requests["get_object packs"] == 1
    for key in keys:
        assert_same(found.pop(key), store.find(key))
    assert not found


def test_a_pack_is_read_by_other_tools(store) -> None:
    """It is lines of JSON, compressed with gzip."""
    keys = fill(store)
    data, _ = store._bucket.get(packs(store)[0])
    lines = [json.loads(line) for line in gzip.decompress(data).splitlines()]
    assert [record["key"] for _, record in lines] == keys
    assert lines[1][1]["value"] == 1


def test_few_records_are_looked_up(server, store, requests) -> None:
    """However large the packs are."""
    keys = fill(store)
    requests.clear()
    assert list(again(server, store).find_all(keys[1:4])) == keys[1:4]
    assert requests == {"get_object records": 3}


def test_what_was_looked_up_is_copied_by_the_next_run(server, store, requests) -> None:
    """As after a run that was killed before it could leave a pack."""
    for number in range(12):
        store.put(f"a{number:02}", number)
    other = again(server, store)
    keys = sorted(other.keys())
    other.find_all(keys)
    assert not packs(store)
    other.refer(("a",), {"": "a01"})
    requests.clear()
    assert sorted(again(server, store).find_all(keys)) == keys
    assert requests["get_object records"] == 0


def test_what_was_replaced_is_never_served_from_a_copy(server, store, requests) -> None:
    """By a writer of ours, or behind the store's back; the next pack has the new one."""
    keys = fill(store)
    other = again(server, store)
    new = {key: replace(other, key, f"new {key}") for key in (keys[0], keys[1])}
    data = record_to_bytes(new[keys[1]]._replace(metrics={"n": "other"}))
    store._bucket.put(f"records/a0/{keys[1]}.json", data)
    store._bucket.put(f"records/a0/{keys[2]}.json", b"damaged")
    for opened in (store, other, again(server, store)):
        found = opened.find_all(keys)
        assert set(keys) - found.keys() == {keys[2]}
        for key, record in found.items():
            assert_same(record, store.find(key))
    assert found[keys[1]].metrics == {"n": "other"}


def test_what_was_deleted_is_never_served_from_a_copy(server, store) -> None:
    """Records and objects that were deleted behind the store's back, and copies that are written afterwards."""
    keys = fill(store)
    late = again(server, store)
    for number in range(8):
        late.put(f"b{number}", number)
    gone = [keys[1], "b1"]
    store._bucket.delete([f"records/{key[:2]}/{key}.json" for key in gone])
    location = store.find(keys[0]).location
    store._bucket.delete([f"objects/a0/{location}"])
    store._bucket.put(f"objects/a0/{store.find(keys[4]).location}", b"short")
    late.refer(("b",), {"": "b0"})
    found = again(server, store).find_all([*keys, *(f"b{number}" for number in range(8))])
    assert {*keys, *(f"b{number}" for number in range(8))} - found.keys() == {*gone, keys[0], keys[4]}


def test_deleted_records_are_gone_from_the_packs(server, store) -> None:
    """Whoever asks; and who puts them again finds what was put."""
    keys = fill(store)
    other = again(server, store)
    for gone in ([keys[0], keys[1], "absent"], keys[4:10]):
        other.delete(gone, [], 1)
        assert not set(gone) & (set(other.keys()) | other.find_all([*keys, *gone]).keys())
    (pack,) = packs(store)
    text = gzip.decompress(store._bucket.get(pack)[0]).decode()
    assert re.findall(r'"key":"(\w+)"', text) == [keys[2], keys[3], keys[10], keys[11]]
    store.put(keys[0], 1)
    assert again(server, store).load(keys[0]) == 1
    other.delete(keys, [name for name, _, _ in other.objects()], 1)
    assert [entry.name.partition("/")[0] for entry in store._bucket.entries("")] == ["references"]
    with pytest.raises(StoreError, match="is no name of a datum"):
        store.delete(["../x"], [], 1)


DAMAGE = {
    "flipped": lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
    "torn": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "garbage": lambda data: b"garbage" * 99,
    "other lines": lambda data: zlib.compress(b'["x",{"key":"a01","codec":"json"}]\n[]\n{}\n\n' * 9, 1, 31),
    "one endless line": lambda data: zlib.compress(b"x" * (80 << 20), 1, 31),
    "endless lines": lambda data: zlib.compress(b"\n" * (80 << 20), 1, 31),
    "crafted": lambda data: zlib.compress(
        gzip.decompress(data).replace(b'"metrics":{"n":', b'"metrics":{"m":'), 1, 31
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_pack_costs_nothing_but_requests(server, store, damage, monkeypatch) -> None:
    """Nor more memory than a pack may take; and it does not outlive a merge."""
    keys = fill(store)
    (pack,) = packs(store)
    store._bucket.put(pack, damage(bytes(store._bucket.get(pack)[0])))
    tracemalloc.start()
    found = again(server, store).find_all(keys)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 << 20
    assert sorted(found) == keys
    for key, record in found.items():
        assert_same(record, store.find(key))
    monkeypatch.setattr(copies, "_MOST_PACKS", 0)
    store._copies._merge()
    for pack in packs(store):
        assert len(gzip.decompress(store._bucket.get(pack)[0])) < 1 << 20


def test_every_flipped_byte_of_a_pack_is_found_out(store) -> None:
    """What is read of it is what was written, or nothing."""
    fill(store)
    data = bytes(store._bucket.get(packs(store)[0])[0])
    written = {match[2] for match in copies._lines(data)}
    for place in range(0, len(data), 3):
        flipped = data[:place] + bytes([data[place] ^ 0x20]) + data[place + 1 :]
        for match in copies._lines(flipped):
            record = record_from_bytes(match[3].decode(), match[2] + b"\n")
            assert record is None or match[2] in written


def test_many_packs_are_merged_and_nothing_is_lost(server, store, monkeypatch, requests) -> None:
    """By several at once, while others read; full ones are left alone."""
    monkeypatch.setattr(copies, "_MOST_PACKS", 6)
    monkeypatch.setattr(copies, "_TEXT", 6000)
    workers = [again(server, store) for _ in range(4)]
    reader = again(server, store)

    def work(number: int) -> None:
        for part in range(5):
            for key in range(8):
                workers[number].put(f"{number}{part}{key}", key)
            workers[number]._copies.flush(1)
            assert reader.find_all(f"{number}{part}{key}" for key in range(8)).keys() == {
                f"{number}{part}{key}" for key in range(8)
            }

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    store._copies._merge()
    assert len([name for name in packs(store) if "full-" not in name]) <= 6
    assert any("full-" in name for name in packs(store))
    keys = ["".join(map(str, one)) for one in itertools.product(range(4), range(5), range(8))]
    requests.clear()
    assert sorted(again(server, store).find_all(keys)) == keys
    assert requests["get_object records"] == 0


def test_who_may_only_read_finds_all_the_same(server, store, monkeypatch) -> None:
    """And leaves no pack."""
    keys = fill(store)
    monkeypatch.setattr(copies, "_MOST_PENDING", 4)
    store._bucket.delete(packs(store))
    reader = S3Store(store._place, endpoint_url=server.url, options=READER)
    assert sorted(reader.find_all(keys)) == keys
    assert not packs(store)


def test_where_lists_are_long_records_are_looked_up(server, store, monkeypatch, requests) -> None:
    """A list is left when to look each name up is quicker."""
    keys = fill(store)
    monkeypatch.setattr(s3, "_PAGE", 3)
    monkeypatch.setattr(s3, "_WORTH", 0)
    assert sorted(again(server, store).find_all([*keys, "a99"])) == keys
    assert requests["get_object records"] >= 10


def test_a_record_that_is_too_long_is_not_copied(server, store) -> None:
    """Nor one whose tag is none."""
    store._copies.note("a1", "", b"{}\n")
    store._copies.note("a1", 'a"b', b"{}\n")
    store.put("a2", 1, metrics={"x": "y" * 10_000})
    assert not store._copies._pending
    record = again(server, store).find("a2")
    assert record is not None
    assert record.metrics["x"] == "y" * 10_000


def test_what_is_read_of_packs_does_not_grow_with_them(server, store) -> None:
    """Only the lines that are asked for are held."""
    line = record_to_bytes(Record("x", "json", "0" * 32, 1, b"1", provenance={"note": "y" * 2000}))
    for pack in range(4):
        for number in range(2000):
            store._copies.note(
                f"{pack}k{number}", f"{number}", line.replace(b'"x"', b'"%dk%d"' % (pack, number))
            )
        store._copies.flush(1)
    assert len(packs(store)) == 4
    tracemalloc.start()
    found = store._copies.read({f"1k{number}": f"{number}" for number in range(10)})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 10
    assert peak < 4 * (1 << 20) * 4  # of 16 MB that the packs hold

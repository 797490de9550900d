"""What every store promises: the laws that a place for data keeps, whatever it is.

A store's own tests inherit `StoreLaws` and say how to open the place, and how to get at its bytes behind its back.
"""

import collections
import os
import pickle
import sys
import threading
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workflow_assets.errors import CodecError, CorruptDatumError, StoreError, UnknownNameError
from workflow_assets.ledgers import Ledger
from workflow_assets.store.base import INLINE, Record, Store
from workflow_assets.store.codecs import encode, independent_copy
from workflow_assets.store.records import content_digest, versions
from workflow_assets.store.signatures import OWN, VARIABLE, Policy
from workflow_assets_tests.conformance.sameness import assert_same


@dataclass(frozen=True)
class Split:
    train: pd.DataFrame
    test: pd.DataFrame
    seed: int


class Bomb:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, path: Any) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


LARGE = np.arange(INLINE, dtype="f8")
MEGABYTES = np.arange(1 << 18)
WRAPPED = {
    "inline": lambda value: value,
    "object": lambda value: collections.deque([value, "x" * 3000]),
    "member": lambda value: {"a": value},
    "member of an object": lambda value: [LARGE, value],
}
"""Where a pickle may be."""

VALUES = {
    "nothing": None,
    "a number": 0.1,
    "a text": "größe",
    "a long text": "x" * (INLINE + 1),
    "a tuple": (1, {"a": {2}}),
    "a small array": np.arange(3),
    "a large array": LARGE,
    "an array of megabytes": np.arange(1 << 18),
    "an array in Fortran's order": np.asfortranarray(LARGE.reshape(2, -1)),
    "a frame": pd.DataFrame({"a": [1.0, np.nan], "b": ["x", None]}, index=pd.date_range("2020", periods=2)),
    "a large frame": pd.DataFrame(LARGE.reshape(-1, 4)),
    "a series": pd.Series(LARGE, name="x"),
    "a dataclass of frames": Split(pd.DataFrame({"a": LARGE}), pd.DataFrame({"a": []}), 7),
    "a pickle": collections.Counter("aab"),
    "a large pickle": collections.deque(range(INLINE)),
}

ODD_ASSETS = [
    ("a",),
    ("a", "b"),
    ("a", "b", "c"),
    ("a/b",),
    ("..",),
    ("..", "..", "etc"),
    (".",),
    ("",),
    ("", ""),
    ("%",),
    ("%2E%2E",),
    ("a.b",),
    ("00000001.jsonl",),
    ("größe", "評価"),
    ("x" * 1000,),
    ("x" * 1001,),
    ("評" * 300, "a"),
    ("a\0b\n",),
    ("\ud800",),
]


class StoreLaws(ABC):
    """The laws of `Store`, as tests; a far store holds to them on fewer bytes and names."""

    flipped_every = 7
    referred, referred_at_once, written_at_once = 200, 40, 60

    @abstractmethod
    def open(self, *, pickles: Policy = OWN) -> Store:
        """Open the place of this test, as another process would."""

    @abstractmethod
    def get_object(self, name: str) -> bytes:
        """Give the bytes of an object, behind the store's back."""

    @abstractmethod
    def set_object(self, name: str, data: bytes | None) -> None:
        """Put other bytes in the place of an object, or none."""

    @abstractmethod
    def get_record(self, key: str) -> bytes:
        """Give the bytes of a record."""

    @abstractmethod
    def set_record(self, key: str, data: bytes | None) -> None:
        """Put other bytes in the place of a record, or none."""

    @pytest.fixture
    def store(self) -> Store:
        """A store of nothing."""
        return self.open()

    # -- putting and loading ------------------------------------------------------------------------------------

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    def test_what_is_put_is_loaded(self, store, value):
        """By whoever opens the place, by record and by key."""
        record = store.put("a1", value)
        assert_same(store.load(record), value)
        assert_same(self.open().load("a1"), value)

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    def test_a_record_says_what_the_bytes_are(self, store, value):
        """Their codec, size and digest; small ones are in it, large ones where it says."""
        record = store.put("a1", value)
        encoded = encode(value, pickles=True)
        assert (record.codec, record.size) == (encoded.codec, encoded.size)
        assert record.digest == content_digest([encoded.bytes()])
        if record.size <= INLINE:
            assert (record.inline, record.location) == (encoded.bytes(), None)
        else:
            assert record.inline is None
            assert self.get_object(record.location) == encoded.bytes()

    def test_what_was_recorded_comes_back(self, store):
        """Metrics, tagged records and provenance, with the types they had."""
        metrics = {"accuracy": 0.5, "n": 3, "": float("nan"), "worst": -0.0, "name": "größe", "ok": True}
        records = (("loss", 0.25, {"epoch": 1}), ("loss", float("inf"), {"epoch": 2, "phase": "test"}))
        provenance = {"step": "score", "inputs": {"model": "b2"}, "seconds": 0.5}
        encoded = encode(1.0, pickles=True)
        put = store.put_encoded("a1", encoded, metrics=metrics, provenance=provenance, records=records)
        expected = Record("a1", "json", put.digest, 3, b"1.0", None, metrics, records, provenance)
        for record in (put, store.find("a1"), self.open().find("a1")):
            assert_same(record, expected)
        assert put.seconds == 0.5
        assert put.current

    def test_what_is_recorded_does_not_change_afterwards(self, store):
        """The store keeps no dict of its caller's."""
        metrics, provenance = {"accuracy": 0.5}, {"step": "score"}
        store.put("a1", 1.0, metrics=metrics, provenance=provenance)
        metrics["accuracy"] = 0.75
        provenance["step"] = "other"
        record = store.find("a1")
        assert (record.metrics, record.provenance) == ({"accuracy": 0.5}, {"step": "score"})

    def test_nothing_is_found_under_a_key_that_was_not_put(self, store):
        """And loading it is an error that names it."""
        store.put("a1", 1.0)
        for key in ("a2", "a", "a11", "b1"):
            assert store.find(key) is None
            with pytest.raises(UnknownNameError, match=f"no datum is stored under '{key}'"):
                store.load(key)

    def test_of_two_writers_of_a_key_the_first_wins(self, store):
        """The other is given the winner's record, and what is loaded is the winner's value."""
        other = self.open()
        for key, first, second in (("a1", 1.0, 2.0), ("a2", LARGE, LARGE + 1), ("a3", LARGE, "small")):
            won = store.put(key, first, provenance={"run": "one"})
            lost = other.put(key, second, provenance={"run": "two"})
            assert_same(lost, won)
            assert_same(store.find(key), won)
            assert_same(other.load(lost), first)

    def test_a_value_that_is_computed_again_takes_the_place_of_the_old_one(self, store):
        """Where the run was told to; who holds the old record still loads the old value."""
        for key, first, second in (
            ("a1", 1.0, 2.0),
            ("a2", LARGE, LARGE + 1),
            ("a3", LARGE, 1),
            ("a4", 1, LARGE),
        ):
            old = store.put(key, first)
            encoded = encode(second, pickles=True)
            new = store.put_encoded(key, encoded, metrics={"n": 1}, provenance={}, replace=True)
            assert new.metrics == {"n": 1}
            for opened in (store, self.open()):
                assert_same(opened.load(key), second)
                assert_same(opened.load(new), second)
                assert_same(opened.load(old), first)

    def test_a_value_can_be_replaced_by_itself(self, store):
        """And by nothing that was there."""
        for value in (1.0, LARGE):
            for _ in range(2):
                encoded = encode(value, pickles=True)
                store.put_encoded("a1", encoded, metrics={}, provenance={}, replace=True)
                assert_same(self.open().load("a1"), value)

    @pytest.mark.parametrize(
        "value", [np.zeros(3), np.zeros(INLINE), np.zeros(1 << 18)], ids=["inline", "read", "mapped"]
    )
    def test_what_is_loaded_is_the_callers_own(self, store, value):
        """Changing it in place changes neither what is stored nor what another was given."""
        value = value.copy()
        record = store.put("a1", value)
        one, other = store.load(record), store.load(record)
        one[:] = 7
        value[:] = 8
        assert other.sum() == 0
        assert store.load(record).sum() == 0
        assert self.open().load("a1").sum() == 0

    def test_a_value_that_cannot_be_encoded_leaves_nothing(self, store):
        """The error names the key, and the member."""
        with pytest.raises(CodecError, match="b in the value of a1 cannot be stored"):
            store.put("a1", {"a": LARGE, "b": threading.Lock()})
        assert store.find("a1") is None

    @pytest.mark.parametrize(
        "key", ["", ".", "..", "../x", "/abs", "a/b", "a\0b", ".a", "größe", "a b", "x" * 300]
    )
    def test_a_key_that_could_lead_elsewhere_is_refused(self, store, key):
        """For reading and for writing."""
        for use in (
            store.find,
            store.load,
            lambda key: store.put(key, 1.0),
            lambda key: store.put(key, LARGE),
        ):
            with pytest.raises(StoreError, match="is no name of a datum or object"):
                use(key)

    def test_many_records_are_found_at_once(self, store):
        """Those that are whole, as `find` gives them; a key asked for twice is found once."""
        values = {f"{number:02x}k": LARGE + number if number % 5 == 0 else number for number in range(40)}
        written = {key: store.put(key, value) for key, value in values.items()}
        self.set_record("03k", b"torn")
        self.set_record("04k", self.get_record("06k"))
        self.set_record("07k", None)
        asked = ["absent", "zz", *written, "01k"]
        for opened in (store, self.open()):
            found = opened.find_all(iter(asked))
            assert set(found) == written.keys() - {"03k", "04k", "07k"}
            for key, record in found.items():
                assert_same(record, written[key])
                assert_same(record, opened.find(key))
        assert store.find_all([]) == {}
        with pytest.raises(StoreError, match="is no name of a datum or object"):
            store.find_all(["01k", "../x"])

    def test_the_keys_of_all_datums_are_listed(self, store):
        """Each once, and nothing else that the place holds."""
        assert list(store.keys()) == []
        keys = {f"{number % 7:02x}k{number}" for number in range(50)} | {"a", "a.b", "a-b.json", "_"}
        for number, key in enumerate(sorted(keys)):
            store.put(key, LARGE if number % 10 == 0 else number)
            store.put(key, None)
        store.refer(("a",), {"p": "a1"})
        store.check_writable()
        for opened in (store, self.open()):
            assert sorted(opened.keys()) == sorted(keys)

    # -- damage -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "value", [LARGE[:300], pd.DataFrame({"a": LARGE[:300]}), {"x": LARGE[:300]}], ids=type
    )
    def test_every_flipped_byte_of_an_object_is_found(self, store, value):
        """Nothing of it is returned as a value."""
        record = store.put("a1", value)
        data = bytearray(self.get_object(record.location))
        for place in range(0, len(data), self.flipped_every):
            data[place] ^= 0x10
            self.set_object(record.location, bytes(data))
            with pytest.raises(CorruptDatumError, match="the datum a1 is damaged"):
                self.open().load("a1") if place % 2 else self.open().load(record)
            data[place] ^= 0x10
        self.set_object(record.location, bytes(data))
        assert_same(self.open().load("a1"), value)

    @pytest.mark.parametrize("value", [LARGE, np.arange(1 << 18)], ids=["read", "mapped"])
    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: b"",
            lambda data: data[:1],
            lambda data: data[:-1],
            lambda data: data + b"\0",
            lambda data: None,
        ],
        ids=["empty", "one byte", "truncated", "longer", "gone"],
    )
    def test_an_object_that_is_not_whole_is_never_a_value(self, store, value, damage):
        """Who has the record is told so; who has the key finds nothing, or is told so."""
        record = store.put("a1", value)
        self.set_object(record.location, damage(self.get_object(record.location)))
        with pytest.raises(CorruptDatumError, match=r"[Rr]un again"):
            self.open().load(record)
        with pytest.raises((CorruptDatumError, UnknownNameError)):
            self.open().load("a1")

    def test_a_damaged_object_is_healed_by_computing_it_again(self, store):
        """With `replace`, and the same or another value."""
        for value in (LARGE, LARGE + 1):
            record = store.put("a1", LARGE)
            self.set_object(record.location, b"damaged")
            encoded = encode(value, pickles=True)
            self.open().put_encoded("a1", encoded, metrics={}, provenance={}, replace=True)
            assert_same(self.open().load("a1"), value)

    def test_a_damaged_record_is_no_record(self, store):
        """A datum exists only with a whole record: flipped, torn or empty, nothing is found."""
        store.put("a1", 0.5, metrics={"n": 1})
        data = self.get_record("a1")
        for place in range(0, len(data), 3):
            self.set_record("a1", data[:place] + bytes([data[place] ^ 0x20]) + data[place + 1 :])
            assert self.open().find("a1") is None
        for torn in (b"", data[:1], data[:-1], data[:-1] + b"x\n"):
            self.set_record("a1", torn)
            assert self.open().find("a1") is None
        self.set_record("a1", data)
        healed = self.open().find("a1")
        assert healed is not None
        assert healed.metrics == {"n": 1}

    @pytest.mark.parametrize("value", [0.5, LARGE], ids=["inline", "object"])
    def test_putting_over_a_damaged_record_heals_it(self, store, value):
        """No `replace` is needed: there was nothing."""
        store.put("a1", value)
        self.set_record("a1", b"damaged")
        healed = self.open().put("a1", value, metrics={"n": 2})
        assert healed.metrics == {"n": 2}
        assert_same(self.open().find("a1"), healed)
        assert_same(self.open().load("a1"), value)

    def test_a_record_of_another_key_is_no_record(self, store):
        """As when files are copied to other names."""
        store.put("a1", 0.5)
        store.put("a2", 0.25)
        self.set_record("a2", self.get_record("a1"))
        assert self.open().find("a2") is None

    # -- what must not be executed ------------------------------------------------------------------------------

    def test_a_store_without_pickles_takes_none(self):
        """And says what it would take."""
        store = self.open(pickles=False)
        with pytest.raises(
            CodecError, match=r"a\.0 in the value of a1 is a Counter, which only pickle could store"
        ):
            store.put("a1", {"a": [collections.Counter()]})
        assert store.find("a1") is None
        store.put("a2", Split(pd.DataFrame({"a": [1.0]}), pd.DataFrame(), 1))

    @pytest.mark.parametrize(
        "wrap", [lambda bomb: bomb, lambda bomb: {"a": bomb}, lambda bomb: [LARGE, bomb]]
    )
    def test_a_crafted_pickle_is_not_executed(self, store, wrap, tmp_path):
        """A store that somebody else wrote is opened without pickles, and nothing in it runs."""
        trap = tmp_path / "executed"
        record = store.put("a1", wrap(Bomb(trap)))
        careful = self.open(pickles=False)
        for name in ("a1", record):
            with pytest.raises(CodecError, match="does not allow pickles to be loaded"):
                careful.load(name)
        assert not trap.exists()
        store.load("a1")
        assert trap.exists()

    @pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
    def test_a_pickle_that_somebody_else_has_written_is_not_executed(
        self, store, wrap, tmp_path, monkeypatch
    ):
        """Signed with another key or not at all, it is refused unless all pickles of the place are trusted."""
        trap = tmp_path / "executed"
        with monkeypatch.context() as other:
            other.setenv(VARIABLE, "the key of somebody else who writes here")
            self.open().put("a1", wrap(Bomb(trap)))
        self.open(pickles=True).put("a2", wrap(Bomb(trap)))
        for key in ("a1", "a2"):
            with pytest.raises(CodecError, match="a pickle that is not signed with your key"):
                store.load(key)
        assert not trap.exists()
        self.open(pickles=True).load("a1")
        assert trap.exists()

    @pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
    def test_a_signature_holds_for_one_key_and_its_bytes(self, store, wrap, tmp_path):
        """Beside other bytes, or under another key or codec, it is none."""
        trap = tmp_path / "executed"
        own = store.put("a1", wrap(collections.Counter("aab")))
        assert own.signature
        other = self.open(pickles=True).put("a2", wrap(Bomb(trap)))
        held = {
            "inline": other.inline,
            "location": other.location,
            "digest": other.digest,
            "size": other.size,
        }
        for crafted in (
            own._replace(**held),
            other._replace(signature=own.signature),
            store.put("a3", wrap(Bomb(trap)))._replace(key="a1"),
        ):
            with pytest.raises(CodecError, match="not signed with your key"):
                store.load(crafted)
        assert not trap.exists()
        assert_same(store.load("a1"), wrap(collections.Counter("aab")))

    def test_a_pickle_that_takes_the_place_of_ones_own_is_not_executed(self, store, tmp_path):
        """Also in the run that has just written its own, and lets go of the memory."""
        trap = tmp_path / "executed"
        encoded = encode([MEGABYTES, collections.Counter("aab")], pickles=True)
        record = store.put_encoded("a1", encoded, metrics={}, provenance={})
        assert_same(independent_copy(encoded, pickles=store.pickles)[0], MEGABYTES)
        data = encode([MEGABYTES, Bomb(trap)], pickles=True).bytes()
        self.set_object(record.location, data)
        with pytest.raises(CodecError, match="not signed with your key"):
            independent_copy(encoded, pickles=store.pickles)
        with pytest.raises(CodecError, match="not signed with your key"):
            self.open().load(record._replace(digest=content_digest([data]), size=len(data)))
        assert not trap.exists()

    @pytest.mark.parametrize(
        "value",
        [1.5, "x" * (INLINE + 1), {"a": [1]}, LARGE, {"a": LARGE}, pd.DataFrame({"a": LARGE})],
        ids=type,
    )
    def test_what_is_no_pickle_and_names_no_class_needs_no_signature(self, store, value):
        """Nothing is noted, and no time spent on it."""
        assert store.put("a1", value).signature == ""
        assert b"signature" not in self.get_record("a1")

    @pytest.mark.parametrize("pickles", ["yes", "OWN", "", None, 1, 0, ["own"]])
    def test_what_is_no_policy_is_refused(self, pickles):
        """With the three that there are."""
        with pytest.raises(StoreError, match=r"is no policy of a store: expected 'own' .* True .* or False"):
            self.open(pickles=pickles)

    def test_a_pickle_that_calls_itself_an_array_is_not_executed(self, store, tmp_path):
        """The codec that a record names is not the one that its bytes may choose."""
        trap = tmp_path / "executed"
        data = pickle.dumps(Bomb(trap))
        for codec in ("npy", "parquet", "composite", "json"):
            name = f"a1{codec}"
            store.put(name, data.decode("latin-1"))
            old = store.find(name)
            crafted = Record(name, codec, content_digest([data]), len(data), data, None)
            assert old is not None
            with pytest.raises(CodecError):
                self.open(pickles=False).load(crafted)
            with pytest.raises(CodecError):
                self.open().load(crafted)
        assert not trap.exists()

    def test_a_record_that_names_a_module_imports_nothing(self, store, tmp_path, monkeypatch):
        """Importing a module executes it: without pickles, classes are those of modules that are loaded."""
        (tmp_path / "intruder.py").write_text(f"open({os.fspath(tmp_path / 'executed')!r}, 'w')")
        monkeypatch.syspath_prepend(tmp_path)
        tree = b'{"$object":["intruder:Anything",{}]}'
        record = Record("a1", "json", content_digest([tree]), len(tree), tree)
        with pytest.raises(CodecError, match="intruder:Anything, and no such class can be had"):
            self.open(pickles=False).load(record)
        assert "intruder" not in sys.modules
        assert not (tmp_path / "executed").exists()

    @pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "a/../b", "..", ""])
    def test_a_record_that_leads_elsewhere_is_refused(self, store, location):
        """Whatever it promises to find there."""
        record = Record("a1", "npy", "d" * 32, 100_000, None, location)
        with pytest.raises(StoreError, match="is no name of a datum or object"):
            store.load(record)

    # -- references ---------------------------------------------------------------------------------------------

    def test_a_partition_holds_what_was_last_referred_to(self, store):
        """Others keep what they hold."""
        asset = ("experiment", "model")
        store.refer(asset, {"0000|baseline": "a1", "0001|baseline": "a2"})
        self.open().refer(asset, {"0001|baseline": "a3", "0002|baseline": "a4"})
        expected = {"0000|baseline": "a1", "0001|baseline": "a3", "0002|baseline": "a4"}
        assert store.references(asset) == self.open().references(asset) == expected
        assert store.references(("experiment",)) == store.references(("experiment", "model", "x")) == {}

    def test_many_references_are_remembered(self, store):
        """However many runs have added to them, the later ones win."""
        numbers = range(self.referred)
        for number in numbers:
            opened = store if number % 3 else self.open()
            opened.refer(("a",), {f"p{number % 75}": f"k{number}", "": f"k{number}"})
        expected = {f"p{number % 75}": f"k{number}" for number in numbers} | {"": f"k{numbers[-1]}"}
        assert self.open().references(("a",)) == expected

    def test_any_name_of_an_asset_is_safe(self, store):
        """Each has references of its own, whatever it is called."""
        for number, asset in enumerate(ODD_ASSETS):
            store.refer(asset, {"": f"k{number}", "größe\n|": "x"})
        for number, asset in enumerate(ODD_ASSETS):
            assert self.open().references(asset) == {"": f"k{number}", "größe\n|": "x"}

    def test_references_are_the_callers_own(self, store):
        """What is done to them is not stored."""
        keys = {"p": "a1"}
        store.refer(("a",), keys)
        keys["p"] = "a2"
        store.references(("a",))["p"] = "a3"
        assert store.references(("a",)) == {"p": "a1"}

    def test_referring_to_nothing_stores_nothing(self, store):
        """Not even the asset's name."""
        store.refer(("a",), {})
        assert store.references(("a",)) == {}

    def test_an_asset_is_loaded_by_partition(self, store):
        """One without partitions has the partition ""."""
        store.put("a1", 1.5)
        store.put("a2", 2.5)
        store.refer(("a", "b"), {"p": "a1"})
        store.refer(("c",), {"": "a2"})
        assert store.load_asset(("a", "b"), "p") == 1.5
        assert store.load_asset(("c",)) == 2.5

    def test_what_an_asset_does_not_hold_is_named(self, store):
        """With the partitions that come near."""
        with pytest.raises(UnknownNameError, match="asset 'a/b' is not in this store: materialise it first"):
            store.load_asset(("a", "b"))
        store.refer(("a", "b"), {"0000|baseline": "a1"})
        with pytest.raises(
            UnknownNameError, match=r"asset 'a/b' has no partition '0000\|baselin'.*0000\|baseline"
        ):
            store.load_asset(("a", "b"), "0000|baselin")
        with pytest.raises(UnknownNameError, match="no datum is stored under 'a1'"):
            store.load_asset(("a", "b"), "0000|baseline")

    # -- several at once ----------------------------------------------------------------------------------------

    def test_many_threads_may_write_the_same_keys(self, store):
        """All of them are given the one record of each, and it loads."""
        start = threading.Barrier(8)

        def write(worker: int) -> list[Record]:
            start.wait()
            values = [worker * 1.0, np.full(INLINE, worker), "x" * worker]
            return [
                store.put(f"k{number}", values[number % 3], provenance={"run": worker})
                for number in range(self.written_at_once)
            ]

        with ThreadPoolExecutor(8) as pool:
            written = list(pool.map(write, range(8)))
        for number, records in enumerate(zip(*written, strict=True)):
            standing = self.open().find(f"k{number}")
            assert standing is not None
            for record in records:
                assert_same(record, standing)
            value, worker = self.open().load(standing), standing.provenance["run"]
            assert_same(value, [worker * 1.0, np.full(INLINE, worker), "x" * worker][number % 3])

    def test_many_threads_may_refer_at_once(self, store):
        """Nothing that any of them noted is lost."""

        def note(worker: int) -> None:
            for number in range(self.referred_at_once):
                store.refer(("a",), {f"{worker}-{number}": "k"})
                store.references(("a",))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(note, range(8)))
        assert len(self.open().references(("a",))) == 8 * self.referred_at_once

    def test_a_place_that_can_be_written_is_not_complained_about(self, store):
        """Asking leaves no datum behind."""
        store.check_writable()
        assert store.find("a1") is None
        store.put("a1", LARGE)
        store.check_writable()

    # -- deleting -----------------------------------------------------------------------------------------------

    def test_what_is_deleted_is_gone_and_the_rest_stays(self, store):
        """Records, objects, and older versions of what partitions held; for whoever has the place open."""
        other = self.open()
        for number in range(6):
            store.put(f"a{number}", LARGE + number if number % 2 else number)
            store.refer(("a",), {"p": f"a{number}", "same": "a1"})
        objects = {name.split(".")[0]: name for name, _, _ in other.objects()}
        assert objects.keys() == {"a1", "a3", "a5"}
        assert other.versions(("a",), "p") == [f"a{number}" for number in range(6)]
        with store.deleting():
            store.delete({"a0", "a1", "absent"}, [objects["a1"]], 2)
        for opened in (store, other, self.open()):
            assert set(opened.keys()) == {"a2", "a3", "a4", "a5"}
            assert opened.find("a0") is None
            assert opened.find_all(["a1", "a3"]).keys() == {"a3"}
            assert_same(opened.load("a5"), LARGE + 5)
            assert opened.references(("a",)) == {"p": "a5", "same": "a1"}
            assert opened.versions(("a",), "p") == ["a4", "a5"]
            assert {name.split(".")[0]: size > 0 for name, size, _ in opened.objects()} == {
                "a3": True,
                "a5": True,
            }
        assert_same(other.load(other.put("a1", 7)), 7)

    def test_what_was_recorded_outlives_the_bytes(self, store):
        """A datum whose object was deleted is none, but what was recorded of it is told."""
        record = store.put("a1", LARGE, metrics={"n": 1})
        store.delete(set(), [record.location], 1)
        for opened in (store, self.open()):
            assert opened.find("a1") is None
            assert opened.find_all(["a1"]) == {}
            assert_same(opened.recorded(["a1", "absent"]), {"a1": record})
        assert_same(store.load(store.put("a1", LARGE)), LARGE)

    def test_what_is_claimed_is_known_until_the_claim_is_given_up(self, store):
        """To whoever has the place open."""
        other = self.open()
        with store.claim() as claim:
            claim.add(["a1", "a2"])
            with other.claim() as another:
                another.add(["a2", "a3"])
                claim.add(["a4"])
                assert self.open().claimed() == {"a1", "a2", "a3", "a4"}
            assert other.claimed() == {"a1", "a2", "a4"}
        assert store.claimed() == other.claimed() == set()

    def test_who_claims_waits_while_somebody_deletes(self, store):
        """So that it looks for its data only when what was to go is gone."""
        order: list[str] = []

        def claim() -> None:
            with self.open().claim() as claimed:
                claimed.add(["a1"])
                order.append("claimed")

        with ThreadPoolExecutor(1) as pool:
            with store.deleting():
                waiting = pool.submit(claim)
                time.sleep(0.3)
                order.append("deleted")
            waiting.result()
        assert order == ["deleted", "claimed"]

    def test_journals_tell_all_that_was_held(self, store):
        """Of every asset, whatever it is called."""
        expected = []
        for number, asset in enumerate(ODD_ASSETS[:6]):
            store.refer(asset, {"p": "a1"})
            store.refer(asset, {"p": f"k{number}", "q": ""})
            expected.append({"p": ["a1", f"k{number}"], "q": []})
        told = [{name: versions(notes) for name, notes in held.items()} for held in self.open().journals()]
        assert sorted(told, key=str) == sorted(expected, key=str)
        assert "q" not in store.references(ODD_ASSETS[0])

    def test_a_claim_counts_from_the_first_key_on(self, store):
        """Also where it is held for longer than a block, as by an IO manager."""
        claim = store.claim()
        claim.add(["a1"])
        assert self.open().claimed() == {"a1"}
        claim.__exit__(None, None, None)
        assert self.open().claimed() == set()

    def test_several_add_to_a_ledger_and_one_gets_a_number(self, store):
        """Each has opened the place for itself, and each finds what the others have noted."""
        ledgers = [Ledger(self.open(), "study") for _ in range(3)]
        with ThreadPoolExecutor(3) as pool:
            won = list(pool.map(lambda who: ledgers[who].preregister(1, {"who": who, "when": ""}), range(3)))
            list(pool.map(lambda who: ledgers[who].note("run", {"number": who // 2}), range(3)))
        told = Ledger(self.open(), "study")
        assert [one["who"] for one in told.preregistrations()] == [won.index(True)]
        assert won.count(True) == 1
        assert sorted(entry.told["number"] for entry in told.entries("run")) == [0, 1]

"""A store does what a dict does, whatever is done to it, by several processes and with crashes in between."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from workflow_assets.errors import CorruptDatumError, StoreError, UnknownNameError
from workflow_assets.store import files, folders, logs
from workflow_assets.store.base import MemoryStore, Store
from workflow_assets.store.codecs import encode
from workflow_assets.store.files import FileStore
from workflow_assets.store.records import LONGEST_JOURNAL
from workflow_assets_tests.conformance.sameness import assert_same

KEYS_ = ["a1", "a2", "ab", "b1"]
KEYS = st.sampled_from(KEYS_)
ASSETS = st.sampled_from([("x",), ("x", "y"), ("..",)])
PARTITIONS = st.sampled_from(["", "0000|baseline", "0001|größe"])
VALUES = st.one_of(
    st.integers(0, 3),
    st.integers(0, 3).map(lambda number: np.full(300, number)),
    st.integers(0, 3).map(lambda number: np.full(200_000, number)),
    st.integers(0, 3).map(lambda number: {"x": np.full(300, number), "n": number}),
)


class StoreAgainstDict(RuleBasedStateMachine):
    """Two openings of one place, and what they should hold."""

    records = Bundle("records")

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, object] = {}
        self.metrics: dict[str, object] = {}
        self.held: dict[tuple[str, ...], dict[str, str]] = {}

    def open(self) -> Store:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.stores = [self.open(), self.open()]

    @rule(
        target=records, key=KEYS, value=VALUES, who=st.integers(0, 1), replace=st.booleans(), n=st.integers()
    )
    def put(self, key, value, who, replace, n):
        encoded = encode(value, pickles=True)
        record = self.stores[who].put_encoded(key, encoded, metrics={"n": n}, provenance={}, replace=replace)
        if replace or key not in self.values:
            self.values[key], self.metrics[key] = value, {"n": n}
        assert record.metrics == self.metrics[key]
        return record, self.values[key]

    @rule(key=KEYS, who=st.integers(0, 1))
    def load(self, key, who):
        if key in self.values:
            loaded = self.stores[who].load(key)
            assert_same(loaded, self.values[key])
            if isinstance(loaded, np.ndarray):
                loaded[:] = 9  # it is ours
            return
        assert self.stores[who].find(key) is None
        try:
            self.stores[who].load(key)
        except UnknownNameError:
            return
        raise AssertionError("loaded what was never put")

    @rule(noted=records, who=st.integers(0, 1))
    def load_by_an_old_record(self, noted, who):
        record, value = noted
        try:
            assert_same(self.stores[who].load(record), value)
        except CorruptDatumError:
            assert self.lossy

    @rule(asset=ASSETS, keys=st.dictionaries(PARTITIONS, KEYS), who=st.integers(0, 1))
    def refer(self, asset, keys, who):
        self.stores[who].refer(asset, keys)
        self.held.setdefault(asset, {}).update(keys)

    @rule(who=st.integers(0, 1))
    def open_again(self, who):
        self.stores[who] = self.open()

    lossy = False

    @invariant()
    def holds_what_it_should(self):
        for store in getattr(self, "stores", ()):
            for key in self.values:
                record = store.find(key)
                assert record is not None
                assert record.metrics == self.metrics[key]
            for asset, keys in self.held.items():
                assert store.references(asset) == keys


class MemoryStoreAgainstDict(StoreAgainstDict):
    def open(self) -> Store:
        if not hasattr(self, "memory"):
            self.memory = MemoryStore()
        return self.memory


class Crash(BaseException):
    """As when the process is killed."""


class FileStoreAgainstDict(StoreAgainstDict):
    """With damage to files, and writers that die at any call to the system."""

    def __init__(self) -> None:
        super().__init__()
        self.deaths = 0
        self.folder = Path(tempfile.mkdtemp(prefix="store-"))
        self.journal, vars(files)["LONGEST_JOURNAL"] = LONGEST_JOURNAL, 3

    def teardown(self) -> None:
        vars(files)["LONGEST_JOURNAL"] = self.journal
        shutil.rmtree(self.folder)

    def open(self) -> Store:
        return FileStore(self.folder)

    @rule(key=KEYS, value=VALUES, replace=st.booleans(), steps=st.integers(0, 12), n=st.integers())
    def die_while_putting(self, key, value, replace, steps, n):
        """Afterwards the datum is there, whole, or is not; what was there before is there unless it was replaced."""
        encoded = encode(value, pickles=True)
        dying = FileStore(self.folder)
        self.deaths += 1
        metrics = {"n": n, "death": self.deaths}
        with death_after(steps), suppress(Crash):
            dying.put_encoded(key, encoded, metrics=metrics, provenance={}, replace=replace)
        found = FileStore(self.folder).find(key)
        if found is not None and found.metrics == metrics:
            assert replace or key not in self.values
            self.values[key], self.metrics[key] = value, metrics
        else:
            assert (found is not None) == (key in self.values)

    @rule(asset=ASSETS, keys=st.dictionaries(PARTITIONS, KEYS, min_size=1), steps=st.integers(0, 12))
    def die_while_referring(self, asset, keys, steps):
        """All is noted, or nothing; and what was noted before stays."""
        with death_after(steps), suppress(Crash):
            FileStore(self.folder).refer(asset, keys)
        before = self.held.get(asset, {})
        held = FileStore(self.folder).references(asset)
        assert held in ({**before, **keys}, before)
        self.held[asset] = held

    @rule(keys=st.sets(KEYS), steps=st.integers(0, 12))
    def die_while_deleting(self, keys, steps):
        """All of them are gone, or none; the others stay."""
        with death_after(steps), suppress(Crash):
            FileStore(self.folder)._log.delete(keys)
        left = set(FileStore(self.folder).keys())
        assert self.values.keys() - left in (set(), self.values.keys() & keys)
        for key in self.values.keys() - left:
            del self.values[key], self.metrics[key]
            self.lossy = True

    @rule(key=KEYS, how=st.sampled_from(["flip", "cut", "empty", "gone"]))
    def damage_an_object(self, key, how):
        """What is damaged is never returned as a value; nothing is found, or it says that it is damaged."""
        for path in sorted(self.folder.joinpath("objects", key[:2]).glob(f"{key}.*")):
            data = path.read_bytes() or b"?"
            path.unlink()
            if how != "gone":
                half = len(data) // 2
                flipped = bytes([*data[:half], data[half] ^ 1, *data[half + 1 :]])
                path.write_bytes({"flip": flipped, "cut": data[:half], "empty": b""}[how])
            self.lossy = True
        self.stores = [self.open(), self.open()]
        self.heal(key)

    @rule(place=st.integers(0, 1000), how=st.sampled_from(["flip", "cut", "gone"]))
    def damage_the_records(self, place, how):
        """A line that is damaged, torn at the end or gone is no record; the others are what they were."""
        path = self.folder / "records.jsonl"
        if not path.exists():
            return
        data = path.read_bytes()
        path.unlink()
        place = min(place, len(data))
        flipped = bytes(byte ^ 1 for byte in data[place : place + 1])
        if how != "gone":
            path.write_bytes(data[:place] + {"flip": flipped + data[place + 1 :], "cut": b""}[how])
        self.lossy = True
        self.stores = [self.open(), self.open()]
        for key in KEYS_:
            self.heal(key)

    def heal(self, key):
        """Do as a run does: what cannot be loaded is computed again."""
        try:
            loaded = self.stores[0].load(key)
        except (StoreError, UnknownNameError):
            encoded = encode(0, pickles=True)
            self.stores[0].put_encoded(key, encoded, metrics={}, provenance={}, replace=True)
            self.values[key], self.metrics[key] = 0, {}
        else:
            record = self.stores[0].find(key)
            assert record is not None
            assert key in self.values
            if record.metrics == self.metrics[key]:
                assert_same(loaded, self.values[key])
            else:  # an earlier one, which had been replaced
                self.values[key], self.metrics[key] = loaded, dict(record.metrics)


class death_after:
    """Let the process die, as far as the store can tell, at a call to the system: before it, or half-way through."""

    CALLS = ("open", "write", "ftruncate", "rename", "unlink", "fsync")

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __enter__(self) -> None:
        self.os = os
        for module in (files, folders, logs):
            vars(module)["os"] = self

    def __exit__(self, *exception: object) -> None:
        for module in (files, folders, logs):
            vars(module)["os"] = self.os

    def __getattr__(self, name: str):
        function = getattr(self.os, name)
        if name not in self.CALLS:
            return function

        def dying(*arguments, **options):
            if self.steps < 0:
                raise Crash  # the dead do nothing
            self.steps -= 1
            if self.steps < 0:
                if name == "write":
                    self.os.write(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                raise Crash
            return function(*arguments, **options)

        return dying


short = settings(stateful_step_count=30, suppress_health_check=list(HealthCheck), deadline=None)
TestMemoryStoreAgainstDict = MemoryStoreAgainstDict.TestCase
TestMemoryStoreAgainstDict.settings = short
TestFileStoreAgainstDict = FileStoreAgainstDict.TestCase
TestFileStoreAgainstDict.settings = short

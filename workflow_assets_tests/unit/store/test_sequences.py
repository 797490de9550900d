"""What generators yield."""

import dataclasses
import json
import pickle
import tracemalloc
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workflow_assets import Experiment, File, Items, step
from workflow_assets.errors import CodecError, DeclarationError
from workflow_assets.store.archives import END, filling, header
from workflow_assets.store.base import MemoryStore
from workflow_assets.store.codecs import decode, drained, encode, independent_copy
from workflow_assets.store.files import FileStore
from workflow_assets_tests.conformance.sameness import assert_same


@dataclasses.dataclass
class Part:
    name: str
    values: Any


def frame(number):
    index = pd.date_range("2020", periods=number, tz="Europe/Berlin", name="when")
    return pd.DataFrame({"x": np.arange(number) / 3, "c": pd.Categorical(["a"] * number)}, index=index)


SEQUENCES: dict[str, tuple[str, list[Any]]] = {
    "plain values": (
        "lines",
        [1, "a\nb", {"x": (1, 2)}, None, float("inf"), "x" * 5000, b"1" * 5000, "\ud800"],
    ),
    "dataclasses of plain values": ("lines", [Part("a", 1), Part("b", [2])]),
    "nothing": ("lines", []),
    "frames": ("items", [frame(3), frame(0), frame(2).reset_index(), 5]),
    "arrays": ("items", [np.arange(5), np.ones((2, 2), order="F"), np.ma.array([1, 2], mask=[False, True])]),
    "dataclasses of arrays": ("items", [Part("a", np.arange(3)), {"deep": [frame(1)]}]),
}


@pytest.mark.parametrize(("codec", "items"), SEQUENCES.values(), ids=SEQUENCES)
@pytest.mark.parametrize("memory", [True, False], ids=["memory", "folder"])
def test_what_is_yielded_is_kept_item_by_item(codec, items, memory, tmp_path):
    """Exactly, and can be iterated again; without a pickle."""
    store = MemoryStore(pickles=False) if memory else FileStore(tmp_path, pickles=False)
    encoded = encode((item for item in items), pickles=False)
    assert encoded.codec == codec
    record = store.put_encoded("a1", encoded, metrics={}, provenance={})
    for given in (store.load(record), independent_copy(encoded, pickles=False)):
        assert type(given) is Items
        assert_same(list(given), items)
        assert_same(list(given), items)
        again = encode(given, pickles=False)
        assert again.bytes() == encoded.bytes()


@pytest.mark.parametrize(
    "make", [lambda items: map(str, items), lambda items: zip(items, items, strict=True)]
)
def test_what_else_yields_once_is_kept_too(make):
    """As `map` and `zip`."""
    assert_same(list(drained(make([1, 2]))), list(make([1, 2])))


def test_bytes_that_are_yielded_are_a_file():
    """All in one."""
    given = MemoryStore().load(
        MemoryStore().put("a1", (part for part in (b"12", bytearray(b"3"), memoryview(b"4"))))
    )
    assert type(given) is File
    assert (given.read_bytes(), given.suffix) == (b"1234", ".bin")


def test_lines_are_read_by_other_tools(tmp_path):
    """It is one JSON value a line."""
    record = FileStore(tmp_path).put("a1", ({"n": number, "note": "ö" * 100} for number in range(100)))
    assert record.location is not None
    path = next((tmp_path / "objects").rglob(record.location))
    assert path.suffix == ".jsonl"
    with path.open() as lines:
        assert [json.loads(line)["n"] for line in lines] == list(range(100))


@pytest.mark.parametrize("item", [lambda: bytes(1 << 20), lambda: "x" * (1 << 20), lambda: np.zeros(1 << 17)])
def test_no_more_than_a_few_items_are_in_memory(item, tmp_path):
    """Neither while they are yielded, nor while they are stored and read."""
    store = FileStore(tmp_path)
    tracemalloc.start()
    try:
        encoded = encode((item() for _ in range(40)), pickles=False)
        record = store.put_encoded("a1", encoded, metrics={}, provenance={})
        assert sum(1 for _ in store.load(record)) == 40
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert record.size >= 40 << 20
    assert peak < 20 << 20


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([1, np.arange(2)], r"item 1 of value is a ndarray, and those before are plain values: yield items of one"),
        ([b"1", "2"], r"item 1 of value is a str, and those before are bytes"),
        ([frame(1), open], r"item 1 of value is a builtin_function_or_method, which only pickle could store"),
    ],
)  # fmt: skip
def test_an_item_that_cannot_be_kept_is_named(items, message):
    """With its place, and what to do."""
    with pytest.raises(CodecError, match=message):
        encode((item for item in items), pickles=True)


def test_a_generator_that_raises_stores_nothing(tmp_path):
    """What it yielded before is thrown away."""

    def yielding():
        yield 1
        raise ZeroDivisionError("no")

    store = FileStore(tmp_path)
    with pytest.raises(ZeroDivisionError):
        store.put("a1", yielding())
    assert store.find("a1") is None
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("codec", ["lines", "items"])
def test_torn_items_are_an_error_of_ours(codec):
    """Wherever they end, and whatever they claim; nothing is pickled in them."""
    items = [frame(2), 5] if codec == "items" else [{"a": (1,)}]
    data = encode((item for item in items), pickles=False).bytes()
    for at in range(1, len(data) - 1024, 101):
        with pytest.raises(CodecError):
            list(decode(codec, data[:at], pickles=True))


def test_a_pickle_among_items_is_not_loaded():
    """Whatever the store's policy is: what was yielded is never pickled here."""
    pickled = pickle.dumps(1)
    data = header("000000-pickle.pickle", len(pickled)) + pickled + filling(len(pickled)) + END
    with pytest.raises(CodecError, match="is a pickle"):
        list(decode("items", data, pickles=True))


def test_items_that_claim_more_than_there_is_are_refused():
    """Before memory is taken for them."""
    with pytest.raises(CodecError, match=r"claim 10000000000 bytes for '000000-npy\.npy'"):
        list(decode("items", header("000000-npy.npy", 10_000_000_000) + bytes(512), pickles=True))


@step
def drawn(rng: np.random.Generator, ctx: Any) -> Iterator[pd.DataFrame]:
    for number in range(3):
        ctx.record("drawn", number, part=number)
        yield pd.DataFrame({"x": rng.random(3)})


@step
def total(drawn: Iterable[pd.DataFrame]) -> float:
    return float(sum(part.x.sum() for part in drawn) + sum(len(part) for part in drawn))


def test_a_step_may_yield(tmp_path):
    """Its random stream and its records are those of the step; a later run reads what this one did."""
    store = FileStore(tmp_path, pickles=False)
    experiment = Experiment("yielding", [drawn, total], replicates=2)
    first = experiment.run(store).table
    assert list(first["status"]) == ["completed"] * 2
    assert first["total"].nunique() == 2
    again = experiment.run(store, force=["total"]).table
    assert list(again["total"]) == list(first["total"])


@step
def failing() -> Generator[int, None, None]:
    yield 1
    raise ZeroDivisionError("in the middle")


def test_a_step_that_raises_while_it_yields_is_a_failure():
    """Of its cell, as any other."""
    result = Experiment("failing", [failing], replicates=1).run(MemoryStore())
    assert result.failures[0].message == "in the middle"


@step
def once(drawn: Iterator[pd.DataFrame]) -> int:
    return len(list(drawn))


@step(transient=True)
def passing(replicate: int) -> Iterator[int]:
    yield replicate


@step
def taken(passing: Iterator[int]) -> int:
    return next(passing)


def test_what_can_be_iterated_once_is_not_what_is_handed_on():
    """An error when the steps are put together; a transient step hands on the generator itself."""
    with pytest.raises(
        DeclarationError, match=r"of which others are handed .*Items.*, but once.drawn takes Iterator"
    ):
        Experiment("once", [drawn, once], replicates=1)
    result = Experiment("passing", [passing, taken], replicates=2).run(MemoryStore())
    assert list(result.table["taken"]) == [0, 1]

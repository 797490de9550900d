"""Records and journals as bytes."""

import json

import pytest

from workflow_assets.errors import CodecError, StoreError
from workflow_assets.store.records import (
    Held,
    Record,
    checked,
    journal_from_bytes,
    journal_to_bytes,
    latest,
    record_from_bytes,
    record_to_bytes,
    trimmed,
    versions,
)
from workflow_assets_tests.conformance.sameness import assert_same

INLINE = Record(
    "a1",
    "json",
    "d" * 32,
    3,
    b"0.5",
    None,
    {"accuracy": 0.5, "": -0.0, "worst": float("nan"), "name": "größe"},
    (("loss", 0.1, {"epoch": 1}), ("loss", float("inf"), {"epoch": 2, "phase": "test"})),
    {"step": "score", "inputs": {"a": "b"}, "seconds": 0.25, "dict": {"$tuple": [1]}, "tuple": (1, 2)},
)
LARGE = Record("a2", "npy", "d" * 32, 5000, None, "a2.dddd.npy")
PICKLED = Record("a3", "pickle", "d" * 32, 4, b"\x80\x05N.")


@pytest.mark.parametrize("record", [INLINE, LARGE, PICKLED], ids=["inline", "large", "pickled"])
def test_a_record_comes_back_as_it_was(record):
    """NaN, infinity, minus zero, tuples and what looks like our marks included."""
    assert_same(record_from_bytes(record.key, record_to_bytes(record)), record)


def test_other_tools_read_a_record():
    """One line of JSON: what is known, the value itself if it is small and plain, and a checksum."""
    (line,) = record_to_bytes(INLINE).decode().splitlines()
    content = json.loads(line)
    assert (content["value"], content["metrics"]["accuracy"], content["provenance"]["step"]) == (
        0.5,
        0.5,
        "score",
    )
    assert len(content["checksum"]) == 32


@pytest.mark.parametrize("record", [INLINE, LARGE, PICKLED], ids=["inline", "large", "pickled"])
def test_every_flipped_byte_of_a_record_is_found(record):
    """And every byte that is missing at the end, or too many."""
    data = record_to_bytes(record)
    for place in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            assert (
                record_from_bytes(record.key, data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :])
                is None
            )
        assert record_from_bytes(record.key, data[:place]) is None
    for more in (b"\n", b" ", data, b"\0"):
        assert record_from_bytes(record.key, data + more) is None


def test_a_record_under_another_key_is_none():
    """As when files are copied to other names."""
    assert record_from_bytes("a9", record_to_bytes(INLINE)) is None


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"1",
        b"{}",
        b'{"key":"a1"}',
        b'{"key":"a1","codec":"json","digest":"","size":"x","value":1}',
        b"{",
    ],
)
def test_a_record_of_something_else_is_none(content):
    """Although its digest is right."""
    import xxhash

    assert (
        record_from_bytes("a1", b'%b\n"%b"\n' % (content, xxhash.xxh3_128_hexdigest(content).encode()))
        is None
    )


def test_what_is_recorded_is_plain():
    """A metric that is an object has no place in a record."""
    with pytest.raises(
        CodecError, match=r"best of the datum a1 is a object: what is recorded .* is numbers and text"
    ):
        record_to_bytes(Record("a1", "json", "", 1, b"1", metrics={"best": object()}))


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "/abs", "a/b", "a\\b", "a\0b", ".hidden", "-x", "größe", "a b", "a\n", "x" * 201],
)
def test_a_name_that_could_lead_elsewhere_is_refused(name):
    """Whatever file system it would be used on."""
    with pytest.raises(StoreError, match="is no name of a datum or object"):
        checked(name)


def read(data):
    held: Held = {}
    journal_from_bytes(data, held)
    return held


def test_a_journal_comes_back_as_it_was():
    """Whatever the partitions are called."""
    held = {
        "": [(1, "a1")],
        "0000|baseline": [(2, "a2"), (3, ""), (4, "a1")],
        "größe\n": [(1, "a3")],
        '"],[': [(9, "a4")],
        "\ud800": [(1, "a5")],
    }
    assert read(journal_to_bytes(held)) == held


def test_the_highest_number_wins_whichever_is_read_last():
    """Of one number, all readers choose the same."""
    lines = [journal_to_bytes({"p": [noted]}) for noted in ((2, "new"), (1, "old"), (2, "another"))]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        held = read(b"".join(lines[place] for place in order))
        assert latest(held) == {"p": "new"}
        assert versions(held["p"]) == ["old", "another", "new"]


def test_the_last_versions_are_kept_and_what_is_held_now():
    """Each key counts once, at its latest; a partition that holds nothing holds nothing afterwards."""
    held: Held = {
        "p": [(1, "a"), (2, "b"), (3, "a"), (4, "c")],
        "none": [(1, "a"), (2, "")],
        "back": [(1, "a"), (2, "b"), (3, "a")],
    }
    for count, expected in (
        (1, {"p": ["c"], "none": ["a"], "back": ["a"]}),
        (2, {"p": ["a", "c"], "none": ["a"], "back": ["b", "a"]}),
    ):
        kept = trimmed(held, count)
        assert {partition: versions(notes) for partition, notes in kept.items()} == expected
        assert latest(kept) == latest(held) == {"p": "c", "back": "a"}
        assert latest(read(journal_to_bytes(held) + journal_to_bytes(kept))) == latest(held)


def test_a_torn_line_of_a_journal_is_left_out():
    """Those before it are kept, wherever it is torn."""
    held = {f"p{number}": [(number, f"k{number}")] for number in range(4)}
    data = journal_to_bytes(held)
    for end in range(len(data)):
        whole = data[:end].count(b"\n") + (data[end : end + 1] == b"\n")
        assert read(data[:end]) == dict(list(held.items())[:whole])
    assert read(data + bytes(4096)) == held


def test_a_flipped_byte_of_a_journal_costs_what_it_damages():
    """And never gives a partition another datum; where two lines run together, it costs both."""
    held = {f"p{number}": [(number, f"k{number}")] for number in range(3)}
    data = journal_to_bytes(held)
    for place in range(len(data)):
        for flip in (0x01, 0x04, 0x80, 0xFF):
            found = read(data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :])
            assert found.items() <= held.items()
            assert len(found) >= len(held) - (2 if data[place : place + 1] == b"\n" else 1)

"""Records that .npy holds only in part, and masked arrays, as .npz."""

import io
from typing import Any

import numpy as np
import pytest

from workflow_assets.errors import CodecError
from workflow_assets.store.codecs import decode, encode, independent_copy
from workflow_assets.store.packs import members, pack, unpack
from workflow_assets_tests.conformance.sameness import assert_same

ALIGNED = np.dtype([("a", "i1"), ("b", "f8", (2,))], align=True)
RECORDS = {
    "aligned": np.zeros(2, ALIGNED),
    "aligned within": np.ones((2, 1), [("p", ALIGNED), ("q", "i2")]),
    "record array": np.rec.array([(1, 2.5), (3, 4.0)], dtype=[("a", "i4"), ("b", ">f8")]),
    "type of records": np.zeros(1, np.dtype((np.record, [("a", "i4")]))),
    "overlapping": np.ones((2, 3), {"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [0, 2]}),
    "out of order": np.ones(3, {"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [2, 0]}),
    "other letters": np.ones(3, [("漢", "i4"), ("größe", "S3")]),
    "Fortran": np.asfortranarray(np.ones((2, 3), ALIGNED)),
    "strided": np.ones(6, ALIGNED)[::-2],
    "0-d": np.ones((), ALIGNED),
    "empty": np.ones((0, 2), ALIGNED),
}
FILL: Any = (7, 8.0)
MASKED: dict[str, Any] = {
    "some": np.ma.array([1, 2], mask=[False, True], fill_value=9),
    "none": np.ma.array([1.5, 2]),
    "a mask of nothing": np.ma.array([1.5, 2], mask=[False, False]),
    "all": np.ma.masked_all((2, 3), "M8[D]"),
    "records": np.ma.array(
        [(1, 2.0)],
        mask=[(False, True)],
        dtype=[("a", "i4"), ("b", "f8")],
        fill_value=FILL,
    ),
    "text": np.ma.array(["a", "bc"], mask=[True, False], fill_value="?"),
    "hard": np.ma.array([1], mask=[True], hard_mask=True),
    "0-d": np.ma.array(5, mask=True),
    "empty": np.ma.array(np.empty((0, 2)), mask=np.empty((0, 2), "?")),
    "Fortran": np.ma.array(
        np.asfortranarray(np.ones((2, 3))), mask=np.asfortranarray(np.eye(2, 3, dtype="?"))
    ),
    "what is hidden": np.ma.array([np.nan, 3], mask=[True, True]),
}


@pytest.mark.parametrize("array", [*RECORDS.values(), *MASKED.values()], ids=[*RECORDS, *MASKED])
def test_an_array_comes_back_as_it_was(array):
    """In type, alignment, mask, fill value and what the mask hides; without a pickle."""
    for value in (array, {"x": array}):
        encoded = encode(value, pickles=False)
        warm = decode(encoded.codec, encoded.bytes(), pickles=False)
        again = independent_copy(encoded, pickles=False)
        assert_same(again, value)
        assert_same(warm, again, layout=True)
    result = warm["x"]
    assert result.dtype.isalignedstruct == array.dtype.isalignedstruct
    if isinstance(array, np.ma.MaskedArray):
        assert_same(result.data, array.data)
        assert result.hardmask == array.hardmask
        result[...] = result  # the caller's own to change


def test_types_that_equal_each_other_are_told_apart():
    """An aligned type equals one that is not, and has the same hash."""
    plain = np.dtype({"names": ["a"], "formats": ["f8"], "offsets": [0], "itemsize": 8})
    aligned = np.dtype([("a", "f8")], align=True)
    assert plain == aligned
    for dtype in (plain, aligned, plain, aligned, np.dtype((np.record, plain)), plain):
        encoded = encode(np.zeros(3, dtype), pickles=False)
        again = decode(encoded.codec, encoded.bytes(), pickles=False).dtype
        assert (again.isalignedstruct, again.type) == (dtype.isalignedstruct, dtype.type)


def test_numpy_reads_what_is_written():
    """As the nearest type that .npy has, and a masked array's parts by their names."""
    read = np.load(io.BytesIO(encode(RECORDS["aligned"], pickles=False).bytes()))
    assert read["array"].dtype.names == ("a", "b")
    parts = np.load(io.BytesIO(encode(MASKED["some"], pickles=False).bytes()))
    assert (parts["data"].tolist(), parts["mask"].tolist(), parts["fill_value"].item()) == (
        [1, 2],
        [False, True],
        9,
    )


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(1, [("a", object)]),
        np.ma.array([{}], dtype=object),
        np.zeros(1, [("a", np.dtype("f8", metadata={"unit": "m"}))]),
        np.ma.array(np.rec.array([(1,)], dtype=[("a", "i4")])),
    ],
    ids=["objects", "masked objects", "metadata", "masked record array"],
)
def test_what_npz_does_not_hold_is_left_to_pickle(array):
    """And refused without it."""
    assert encode(array, pickles=True).codec == "pickle"
    with pytest.raises(CodecError, match="which only pickle could store"):
        encode(array, pickles=False)


def joined(pieces):
    assert pieces is not None
    return b"".join(pieces)


def test_an_archive_that_claims_what_is_not_there_is_refused():
    """A compressed one, one that is torn, and one whose array or type is larger than its bytes."""
    file = io.BytesIO()
    np.savez_compressed(file, data=np.zeros(1 << 20))
    good = joined(pack({"data": np.zeros(4)}))
    crafted = [
        (file.getvalue(), "is compressed"),
        (good[:-10], "cannot be decoded"),
        (good.replace(b"(4,)", b"(9" + b"9" * 9 + b",)", 1), "."),
        (good.replace(b"'shape': (4,), }        ", b"'shape': (1250000000,), }", 1)[: len(good)], "."),
        (joined(pack({"data": np.zeros(4)}, {"types": {"data": "V9999999999"}})), "."),
        (joined(pack({"data": np.zeros(4)}, {"types": {"data": "|O"}})), "claims to be one of object"),
        (joined(pack({"mask": np.zeros(4)})), "has no data"),
        (joined(pack({"data": np.zeros(4), "mask": np.zeros(3, "?")})), r"mask has the shape \(3,\)"),
        (b"", "cannot be decoded"),
    ]
    for data, reason in crafted:
        with pytest.raises(CodecError, match=reason):
            decode("masked", data, pickles=True)
    with pytest.raises(CodecError, match="the stored records are the arrays data"):
        decode("records", good, pickles=True)


def test_an_archive_is_not_copied_to_be_written_or_found():
    """Its pieces are the arrays' own memory."""
    array = np.zeros(1 << 18)
    pieces = pack({"a": array}) or []
    assert any(
        len(piece) == array.nbytes and np.shares_memory(np.frombuffer(piece, "u1"), array) for piece in pieces
    )
    data = b"".join(pieces)
    assert np.shares_memory(np.frombuffer(members(data)["a.npy"], "u1"), np.frombuffer(data, "u1"))
    assert_same(unpack(data)[0]["a"], array)

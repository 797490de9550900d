"""Arrays as .npy, exactly, and over the bytes as they lie in memory."""

import io

import numpy as np
import pytest

from workflow_assets.errors import CodecError
from workflow_assets.store.codecs import decode, encode, independent_copy
from workflow_assets_tests.conformance.sameness import assert_same

BASE = np.arange(24, dtype="f8").reshape(2, 3, 4)
RECORDS = np.array([(1, 2.5, b"ab")], dtype=[("n", "i4"), ("x", ">f8"), ("s", "S3")])
ARRAYS = {
    "C": BASE,
    "Fortran": np.asfortranarray(BASE),
    "0-d": np.array(3.5),
    "0-d datetime": np.array("2020-01-01", "M8[D]"),
    "empty": np.empty((0, 3), "i2"),
    "empty in all": np.empty((0,), "M8[ns]"),
    "strided": BASE[::2, ::-1, 1::2],
    "transposed": BASE.transpose(1, 0, 2),
    "broadcast": np.broadcast_to(np.arange(3), (4, 3)),
    "read-only": np.frombuffer(b"12345678", "u1"),
    "big-endian": np.arange(5, dtype=">i8"),
    "bool": np.array([True, False]),
    "half": np.array([1, np.nan], "f2"),
    "longdouble": np.array([0.1], "g"),
    "complex": np.array([1 - 0j, complex("nan")]),
    "NaN with a payload": np.array([0x7FF8000000000123, 0xFFF8000000000000], "u8").view("f8"),
    "minus zero": np.array([-0.0]),
    "text": np.array(["a", "größe", ""]),
    "bytes": np.array([b"a\0b", b""]),
    "datetime": np.array(["2020-01-01", "NaT"], "M8[25s]"),
    "timedelta": np.array([3, -1], "m8[us]"),
    "records": RECORDS,
    "aligned records": np.zeros(2, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "nested records": np.zeros((2, 1), [("p", [("x", "f4"), ("y", "f4", (2, 2))]), ("größe", "i1")]),
    "records with a title": np.zeros(1, [(("the title", "a"), "i4")]),
    "records with gaps": np.zeros(1, {"names": ["a"], "formats": ["i2"], "offsets": [6], "itemsize": 16}),
    "one field of records": RECORDS["x"],
    "void": np.zeros(2, "V7"),
    "many fields": np.zeros(1, [(f"a_rather_long_name_of_a_field_{place}", "f8") for place in range(200)]),
    "recarray's type": np.zeros(1, np.dtype((np.record, [("a", "i4")]))),
    "objects": np.array([1, "a", None], dtype=object),
    "masked": np.ma.array([1, 2], mask=[False, True], fill_value=9),
    "a class of its own": np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_an_array_comes_back_as_it_was(array):
    """Same type, shape, order and bits; cold as warm, with the same flags."""
    encoded = encode(array, pickles=True)
    warm = decode(encoded.codec, encoded.bytes(), pickles=True)
    assert_same(warm, array)
    assert_same(independent_copy(encoded, pickles=True), warm, layout=True)


@pytest.mark.parametrize(
    "name", [name for name in ARRAYS if name not in {"objects", "masked", "a class of its own"}]
)
def test_numpy_reads_what_is_written(name):
    """The bytes are a .npy file, where the array is of a type that .npy spells exactly."""
    encoded = encode(ARRAYS[name], pickles=True)
    if encoded.codec == "npy":
        assert_same(np.load(io.BytesIO(encoded.bytes())), np.asarray(ARRAYS[name]))
    else:
        assert name in {"recarray's type", "nested records", "aligned records", "records with gaps"}


def test_what_is_read_can_be_written_to():
    """Whether the bytes were read-only or not, and whatever the array's flags were."""
    array = np.arange(10.0)
    array.flags.writeable = False
    encoded = encode(array, pickles=False)
    for data in (encoded.bytes(), bytearray(encoded.bytes()), memoryview(encoded.bytes())):
        again = decode("npy", data, pickles=False)
        again += 1
        assert again[0] == 1
    assert decode("npy", encoded.bytes(), pickles=False)[0] == 0


def test_a_large_array_is_not_copied_to_be_encoded():
    """Its own memory is what is written."""
    array = np.zeros(1 << 20)
    pieces = encode(array, pickles=False).pieces
    assert len(pieces) == 2
    assert np.shares_memory(np.frombuffer(pieces[1], "u1"), array)


def test_a_small_array_is_nobody_elses_memory():
    """What is done to it after it was encoded changes nothing."""
    array = np.zeros(100)
    encoded = encode(array, pickles=False)
    array[:] = 7
    assert_same(independent_copy(encoded, pickles=False), np.zeros(100))


def npy(description, shape="(1,)", data=b"\0" * 8):
    header = (
        f"{{'descr': {description}, 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    )
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (npy("'<f8'", "(1250000000,)"), "should hold 1250000000 × float64, and holds 8 bytes"),
        (npy("'<f8'", "(-1, -1)"), r"claims to be float64 of the shape \(-1, -1\)"),
        (npy("'|O'"), "claims to be object"),
        (npy("[('a', '|O')]"), "claims to be"),
        (npy("'<f8'")[:-1], "holds 7 bytes"),
        (npy("'<f8'")[:20], "cannot be decoded"),
        (npy("__import__('os')"), "cannot be decoded"),
        (b"", "cannot be decoded"),
        (b"\x93NUMPY\x03\x00" + npy("'<f8'")[8:], "version"),
        (b"not an array at all", "cannot be decoded"),
    ],
    ids=["10 GB", "negative", "objects", "records of objects", "truncated", "torn", "code", "empty", "version", "text"],
)  # fmt: skip
def test_a_header_that_claims_what_is_not_there_is_refused(data, reason):
    """Before anything is allocated, unpickled or executed."""
    with pytest.raises(CodecError, match=reason):
        decode("npy", data, pickles=True)


def test_an_array_of_objects_is_refused_without_pickles():
    """With the place of it, and what to do."""
    with pytest.raises(
        CodecError, match=r"table\.x in the result of 'a' is a ndarray, which only pickle could store"
    ):
        encode({"table": {"x": np.array([{}], dtype=object)}}, pickles=False, place="the result of 'a'")


def test_the_metadata_of_a_type_is_kept():
    """By pickle, since .npy has no room for it."""
    array = np.zeros(2, np.dtype("f8", metadata={"unit": "m"}))
    encoded = encode(array, pickles=True)
    assert dict(decode(encoded.codec, encoded.bytes(), pickles=True).dtype.metadata) == {"unit": "m"}
    plain = encode(np.zeros(2), pickles=True)
    assert decode(plain.codec, plain.bytes(), pickles=True).dtype.metadata is None

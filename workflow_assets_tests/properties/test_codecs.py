"""What is encoded is decoded as it was, whatever it is."""

import io
import os
import pickle
import subprocess
import sys
import tarfile

import numpy as np
import polars
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes as polars_frames

from workflow_assets.errors import CodecError
from workflow_assets.store.codecs import decode, drained, encode, independent_copy
from workflow_assets.store.records import content_digest
from workflow_assets_tests.conformance.sameness import assert_same
from workflow_assets_tests.properties import values

searching = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def round_trip(value):
    encoded = encode(value, pickles=True)
    warm = decode(encoded.codec, encoded.bytes(), pickles=True)
    assert_same(warm, value)
    assert_same(independent_copy(encoded, pickles=True), warm, layout=True)
    return encoded


@searching
@given(values.plain)
def test_plain_values_round_trip_as_json(value):
    """In type, order and every bit; without a pickle."""
    assert round_trip(value).codec == "json"


@searching
@given(values.arrays())
def test_arrays_round_trip(array):
    """In type, shape, layout and every bit; those of numbers, texts and moments without a pickle."""
    encoded = round_trip(array)
    if isinstance(array, np.ndarray) and array.dtype.kind in "biufcSUMm":
        assert encoded.codec == "npy"


@searching
@given(values.masked_arrays())
def test_masked_arrays_round_trip(array):
    """With what they mask, and how."""
    round_trip(array)


@searching
@given(values.sparse_matrices())
def test_sparse_matrices_round_trip(matrix):
    """In class, type and every entry; without a pickle."""
    encoded = encode(matrix, pickles=False)
    again = decode(encoded.codec, encoded.bytes(), pickles=False)
    assert type(again) is type(matrix)
    assert_same(again.toarray(), matrix.toarray())
    assert again.nnz == matrix.nnz


@searching
@given(polars_frames(max_size=5, allow_null=True, excluded_dtypes=[polars.Object]))
def test_polars_frames_round_trip(frame):
    """In types and every value."""
    encoded = encode(frame, pickles=True)
    again = decode(encoded.codec, encoded.bytes(), pickles=True)
    assert again.schema == frame.schema
    assert again.equals(frame)


@settings(searching, max_examples=300)
@given(values.frames())
def test_frames_round_trip(frame):
    """In values, types, labels, names, frequencies and attributes."""
    round_trip(frame)


@settings(searching, max_examples=60)
@given(values.composites)
def test_values_of_several_members_round_trip(value):
    """However they are nested."""
    round_trip(value)


@searching
@given(values.composites)
def test_without_pickles_a_value_round_trips_or_is_refused(value):
    """It is never changed to fit; what is read needs neither a pickle nor an import."""
    if any(name.endswith("pickle") for name in files_of(encode(value, pickles=True))):
        with pytest.raises(CodecError, match="which only pickle could store"):
            encode(value, pickles=False)
        return
    encoded = encode(value, pickles=False)
    assert_same(decode(encoded.codec, encoded.bytes(), pickles=False, imports=False), value)


def files_of(encoded):
    """Give the names of the files that make up a value."""
    if encoded.codec != "composite":
        return [encoded.codec]
    with tarfile.open(fileobj=io.BytesIO(encoded.bytes())) as archive:
        return archive.getnames()


@searching
@given(values.composites)
def test_equal_values_give_equal_bytes(value):
    """So that the key of a source's content is the same in every run."""
    encoded = encode(value, pickles=True)
    if not any(name.endswith("pickle") for name in files_of(encoded)):
        again = encode(independent_copy(encoded, pickles=True), pickles=True)
        assert again.bytes() == encoded.bytes() or has_padding(value)


def test_equal_values_give_equal_bytes_in_every_process():
    """Whatever order its sets have there."""
    drawn = []

    @settings(searching, max_examples=100)
    @given(values.composites)
    def draw(value):
        encoded = encode(value, pickles=True)
        if not any(name.endswith("pickle") for name in files_of(encoded)) and not has_padding(value):
            drawn.append((encoded.codec, encoded.bytes()))

    draw()
    assert len(drawn) > 50
    for seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", DIGESTING],
            input=pickle.dumps(drawn),
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert told.stdout.decode().split() == [content_digest([data]) for _, data in drawn]


DIGESTING = """
import pickle, sys
from workflow_assets.store.codecs import decode, encode
from workflow_assets.store.records import content_digest
for codec, data in pickle.load(sys.stdin.buffer):
    print(content_digest(encode(decode(codec, data, pickles=False), pickles=False).pieces))
"""


@searching
@given(st.lists(values.plain, max_size=5))
def test_plain_values_that_are_yielded_round_trip(items):
    """As lines of JSON, or all in one where they are bytes."""
    if items and isinstance(items[0], bytes | bytearray):
        return
    kept = drained(item for item in items)
    encoded = encode(kept, pickles=False)
    assert encoded.codec == "lines"
    assert_same(list(decode("lines", encoded.bytes(), pickles=False)), items)


@settings(searching, max_examples=60)
@given(st.lists(values.composites, min_size=1, max_size=3), values.arrays())
def test_values_that_are_yielded_round_trip_or_are_refused(items, first):
    """They are never changed to fit."""
    try:
        kept = drained(item for item in [first, *items])
    except CodecError:
        if isinstance(first, bytes):  # a file, all of it
            assert not all(isinstance(item, bytes) for item in items)
            return
        each = [encode(item, pickles=True) for item in [first, *items]]
        of_one_kind = len({one.codec == "json" for one in each}) == 1
        assert not of_one_kind or any(name.endswith("pickle") for one in each for name in files_of(one))
        return
    assert_same(list(kept), [first, *items])


def has_padding(value):
    """Tell whether bytes of a value mean nothing: those between the fields of a record, or in a long double."""
    return any(mark in repr(value) for mark in ("float128", "complex256", "longdouble", "offsets"))


@searching
@given(values.frames())
def test_encoding_leaves_a_frame_as_it_was(frame):
    """Also its labels and attributes, which the table holds in another form."""
    before = frame.copy()
    encode(frame, pickles=True)
    assert_same(frame, before)

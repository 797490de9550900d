"""Values of several members, what independent copies are, and what is refused."""

import collections
import io
import json
import tarfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.linear_model import LogisticRegression

from workflow_assets.errors import CodecError
from workflow_assets.store.base import MemoryStore
from workflow_assets.store.codecs import decode, encode, extension, independent_copy
from workflow_assets.store.files import FileStore
from workflow_assets_tests.conformance.sameness import assert_same

BIG = 1 << 18  # elements: 2 MB


@dataclass(frozen=True)
class Split:
    train: pd.DataFrame
    test: pd.DataFrame
    labels: np.ndarray
    note: str = ""


class Table(pd.DataFrame):
    """A class of a user's own."""


def frame(*values):
    return pd.DataFrame({"a": values or (1.0, 2.0)})


def defaults():
    value = collections.defaultdict(list)
    value["a"].append(np.arange(2))
    return value


def model():
    return LogisticRegression().fit([[0.0], [1.0]], [0, 1])


COMPOSITES = {
    "a dataclass of frames": Split(frame(), frame(3.0), np.arange(3)),
    "a list in a dict in a tuple": ({"rows": [frame(), {"deep": (np.ones((2, 3), order="F"), None)}]}, 1),
    "an array as a key's value": {1: np.arange(2), ("a", 2): frame(), None: np.float32(1)},
    "an empty key": {"": np.arange(2), ".": np.arange(3), "..": np.arange(4)},
    "names that need care": {"a/b": np.arange(1), "../../etc/passwd": np.arange(3), "größe": frame()},
    "names that come to the same": {name: np.arange(2) for name in ("a b", "a_b", "a_b-1", "a/b", "A b")},
    "a long name": {"x" * 5000: np.arange(2), "é" * 200: np.arange(3)},
    "half a character as a name": {"\ud800": np.arange(2)},
    "a member called manifest": {"manifest": np.arange(2), "manifest.json": frame()},
    "a dict that looks like ours": {"$member": np.arange(2), "members": {}},
    "one that is a mark and nothing else": {"$member": np.arange(2)},
    "a set beside an array": [{1, "a"}, np.arange(2)],
    "empty arrays and frames": [np.empty((0, 2)), pd.DataFrame(), pd.Series([], dtype=object)],
    "large members": {"array": np.arange(BIG), "frame": pd.DataFrame({"x": np.arange(BIG)})},
}  # fmt: skip
PICKLED = {
    "an ordered dict": collections.OrderedDict(b=1, a=2),
    "a default dict of arrays": defaults(),
    "a counter": collections.Counter("aab"),
    "a deque": collections.deque([1, 2], maxlen=3),
    "a class of frames": Table({"a": [1]}),
    "a masked array": np.ma.array([1, 2], mask=[False, True]),
    "an array with objects": np.array([{}, None], dtype=object),
}


@pytest.mark.parametrize("value", [*COMPOSITES.values(), *PICKLED.values()], ids=[*COMPOSITES, *PICKLED])
@pytest.mark.parametrize("stored", [False, True], ids=["handed on", "stored"])
def test_a_value_of_several_members_comes_back_as_it_was(value, stored, tmp_path):
    """And a consumer in the same run is handed the same, before it is stored and after."""
    encoded = encode(value, pickles=True)
    data = encoded.bytes()
    if stored:
        FileStore(tmp_path).put_encoded("a1", encoded, metrics={}, provenance={})
    warm = decode(encoded.codec, data, pickles=True)
    assert_same(warm, value)
    assert_same(independent_copy(encoded, pickles=True), warm, layout=True)


@pytest.mark.parametrize("value", COMPOSITES.values(), ids=COMPOSITES)
def test_a_composite_needs_no_pickle(value):
    """Each of its members has a format of its own."""
    encoded = encode(value, pickles=False)
    assert encoded.codec == "composite"
    assert encoded.libraries is None
    assert_same(decode("composite", encoded.bytes(), pickles=False, imports=False), value)


def test_other_tools_read_the_members_of_a_composite():
    """It is a tar archive: a manifest in JSON, arrays as .npy, frames as Parquet, named after their places."""
    data = encode(Split(frame(), frame(3.0), np.arange(3), note="größe"), pickles=False).bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["manifest.json", "train.parquet", "test.parquet", "labels.npy"]
        read = {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]
    assert json.loads(read["manifest.json"])["value"]["$object"][1]["note"] == "größe"
    assert_same(np.load(io.BytesIO(read["labels.npy"])), np.arange(3))
    assert pd.read_parquet(io.BytesIO(read["train.parquet"])).equals(frame())


def test_a_composite_says_when_and_by_whom_it_was_made_nowhere():
    """Equal values give equal bytes."""
    value = COMPOSITES["a dataclass of frames"]
    assert encode(value, pickles=False).bytes() == encode(value, pickles=False).bytes()


@pytest.mark.parametrize("store", [MemoryStore(), None], ids=["memory", "folder"])
@pytest.mark.parametrize("size", [10, BIG])
def test_members_do_not_share_memory(store, size, tmp_path):
    """Not with each other, nor with what was put, nor with what the next reader is given."""
    store = store or FileStore(tmp_path)
    array = np.zeros(size)
    value = {"one": array, "view": array[: size // 2], "same": array, "frame": pd.DataFrame({"x": array})}
    record = store.put("a1", value)
    for _ in range(2):
        again = store.load(record)
        assert [part.sum() for part in (again["one"], again["view"], again["same"], again["frame"].x)] == [
            0,
            0,
            0,
            0,
        ]
        again["one"] += 1
        again["frame"].loc[:, "x"] = 5.0
        assert again["view"].sum() == again["same"].sum() == array.sum() == 0


@pytest.mark.parametrize("store", [MemoryStore(), None], ids=["memory", "folder"])
@pytest.mark.parametrize("size", [3, 2000, BIG])
@pytest.mark.parametrize(
    "wrap", [lambda array: array, lambda array: {"a": [array]}, lambda array: Split(frame(), frame(), array)]
)
def test_what_is_stored_is_what_was_returned(store, size, wrap, tmp_path):
    """However the step, or a module that shares the array, changes it afterwards."""
    store = store or FileStore(tmp_path)
    shared = np.zeros(2 * size)
    encoded = encode(wrap(shared[:size]), pickles=True)
    store.put_encoded("a2", encoded, metrics={}, provenance={}, replace=True)
    shared[:] = 7
    expected = wrap(np.zeros(size))
    for _ in range(2):
        handed = independent_copy(encoded, pickles=True)
        assert_same(handed, expected)
        inner = (
            handed
            if isinstance(handed, np.ndarray)
            else handed["a"][0]
            if isinstance(handed, dict)
            else handed.labels
        )
        inner[:] = 3
    assert_same(store.load("a2"), expected)


def test_a_list_that_is_changed_after_it_was_returned_is_handed_on_as_it_was():
    """A step may keep what it returned."""
    kept: dict[str, Any] = {"parts": [1, [2]], "frame": frame()}
    encoded = encode(kept, pickles=False)
    kept["parts"].append(3)
    kept["more"] = 1
    assert_same(independent_copy(encoded, pickles=False), {"parts": [1, [2]], "frame": frame()})


def test_large_values_are_let_go_of_once_they_are_stored(tmp_path):
    """What is handed on is read from the store, so that memory holds no second copy."""
    encoded = encode(np.zeros(BIG), pickles=False)
    size = encoded.size
    FileStore(tmp_path).put_encoded("a1", encoded, metrics={}, provenance={})
    assert list(encoded.pieces) == []
    assert (encoded.size, len(encoded.bytes())) == (size, size)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"x": (number for number in range(3))},
         r"x in the result of 'a' cannot be stored: it is <generator .* has no codec.* Return a list of what it"),
        (lambda: 1, r"of 'a' cannot be stored: it is <function .* Define the function at the top of a module"),
        ({"x": [1, open]}, None),
        ({"model": {"hook": lambda: 1}}, r"model\.hook in the result of 'a' cannot be stored.*<lambda>"),
        ([1, (2, {"f": (n for n in "ab")})], r"1\.1\.f in the result of 'a' cannot be stored"),
        (collections.OrderedDict(a=[1, lambda: 1]), r"of 'a' cannot be stored: its member \['a'\]\[1\] is <function"),
    ],
    ids=["generator", "lambda", "builtin", "lambda in a dict", "generator in a list", "lambda in what is pickled"],
)  # fmt: skip
def test_what_cannot_be_stored_is_named_with_its_place(value, message):
    """The message says which member it is, why, and what to do."""
    if message is None:
        assert decode("composite", encode(value, pickles=True).bytes(), pickles=True) == value
        return
    with pytest.raises(CodecError, match=message) as caught:
        encode(value, pickles=True, place="the result of 'a'")
    assert "transient=True" in str(caught.value)


def test_an_open_file_is_named_with_its_place(tmp_path):
    """A model may hold one without its user's knowledge."""
    trained = model()
    with (tmp_path / "log").open("w") as file:
        trained.log_ = {"to": file}
        with pytest.raises(
            CodecError, match=r"model in the result of 'a' .* its member \.log_\['to'\] is <_io.TextIO"
        ):
            encode({"model": trained}, pickles=True, place="the result of 'a'")


def test_a_value_that_refuses_in_its_own_way_is_named():
    """Whatever its class raises."""

    class Stubborn:
        def __reduce_ex__(self, protocol):
            raise ZeroDivisionError("no")

        def __repr__(self):
            raise ZeroDivisionError("no")

    with pytest.raises(
        CodecError, match=r"0 in value cannot be stored.*Stubborn has no codec, and pickle says: no"
    ):
        encode([Stubborn()], pickles=True)


@pytest.mark.parametrize("kind", ["csr", "coo"])
def test_a_sparse_matrix_is_kept(kind):
    """By pickle."""
    matrix = scipy.sparse.eye_array(20, 30, format=kind)
    encoded = encode({"x": matrix}, pickles=True)
    again = decode(encoded.codec, encoded.bytes(), pickles=True)["x"]
    assert type(again) is type(matrix)
    assert_same(again.toarray(), matrix.toarray())


@pytest.mark.parametrize(
    "wrap", [lambda value: value, lambda value: [value], lambda value: collections.OrderedDict(a=value)]
)
def test_a_model_is_kept_with_the_version_of_its_library(wrap):
    """Also inside something else: another version may read the pickle as another model."""
    import sklearn

    encoded = encode(wrap(model()), pickles=True)
    assert encoded.libraries == {"sklearn": sklearn.__version__}
    decode(encoded.codec, encoded.bytes(), pickles=True)


def test_what_was_pickled_is_not_loaded_where_the_store_does_not_allow_it():
    """As a whole, or as a member."""
    for value in (collections.deque([1]), {"a": collections.deque([1])}):
        encoded = encode(value, pickles=True)
        with pytest.raises(
            CodecError, match="is a pickle, and this store does not allow pickles to be loaded"
        ):
            decode(encoded.codec, encoded.bytes(), pickles=False)


def test_an_unknown_codec_is_named():
    """As of a version to come."""
    with pytest.raises(CodecError, match="no codec is called 'hologram'"):
        decode("hologram", b"", pickles=True)
    assert [extension(name) for name in ("json", "npy", "parquet", "composite", "pickle")] == [
        "json",
        "npy",
        "parquet",
        "tar",
        "pickle",
    ]


def test_torn_bytes_of_a_pickle_are_an_error_of_ours():
    """The bytes were right when their digest was taken; whatever reads them may still fail."""
    with pytest.raises(CodecError, match="the stored pickle bytes cannot be decoded: "):
        decode("pickle", b"\x80\x05torn", pickles=True)

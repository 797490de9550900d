"""Stores that somebody else has written: nothing in them is executed, imported, or believed to be larger than it is."""

import base64
import dataclasses
import enum
import functools
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import types
import zipfile
import zlib

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse
from PIL import Image

from workflow_assets.errors import CodecError
from workflow_assets.store import archives
from workflow_assets.store.base import MemoryStore
from workflow_assets.store.codecs import decode, encode
from workflow_assets.store.files import FileStore
from workflow_assets.store.records import Record, content_digest

TEN_GB = 10_000_000_000


class Executes:
    """What makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@dataclasses.dataclass
class Constructed:
    """A class whose constructor can be seen to be called."""

    name: str

    def __post_init__(self):
        raise AssertionError("constructed")

    def __class_getitem__(cls, item):
        raise AssertionError("asked for an item")


class Colour(enum.Flag):
    RED = 1


def zipped(**files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return file.getvalue()


def objects(value):
    """Give an .npy that holds a pickle."""
    file = io.BytesIO()
    np.save(file, np.array([value], dtype=object), allow_pickle=True)
    return file.getvalue()


def composite(codec, data):
    return b"".join(archives.pack({"$member": "a"}, {"a": (codec, [data])}))


def items(codec, data):
    return archives.header(f"0-{codec}.x", len(data)) + data + archives.filling(len(data)) + archives.END


NDARRAY = json.dumps(
    {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode", "__id__": 1, "type": "numpy",
     "file": "a.npy", "protocol": 2, "_skops_version": "0.16"}
)  # fmt: skip
CALL = json.dumps(
    {"__class__": "mkdir", "__module__": "os", "__loader__": "ReduceNode", "__id__": 1, "protocol": 2,
     "args": {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "__id__": 2, "content": [
         {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "__id__": 3, "content": "\"%s\""}]},
     "_skops_version": "0.16"}
)  # fmt: skip


HOLDING_A_PICKLE = {
    "pickle": lambda value: ("pickle", pickle.dumps(value)),
    "long pickle": lambda value: ("pickle", pickle.dumps([value, "x" * 5000])),
    "member": lambda value: ("composite", composite("pickle", pickle.dumps(value))),
    "array": lambda value: ("npy", objects(value)),
    "array as a member": lambda value: ("composite", composite("npy", objects(value))),
    "masked": lambda value: ("masked", zipped(data_npy=objects(value))),
    "records": lambda value: ("records", zipped(array_npy=objects(value))),
    "sparse": lambda value: ("sparse", zipped(data_npy=objects(value), format_npy=objects(value))),
    "model": lambda value: ("skops", pickle.dumps(value)),
    "array in a model": lambda value: ("skops", zipped(schema_json=NDARRAY, a_npy=objects(value))),
    "function in a model": lambda value: ("skops", zipped(schema_json=CALL % value.folder)),
    "items": lambda value: ("items", items("pickle", pickle.dumps(value))),
    "json": lambda value: ("json", b'{"$pickle":"%s"}' % base64.b64encode(pickle.dumps(value))),
    "frame": lambda value: ("parquet", extension_type(pickle.dumps(value))),
    "polars frame": lambda value: ("polars", extension_type(pickle.dumps(value))),
}  # fmt: skip


def extension_type(data):
    """Give a Parquet file of a type that Arrow once unpickled when it read it."""
    field = pa.field(
        "x",
        pa.int64(),
        metadata={"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": data},
    )
    file = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}, schema=pa.schema([field])), file)
    return file.getvalue()


@pytest.mark.parametrize("make", HOLDING_A_PICKLE.values(), ids=HOLDING_A_PICKLE)
@pytest.mark.parametrize("memory", [True, False], ids=["memory", "folder"])
def test_a_pickle_is_not_loaded_wherever_it_is(make, memory, tmp_path):
    """In a record or an object, whole or a member, under its own name or another."""
    made = tmp_path / "made"
    codec, data = make(Executes(str(made)))
    store = MemoryStore(pickles=False) if memory else FileStore(tmp_path / "store", pickles=False)
    inline = data if len(data) <= 2048 else None
    location = None if inline else "a1.bin"
    if location:
        store._write_object(location, [data])
    record = store._write_record(
        Record("a1", codec, content_digest([data]), len(data), inline, location), False
    )
    found = store.find("a1")
    assert found is not None
    for one in (record, found):
        if codec == "parquet":  # the type is unknown, and so its values are plain
            assert len(store.load(one)) == 1
        else:
            with pytest.raises(CodecError):
                print(list(store.load(one)))
    assert not made.exists()


REFERENCES = {
    "dataclass": {"$object": ["NAME:Thing", {}]},
    "model": {"$model": ["NAME:Thing", {}, []]},
    "named tuple": {"$named": ["NAME:Thing", {}]},
    "enum": {"$enum": ["NAME:Thing", "A"]},
    "flag": {"$flag": ["NAME:Thing", 1]},
    "nested": [{"a": {"$tuple": [{"$object": ["NAME:Thing.Inner", {}]}]}}],
    "key": {"$dict": [[{"$object": ["NAME:Thing", {}]}, 1]]},
    "number": {"$numpy": ["NAME", 1]},
    "type": {"$scalar": ["NAME.Thing", ""]},
    "unknown": {"$import": "NAME"},
    "zone": {"$datetime": ["2020-01-01T00:00:00", 0, "../NAME"]},
}


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module that nobody has imported, and that leaves a trace when somebody does."""
    trace = tmp_path / "imported"
    (tmp_path / "a_trap.py").write_text(f"import os\nos.mkdir({str(trace)!r})\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield trace
    assert not trace.exists()
    assert "a_trap" not in sys.modules


@pytest.mark.parametrize("tree", REFERENCES.values(), ids=REFERENCES)
def test_no_module_is_imported_for_a_class(tree, trap):
    """Whatever stands for the class."""
    data = json.dumps(tree).replace("NAME", "a_trap").encode()
    store = MemoryStore(pickles=False)
    with pytest.raises(CodecError):
        store.load(Record("a1", "json", content_digest([data]), len(data), data))
    with pytest.raises(CodecError):
        decode("composite", b"".join(archives.pack(json.loads(data), {})), pickles=False, imports=False)


@pytest.mark.parametrize("codec", ["parquet", "polars"])
def test_no_module_is_imported_for_a_frame(codec, trap):
    """Whatever pandas' own notes say that its types are."""
    table = pa.Table.from_pandas(pd.DataFrame({"x": [1.0]}, index=pd.Index(["a"], name="n")))
    notes = json.loads(table.schema.metadata[b"pandas"])
    for column in (*notes["columns"], *notes["column_indexes"]):
        column |= {"pandas_type": "a_trap.Thing", "numpy_type": "a_trap.Thing"}
    notes["creator"] = {"library": "a_trap"}
    for crafted in ({b"pandas": json.dumps(notes).encode()}, {b"ARROW:extension:name": b"a_trap.Thing"}):
        file = io.BytesIO()
        pq.write_table(table.replace_schema_metadata(crafted), file)
        try:
            decode(codec, file.getvalue(), pickles=False, imports=False)
        except CodecError as error:
            assert "a_trap" in str(error)  # noqa: PT017  # either is well, as long as nothing is imported


def test_a_module_that_imports_when_it_is_asked_is_not_asked(monkeypatch):
    """Such as those that load their parts late."""

    class Late(types.ModuleType):
        def __getattribute__(self, name):
            raise AssertionError(f"asked for {name}")

    monkeypatch.setitem(sys.modules, "late", Late("late"))
    for tree in ({"$object": ["late:Thing", {}]}, {"$enum": ["late:a.b", "A"]}):
        with pytest.raises(CodecError, match="cannot be imported"):
            decode("json", json.dumps(tree).encode(), pickles=False, imports=False)


def test_numpy_is_not_asked_for_what_it_loads_late(monkeypatch):
    """It imports parts of itself when it is asked for them."""
    monkeypatch.setattr(np, "__getattr__", lambda name: pytest.fail(f"asked for {name}"))
    with pytest.raises(CodecError, match="numpy has no such type"):
        decode("json", b'{"$numpy":["some_part",1]}', pickles=False)


@pytest.mark.parametrize("tag", ["flag", "enum"])
def test_only_an_enumeration_is_called_or_asked_for_a_member(tag):
    """Any other class would be constructed with what the store says."""
    name = f"{Constructed.__module__}:{Constructed.__qualname__}"
    with pytest.raises(CodecError, match=f"which is no {tag}"):
        decode("json", json.dumps({f"${tag}": [name, 1]}).encode(), pickles=False)
    assert decode("json", encode([Colour(0), Colour.RED], pickles=False).bytes(), pickles=False) == [
        Colour(0),
        Colour.RED,
    ]


# -- claims -----------------------------------------------------------------------------------------------------------


def npy(shape, dtype="<f8", data=b""):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue() + data


@functools.cache
def claiming_parquet():
    """Give a small file of 160 million missing numbers: more than a gigabyte."""
    file = io.BytesIO()
    missing = pa.nulls(1 << 20, pa.null())
    with pq.ParquetWriter(
        file, pa.schema({name: pa.null() for name in "abcdefgh"}), write_statistics=False
    ) as writer:
        for _ in range(20):
            writer.write_table(pa.table(dict.fromkeys("abcdefgh", missing)), row_group_size=1 << 20)
    return file.getvalue()


def claiming_png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"1"))
        + chunk(b"IEND", b"")
    )


def claiming_tiff():
    file = io.BytesIO()
    Image.new("F", (9, 7)).save(file, "TIFF")
    data = file.getvalue()
    for tag, old in ((256, 9), (257, 7)):
        for form in ("<HHIHH", "<HHII"):
            kind = 3 if form == "<HHIHH" else 4
            one = struct.pack(form, tag, kind, 1, old, *([0] if kind == 3 else []))
            two = struct.pack(form, tag, kind, 1, 9000, *([0] if kind == 3 else []))
            data = data.replace(one, two)
    return data


def claiming_matrix():
    buffer = encode(scipy.sparse.csr_array(np.eye(3)), pickles=False).bytes()
    return buffer.replace(struct.pack("<qq", 3, 3), struct.pack("<qq", TEN_GB, TEN_GB))


def same_member():
    """Give an archive that stands for the same megabyte ten thousand times."""
    block = bytes(1 << 20)
    manifest = {"members": {str(n): ["bytes", 512, 1 << 20] for n in range(10_000)},
                "value": [{"$member": str(n)} for n in range(10_000)]}  # fmt: skip
    text = json.dumps(manifest).encode()
    return b"".join(
        [archives.header("manifest.json", len(text)), text, archives.filling(len(text)), bytes(512), block]
    )


def noted(**notes):
    """Give a frame whose notes are crafted."""
    table = pa.Table.from_pandas(pd.DataFrame({"x": np.array([1], "M8[s]")}))
    file = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata(
            {**table.schema.metadata, b"workflow_assets": json.dumps(notes).encode()}
        ),
        file,
    )
    return file.getvalue()


CLAIMS = {
    "array": lambda: ("npy", npy((TEN_GB // 8,))),
    "array of long texts": lambda: ("npy", npy((1,), "|S2000000000")),
    "array of many dimensions": lambda: ("npy", npy((1 << 20, 1 << 20, 1 << 20))),
    "masked": lambda: ("masked", zipped(data_npy=npy((TEN_GB // 8,)))),
    "records": lambda: ("records", zipped(array_npy=npy((TEN_GB,), [("a", "|V8")]))),
    "matrix": lambda: ("sparse", claiming_matrix()),
    "frame": lambda: ("parquet", claiming_parquet()),
    "polars frame": lambda: ("polars", claiming_parquet()),
    "labels": lambda: ("parquet", noted(columns={"name": None, "values": [1], "dtype": "S2000000000"})),
    "labels beyond": lambda: ("parquet", noted(columns={"levels": [{"range": [0, 1, 1], "name": None}],
                                                         "codes": [[TEN_GB]], "names": [None]})),
    "column": lambda: ("parquet", noted(types={"0": ["unit", "S2000000000"]})),
    "png": lambda: ("png", claiming_png()),
    "tiff": lambda: ("tiff", claiming_tiff()),
    "scalar": lambda: ("json", b'{"$numpy":["void",10000000000]}'),
    "bytes": lambda: ("json", b'{"$numpy":["bytes_",10000000000]}'),
    "member": lambda: ("composite", same_member()),
    "items": lambda: ("items", archives.header("0-npy.npy", TEN_GB) + bytes(512)),
    "item": lambda: ("items", items("npy", npy((TEN_GB,)))),
}  # fmt: skip

READER = """
import pickle, resource, sys, warnings
import numpy, pandas, polars, pyarrow.parquet, scipy.sparse
from PIL import Image
from workflow_assets.errors import CodecError
from workflow_assets.store.codecs import decode, encode

def peak():
    with open("/proc/self/status") as status:
        return {line.split()[0]: int(line.split()[1]) << 10 for line in status if line.startswith("Vm")}

warnings.simplefilter("ignore")
claims = pickle.load(sys.stdin.buffer)
for warm in (pandas.DataFrame({"a": [1.0] * 1000}), polars.DataFrame({"a": [1.0]}), Image.new("L", (2, 2))):
    one = encode(warm, pickles=False)
    decode(one.codec, one.bytes(), pickles=False)
size, most = peak()["VmSize:"], resource.getrlimit(resource.RLIMIT_AS)[1]
resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 30), most))
before = peak()["VmHWM:"]
for name, (codec, data) in claims.items():
    try:
        value = decode(codec, data, pickles=False)
        print(name, "| was read as", type(value), [type(item) for item in value])
    except CodecError as error:
        print(name, "|", " ".join(str(error).split()))
    if peak()["VmHWM:"] - before > 300 << 20:
        print(name, "| took memory")
        before = peak()["VmHWM:"]
"""


def test_ten_gigabytes_that_are_not_there_are_not_believed():
    """Of any format: no memory is taken for them, where a gigabyte is all that there is."""
    crafted = pickle.dumps({name: make() for name, make in CLAIMS.items()})
    assert len(crafted) < 10_000_000
    done = subprocess.run([sys.executable, "-c", READER], input=crafted, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    told = dict(line.split(" | ", 1) for line in done.stdout.decode().splitlines())
    assert set(told) == set(CLAIMS)
    for name, message in told.items():
        assert any(words in message for words in ("claim", "should hold", "beyond the", "no such type")), (
            name,
            message,
        )


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"x": np.full(3_000_000, np.nan), "c": pd.Categorical(["a"]).repeat(3_000_000)}),
        polars.DataFrame({"x": polars.Series([None] * 3_000_000, dtype=polars.Int64)}),
    ],
    ids=["pandas", "polars"],
)
def test_a_frame_of_missing_values_is_believed(frame):
    """It is filled up until its bytes bear out what it claims; other tools read it as before."""
    encoded = encode(frame, pickles=False)
    again = decode(encoded.codec, encoded.bytes(), pickles=False)
    assert again.equals(frame)
    assert pq.read_table(pa.BufferReader(encoded.bytes())).num_rows == 3_000_000

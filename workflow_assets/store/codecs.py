"""How values become bytes that other tools can read, and become the same values again.

Plain Python values are JSON, arrays are ``.npy``, frames are Parquet, and a dataclass, dict or list of such values is
one zip archive whose manifest is JSON. What has no format of its own is pickled, where the store allows it.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import importlib
import io
import json
import math
import pathlib
import pickle
import sys
import uuid
import weakref
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from workflow_assets.errors import CodecError, excerpt

Buffer = bytes | bytearray | memoryview


class Codec(Protocol):
    """A format. `accepts` must be cheap, and `decode(encode(value))` must equal the value in every respect."""

    name: str
    extension: str

    def accepts(self, value: Any) -> bool:
        """Tell whether the format can hold the value exactly."""

    def encode(self, value: Any) -> Sequence[Buffer]:
        """Give the bytes, in pieces that need not be copied."""

    def decode(self, data: Buffer) -> Any:
        """Give the value; it may keep hold of a writable buffer."""

    def copy(self, value: Any) -> Any:
        """Give an independent value equal to ``decode(encode(value))``, or None where decoding is the only way."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value and its bytes."""

    value: Any
    codec: str
    pieces: Sequence[Buffer]
    libraries: dict[str, str] | None = None

    @property
    def size(self) -> int:
        """The number of bytes."""
        return sum(map(len, self.pieces))

    def bytes(self) -> bytes:
        """All bytes in one piece."""
        return bytes(self.pieces[0]) if len(self.pieces) == 1 else b"".join(self.pieces)


_encode_json = json.JSONEncoder(separators=(",", ":")).encode
_PLAIN = frozenset({type(None), bool, int, str})


def encode(value: Any, *, pickles: bool, place: str = "value") -> Encoded:
    """Turn a value into bytes.

    `pickles` is the store's policy for what has no format of its own. Raises `CodecError` that names `place` and the
    member which cannot be encoded.
    """
    kind = type(value)
    if kind in _PLAIN or (kind is float and math.isfinite(value)):
        return Encoded(value, "json", (json.dumps(value).encode(),))
    for codec in _BINARY:
        if codec.accepts(value):
            return Encoded(value, codec.name, [_flat(piece) for piece in codec.encode(value)])
    writer = _Writer(pickles, place)
    try:
        tree = writer.write(value, "")
    except RecursionError:
        raise CodecError(f"{place} refers to itself, so that it cannot be written down") from None
    if writer.whole is not None:
        return Encoded(value, "pickle", (writer.whole,), writer.libraries)
    text = _encode_json(tree).encode()
    if not writer.members:
        return Encoded(value, "json", (text,))
    return Encoded(value, "composite", (_archive(text, writer.members),), writer.libraries or None)


def decode(codec: str, data: Buffer, *, pickles: bool, imports: bool = True) -> Any:
    """Turn bytes into the value that was encoded.

    Nothing is executed unless `pickles` allows unpickling; with `imports` off, classes are looked up only in modules
    that are already loaded. Raises `CodecError`.
    """
    reader = _Reader(pickles, imports)
    try:
        return reader.read(codec, data)
    except CodecError:
        raise
    except Exception as error:
        raise CodecError(f"the stored {codec} bytes cannot be decoded: {type(error).__name__}: {error}") from error


def independent_copy(encoded: Encoded, *, pickles: bool) -> Any:
    """Give a consumer its own value, equal to what a later run will decode."""
    try:
        return _copy(encoded.value)
    except _NotCopiable:
        return decode(encoded.codec, encoded.bytes(), pickles=pickles)


class _NotCopiable(Exception):
    """Only decoding gives what a later run will read."""


def _copy(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN or kind is float:
        return value
    if kind is list or kind is tuple:
        return kind([_copy(item) for item in value])
    if kind is dict:
        return {_copy(key): _copy(item) for key, item in value.items()}
    for codec in _BINARY:
        if codec.accepts(value):
            copied = codec.copy(value)
            if copied is not None:
                return copied
            break
    if dataclasses.is_dataclass(kind) and is_decomposable(kind):
        return _Reader._object(kind, {name: _copy(getattr(value, name)) for name in _fields(value)})
    raise _NotCopiable


def extension(codec: str) -> str:
    """Give the ending of the files that a codec writes."""
    return _EXTENSIONS[codec]


def _flat(piece: Buffer) -> Buffer:
    return piece.cast("B") if isinstance(piece, memoryview) and (piece.format != "B" or piece.ndim != 1) else piece


# -- arrays and frames ------------------------------------------------------------------------------------------------


class ArrayCodec:
    """numpy arrays of fixed-size elements as ``.npy``."""

    name = "npy"
    extension = "npy"

    def accepts(self, value: Any) -> bool:
        """Tell whether it is a plain array without Python objects in it."""
        numpy = sys.modules.get("numpy")
        return numpy is not None and type(value) is numpy.ndarray and not value.dtype.hasobject

    def encode(self, value: Any) -> Sequence[Buffer]:
        """Give the header, and the array's own memory."""
        import numpy as np

        fortran = value.flags.f_contiguous and not value.flags.c_contiguous
        description = {
            "descr": np.lib.format.dtype_to_descr(value.dtype),
            "fortran_order": fortran,
            "shape": value.shape,
        }
        header = io.BytesIO()
        try:
            np.lib.format.write_array_header_1_0(header, description)
        except ValueError:  # more than 65,535 bytes of field names
            header = io.BytesIO()
            np.lib.format.write_array_header_2_0(header, description)
        flat = (value.T if fortran else np.ascontiguousarray(value)).reshape(-1)
        return (header.getvalue(), memoryview(flat.view(np.uint8)) if flat.nbytes else b"")

    def decode(self, data: Buffer) -> Any:
        """Give an array over the buffer, which is copied only if it cannot be written to."""
        import numpy as np

        view = memoryview(data)
        file = io.BytesIO(bytes(view[: min(len(view), 1 << 16)]))
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        count = math.prod(shape)
        if len(view) - file.tell() != count * dtype.itemsize:
            raise CodecError(f"the stored array should hold {count} × {dtype}, and holds {len(view) - file.tell()} bytes")
        flat = np.frombuffer(view, dtype=dtype, count=count, offset=file.tell()) if count else np.empty(0, dtype)
        array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
        return array if array.flags.writeable else array.copy(order="K")

    def copy(self, value: Any) -> Any:
        """Copy memory where the layout survives a round trip."""
        contiguous = value.flags.c_contiguous or value.flags.f_contiguous
        return value.copy(order="K" if contiguous else "C")


_THREADED = 1 << 20
"""Frames from this many bytes on are read by several threads; for smaller ones, starting them costs more."""


class FrameCodec:
    """pandas frames and series as Parquet, where Parquet holds them exactly."""

    name = "parquet"
    extension = "parquet"

    def accepts(self, value: Any) -> bool:
        """Tell whether index, columns and dtypes all survive."""
        pandas = sys.modules.get("pandas")
        if pandas is None or type(value) not in (pandas.DataFrame, pandas.Series):
            return False
        if type(value) is pandas.Series:
            if not (value.name is None or type(value.name) is str):
                return False
            value = value.to_frame("values" if value.name is None else value.name)
        labels = value.columns
        return (
            not value.attrs
            and labels.nlevels == 1
            and labels.dtype == object
            and all(type(label) is str and not label.startswith("__index") for label in labels)
            and labels.is_unique
            and labels.name is None
            and _exact_index(value.index)
            and all(_exact_column(column) for _, column in value.items())
        )

    def encode(self, value: Any) -> Sequence[Buffer]:
        """Give a Parquet file; without dictionaries, which cost five times the time."""
        import pandas
        import pyarrow as pa
        import pyarrow.parquet as pq

        series = isinstance(value, pandas.Series)
        frame = value.to_frame("values" if value.name is None else value.name) if series else value
        table = pa.Table.from_pandas(frame)
        if series:
            kind = "unnamed" if value.name is None else "named"
            table = table.replace_schema_metadata({**table.schema.metadata, b"workflow_assets.series": kind.encode()})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, use_dictionary=False, compression="snappy", write_statistics=False)
        return (memoryview(sink.getvalue()),)

    def decode(self, data: Buffer) -> Any:
        """Give a frame or series of its own memory."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.ParquetFile(pa.BufferReader(pa.py_buffer(data))).read(use_threads=len(data) > _THREADED)
        kind = (table.schema.metadata or {}).get(b"workflow_assets.series")
        frame = table.to_pandas(use_threads=len(data) > _THREADED)
        if kind is None:
            return frame
        return frame.iloc[:, 0].rename(None) if kind == b"unnamed" else frame.iloc[:, 0]

    def copy(self, value: Any) -> Any:
        """Copy memory where a round trip changes nothing that a consumer could see."""
        frame = value.to_frame() if value.ndim == 1 else value
        if getattr(frame.index, "freq", None) is not None or any(column.dtype == object for _, column in frame.items()):
            return None  # Parquet forgets the frequency, and gives None for every missing string
        return value.copy()


def _exact_index(index: Any) -> bool:
    if index.nlevels > 1 or not (index.name is None or type(index.name) is str):
        return False
    if type(index).__name__ == "RangeIndex":
        return True
    return type(index).__name__ in {"Index", "DatetimeIndex"} and _exact_column(index.to_series())


def _exact_column(column: Any) -> bool:
    dtype = column.dtype
    if dtype == object:
        return all(value is None or type(value) is str for value in column)
    if dtype.kind == "M" or str(dtype) in _NULLABLE:
        return True
    return bool(dtype.kind in "biuf" and type(dtype).__module__.startswith("numpy") and dtype.itemsize in (1, 2, 4, 8))


_NULLABLE = frozenset({"Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "boolean"})


_BINARY: tuple[Codec, ...] = (ArrayCodec(), FrameCodec())
_EXTENSIONS = {"json": "json", "composite": "zip", "pickle": "pickle"} | {
    codec.name: codec.extension for codec in _BINARY
}


# -- trees of plain values --------------------------------------------------------------------------------------------

_TEXT: dict[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    bytes: ("bytes", lambda value: base64.b64encode(value).decode(), base64.b64decode),
    bytearray: (
        "bytearray",
        lambda value: base64.b64encode(value).decode(),
        lambda text: bytearray(base64.b64decode(text)),
    ),
    float: ("float", repr, float),
    complex: ("complex", repr, complex),
    decimal.Decimal: ("decimal", str, decimal.Decimal),
    fractions.Fraction: ("fraction", str, fractions.Fraction),
    uuid.UUID: ("uuid", str, uuid.UUID),
    datetime.date: ("date", datetime.date.isoformat, datetime.date.fromisoformat),
    pathlib.PosixPath: ("path", str, pathlib.Path),
}
_FROM_TEXT = {tag: read for tag, _, read in _TEXT.values()}


class _Writer:
    """Writes a value as JSON, setting aside as members what JSON cannot hold."""

    def __init__(self, pickles: bool, place: str) -> None:
        self.pickles = pickles
        self.place = place
        self.members: dict[str, Sequence[Buffer]] = {}
        self.libraries: dict[str, str] = {}
        self.whole: bytes | None = None

    def write(self, value: Any, path: str) -> Any:
        kind = type(value)
        if kind in _PLAIN or (kind is float and math.isfinite(value)):
            return value
        if kind is list:
            return [self.write(item, f"{path}.{place}") for place, item in enumerate(value)]
        if kind is dict:
            if all(type(key) is str and not key.startswith("$") for key in value):
                return {key: self.write(item, f"{path}.{key}") for key, item in value.items()}
            pairs = [
                [self.write(key, f"{path}.keys.{place}"), self.write(item, f"{path}.{place}")]
                for place, (key, item) in enumerate(value.items())
            ]
            return {"$dict": pairs}
        if kind in (tuple, set, frozenset):
            items = value if kind is tuple else sorted(value, key=repr)
            return {f"${kind.__name__}": [self.write(item, f"{path}.{place}") for place, item in enumerate(items)]}
        if kind in _TEXT:
            tag, text, _ = _TEXT[kind]
            return {f"${tag}": text(value)}
        if isinstance(value, enum.Enum):
            return {"$enum": [_class_name(kind), value.name]} if value.name in kind.__members__ else self._pickle(value, path)
        if is_decomposable(kind):
            fields = {field: self.write(getattr(value, field), f"{path}.{field}") for field in _fields(value)}
            return {"$object": [_class_name(kind), fields]}
        if kind.__module__ == "numpy" and getattr(value, "shape", None) == () and value.dtype.kind in "biufcSUMm":
            import numpy as np

            return {"$numpy": [value.dtype.str, base64.b64encode(np.asarray(value).tobytes()).decode()]}
        for codec in _BINARY:
            if codec.accepts(value):
                return self._member(codec.name, codec.encode(value), path)
        return self._pickle(value, path)

    def _member(self, codec: str, pieces: Sequence[Buffer], path: str) -> dict[str, list[str]]:
        stem = "".join(c if c.isalnum() or c in "._-" else "_" for c in path.strip("."))[:80] or "value"
        name = f"{stem}.{extension(codec)}"
        if name in self.members:
            name = f"{stem}-{len(self.members)}.{extension(codec)}"
        self.members[name] = pieces
        return {"$member": [codec, name]}

    def _pickle(self, value: Any, path: str) -> Any:
        where = f"{self.place}{path}"
        if not self.pickles:
            raise CodecError(
                f"{where} is a {type(value).__qualname__}, which only pickle could store, and this store does not "
                "allow pickles: return plain values, arrays, frames or dataclasses of them"
            )
        try:
            data = pickle.dumps(value, protocol=5)
        except Exception as error:
            raise CodecError(
                f"{where} is {excerpt(value)}, which cannot be stored: a {type(value).__qualname__} has no codec, and "
                f"pickle says: {error}. Return what it was made from, or declare the step transient=True"
            ) from None
        library, version = library_version(type(value))
        if library:
            self.libraries[library] = version
        if not path:
            self.whole = data
            return None
        return self._member("pickle", (data,), path)


class _Reader:
    def __init__(self, pickles: bool, imports: bool) -> None:
        self.pickles = pickles
        self.imports = imports
        self.archive: zipfile.ZipFile | None = None

    def read(self, codec: str, data: Buffer) -> Any:
        if codec == "json":
            return self._tree(json.loads(bytes(data)))
        if codec == "pickle":
            if not self.pickles:
                raise CodecError("the stored value is a pickle, and this store does not allow pickles to be loaded")
            return pickle.loads(data)
        if codec == "composite":
            with zipfile.ZipFile(io.BytesIO(data)) as self.archive:
                return self._tree(json.loads(self.archive.read("manifest.json")))
        for one in _BINARY:
            if one.name == codec:
                return one.decode(data)
        raise CodecError(f"no codec is called {codec!r}")

    def _tree(self, tree: Any) -> Any:
        if type(tree) is list:
            return [self._tree(item) for item in tree]
        if type(tree) is not dict:
            return tree
        if len(tree) == 1:
            tag, content = next(iter(tree.items()))
            if tag.startswith("$"):
                return self._tagged(tag[1:], content)
        return {key: self._tree(item) for key, item in tree.items()}

    def _tagged(self, tag: str, content: Any) -> Any:
        if tag == "dict":
            return {self._tree(key): self._tree(item) for key, item in content}
        if tag in {"tuple", "set", "frozenset"}:
            return {"tuple": tuple, "set": set, "frozenset": frozenset}[tag](map(self._tree, content))
        if tag in _FROM_TEXT:
            return _FROM_TEXT[tag](content)
        if tag == "numpy":
            import numpy as np

            return np.frombuffer(base64.b64decode(content[1]), dtype=np.dtype(content[0]))[0]
        if tag == "enum":
            return self._class(content[0])[content[1]]
        if tag == "object":
            return self._object(self._class(content[0]), {name: self._tree(item) for name, item in content[1].items()})
        if tag == "member" and self.archive is not None:
            codec, name = content
            return self.read(codec, bytearray(self.archive.read(name)))
        raise CodecError(f"the stored value has the unknown mark ${tag}")

    def _class(self, name: str) -> Any:
        known = _CLASSES.get(name)
        if known is not None:
            return known
        module, _, qualname = name.partition(":")
        if module not in sys.modules and self.imports:
            importlib.import_module(module)
        found: Any = sys.modules.get(module)
        for part in qualname.split("."):
            found = getattr(found, part, None)
        if not isinstance(found, type) or not (issubclass(found, enum.Enum) or is_decomposable(found)):
            raise CodecError(f"the stored value is a {name}, and no such class can be imported")
        return found

    @staticmethod
    def _object(cls: Any, fields: dict[str, Any]) -> Any:
        if hasattr(cls, "model_construct"):
            return cls.model_construct(**fields)
        value = object.__new__(cls)
        for name, item in fields.items():
            object.__setattr__(value, name, item)
        return value


_CLASSES: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()
"""Classes that were written in this process, which is how those defined inside functions are found again."""


def _class_name(cls: type) -> str:
    name = f"{cls.__module__}:{cls.__qualname__}"
    _CLASSES[name] = cls
    return name


@functools.lru_cache(maxsize=1024)
def is_decomposable(cls: type) -> bool:
    """Tell whether a class is nothing but its fields: a dataclass or pydantic model that pickles in the usual way."""
    from pydantic import BaseModel

    if issubclass(cls, BaseModel):
        return not cls.__private_attributes__ and cls.model_config.get("extra") != "allow"
    own_pickling = any(name in vars(base) for base in cls.__mro__[:-1] for name in _PICKLING)
    return dataclasses.is_dataclass(cls) and not own_pickling and not issubclass(cls, _BUILTINS)


_PICKLING = ("__reduce__", "__reduce_ex__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")
_BUILTINS = (dict, list, set, frozenset, tuple, str, bytes, int, float, BaseException)


def _fields(value: Any) -> list[str]:
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value) if hasattr(value, field.name)]
    return list(type(value).model_fields)


def _archive(manifest: bytes, members: dict[str, Sequence[Buffer]]) -> bytes:
    file = io.BytesIO()
    moment = (1980, 1, 1, 0, 0, 0)  # the same bytes for the same value, whenever they are written
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("manifest.json", moment), manifest)
        for name, pieces in members.items():
            with archive.open(zipfile.ZipInfo(name, moment), "w", force_zip64=True) as member:
                for piece in pieces:
                    member.write(_flat(piece))
    return file.getvalue()


def library_version(cls: type) -> tuple[str, str]:
    """Give the library that a class comes from and its version, or two empty strings."""
    library = cls.__module__.partition(".")[0]
    version = getattr(sys.modules.get(library), "__version__", "")
    return (library, version) if isinstance(version, str) and version else ("", "")

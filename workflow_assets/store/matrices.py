"""Sparse matrices and arrays as the ``.npz`` that ``scipy.sparse.load_npz`` reads."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from workflow_assets.errors import CodecError
from workflow_assets.store.formats import Buffer, library
from workflow_assets.store.packs import pack, unpack

_PARTS = {
    "csr": ("indices", "indptr"),
    "csc": ("indices", "indptr"),
    "bsr": ("indices", "indptr"),
    "dia": ("offsets",),
}
_FORMATS = ("csr", "csc", "bsr", "dia", "coo", "lil", "dok")


class MatrixCodec:
    """SciPy's sparse matrices and arrays, in their own format; ``lil`` is written as ``csr``, and ``dok`` as ``coo``.

    Index types, explicit zeros, repeated and unsorted entries are kept.
    """

    name = "sparse"
    extension = "npz"

    def accepts(self, value: Any) -> bool:
        """Tell whether it is a sparse matrix or array, and not of a class derived from them."""
        sparse = sys.modules.get("scipy.sparse")
        return sparse is not None and sparse.issparse(value) and _is_own(sparse, value)

    def encode(self, value: Any) -> Sequence[Buffer] | None:
        """Give an ``.npz``, over the matrix's own memory; None for a matrix of Python objects."""
        import numpy as np
        from scipy import sparse

        kind = value.format
        held = {"lil": value.tocsr, "dok": lambda: _coo_of(value)}.get(kind, lambda: value)()
        parts: dict[str, Any] = {name: getattr(held, name) for name in _PARTS.get(held.format, ())}
        if held.format == "coo":
            parts |= (
                {"row": held.coords[0], "col": held.coords[1]}
                if held.ndim == 2
                else {"coords": np.array(held.coords)}
            )
        parts |= {
            "format": np.array(held.format.encode()),
            "shape": np.array(held.shape, dtype=np.int64),
            "data": held.data,
        }
        if isinstance(value, sparse.sparray):
            parts["_is_array"] = np.array(True)
        return pack(parts, {} if kind == held.format else {"format": kind})

    def decode(self, data: Buffer) -> Any:
        """Give a matrix of its own memory, whose indices are all within its shape."""
        sparse = library("scipy.sparse", "a sparse matrix", "scipy")
        parts, notes = unpack(data)
        held, shape = parts["format"].item().decode("ascii"), tuple(map(int, parts["shape"]))
        kind = notes.get("format", held)
        if (
            held not in _FORMATS[:5]
            or kind not in (held, *_FORMATS[5:])
            or any(length < 0 for length in shape)
        ):
            raise CodecError(f"the stored sparse matrix claims to be {kind!r} of the shape {shape}")
        suffix = "array" if "_is_array" in parts else "matrix"
        matrix = _built(getattr(sparse, f"{held}_{suffix}"), held, parts, shape)
        if kind == "lil":
            _check_rows(shape, parts)
            return matrix.tolil()
        if kind == "dok":
            return _dok(getattr(sparse, f"dok_{suffix}"), matrix)
        return matrix

    def copy(self, value: Any) -> Any:  # noqa: ARG002
        """Give None: decoding is one copy of the memory, too."""
        return None


def _is_own(sparse: Any, value: Any) -> bool:
    return any(
        type(value) is getattr(sparse, f"{kind}_{suffix}")
        for kind in _FORMATS
        for suffix in ("array", "matrix")
    )


def _built(cls: Any, held: str, parts: dict[str, Any], shape: tuple[int, ...]) -> Any:
    """Give the matrix, with the very types of its indices, which the constructor may narrow."""
    import numpy as np

    values = parts["data"]
    if held == "coo":
        coords = (parts["row"], parts["col"]) if "row" in parts else tuple(parts["coords"])
        matrix = cls((values, coords), shape=shape)
        matrix.coords = tuple(np.ascontiguousarray(part) for part in coords)
        return matrix
    names = _PARTS[held]
    if held != "dia":
        _check_pointers(held, parts, shape)
    matrix = cls((values, *(parts[name] for name in names)), shape=shape)
    if held != "dia":
        matrix.check_format(full_check=True)  # an index that leads outside would read memory that is not ours
    for name in ("data", *names):
        setattr(matrix, name, parts[name])
    return matrix


def _check_pointers(held: str, parts: dict[str, Any], shape: tuple[int, ...]) -> None:
    """Raise `CodecError` where a matrix claims more rows than there are bytes for."""
    rows = (
        1
        if len(shape) == 1
        else shape[held == "csc"]
        // (parts["data"].shape[1] if held == "bsr" and parts["data"].ndim == 3 else 1)
    )
    if len(parts["indptr"]) != rows + 1:
        raise CodecError(
            f"the stored {held} matrix claims the shape {shape}, and has {len(parts['indptr'])} rows"
        )


def _check_rows(shape: tuple[int, ...], parts: dict[str, Any]) -> None:
    if shape[0] + 1 != len(parts["indptr"]):
        raise CodecError(f"the stored lil matrix claims the shape {shape}")


def _coo_of(value: Any) -> Any:
    """Give the entries of a dictionary of keys in its own order, which `tocoo` may keep or not."""
    import numpy as np
    from scipy import sparse

    keys = np.array(list(value.keys()), dtype=np.int64).reshape(-1, value.ndim)
    entries = np.fromiter(value.values(), dtype=value.dtype, count=len(keys))
    return sparse.coo_array((entries, tuple(keys.T)), shape=value.shape)


def _dok(cls: Any, matrix: Any) -> Any:
    made = cls(matrix.shape, dtype=matrix.dtype)
    columns = [part.tolist() for part in matrix.coords]
    keys = columns[0] if matrix.ndim == 1 else zip(*columns, strict=True)
    for key, entry in zip(keys, matrix.data, strict=True):
        made.setdefault(key, entry)
    return made

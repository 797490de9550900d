"""Sparse matrices in SciPy's own format."""

import io

import numpy as np
import pytest
import scipy.sparse as sp

from workflow_assets.errors import CodecError
from workflow_assets.store.codecs import decode, encode, independent_copy
from workflow_assets.store.packs import pack
from workflow_assets_tests.conformance.sameness import assert_same

FORMATS = ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")
DENSE = np.array([[0, 1.5, 0, 0], [2, 0, 0, 3], [0, 0, 0, 0]])


def unusual():
    """Give matrices with what a constructor would tidy up."""
    wide = sp.csr_array(DENSE)
    wide.indices, wide.indptr = wide.indices.astype("i8"), wide.indptr.astype("i8")
    yield "64-bit indices", wide
    yield (
        "unsorted",
        sp.csr_array((np.arange(3.0), np.array([2, 0, 0]), np.array([0, 2, 2, 3])), shape=(3, 4)),
    )
    yield "repeated", sp.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(2, 2))
    yield "explicit zeros", sp.csc_matrix(([0.0, 1.0], [0, 1], [0, 1, 2]), shape=(2, 2))
    yield "one dimension", sp.coo_array(np.array([0, 1, 2]))
    yield "one dimension of rows", sp.csr_array(np.array([0, 1, 2]))
    yield "three dimensions", sp.coo_array(np.arange(8).reshape(2, 2, 2))
    yield "empty", sp.csr_array((0, 3))
    yield "nothing", sp.coo_matrix((3, 0))
    yield "blocks", sp.bsr_array(np.kron(np.eye(2), np.ones((2, 3))), blocksize=(2, 3))
    for dtype in ("?", "i1", "f4", "c16"):
        yield dtype, sp.csr_matrix(DENSE.astype(dtype))


MATRICES = dict(unusual()) | {
    f"{kind} {suffix}": getattr(sp, f"{kind}_{suffix}")(DENSE)
    for kind in FORMATS
    for suffix in ("array", "matrix")
}


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_a_matrix_comes_back_as_it_was(matrix):
    """Of the same class, and with every index and entry where it was; without a pickle."""
    encoded = encode({"x": matrix}, pickles=False)
    for again in (
        decode("composite", encoded.bytes(), pickles=False)["x"],
        independent_copy(encoded, pickles=False)["x"],
    ):
        assert type(again) is type(matrix)
        assert again.shape == matrix.shape
        assert again.dtype == matrix.dtype
        if matrix.format in ("lil", "dok"):
            assert_same(again.toarray(), matrix.toarray())
            continue
        for part in ("data", "indices", "indptr", "offsets"):
            if hasattr(matrix, part):
                assert_same(getattr(again, part), getattr(matrix, part))
        if matrix.format == "coo":
            assert_same(again.coords, matrix.coords)
        assert_same(again.toarray(), matrix.toarray())
        again.data[...] = 0


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_scipy_reads_what_is_written(matrix):
    """With load_npz; lil and dok as the nearest format that it has."""
    read = sp.load_npz(io.BytesIO(encode(matrix, pickles=False).bytes()))
    assert_same(read.toarray(), matrix.toarray())
    assert isinstance(read, sp.sparray) == isinstance(matrix, sp.sparray)


def test_the_order_of_a_dictionary_of_keys_is_kept():
    """As iterating over it shows."""
    matrix = sp.dok_array((3, 3))
    matrix[2, 1], matrix[0, 2] = 5.0, 1.0
    encoded = encode(matrix, pickles=False)
    again = decode("sparse", encoded.bytes(), pickles=False)
    assert list(again.items()) == list(matrix.items())


def crafted(**changes):
    parts = {
        "indices": np.array([1, 0], "i4"),
        "indptr": np.array([0, 1, 2], "i4"),
        "format": np.array(b"csr"),
        "shape": np.array([2, 2]),
        "data": np.ones(2),
    }
    return b"".join(pack(parts | changes) or [])


@pytest.mark.parametrize(
    "changes",
    [
        {"indices": np.array([1, 10**9], "i4")},
        {"indices": np.array([1, -5], "i4")},
        {"indptr": np.array([0, 5, 2], "i4")},
        {"indptr": np.array([0, 1, 10**6], "i4")},
        {"shape": np.array([10**10, 2])},
        {"shape": np.array([-2, 2])},
        {"format": np.array(b"os")},
        {"format": np.array(b"lil")},
        {"data": np.ones(1)},
    ],
)
def test_a_matrix_whose_indices_lead_outside_is_refused(changes):
    """Since compiled code would follow them; and one that claims more rows than there are."""
    assert decode("sparse", crafted(), pickles=False).toarray().tolist() == [[0, 1], [1, 0]]
    with pytest.raises(CodecError):
        decode("sparse", crafted(**changes), pickles=True)

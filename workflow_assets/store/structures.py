"""numpy records of which ``.npy`` forgets something as ``.npz`` with a note: alignment, record arrays, any names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from workflow_assets.errors import CodecError
from workflow_assets.store.formats import Buffer
from workflow_assets.store.packs import pack, unpack


class StructureCodec:
    """Arrays of records, and ``np.recarray``, as ``.npz``; those that ``.npy`` holds exactly are ``.npy``."""

    name = "records"
    extension = "npz"

    def accepts(self, value: Any) -> bool:
        """Tell whether it is an array of records, or a record array, and not of a class derived from them."""
        numpy = sys.modules.get("numpy")
        return (
            numpy is not None and type(value) in (numpy.ndarray, numpy.recarray) and value.dtype.kind == "V"
        )

    def encode(self, value: Any) -> Sequence[Buffer] | None:
        """Give an ``.npz``; None for records that hold Python objects."""
        import numpy as np

        plain = value.view(np.ndarray)
        if vars(value) if isinstance(value, np.recarray) else False:
            return None
        return pack({"array": plain}, {"class": "recarray"} if type(value) is np.recarray else {})

    def decode(self, data: Buffer) -> Any:
        """Give an array of its own memory."""
        import numpy as np

        arrays, notes = unpack(data)
        if set(arrays) != {"array"}:
            raise CodecError(f"the stored records are the arrays {', '.join(arrays) or 'of none'}")
        array = arrays["array"]
        return array.view(np.recarray) if notes.get("class") == "recarray" else array

    def copy(self, value: Any) -> Any:  # noqa: ARG002
        """Give None: decoding is one copy of the memory, too."""
        return None

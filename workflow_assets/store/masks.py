"""Masked arrays as ``.npz``: the data, the mask and the fill value."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from workflow_assets.errors import CodecError
from workflow_assets.store.formats import Buffer
from workflow_assets.store.packs import pack, unpack


class MaskCodec:
    """numpy's masked arrays as ``.npz`` with ``data``, ``mask`` and ``fill_value``; what is masked is kept, too."""

    name = "masked"
    extension = "npz"

    def accepts(self, value: Any) -> bool:
        """Tell whether it is a masked array, and not of a class derived from it."""
        masked = sys.modules.get("numpy.ma")
        return masked is not None and type(value) is masked.MaskedArray

    def encode(self, value: Any) -> Sequence[Buffer] | None:
        """Give an ``.npz``; None for objects, and for an array that masks one of another class."""
        import numpy as np

        state = vars(value)
        if (
            value.baseclass is not np.ndarray
            or state.get("_optinfo")
            or set(state.get("_basedict", ())) - set(state)
        ):
            return None
        parts = {"data": value.view(np.ndarray)}
        if value.mask is not np.ma.nomask:
            parts["mask"] = value.mask.view(np.ndarray)
        if state.get("_fill_value") is not None:
            parts["fill_value"] = np.asarray(state["_fill_value"])
        return pack(parts, {"hard": True} if value.hardmask else {})

    def decode(self, data: Buffer) -> Any:
        """Give a masked array of its own memory."""
        import numpy as np

        parts, notes = unpack(data)
        if "data" not in parts:
            raise CodecError("the stored masked array has no data")
        mask = parts.get("mask", np.ma.nomask)
        if mask is not np.ma.nomask and mask.shape != parts["data"].shape:
            raise CodecError(
                f"the stored mask has the shape {mask.shape}, and the data {parts['data'].shape}"
            )
        array: Any = np.ma.MaskedArray(parts["data"], mask=mask, hard_mask=bool(notes.get("hard")))
        if "fill_value" in parts:
            array.fill_value = parts["fill_value"][()]
        return array

    def copy(self, value: Any) -> Any:  # noqa: ARG002
        """Give None: decoding is one copy of the memory, too."""
        return None

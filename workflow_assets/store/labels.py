"""The labels of a frame, its types and its time zones as trees: what Parquet and pandas' own notes in it forget."""

from __future__ import annotations

import datetime
import sys
from typing import Any

from workflow_assets.errors import CodecError
from workflow_assets.store.trees import Reader, Writer, read_zone, write_zone

MOST = 100_000
"""How many labels may be noted beside the table: more belong into it."""


class InexactError(Exception):
    """Parquet and notes cannot hold this exactly."""


def write_plain(value: Any) -> Any:
    """Give the tree of a label, name or attribute; raise `InexactError` for what is no plain value."""
    return Writer(_refuse).write(value)


read_plain = Reader().read


def _refuse(value: Any, place: str) -> Any:
    raise InexactError(f"{place} {value!r}")


def write_index(index: Any) -> dict[str, Any]:
    """Give the tree of an index; raise `InexactError` for one of a rare kind."""
    import pandas as pd

    kind = type(index)
    if kind is pd.RangeIndex:
        return {"range": [index.start, index.stop, index.step], "name": write_plain(index.name)}
    if len(index) > MOST:
        raise InexactError("too many labels")
    if kind is pd.MultiIndex:
        levels = [write_index(level) for level in index.levels]
        return {
            "levels": levels,
            "codes": [codes.tolist() for codes in index.codes],
            "names": [write_plain(name) for name in index.names],
        }
    noted: dict[str, Any] = {"name": write_plain(index.name)}
    if kind is pd.DatetimeIndex or kind is pd.TimedeltaIndex:
        noted |= {"unit": index.unit, "values": index.asi8.tolist()}
        if kind is pd.DatetimeIndex:
            noted["zone"] = write_frame_zone(index.tz)
        if index.freq is not None:
            noted["freq"] = write_freq(index.freq)
        return noted
    if kind is not pd.Index or not is_numpy(index.dtype) or index.dtype.kind not in "Obiuf":
        raise InexactError(f"an index of {index.dtype}")
    noted["dtype"] = "object" if index.dtype == object else index.dtype.str
    noted["values"] = write_plain(index.tolist())
    return noted


def read_index(tree: dict[str, Any]) -> Any:
    """Give the index of a tree."""
    import numpy as np
    import pandas as pd

    if "levels" in tree:
        levels = [read_index(level) for level in tree["levels"]]
        for codes, level in zip(tree["codes"], levels, strict=True):
            if codes and not -1 <= min(codes) <= max(codes) < len(level):  # others would read foreign memory
                raise CodecError(f"the stored labels are beyond the {len(level)} that there are")
        return pd.MultiIndex(
            levels=levels,
            codes=tree["codes"],
            names=[read_plain(name) for name in tree["names"]],
            verify_integrity=False,
        )
    name = read_plain(tree["name"])
    if "range" in tree:
        start, stop, step = tree["range"]
        return pd.RangeIndex(start, stop, step, name=name)
    if "unit" not in tree:
        dtype = np.dtype(str(tree["dtype"]))
        if dtype.kind not in "Obiuf":
            raise CodecError(f"the stored labels claim to be of {dtype}")
        values = np.empty(len(tree["values"]), dtype)
        values[:] = read_plain(tree["values"])
        return pd.Index(values, name=name, dtype=values.dtype)
    numbers = np.array(tree["values"], dtype="i8")
    if "zone" in tree:
        index: Any = pd.DatetimeIndex(numbers.view(f"M8[{tree['unit']}]"), name=name)
        index = in_zone(index, read_frame_zone(tree["zone"]))
    else:
        index = pd.TimedeltaIndex(numbers.view(f"m8[{tree['unit']}]"), name=name)
    if "freq" in tree:
        index.freq = tree["freq"]
    return index


def is_numpy(dtype: Any) -> bool:
    """Tell a numpy type from one of pandas' own."""
    return type(dtype).__module__.partition(".")[0] == "numpy"


def write_freq(freq: Any) -> str:
    """Give the text of a frequency; raise `InexactError` for one that its text does not tell in full."""
    from pandas.tseries.frequencies import to_offset

    text: str = freq.freqstr
    try:
        again = to_offset(text)
    except ValueError:
        again = None
    if again != freq or type(again) is not type(freq):
        raise InexactError(f"the frequency {text}")
    return text


def write_frame_zone(zone: Any) -> Any:
    """Give the tree of a time zone, pytz's included, which is what pandas takes a name to mean."""
    pytz = sys.modules.get("pytz")
    if pytz is not None and isinstance(zone, datetime.tzinfo) and type(zone).__module__.startswith("pytz"):
        if zone is pytz.UTC or getattr(zone, "zone", None):
            return {"pytz": str(zone)}
        offset = zone.utcoffset(None)
        return {"pytz": (offset or datetime.timedelta()) // datetime.timedelta(minutes=1)}
    tree = write_zone(zone)
    if tree is False:
        raise InexactError(f"the time zone {zone!r}")
    return tree


def read_frame_zone(tree: Any) -> Any:
    """Give the time zone of a tree."""
    if not isinstance(tree, dict):
        return read_zone(tree)
    import pytz

    zone = tree["pytz"]
    return pytz.timezone(zone) if isinstance(zone, str) else pytz.FixedOffset(zone)


def in_zone(index: Any, zone: Any) -> Any:
    """Give the same instants, which are in UTC or in any zone, in another."""
    if zone is None:
        return index
    if index.tz is None:
        index = index.tz_localize("UTC")
    return index.tz_convert(zone)

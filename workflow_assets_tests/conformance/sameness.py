"""Whether two values are the same in every respect that code could see, which `==` does not say."""

import dataclasses
import datetime
import decimal
import enum
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel


def assert_same(given: Any, expected: Any, *, layout: bool = False) -> None:
    """Fail unless the values are of the same types, all the way down, and equal bit for bit.

    With `layout`, arrays lie in memory in the same order, and have the same flags.
    """
    found = next(differences(given, expected, "value", layout), None)
    assert found is None, found


def differences(a: Any, b: Any, at: str, layout: bool = False) -> Iterator[str]:
    """Yield where two values differ, and how."""
    if type(a) is not type(b):
        yield f"{at}: {type(a)} and {type(b)}"
        return
    for kind, compare in _COMPARISONS:
        if isinstance(a, kind):
            yield from compare(a, b, at, layout)
            return
    if dataclasses.is_dataclass(a) or isinstance(a, BaseModel):
        yield from _attributes(a, b, at, layout)
        for name in ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__"):
            yield from differences(getattr(a, name, None), getattr(b, name, None), f"{at}.{name}", layout)
    elif a is not b and a != b:
        yield f"{at}: {a!r} and {b!r}"


def _scalars(a: Any, b: Any, at: str, _: bool) -> Iterator[str]:
    yield from _arrays(np.asarray(a), np.asarray(b), at, False)


def _floats(a: float, b: float, at: str, _: bool) -> Iterator[str]:
    if struct.pack("d", a) != struct.pack("d", b):
        yield f"{at}: {a!r} and {b!r}"


def _complexes(a: complex, b: complex, at: str, layout: bool) -> Iterator[str]:
    yield from _floats(a.real, b.real, f"{at}.real", layout)
    yield from _floats(a.imag, b.imag, f"{at}.imag", layout)


def _identities(a: object, b: object, at: str, _: bool) -> Iterator[str]:
    if a is not b:
        yield f"{at}: {a!r} and {b!r}"


def _texts(a: object, b: object, at: str, _: bool) -> Iterator[str]:
    if repr(a) != repr(b):
        yield f"{at}: {a!r} and {b!r}"


def _moments(a: Any, b: Any, at: str, _: bool) -> Iterator[str]:
    zones = type(a.tzinfo) is type(b.tzinfo) and str(a.tzinfo) == str(b.tzinfo)
    if a != b or a.fold != b.fold or not zones:
        yield f"{at}: {a!r} and {b!r}"


def _mappings(a: Any, b: Any, at: str, layout: bool) -> Iterator[str]:
    yield from differences(list(a), list(b), f"{at}.keys", layout)
    yield from _attributes(a, b, at, layout)
    for (key, one), other in zip(a.items(), b.values(), strict=False):  # NaN as a key is never found
        yield from differences(one, other, f"{at}[{key!r}]", layout)


def _sets(a: Any, b: Any, at: str, _: bool) -> Iterator[str]:
    if len(a) != len(b):
        yield f"{at}: {len(a)} and {len(b)} items"
    for one in a:
        if all(next(differences(one, other, at), None) for other in b):
            yield f"{at}: {one!r} is in one of them only"


def _sequences(a: Any, b: Any, at: str, layout: bool) -> Iterator[str]:
    if len(a) != len(b):
        yield f"{at}: {len(a)} and {len(b)} items"
        return
    for place, (one, other) in enumerate(zip(a, b, strict=True)):
        yield from differences(one, other, f"{at}[{place}]", layout)
    yield from _attributes(a, b, at, layout)


def _attributes(a: Any, b: Any, at: str, layout: bool) -> Iterator[str]:
    slots = [
        name for base in type(a).__mro__ for name in _slots(base) if hasattr(a, name) or hasattr(b, name)
    ]
    for name in dict.fromkeys(slots):
        yield from differences(getattr(a, name, None), getattr(b, name, None), f"{at}.{name}", layout)
    if hasattr(a, "__dict__"):
        yield from differences(dict(vars(a)), dict(vars(b)), f"vars({at})", layout)


def _slots(base: type) -> tuple[str, ...]:
    slots = vars(base).get("__slots__", ())
    slots = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in slots if not name.startswith("__"))


def _arrays(a: Any, b: Any, at: str, layout: bool, order: bool = True) -> Iterator[str]:
    if a.dtype != b.dtype or a.dtype.str != b.dtype.str or a.dtype.type is not b.dtype.type:
        yield f"{at}: dtype {a.dtype!r} and {b.dtype!r}"
    elif a.shape != b.shape:
        yield f"{at}: shape {a.shape} and {b.shape}"
    elif a.dtype.hasobject:
        yield from differences(a.ravel().tolist(), b.ravel().tolist(), at)
    elif a.dtype.names:  # what lies between the fields is nobody's
        for name in a.dtype.names:
            yield from _arrays(a[name], b[name], f"{at}[{name!r}]", False, False)
    elif a.dtype.char in "gG":  # there is no more in their bytes than padding
        yield from differences(list(map(repr, a.flat)), list(map(repr, b.flat)), at)
    elif np.asarray(a).tobytes() != np.asarray(b).tobytes():
        yield f"{at}: {a!r} and {b!r}"
    if isinstance(a, np.ma.MaskedArray):
        yield from differences(a.mask, b.mask, f"{at}.mask")
        yield from differences(a.fill_value, b.fill_value, f"{at}.fill_value")
    contiguous = order and (b.flags.c_contiguous or b.flags.f_contiguous)
    names = ["c_contiguous", "f_contiguous"] if contiguous else []
    for name in [*names, "writeable", "aligned", "owndata"] if layout else names:
        if getattr(a.flags, name) != getattr(b.flags, name):
            yield f"{at}: {name} is {getattr(a.flags, name)} and {getattr(b.flags, name)}"


def _types(a: Any, b: Any, at: str) -> Iterator[str]:
    if type(a) is not type(b) or a != b or str(a) != str(b):
        yield f"{at}: {a!r} and {b!r}"
    elif isinstance(a, pd.DatetimeTZDtype):
        if type(a.tz) is not type(b.tz) or str(a.tz) != str(b.tz):
            yield f"{at}: {a.tz!r} and {b.tz!r}"
    elif isinstance(a, pd.CategoricalDtype):
        yield from _indexes(a.categories, b.categories, f"{at}.categories")
        if a.ordered is not b.ordered:
            yield f"{at}: ordered {a.ordered} and {b.ordered}"
    elif isinstance(a, pd.StringDtype) and (a.storage != b.storage or a.na_value is not b.na_value):
        yield f"{at}: {a!r} and {b!r}"


def _extensions(a: Any, b: Any, at: str, _: bool = False) -> Iterator[str]:
    yield from _types(a.dtype, b.dtype, f"{at}.dtype")
    if isinstance(a, pd.Categorical):
        yield from _arrays(a.codes, b.codes, f"{at}.codes", False, False)
    elif hasattr(a, "asi8"):
        yield from _arrays(a.asi8, b.asi8, at, False, False)
    elif isinstance(a, pd.arrays.NumpyExtensionArray):
        yield from _arrays(a.to_numpy(), b.to_numpy(), at, False, False)
    else:
        yield from differences(list(a), list(b), at)


def _indexes(a: Any, b: Any, at: str, _: bool = False) -> Iterator[str]:
    if type(a) is not type(b):
        yield f"{at}: {type(a)} and {type(b)}"
        return
    yield from differences(list(a.names), list(b.names), f"{at}.names")
    if isinstance(a, pd.MultiIndex):
        yield from differences(list(a.levels), list(b.levels), f"{at}.levels")
        yield from differences(list(map(list, a.codes)), list(map(list, b.codes)), f"{at}.codes")
        return
    if isinstance(a, pd.RangeIndex):
        yield from differences((a.start, a.stop, a.step), (b.start, b.stop, b.step), at)
    yield from _types(a.dtype, b.dtype, f"{at}.dtype")
    freq, other = getattr(a, "freq", None), getattr(b, "freq", None)
    if type(freq) is not type(other) or freq != other:
        yield f"{at}.freq: {freq!r} and {other!r}"
    yield from differences(a.array, b.array, at)


def _frames(a: Any, b: Any, at: str, layout: bool) -> Iterator[str]:
    if a.shape != b.shape:
        yield f"{at}: shape {a.shape} and {b.shape}"
        return
    yield from _indexes(a.index, b.index, f"{at}.index")
    yield from differences(a.attrs, b.attrs, f"{at}.attrs")
    if a.flags.allows_duplicate_labels != b.flags.allows_duplicate_labels:
        yield f"{at}.flags: {a.flags} and {b.flags}"
    if a.ndim == 1:
        yield from differences(a.name, b.name, f"{at}.name")
        yield from _columns(a, b, at, layout)
        return
    yield from _indexes(a.columns, b.columns, f"{at}.columns")
    for place in range(a.shape[1]):
        yield from _columns(a.iloc[:, place], b.iloc[:, place], f"{at}.iloc[:, {place}]", layout)
    if layout and len(set(a.dtypes)) == 1 and isinstance(a.dtypes.iloc[0], np.dtype):
        yield from _arrays(a.to_numpy(), b.to_numpy(), f"{at}.to_numpy()", False)


def _columns(a: Any, b: Any, at: str, layout: bool) -> Iterator[str]:
    yield from _types(a.dtype, b.dtype, f"{at}.dtype")
    yield from differences(a.array, b.array, at)
    if layout and isinstance(a.dtype, np.dtype):
        for name in ("c_contiguous", "writeable"):
            one, other = getattr(a.to_numpy().flags, name), getattr(b.to_numpy().flags, name)
            if one != other:
                yield f"{at}: {name} is {one} and {other}"


_COMPARISONS: list[tuple[Any, Callable[[Any, Any, str, bool], Iterator[str]]]] = [
    (np.generic, _scalars),
    (enum.Enum, _identities),
    (float, _floats),
    (complex, _complexes),
    (decimal.Decimal, _texts),
    ((datetime.datetime, datetime.time), _moments),
    (np.ndarray, _arrays),
    (pd.Index, _indexes),
    ((pd.Series, pd.DataFrame), _frames),
    (pd.api.extensions.ExtensionArray, _extensions),
    (Mapping, _mappings),
    ((set, frozenset), _sets),
    ((list, tuple), _sequences),
]

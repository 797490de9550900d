"""What a step takes and gives, read from its type hints.

A contract is checked twice: when steps are composed (an edge from `str` to `int` is refused) and when they run
(element types of containers, dtype and dimensions of arrays, columns of frames). Where a hint says nothing that can
be checked, nothing is checked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from workflow_assets.contracts.checkers import (
    Reported,
    checker,
    describe,
    dimensions,
    kind_of,
    metric_type,
    plain_number,
)
from workflow_assets.errors import ContractError, did_you_mean, excerpt, listing


class Metrics(Reported, BaseModel):
    """The numbers that a step reports, declared so that a misspelt metric is an error before anything runs.

    Fields are `float`, `int`, `bool` or `str`, or any of these `| None`. A field of the step `score` is the metric
    ``score.<field>``. numpy scalars are accepted as the Python numbers that they hold, a whole number as a float.

    Raises `ContractError` that names each value of a wrong type, each missing and each unknown metric.

    >>> class Score(Metrics):
    ...     accuracy: float
    >>> Score(accuracy=1).accuracy
    1.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())

    def __init__(self, /, **metrics: Any) -> None:
        try:
            super().__init__(**metrics)
        except ValidationError as error:
            raise ContractError(_metric_faults(type(self), error)) from None

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, values: Any) -> Any:
        return (
            {name: plain_number(item) for name, item in values.items()}
            if isinstance(values, dict)
            else values
        )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        for name, field in cls.model_fields.items():
            if metric_type(field.annotation) is None:
                raise TypeError(
                    f"{cls.__qualname__}.{name} is declared as {describe(field.annotation)}: "
                    "a metric is a float, int, bool or str, or one of these | None"
                )


def _metric_faults(metrics: type[Metrics], error: ValidationError) -> str:
    faults = []
    for fault in error.errors():
        name = str(fault["loc"][0]) if fault["loc"] else ""
        field = metrics.model_fields.get(name)
        if fault["type"] == "missing":
            faults.append(f"{metrics.__qualname__}.{name} is missing")
        elif field is None:
            faults.append(
                f"{metrics.__qualname__} has no metric {name!r}: {did_you_mean(name, metrics.model_fields)}"
            )
        else:
            look = checker(field.annotation)
            told = (look(fault["input"]) if look is not None else None) or fault["msg"]
            faults.append(f"{metrics.__qualname__}.{name}: {told}")
    return "; ".join(faults)


@dataclasses.dataclass(frozen=True)
class Array:
    """The dtype and dimensions of an array, for `Annotated`.

    `dtype` is a name or a type that numpy knows; `shape` may hold None where a length is free.

    >>> from typing import Annotated
    >>> Image = Annotated[object, Array(dtype="uint16", ndim=2)]
    """

    dtype: Any = None
    ndim: int | None = None
    shape: tuple[int | None, ...] | None = None

    def __post_init__(self) -> None:
        if self.shape is not None:
            object.__setattr__(self, "shape", tuple(self.shape))
            if self.ndim not in (None, len(self.shape)):
                raise TypeError(f"Array cannot have {self.ndim} dimensions and the shape {self.shape}")

    def fault(self, value: Any) -> str | None:
        """Say what about an array breaks the declaration, or None."""
        shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
        if shape is None or dtype is None:
            return f"expected an array, got {kind_of(value)} {excerpt(value)}"
        if self.dtype is not None and dtype != self._dtype():
            return f"expected dtype {self._dtype()}, got {dtype}"
        if self.ndim is not None and len(shape) != self.ndim:
            return f"expected {dimensions(self.ndim)}, got {len(shape)} (shape {shape})"
        if self.shape is not None and (
            len(shape) != len(self.shape)
            or any(want not in (None, have) for want, have in zip(self.shape, shape, strict=True))
        ):
            return f"expected shape {self.shape}, got {shape}"
        return None

    def excludes(self, other: Array) -> bool:
        """Tell whether no array can satisfy both declarations."""
        mine = self.ndim if self.shape is None else len(self.shape)
        theirs = other.ndim if other.shape is None else len(other.shape)
        if None not in (mine, theirs) and mine != theirs:
            return True
        if None not in (self.shape, other.shape) and any(
            None not in pair and pair[0] != pair[1]
            for pair in zip(self.shape or (), other.shape or (), strict=True)
        ):
            return True
        return None not in (self.dtype, other.dtype) and bool(self._dtype() != other._dtype())

    def _dtype(self) -> Any:
        import numpy

        return numpy.dtype(self.dtype)


class Columns:
    """The columns of a DataFrame and their types, for `Annotated`.

    A type is `float`, `int`, `bool`, `str`, ``"datetime"``, ``"category"``, the name of a dtype, or None for any.
    With ``exact=True`` no other columns may be there.

    >>> from typing import Annotated
    >>> Table = Annotated[object, Columns(radius=float, label="category")]
    """

    def __init__(
        self, columns: Mapping[str, Any] | None = None, /, *, exact: bool = False, **named: Any
    ) -> None:
        self.columns: dict[str, Any] = {
            str(name): _column_kind(kind) for name, kind in {**(columns or {}), **named}.items()
        }
        self.exact = exact

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={describe(kind)}" for name, kind in self.columns.items())
        return f"Columns({inside}{', exact' if self.exact else ''})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Columns) and (self.columns, self.exact) == (other.columns, other.exact)

    def __hash__(self) -> int:
        return hash((frozenset(self.columns.items()), self.exact))

    def fault(self, value: Any) -> str | None:
        """Say what about a frame breaks the declaration, or None."""
        if not hasattr(value, "iloc") or not hasattr(value, "columns"):
            return f"expected a DataFrame, got {kind_of(value)} {excerpt(value)}"
        present = [str(name) for name in value.columns]
        for name, kind in self.columns.items():
            if name not in present:
                return f"column {name!r} is missing: {did_you_mean(name, present)}"
            if fault := _column_fault(value.iloc[:, present.index(name)], kind):
                return f"column {name!r} should be {describe(kind)}, and {fault}"
        surplus = [name for name in present if name not in self.columns]
        if self.exact and surplus:
            return f"columns {listing(surplus)} are not declared, and the declaration is exact"
        return None

    def excludes(self, other: Columns) -> bool:
        """Tell whether no frame can satisfy both declarations."""
        for one, two in ((self, other), (other, self)):
            if one.exact and set(two.columns) - set(one.columns):
                return True
        kinds = [
            (self.columns[name], other.columns[name]) for name in self.columns.keys() & other.columns.keys()
        ]
        return any(_kinds_differ(one, two) for one, two in kinds)


_KINDS: dict[Any, str] = {float: "f", int: "iu", bool: "b", str: "OUT"}


def _column_kind(kind: Any) -> Any:
    if isinstance(kind, type) and (kind in _KINDS or kind.__module__ == "numpy"):
        return kind if kind in _KINDS else kind.__name__
    if kind is None or isinstance(kind, str):
        return kind
    raise TypeError(
        f"Columns cannot check {kind!r}: expected float, int, bool, str, 'datetime', 'category', the name of a dtype, "
        "or None"
    )


def _column_fault(column: Any, kind: Any) -> str | None:
    dtype = column.dtype
    if kind is None:
        return None
    if kind is str and dtype.kind == "O" and str(dtype) != "category":
        from pandas.api.types import infer_dtype

        held = infer_dtype(column, skipna=True)
        return None if held in {"string", "empty"} else f"holds {held} values"
    if kind in _KINDS:
        fits = dtype.kind in _KINDS[kind] and str(dtype) != "category"
    else:
        fits = dtype.kind == "M" if kind == "datetime" else str(dtype) == kind
    return None if fits else f"is {dtype}"


def _kinds_differ(one: Any, two: Any) -> bool:
    if None in (one, two) or one == two:
        return False
    for kind, name in ((one, two), (two, one)):
        if kind in _KINDS and isinstance(name, str):  # int and "int64"
            return not name.lower().startswith(
                {str: ("o", "s")}.get(kind, (kind.__name__, f"u{kind.__name__}"))
            )
        if kind == "datetime" and isinstance(name, str):
            return not name.startswith("datetime")
    return True

"""Samples: the same workflow over the first rows of what it reads, kept beside what it gives for everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from workflow_assets.alterations import Alterable
from workflow_assets.canonical import unwrap_scalar
from workflow_assets.declarations import Declaration
from workflow_assets.errors import ContractError, DeclarationError, did_you_mean, excerpt
from workflow_assets.mappings import FrozenDict
from workflow_assets.plans import asset_content
from workflow_assets.replicates import Replicate, Replicates
from workflow_assets.sources import AssetSource, Given, Source
from workflow_assets.store.base import Store

Rows = int | Mapping[str, int]
"""How many rows of each input and source are read, or of which."""

W = TypeVar("W", bound=Alterable)


def label_of(rows: Rows) -> str:
    """Name a sample, as the partition is called that its data are kept under.

    >>> label_of(100), label_of({"orders": 5, "customers": 10})
    ('rows=100', 'customers=10 orders=5')
    """
    told = rows if isinstance(rows, Mapping) else {"rows": rows}
    return " ".join(f"{name}={number}" for name, number in sorted(told.items()))


def has_rows(value: Any) -> bool:
    """Whether a value is a list, a frame, or an array, of which there are first rows.

    >>> has_rows([1, 2]), has_rows("text"), has_rows({"a": 1})
    (True, False, False)
    """
    if isinstance(value, list | range):
        return True
    shape = getattr(value, "shape", None)
    return isinstance(shape, tuple) and bool(shape) and hasattr(value, "__getitem__")


def first_rows(value: Any, rows: int) -> Any:
    """Give the first rows of a list, a frame or an array; else the value as it is.

    >>> first_rows([1, 2, 3], 2)
    [1, 2]
    """
    if not has_rows(value):
        return value
    if hasattr(value, "iloc"):  # of pandas
        return value.iloc[:rows].copy()
    cut = getattr(value, "head", None) or getattr(value, "slice", None)
    if cut is not None:  # of polars, and of Arrow
        return cut(rows) if hasattr(value, "head") else cut(0, rows)
    part = value[:rows]
    return part.copy() if hasattr(part, "copy") else part


@dataclass(frozen=True, eq=False, repr=False)
class SampledValue(Given):
    """The first rows of an input, or of a source that is known by its content."""

    path: tuple[str, ...] = ()

    @classmethod
    def cut(cls, whole: Source[Any], value: Any, rows: int) -> SampledValue:
        """Take the first rows of a value."""
        owner = whole.owner if isinstance(whole, Given) else ""
        return cls._made(
            owner,
            whole.name,
            whole.slug,
            first_rows(value, rows),
            whole.returns,
            (*whole.asset, f"rows={rows}"),
        )

    @classmethod
    def _made(
        cls, owner: str, name: str, slug: str, value: Any, returns: Any, path: tuple[str, ...]
    ) -> SampledValue:
        made = cls(
            Given.of(owner, name, 0).function, name=name, slug=slug, owner=owner, value=value, path=path
        )
        object.__setattr__(made, "returns", returns)
        return made

    @property
    def asset(self) -> tuple[str, ...]:
        """The key of the asset that the sample is: that of the whole, and how many rows."""
        return self.path

    def __reduce__(self) -> tuple[Any, ...]:
        return SampledValue._made, (self.owner, self.name, self.slug, self.value, self.returns, self.path)


@dataclass(frozen=True, eq=False, repr=False)
class SampledSource(Source[Any]):
    """The first rows of a source that is known by its version: loaded once for each version and number of rows."""

    whole: Source[Any] | None = None
    rows: int = 0

    @classmethod
    def cut(cls, whole: Source[Any], rows: int) -> SampledSource:
        """Take the first rows of what a source loads, when it is loaded."""
        return cls(
            whole.function,
            name=whole.name,
            slug=whole.slug,
            version=f"{whole.version} rows={rows}",
            scope=whole.scope,
            whole=whole,
            rows=rows,
        )

    @property
    def asset(self) -> tuple[str, ...]:
        """The key of the asset that the sample is: that of the whole, and how many rows."""
        assert self.whole is not None
        return (*self.whole.asset, f"rows={self.rows}")

    def load(self) -> Any:
        """Load all, and give the first rows."""
        assert self.whole is not None
        value = self.whole.load()
        if not has_rows(value):
            raise ContractError(
                f"source {self.name!r} is a {type(value).__qualname__}, which has no rows: leave it out, as in "
                "rows={'another': 100}"
            )
        return first_rows(value, self.rows)

    def __reduce__(self) -> tuple[Any, ...]:
        return SampledSource.cut, (self.whole, self.rows)


@dataclass(frozen=True)
class OnSample(Replicates):
    """One repetition that is kept under the name of a sample; its random streams are those of everything."""

    label: str = ""

    def __iter__(self) -> Iterator[Replicate]:
        return iter((Replicate(self.label, 0),))


class SampleRun(Declaration):
    """What is run of a workflow over a sample."""

    def partition(self, treatment: str, replicate: str) -> str:  # noqa: ARG002 - there is one treatment
        """Name the partition that holds what a step gives for the sample."""
        return replicate


def sampled(workflow: W, rows: Rows, store: Store) -> tuple[W, dict[str, int]]:
    """Give a workflow over the first rows of what it reads, and how many of what.

    Raises `DeclarationError` for what it does not read, for what has no rows, and where nothing has any.
    """
    limits = _limits(workflow, rows)
    faults: list[str] = []
    cut: dict[str, Source[Any]] = {}
    for source in workflow.given:
        limit = limits.get(source.name)
        if limit is None:
            continue
        if source.version is not None and not isinstance(source, AssetSource):
            cut[source.name] = SampledSource.cut(source, limit)
            continue
        value = store.load(asset_content(source, store)) if isinstance(source, AssetSource) else source.load()
        if has_rows(value):
            cut[source.name] = SampledValue.cut(source, value, limit)
        elif isinstance(rows, Mapping):
            faults.append(
                f"rows of {source.name!r}: {excerpt(value)} has none; a list, a frame or an array has"
            )
    if not cut and not faults:
        faults.append(
            f"rows = {excerpt(rows)}: it reads no list, frame or array of which there are first rows"
        )
    if faults:
        raise DeclarationError(f"workflow {workflow.name!r}", faults)
    inputs = {name: cut.get(name, one) for name, one in workflow.inputs.items()}
    others = {one.name: cut.get(one.name, one) for one in workflow.given if one.name not in workflow.inputs}
    made = workflow.changed(workflow.calls, inputs=inputs, sources={**workflow.sources, **others})
    return made, {name: limits[name] for name in cut}


def _limits(workflow: Alterable, rows: Any) -> dict[str, int]:
    """Read how many rows of what."""
    names = [source.name for source in workflow.given]
    told = dict(rows) if isinstance(rows, Mapping) else dict.fromkeys(names, rows)
    faults = [
        f"rows of {name!r}: it reads no input or source of that name: {did_you_mean(str(name), names)}"
        for name in told
        if name not in names
    ]
    wrong = {
        excerpt(number): None
        for number in (told.values() if isinstance(rows, Mapping) else [rows])
        if isinstance(number, bool) or not isinstance(unwrap_scalar(number), int) or number < 1
    }
    faults += [f"rows = {number}: expected a whole number of 1 or more" for number in wrong]
    if faults:
        raise DeclarationError(f"workflow {workflow.name!r}", faults)
    return FrozenDict({name: int(number) for name, number in told.items()})

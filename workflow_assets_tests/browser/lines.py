"""A code location with workflows: one that works, one some of whose items fail, and a folder of documents."""

from pathlib import Path

import pandas as pd

from workflow_assets import Registry, Workflow, step, to_dagster

registry = Registry()


@registry.add
@step
def readings(count: int = 6) -> list[int]:
    """Take readings."""
    return list(range(count))


@registry.add
@step(version="1")
def squared(readings: int) -> int:
    """Square each."""
    return readings**2


@registry.add
@step(mode="each", version="1")
def parsed(readings: int) -> int:
    """Parse each."""
    if readings == 4:
        raise ValueError("reading 4 is torn")
    return readings


@registry.add
@step
def table(squared: list[int], label: str = "plot") -> pd.DataFrame:
    """Make a table."""
    return pd.DataFrame({"square": squared, "label": label})


inner = Workflow("tabling", [table], inputs={"squared": list[int]})
with Workflow("plots") as plots:
    inner(squared.each()(readings()))

documents = Path(__file__).parent / "documents"
defs = to_dagster(
    plots,
    Workflow("torn", [readings, parsed]),
    store="store",
    documents=documents if documents.is_dir() else None,
    registry=registry,
)

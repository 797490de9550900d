"""Exhibits: what Dagster's UI shows of a datum: the first of it, and what became of the items of a step on each."""

from typing import Any

import dagster as dg

from workflow_assets.datum_documents import REFERENCE
from workflow_assets.datums import Datum
from workflow_assets.orchestration.events import datum_metadata
from workflow_assets.previews import cell_text
from workflow_assets.scenes import FAILED, Preview
from workflow_assets.store.base import Record, Store
from workflow_assets.workflow_results import WorkflowResult

ITEMS = "items"
SAMPLE = "sample"

MOST_ITEMS = 50
"""Rows of a table of items; an event is stored and loaded whole."""

_LONG = 300
"""Characters of an error that stand in it."""

_ITEM_COLUMNS = [
    dg.TableColumn("key", "string"),
    dg.TableColumn("status", "string"),
    dg.TableColumn("error", "string"),
    dg.TableColumn("seconds", "float", description="0 for what was stored"),
]


def value_metadata(store: Store, record: Record) -> dict[str, Any]:
    """Show the first of a datum: the first rows of a frame, of all else one line; what is large is not loaded."""
    look = Datum(REFERENCE, "", "", record, key=record.key, store=store).look
    if not look.columns:
        return {"preview": look.line}
    told: dict[str, Any] = {"preview": dg.MetadataValue.md(markdown_table(look))}
    if look.length is not None:
        told["dagster/row_count"] = look.length
    return told


def step_metadata(result: WorkflowResult, slot: str) -> dict[str, Any]:
    """Tell of what a step gave: first what users look for, then how it is stored."""
    record = result.record(slot)
    return {
        **value_metadata(result.store, record),
        **item_metadata(result, slot),
        "stored": "computed now" if slot in result.computed else "was stored",
        **datum_metadata(record),
    }


def markdown_table(look: Preview) -> str:
    """Give the first rows of a frame in Markdown, under its shape."""

    def row(cells: tuple[str, ...]) -> str:
        return f"| {' | '.join(cell.replace('|', '&#124;').replace('<', '&lt;') for cell in cells)} |"

    shape = look.line.partition(":")[0]
    rule = row(("---",) * len(look.columns))
    more = ["", "…"] if look.length is not None and look.length > len(look.rows) else []
    return "\n".join([shape, "", row(look.columns), rule, *map(row, look.rows), *more])


def item_metadata(result: WorkflowResult, slot: str) -> dict[str, Any]:
    """Tell of the items of a step on each: how many came to what, and the first of them after those that failed."""
    counts = result.item_counts(slot)
    if counts is None:
        return {}
    items = sorted(result.items(slot), key=lambda item: item["status"] != FAILED)
    records = [
        dg.TableRecord(
            {
                "key": cell_text(item["key"]),
                "status": item["status"],
                "error": item["error"][:_LONG],
                "seconds": item["seconds"],
            }
        )
        for item in items[:MOST_ITEMS]
    ]
    table = dg.MetadataValue.table(records, dg.TableSchema(_ITEM_COLUMNS))
    return {**{f"{ITEMS}: {name}": count for name, count in counts.items()}, ITEMS: table}

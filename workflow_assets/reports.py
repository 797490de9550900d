"""Results told in text: Markdown for Dagster's UI, plain lines for a terminal."""

from __future__ import annotations

from typing import Any

from workflow_assets.results import Result, describe_failures


def summary_rows(result: Result) -> tuple[list[str], list[list[str]]]:
    """Give the header and a row for each treatment: cells, failures, and mean ± standard deviation of each metric."""
    metrics = [name for name, kind in result.declaration.metrics.items() if kind is not str]
    header = ["treatment", "change", "completed", "failed", *metrics]
    rows = []
    for name, treatment in result.declaration.treatments.items():
        arms = [result.arm(name, metric) for metric in metrics]
        cells = [outcome for outcome in result.outcomes if outcome.treatment == name]
        failed = sum(outcome.failure is not None for outcome in cells)
        row = [name, treatment.summary(), str(len(cells) - failed), str(failed)]
        rows.append(row + [_spread(list(arm.values.values())) for arm in arms])
    return header, rows


def _spread(values: list[Any]) -> str:
    if not values:
        return "–"
    import numpy as np

    numbers = np.asarray(values, dtype=float)
    if len(numbers) < 2:
        return f"{numbers[0]:.4g}"
    return f"{numbers.mean():.4g} ± {numbers.std(ddof=1):.2g}"


def markdown_summary(result: Result) -> str:
    """Tell results in Markdown: a table of treatments, then each verdict."""
    header, rows = summary_rows(result)
    lines = [_row(header), _row(["---"] * len(header)), *(_row(row) for row in rows), ""]
    lines.append(
        f"Metrics are mean ± standard deviation over {len(result.declaration.replicates)} replicates."
    )
    for verdict in result.verdicts.values():
        first, *rest = str(verdict).split("\n")
        name, _, claim = first.partition(": ")
        lines += ["", f"**{name}: {claim.partition(' (')[0]}** – {verdict.hypothesis.claim()}", ""]
        lines += [f"- {_escape(line.strip())}" for line in rest]
    if result.failures:
        lines += ["", "```", describe_failures(result.failures, len(result.outcomes)), "```"]
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(_escape(cell) for cell in cells)} |"


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def terminal_summary(result: Result) -> str:
    """Tell results in plain lines that fit a terminal."""
    header, rows = summary_rows(result)
    table = [header, *([cell[:36] for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    lines = [
        f"experiment {result.declaration.name}: {len(result.outcomes)} cells, {len(result.failures)} failed",
        "",
    ]
    for place, row in enumerate(table):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if place == 0:
            lines.append("  ".join("-" * width for width in widths))
    for verdict in result.verdicts.values():
        lines += ["", str(verdict)]
    if result.failures:
        lines += ["", describe_failures(result.failures, len(result.outcomes))]
    return "\n".join(lines)

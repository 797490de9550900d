"""Results told in text: Markdown for Dagster's UI, plain lines for a terminal."""

from __future__ import annotations

import statistics
from collections import Counter
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


def timing_rows(result: Result) -> tuple[list[str], list[list[str]]]:
    """Give the header and a row for each step: data, those computed now, seconds and memory of each datum once."""
    header = ["step", "data", "computed now", "total s", "median s", "max s", "peak MB"]
    taken: dict[str, dict[str, tuple[float, int]]] = {}
    computed: Counter[str] = Counter()
    for row in result.outcomes:
        computed.update(row.computed)
        for slot, seconds in row.seconds.items():
            taken.setdefault(slot, {})[row.keys[slot]] = seconds, row.memory[slot] or 0
    rows = []
    for slot in result.declaration.asset_slots:
        data = list(taken.get(slot, {}).values())
        seconds_of = [seconds for seconds, _ in data] or [0.0]
        numbers = [sum(seconds_of), statistics.median(seconds_of), max(seconds_of)]
        peak = max((memory for _, memory in data), default=0) / 2**20
        rows.append(
            [slot, str(len(data)), str(computed[slot]), *(f"{one:.3g}" for one in numbers), f"{peak:.0f}"]
        )
    return header, rows


def markdown_timings(result: Result) -> str:
    """Tell in Markdown what each step took."""
    header, rows = timing_rows(result)
    return "\n".join([_row(header), _row(["---"] * len(header)), *(_row(row) for row in rows)])


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

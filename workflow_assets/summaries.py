"""Summaries: findings in text: Markdown for a pull request and for Dagster's UI, plain lines for a terminal."""

from __future__ import annotations

import html
import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from workflow_assets.findings import Findings, accepted
from workflow_assets.flags import Flag

MOST_FAILURES = 10
_MARKDOWN = re.compile(r"([\\|`*\[\]])")

Rows = tuple[list[str], list[list[str]]]


def summary_rows(findings: Findings) -> Rows:
    """Give the header and a row for each treatment: cells, failures, and mean ± standard deviation of each metric."""
    columns = (findings.cells[name]["values"] for name in ("treatment", "status"))
    cells = list(zip(*columns, strict=True))
    header = ["treatment", "change", "completed", "failed"]
    header += [quantity(findings, metric) for metric in findings.shown]
    rows = []
    for name, change in findings.treatments.items():
        failed = cells.count((name, "failed"))
        row = [name, change, str(sum(one == name for one, _ in cells) - failed), str(failed)]
        measured = (list(findings.values(metric)[name].values()) for metric in findings.shown)
        rows.append(row + [_spread(values) for values in measured])
    return header, rows


def quantity(findings: Findings, metric: str) -> str:
    """Name a metric, with its unit where one is declared."""
    unit = findings.units.get(metric)
    return f"{metric} ({unit})" if unit else metric


def _spread(values: list[float]) -> str:
    if not values:
        return "–"
    if len(values) < 2:
        return f"{values[0]:.4g}"
    import numpy as np

    scale = max(abs(value) for value in values) or 1.0  # squares of the largest numbers are none
    numbers = np.asarray(values) / scale
    return f"{numbers.mean() * scale:.4g} ± {numbers.std(ddof=1) * scale:.2g}"


def verdict_rows(findings: Findings) -> Rows:
    """Give the header and a row for each hypothesis: decision, effect with interval, p, n and how many flags."""
    header = ["hypothesis", "decision", "effect", "interval", "adjusted p", "n", "flags"]
    rows = []
    for name, one in findings.verdicts.items():
        effect, p = one["effect"], one["p_adjusted"]
        told = ["–", "–"]
        if effect is not None:
            told = [f"{effect['estimate']:+.4g}", f"[{effect['low']:+.4g}, {effect['high']:+.4g}]"]
        flags = f"⚠ {len(one['flags'])}" if one["flags"] else "none"
        decision = f"{MARKS[one['decision']]} {one['decision']}{gate_words(one)}"
        rows.append([name, decision, *told, "–" if p is None else f"{p:.3g}", n_words(one), flags])
    return header, rows


def timing_rows(findings: Findings) -> Rows:
    """Give the header and a row for each step: data, those computed now, seconds and memory of each datum once."""
    header = ["step", "data", "computed now", "total s", "median s", "max s", "peak MB"]
    rows = []
    for one in findings.steps:
        seconds = [f"{one[name]:.3g}" for name in ("total", "median", "max")]
        peak = "–" if one["peak_memory"] is None else f"{one['peak_memory'] / 2**20:.0f}"
        rows.append([one["step"], str(one["data"]), str(one["computed"]), *seconds, peak])
    return header, rows


def ranking_rows(ranking: Mapping[str, Any]) -> Rows:
    """Give the header and a row for each treatment, the best first: score, rank, and how sure that is."""
    header = ["treatment", ranking["by"], "rank", "truly", "mean rank of resamples", "first in"]
    rows = []
    for one in ranking["places"]:
        truly = f"{one['low']}" if one["low"] == one["high"] else f"{one['low']} to {one['high']}"
        told = [f"{one['score']:.4g}", f"{one['rank']:g}", truly, f"{one['mean_rank']:.2f}"]
        rows.append([one["treatment"], *told, f"{one['best']:.0%}"])
    return header, rows


def ranking_words(ranking: Mapping[str, Any]) -> list[str]:
    """Say of a ranking what its table does not: which treatments are not told apart, how, and what to know."""
    groups = [", ".join(group) for group in ranking["groups"] if len(group) > 1]
    return [
        *(f"Not told apart by mean ranks: {group}." for group in groups),
        *([f"Ranks they may truly have: {ranking['intervals']}."] if ranking["places"] else []),
        *(f"{name} is left out: {why}." for name, why in ranking["left_out"].items()),
        *([ranking["text"]] if ranking["text"] else []),
    ]


def part_words(part: Mapping[str, Any]) -> str:
    """Tell the verdict on one metric of a claim about several."""
    if part["p"] is None:
        return f"{part['decision']}: {part['reason']}"
    told = f"{part['decision']}, p = {part['p']:.3g} ({part['test']})"
    effect = part["effect"]
    if effect is None:
        return told
    interval = f"[{effect['low']:+.4g}, {effect['high']:+.4g}] at {effect['confidence']:.0%}"
    return f"{told}, {effect['estimate']:+.4g} {interval}"


def provenance_rows(findings: Findings) -> list[tuple[str, str]]:
    """Tell what the results follow from, and what they were judged with."""
    one, made = findings.experiment, findings.made
    git = made.get("git")
    state = " with uncommitted changes" if git and git.get("dirty") else ""
    return [
        ("experiment", f"{findings.name}, version {one['version']}"),
        ("seed", str(one["seed"])),
        ("replicates", f"{one['replicates']}{one['overlap']}"),
        ("git", f"{git['commit']}{state}" if git else "not known"),
        ("judged with", ", ".join(f"{name} {version}" for name, version in made["versions"].items())),
        ("judged at", str(made["time"])),
    ]


def markdown_summary(findings: Findings) -> str:
    """Tell findings in Markdown: a table of treatments, then each verdict in full."""
    lines = [*markdown_table(*summary_rows(findings)), "", legend(findings)]
    for name, one in findings.verdicts.items():
        lines += ["", f"**{escaped(name)}: {one['decision']}** – {escaped(one['claim'])}", ""]
        lines += [f"- {escaped(line.strip())}" for line in one["text"].split("\n")[1:]]
    if findings.failures:
        lines += ["", *_fenced(describe(findings))]
    return "\n".join(lines)


def markdown_report(findings: Findings) -> str:
    """Tell findings in the Markdown of a pull request: verdicts, a table, and the rest folded away."""
    failed = len(findings.failures)
    lines = [f"### {escaped(findings.name)}: {findings.count} cells, {failed} failed", ""]
    for name, one in findings.verdicts.items():
        decision = f"{MARKS[one['decision']]} **{escaped(name)}: {one['decision']}**{gate_words(one)}"
        lines.append(f"- {decision} – {escaped(_short(one))}")
        lines += [f"  - ⚠ {escaped(flag_words(flag))}" for flag in one["flags"]]
    lines += ["", *markdown_table(*summary_rows(findings)), "", legend(findings)]
    if findings.verdicts:
        told = (one["text"] for one in findings.verdicts.values())
        lines += _folded("How it was decided", _fenced("\n\n".join(told)))
    for one in findings.rankings:
        ranked = [*markdown_table(*ranking_rows(one)), ""] if one["places"] else []
        ranked += [f"- {escaped(line)}" for line in ranking_words(one)]
        lines += _folded(f"Ranking by {html.escape(one['metric'])}, {one['best']} is best", ranked)
    if findings.failures:
        lines += _folded(f"{failed} failed cells", _fenced(describe(findings)))
    if findings.steps:
        lines += _folded("Time", markdown_table(*timing_rows(findings)))
    given = [f"- {name}: {escaped(text)}" for name, text in provenance_rows(findings)]
    return "\n".join([*lines, *_folded("Provenance", given)])


MARKS = {"supported": "✔", "refuted": "✘", "inconclusive": "?", "undecidable": "∅"}


def gate_words(verdict: Mapping[str, Any]) -> str:
    """Say whether the gate of a verdict is passed, if it has one."""
    if not verdict["gate"]:
        return ""
    return ", gate passed" if accepted(verdict) else ", GATE NOT PASSED"


def _short(verdict: Mapping[str, Any]) -> str:
    effect = verdict["effect"]
    if effect is None:
        return f"{verdict['claim']}; {verdict['reason']}"
    adjusted = "" if verdict["p_adjusted"] is None else f", adjusted p = {verdict['p_adjusted']:.3g}"
    return (
        f"{verdict['claim']}: {effect['estimate']:+.4g} [{effect['low']:+.4g}, {effect['high']:+.4g}] at "
        f"{effect['confidence']:.0%}{adjusted}, {n_words(verdict)}"
    )


def flag_words(flag: Mapping[str, str]) -> str:
    """Tell a flag, and why somebody thinks that it does not matter."""
    return Flag(**flag).told()


def n_words(verdict: Mapping[str, Any]) -> str:
    """Tell how many values a verdict rests on."""
    first, second = verdict["n"]
    if not isinstance(verdict["treatment"], str):
        return f"{first} replicates of each" if first == second else f"{first} to {second} values of each"
    return f"{first} pairs" if verdict["paired"] else f"{first} and {second} values"


def markdown_timings(findings: Findings) -> str:
    """Tell in Markdown what each step took."""
    return "\n".join(markdown_table(*timing_rows(findings)))


def terminal_summary(findings: Findings, width: int | None = None) -> str:
    """Tell findings in plain lines that fit a terminal of a width, by default that of this one.

    A table that is too wide is told treatment by treatment.
    """
    width = max(40, shutil.get_terminal_size().columns if width is None else width)
    header, rows = summary_rows(findings)
    table = [header, *([cell[:36] for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    failed = len(findings.failures)
    lines = [*_wrapped(f"experiment {findings.name}: {findings.count} cells, {failed} failed", width), ""]
    if sum(widths) + 2 * len(widths) - 2 <= width:
        table.insert(1, ["-" * one for one in widths])
        for row in table:
            cells = (cell.ljust(one) for cell, one in zip(row, widths, strict=True))
            lines.append("  ".join(cells).rstrip())
    else:
        for row in rows:
            lines += _wrapped(row[0], width)
            for name, cell in zip(header[1:], row[1:], strict=True):
                lines += _wrapped(f"  {name}: {cell}", width)
    for one in findings.verdicts.values():
        lines += ["", *(part for line in one["text"].split("\n") for part in _wrapped(line, width))]
    if findings.failures:
        lines += ["", *(part for line in describe(findings).split("\n") for part in _wrapped(line, width))]
    return "\n".join(lines)


def describe(findings: Findings) -> str:
    """Name the cells that failed, ten at most, and why."""
    lines = [f"{len(findings.failures)} of {findings.count} cells failed:"]
    lines += [
        f"  {one['treatment']} × {one['replicate']}: step {one['step']!r}: {one['kind']}: {one['message']}"
        for one in findings.failures[:MOST_FAILURES]
    ]
    if len(findings.failures) > MOST_FAILURES:
        lines.append(f"  … and {len(findings.failures) - MOST_FAILURES} more")
    return "\n".join(lines)


def escaped(text: Any) -> str:
    """Give a text as Markdown shows it, whatever is in it, on one line."""
    one_line = " ".join(str(text).split())
    return _MARKDOWN.sub(r"\\\1", html.escape(one_line, quote=False)).replace("&gt;", ">")


def legend(findings: Findings) -> str:
    """Say what the numbers of the table of treatments are."""
    rest = len(findings.numeric) - len(findings.shown)
    more = f" {rest:,} more metrics are in the table of cells." if rest else ""
    return f"Metrics are mean ± standard deviation over {findings.experiment['replicates']} replicates.{more}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Give the lines of a table."""
    return [_row(header), _row(["---"] * len(header)), *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(escaped(cell) for cell in cells)} |"


def _fenced(text: str) -> list[str]:
    """Put a text between fences longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", text, fence]


def _folded(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"<details><summary>{title}</summary>", "", *lines, "", "</details>"]


def _wrapped(line: str, width: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    if len(line) <= width:
        return [line]
    return textwrap.wrap(line, width, subsequent_indent=indent + "    ", break_on_hyphens=False) or [line]

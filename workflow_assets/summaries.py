"""Summaries: findings in text: Markdown for a pull request and for Dagster's UI, plain lines for a terminal."""

from __future__ import annotations

import html
import re
import shutil
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from workflow_assets.findings import Findings, accepted
from workflow_assets.flags import Flag

MOST_FAILURES = 10
LEAST_P = 1e-300
_MARKDOWN = re.compile(r"([\\|`*\[\]])")

Rows = tuple[list[str], list[list[str]]]


def summary_rows(findings: Findings) -> Rows:
    """Give the header and a row for each treatment: cells, failures, and mean ± standard deviation of each metric."""
    columns = (findings.cells[name]["values"] for name in ("treatment", "status"))
    cells = Counter(zip(*columns, strict=True))
    header = ["treatment", "change", "completed", "failed"]
    header += [quantity(findings, metric) for metric in findings.shown]
    rows = []
    for name, change in findings.treatments.items():
        failed = cells[name, "failed"]
        completed = sum(count for (treatment, _), count in cells.items() if treatment == name) - failed
        row = [name, change, f"{completed:,}", f"{failed:,}"]
        measured = (list(findings.values(metric)[name].values()) for metric in findings.shown)
        rows.append(row + [_spread(values, completed) for values in measured])
    return header, rows


def quantity(findings: Findings, metric: str) -> str:
    """Name a metric, with its unit where one is declared."""
    unit = findings.units.get(metric)
    return f"{metric} ({unit})" if unit else metric


def _spread(values: list[float], completed: int) -> str:
    """Tell the mean ± standard deviation, and of how many where not every completed cell has a finite value."""
    if not values:
        return "–"
    n = "" if len(values) == completed else f" (n = {len(values):,})"
    if len(values) < 2:
        return f"{values[0]:.4g}{n}"
    import numpy as np

    scale = max(abs(value) for value in values) or 1.0  # squares of the largest numbers are none
    numbers = np.asarray(values) / scale
    return f"{numbers.mean() * scale:.4g} ± {numbers.std(ddof=1) * scale:.2g}{n}"


def effect_unit(findings: Findings, verdict: Mapping[str, Any]) -> str:
    """Say what an effect is counted in: the metric's unit, or the effect's name where it is none of its differences.

    It begins with a blank, and is empty for a metric without a unit.
    """
    name = str(verdict["effect"]["name"])
    if not name.endswith("_difference") and name not in ("hodges_lehmann", "share_excess"):
        return f" ({name.replace('_', ' ')})"
    unit = findings.units.get(verdict["metric"])
    return f" {unit}" if unit else ""


def p_words(p: float) -> str:
    """Tell a p value; of the smallest, only that they are beyond what numbers can tell apart."""
    return f"{p:.3g}" if p >= LEAST_P else f"< {LEAST_P:g}"


def metric_words(verdict: Mapping[str, Any]) -> str:
    """Name the metric that a verdict is about, or all of them."""
    metric = verdict["metric"]
    return metric if isinstance(metric, str) else ", ".join(metric)


def verdict_rows(findings: Findings) -> Rows:
    """Give the header and a row for each hypothesis: decision, effect with interval, p, n and how many flags."""
    header = ["hypothesis", "decision", "effect", "interval", "adjusted p", "n", "flags", "metric"]
    rows = []
    for name, one in findings.verdicts.items():
        effect, p = one["effect"], one["p_adjusted"]
        told = ["–", "–"]
        if effect is not None:
            interval = f"[{effect['low']:+.4g}, {effect['high']:+.4g}] at {effect['confidence']:.0%}"
            told = [f"{effect['estimate']:+.4g}{effect_unit(findings, one)}", interval]
        flags = f"⚠ {len(one['flags'])}" if one["flags"] else "none"
        decision = f"{MARKS[one['decision']]} {one['decision']}{gate_words(one)}"
        adjusted = "–" if p is None else p_words(p)
        rows.append([name, decision, *told, adjusted, n_words(one), flags, metric_words(one)])
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
    header = [
        "treatment",
        ranking["by"],
        "rank",
        "may truly be",
        "mean rank in resamples",
        "first in resamples",
    ]
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


def trade_off_rows(findings: Findings, trade_off: Mapping[str, Any]) -> Rows:
    """Give the header and a row for each treatment: its means, whether none is better in all, and how sure that is."""
    directions = trade_off["directions"]
    named = [f"{quantity(findings, metric)}, {BETTER[best]}" for metric, best in directions.items()]
    header = ["treatment", *named, "n", "worth having", "so in resamples", "dominated by"]
    rows = []
    for one in trade_off["places"]:
        means = [f"{one['means'][metric]:.4g}" for metric in directions]
        sure = "–" if one["on_front"] is None else f"{one['on_front']:.0%}"
        rows.append(
            [
                one["treatment"],
                *means,
                f"{one['n']:,}",
                "✔ yes" if one["front"] else "no",
                sure,
                one["dominated_by"] or "–",
            ]
        )
    return header, rows


def look_rows(findings: Findings) -> Rows:
    """Give the header and a row for each look at a hypothesis while replicates were added."""
    header = ["hypothesis", "look", "replicates", "n", "decision", "effect", "interval", "p"]
    rows = []
    for one in findings.looks:
        told = ["–", "–"]
        if one["estimate"] is not None:
            told = [f"{one['estimate']:+.4g}", f"[{one['low']:+.4g}, {one['high']:+.4g}]"]
        counts = [f"{one[name]:,}" for name in ("look", "replicates", "n")]
        decision = f"{MARKS[one['decision']]} {one['decision']}"
        rows.append(
            [one["hypothesis"], *counts, decision, *told, "–" if one["p"] is None else p_words(one["p"])]
        )
    return header, rows


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
    lines = [f"### {escaped(findings.name)}: {findings.count:,} cells, {failed:,} failed", ""]
    for name, one in findings.verdicts.items():
        decision = f"{MARKS[one['decision']]} **{escaped(name)}: {one['decision']}**{standing(one)}"
        lines.append(f"- {decision} – {escaped(_short(findings, one))}")
        lines += [f"  - ⚠ {escaped(flag_words(flag))}" for flag in one["flags"]]
    lines += ["", *markdown_table(*summary_rows(findings)), "", legend(findings)]
    if findings.verdicts:
        told = (one["text"] for one in findings.verdicts.values())
        lines += _folded("How it was decided", _fenced("\n\n".join(told)))
    for one in findings.rankings:
        ranked = [*markdown_table(*ranking_rows(one)), ""] if one["places"] else []
        ranked += [f"- {escaped(line)}" for line in ranking_words(one)]
        lines += _folded(f"Ranking by {html.escape(one['metric'])}, {BETTER[one['best']]}", ranked)
    for one in findings.trade_offs:
        traded = [*markdown_table(*trade_off_rows(findings, one)), "", f"- {TRADE_OFF}"]
        lines += _folded("Trade-off", [*traded, *(f"- {escaped(note)}" for note in one["notes"])])
    if findings.looks:
        lines += _folded("Looks", markdown_table(*look_rows(findings)))
    if findings.failures:
        lines += _folded(f"{failed:,} failed cells", _fenced(describe(findings)))
    if findings.steps:
        lines += _folded("Time", markdown_table(*timing_rows(findings)))
    given = [f"- {name}: {escaped(text)}" for name, text in provenance_rows(findings)]
    return "\n".join([*lines, *_folded("Provenance", given)])


MARKS = {"supported": "✔", "refuted": "✘", "inconclusive": "?", "undecidable": "∅"}
BETTER = {"max": "higher is better", "min": "lower is better"}
TRADE_OFF = (
    "Worth having: no other treatment is at least as good in the mean of every metric and better in one. What is "
    "better is taken from the one-sided hypotheses on each metric."
)


def gate_words(verdict: Mapping[str, Any]) -> str:
    """Say whether the gate of a verdict is passed, if it has one."""
    if not verdict["gate"]:
        return ""
    return ", gate passed" if accepted(verdict) else ", GATE NOT PASSED"


def standing(verdict: Mapping[str, Any]) -> str:
    """Say whether a verdict answers a preregistration, and whether its gate is passed."""
    return gate_words(verdict) + (", preregistered" if verdict["preregistration"] else "")


def _short(findings: Findings, verdict: Mapping[str, Any]) -> str:
    effect = verdict["effect"]
    if effect is None:
        return f"{verdict['claim']}; {verdict['reason']}"
    adjusted = "" if verdict["p_adjusted"] is None else f", adjusted p = {p_words(verdict['p_adjusted'])}"
    return (
        f"{verdict['claim']}: {effect['estimate']:+.4g}{effect_unit(findings, verdict)} "
        f"[{effect['low']:+.4g}, {effect['high']:+.4g}] at {effect['confidence']:.0%}{adjusted}, {n_words(verdict)}"
    )


def flag_words(flag: Mapping[str, str]) -> str:
    """Tell a flag, and why somebody thinks that it does not matter."""
    return Flag(**flag).told()


def n_words(verdict: Mapping[str, Any]) -> str:
    """Tell how many values a verdict rests on."""
    first, second = verdict["n"]
    if not isinstance(verdict["treatment"], str):
        return (
            f"{first:,} replicates of each" if first == second else f"{first:,} to {second:,} values of each"
        )
    if not isinstance(verdict["against"], str):
        return f"{first:,} values"
    return f"{first:,} pairs" if verdict["paired"] else f"{first:,} and {second:,} values"


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
    lines = [*_wrapped(f"experiment {findings.name}: {findings.count:,} cells, {failed:,} failed", width), ""]
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
    """Name the cells that failed, those that failed alike in one line and ten lines at most, and why."""
    groups = failure_groups(findings)
    lines = [f"{len(findings.failures):,} of {findings.count:,} cells failed:"]
    lines += [f"  {failure_words(group)}" for group in groups[:MOST_FAILURES]]
    if rest := sum(len(group) for group in groups[MOST_FAILURES:]):
        lines.append(f"  … and {rest:,} more")
    return "\n".join(lines)


def failure_groups(findings: Findings) -> list[list[Mapping[str, Any]]]:
    """Put those failed cells of a treatment together that failed in the same step with the same error."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for one in findings.failures:
        alike = tuple(one[name] for name in ("treatment", "step", "kind", "message"))
        groups.setdefault(alike, []).append(one)
    return list(groups.values())


def failure_words(group: Sequence[Mapping[str, Any]]) -> str:
    """Name the replicates that failed alike, three at most, and why."""
    one = group[0]
    named = ", ".join(str(other["replicate"]) for other in group[:3])
    rest = f" and {len(group) - 3:,} more" if len(group) > 3 else ""
    return f"{one['treatment']} × {named}{rest}: step {one['step']!r}: {one['kind']}: {one['message']}"


def escaped(text: Any) -> str:
    """Give a text as Markdown shows it, whatever is in it, on one line."""
    one_line = " ".join(str(text).split())
    return _MARKDOWN.sub(r"\\\1", html.escape(one_line, quote=False)).replace("&gt;", ">")


def legend(findings: Findings) -> str:
    """Say what the numbers of the table of treatments are."""
    rest = len(findings.numeric) - len(findings.shown)
    more = f" {rest:,} more metrics are in the table of cells." if rest else ""
    return f"Metrics are mean ± standard deviation over completed replicates, or n of them where some lack it.{more}"


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

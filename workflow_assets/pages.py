"""Pages: findings as one HTML file, which needs no network, no script and no second file."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workflow_assets.findings import Findings
from workflow_assets.plots.base import Plot
from workflow_assets.plots.galleries import gallery
from workflow_assets.summaries import (
    MARKS,
    flag_words,
    gate_words,
    legend,
    n_words,
    part_words,
    provenance_rows,
    quantity,
    ranking_rows,
    ranking_words,
    summary_rows,
    timing_rows,
    verdict_rows,
)

MOST_FAILURES = 100

_STYLE = """
:root { color-scheme: light dark; --line: #8888; --soft: #8881; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .4rem 0; overflow-wrap: anywhere; } .faint { opacity: .75; font-size: .9em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9em; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  white-space: nowrap; }
th { font-weight: 600; }
td:nth-child(-n+2), th:nth-child(-n+2) { white-space: normal; overflow-wrap: anywhere; min-width: 9rem; }
.verdict { border: 1px solid var(--line); border-left-width: 6px; border-radius: 6px; padding: .8rem 1rem;
  margin: .8rem 0; break-inside: avoid; }
.supported { border-left-style: solid; } .refuted { border-left-style: double; }
.inconclusive { border-left-style: dashed; } .undecidable { border-left-style: dotted; }
.badge { font-weight: 700; border: 1.5px solid; border-radius: 1rem; padding: 0 .6rem; white-space: nowrap; }
.number { font-size: 1.15em; }
.flags { border: 2px solid; border-radius: 6px; padding: .3rem .8rem; margin: .6rem 0; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .5rem 0 0; font-size: .9em; }
dt { opacity: .75; } dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 1rem 0; break-inside: avoid; }
figure img { max-width: 100%; background: #fff; border-radius: 6px; display: block; }
figcaption { font-size: .9em; opacity: .8; margin-bottom: .3rem; overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .7rem; border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: .85em; margin: .4rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
@media print { body { max-width: none; padding: 0; font-size: 11px; } .wide { overflow: visible; }
  details > *:not(summary) { display: block; } }
"""

CAPTIONS = {
    "estimation": "Values and differences",
    "pairs": "Each replicate under both arms",
    "ranks": "Ranks within replicates",
    "precision": "How precise, and what more replicates would give",
    "variation": "Variation between replicates",
    "time": "Time",
}


def experiment_page(findings: Findings) -> str:
    """Tell one experiment: verdicts first, then the treatments, plots, failures, times and provenance."""
    failed = len(findings.failures)
    parts = [
        f"<h1>{safe(findings.name)}</h1>",
        *(
            [f"<p>{safe(findings.experiment['description'])}</p>"]
            if findings.experiment["description"]
            else []
        ),
        f"<p><b>{findings.count:,} cells</b>: {len(findings.treatments)} treatments × "
        f"{findings.experiment['replicates']:,} replicates; "
        + (f"<b>⚠ {failed:,} failed</b></p>" if failed else "none failed</p>"),
        "<h2>Verdicts</h2>",
        *([table(*verdict_rows(findings))] if len(findings.verdicts) > 1 else []),
        *(_verdict(name, one) for name, one in findings.verdicts.items()),
        *([] if findings.verdicts else ["<p>No hypothesis was declared: nothing was judged.</p>"]),
        "<h2>Treatments</h2>",
        table(*summary_rows(findings)),
        f'<p class="faint">{safe(legend(findings))}</p>',
        *_rankings(findings),
        "<h2>Plots</h2>",
        *(_figure(name, plot) for name, plot in gallery(findings, "svg")),
        *_failures(findings),
        "<h2>Steps</h2>",
        table(*timing_rows(findings)),
        "<h2>Provenance</h2>",
        definitions(provenance_rows(findings)),
    ]
    return page(findings.name, parts)


def page(title: str, parts: Iterable[str]) -> str:
    """Put parts together to a whole page."""
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{safe(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def safe(text: Any) -> str:
    """Give a text as HTML shows it: no tag, no letter that a file cannot hold.

    >>> safe("<b>&")
    '&lt;b&gt;&amp;'
    """
    kept = re.sub(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]", "\ufffd", str(text))
    return html.escape(kept)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table, every cell of it shown as text."""
    head = "".join(f"<th>{safe(cell)}</th>" for cell in header)
    body = "\n".join("<tr>" + "".join(f"<td>{safe(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Give names and what they stand for."""
    return "<dl>" + "\n".join(f"<dt>{safe(name)}</dt><dd>{safe(text)}</dd>" for name, text in pairs) + "</dl>"


def badge(decision: str) -> str:
    """Give a decision in a word and a mark, never by colour."""
    return f'<span class="badge">{MARKS.get(decision, "")} {safe(decision)}</span>'


def _verdict(name: str, one: Mapping[str, Any]) -> str:
    parts = [f"<h3>{badge(one['decision'])} {safe(name)}{safe(gate_words(one))}</h3>"]
    parts += [f"<p>{safe(text)}</p>" for text in (one["description"], f"Claim: {one['claim']}.") if text]
    effect = one["effect"]
    if effect is not None:
        parts.append(
            f'<p class="number"><b>{effect["estimate"]:+.4g}</b> [{effect["low"]:+.4g}, {effect["high"]:+.4g}] '
            f"at {effect['confidence']:.0%} – {safe(one['estimand'])}</p>"
        )
    if one["flags"]:
        items = "".join(f"<li>⚠ {safe(flag_words(flag))}</li>" for flag in one["flags"])
        parts.append(f'<ul class="flags" style="list-style:none">{items}</ul>')
    return f'<section class="verdict {safe(one["decision"])}">{"".join(parts)}{definitions(_details(one))}</section>'


def _details(one: Mapping[str, Any]) -> list[tuple[str, str]]:
    told = [("why", one["reason"]), ("n", n_words(one))]
    if one["test"]:
        exact = ", exact" if one["exact"] else ""
        told.insert(0, ("test", f"{one['test']}{exact}"))
    if one["p"] is not None:
        adjusted = "" if one["p_adjusted"] is None else f", adjusted {one['p_adjusted']:.3g}"
        told.append(("p", f"{one['p']:.3g}{adjusted}; alpha {one['alpha']:g}, margin {one['margin']:g}"))
    told += [
        (
            other["name"].replace("_", " "),
            f"{other['estimate']:.3g} [{other['low']:.3g}, {other['high']:.3g}]: {other['estimand']}",
        )
        for other in one["effects"]
        if other != one["effect"]
    ]
    told += [
        (size["name"].replace("_", " "), f"{size['value']:.3g}: {size['meaning']}") for size in one["sizes"]
    ]
    for pair in one["pairs"]:
        interval = f"[{pair['low']:+.4g}, {pair['high']:+.4g}]"
        words = f"{pair['estimate']:+.4g} {interval}, p = {pair['p']:.3g} ({pair['procedure']})"
        told.append((f"{pair['x']} − {pair['y']}", words))
    told += [(part["metric"], part_words(part)) for part in one.get("parts", ())]
    if one["note"]:
        told.append(("note", one["note"]))
    return told


def _figure(name: str, plot: Plot | str) -> str:
    caption = safe(CAPTIONS.get(name, name))
    if isinstance(plot, str):
        return f"<p><b>{caption}</b>: {safe(plot)}</p>"
    return (
        f"<figure><figcaption><b>{caption}</b>. {safe(plot.title)}</figcaption>"
        f'<img src="{plot.uri()}" alt="{safe(plot.title)}"></figure>'
    )


def _rankings(findings: Findings) -> list[str]:
    parts = ["<h2>Which treatment is best</h2>"] if findings.rankings else []
    for one in findings.rankings:
        parts.append(f"<h3>{safe(quantity(findings, one['metric']))}: {safe(one['best'])} is best</h3>")
        parts += [table(*ranking_rows(one))] if one["places"] else []
        parts += [f'<p class="faint">{safe(line)}</p>' for line in ranking_words(one)]
    return parts


def _failures(findings: Findings) -> list[str]:
    if not findings.failures:
        return []
    shown = findings.failures[:MOST_FAILURES]
    parts = [f"<h2>⚠ {len(findings.failures):,} of {findings.count:,} cells failed</h2>"]
    for one in shown:
        cell = f"{one['treatment']} × {one['replicate']}, step {one['step']}: {one['kind']}: {one['message']}"
        trace = f"<pre>{safe(one['traceback'])}</pre>" if one["traceback"] else ""
        parts.append(f"<details><summary>{safe(cell)}</summary>{trace}</details>")
    if len(findings.failures) > len(shown):
        parts.append(f"<p>… and {len(findings.failures) - len(shown):,} more.</p>")
    return parts

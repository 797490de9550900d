"""Pages: findings as one HTML file, which needs no network, no script and no second file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workflow_assets.findings import Findings
from workflow_assets.markups import safe, shown
from workflow_assets.plots.base import Plot
from workflow_assets.plots.galleries import gallery
from workflow_assets.summaries import (
    BETTER,
    MARKS,
    TRADE_OFF,
    Rows,
    effect_unit,
    failure_groups,
    failure_words,
    flag_words,
    legend,
    look_rows,
    n_words,
    p_words,
    provenance_rows,
    quantity,
    ranking_rows,
    ranking_words,
    standing,
    summary_rows,
    timing_rows,
    trade_off_rows,
    verdict_rows,
)

MOST_FAILURES = 100
MOST_OPEN = 6
"""Of more verdicts than these, how they were decided is folded away."""

_STYLE = """
:root { color-scheme: light dark; --line: #8888; --soft: #8881; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 0 auto; padding: 1.5rem;
  overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; } .verdict h3 { margin: 0; }
p { margin: .4rem 0; } .faint { opacity: .75; font-size: .9em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9em; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; vertical-align: bottom; } tr { break-inside: avoid; }
td { white-space: nowrap; } th, td { overflow-wrap: break-word; }
.long { white-space: normal; min-width: 11rem; max-width: 26rem; } td.long:last-child { min-width: 22rem; }
.verdict { border: 1px solid var(--line); border-left-width: 6px; border-radius: 6px; padding: .8rem 1rem;
  margin: .8rem 0; break-inside: avoid; }
.supported { border-left: 6px solid #0072b2; } .refuted { border-left: 6px double #d55e00; }
.inconclusive { border-left: 6px dashed; } .undecidable { border-left: 6px dotted; }
.badge { font-weight: 700; border: 1.5px solid; border-radius: 1rem; padding: 0 .6rem; white-space: nowrap; }
.number { font-size: 1.15em; }
.flags { border: 2px solid; border-radius: 6px; padding: .3rem .8rem; margin: .6rem 0; font-weight: 600; }
dl { display: grid; grid-template-columns: fit-content(35%) minmax(0, 1fr); gap: .1rem 1rem; margin: .5rem 0;
  font-size: .9em; }
dt { opacity: .75; } dd { margin: 0; }
figure { margin: 1.4rem 0; break-inside: avoid; }
figure img { max-width: 100%; background: #fff; border-radius: 6px; display: block; }
figcaption { font-size: .9em; opacity: .8; margin-bottom: .3rem; }
pre { background: var(--soft); padding: .7rem; border-radius: 6px; white-space: pre-wrap; font-size: .85em;
  margin: .4rem 0; }
summary { cursor: pointer; }
@media screen and (max-width: 44rem) { body { padding: 1rem; } figure img { max-width: none; width: 44rem; } }
@media screen and (prefers-color-scheme: dark) { figure img { filter: invert(.93) hue-rotate(180deg); } }
@page { margin: 1.5cm; }
@media print { body { max-width: none; padding: 0; font-size: 11px; } .wide { overflow: visible; }
  h2, h3, summary { break-after: avoid; } td { white-space: normal; } figure img { max-height: 22cm; }
  .verdict details::details-content { content-visibility: visible; display: block; } }
"""

CAPTIONS = {
    "estimation": "Values and differences",
    "pairs": "Pairs",
    "ranks": "Ranks",
    "precision": "Precision",
    "variation": "Variation",
    "time": "Time",
}


def experiment_page(findings: Findings) -> str:
    """Tell one experiment: verdicts first, then the treatments, plots, failures, times and provenance."""
    failed, opened = len(findings.failures), len(findings.verdicts) <= MOST_OPEN
    parts = [
        f"<h1>{shown(findings.name)}</h1>",
        *(
            [f"<p>{shown(findings.experiment['description'])}</p>"]
            if findings.experiment["description"]
            else []
        ),
        f"<p><b>{findings.count:,} cells</b>: {len(findings.treatments)} treatments × "
        f"{findings.experiment['replicates']:,} replicates; "
        + (f"<b>⚠ {failed:,} failed</b></p>" if failed else "none failed</p>"),
        "<h2>Verdicts</h2>",
        *([table(*verdict_rows(findings))] if len(findings.verdicts) > 1 else []),
        *(_verdict(findings, name, one, opened) for name, one in findings.verdicts.items()),
        *([] if findings.verdicts else ["<p>No hypothesis was declared: nothing was judged.</p>"]),
        *(["<h2>Looks</h2>", table(*look_rows(findings))] if findings.looks else []),
        "<h2>Treatments</h2>",
        table(*summary_rows(findings)),
        f'<p class="faint">{safe(legend(findings))}</p>',
        *_rankings(findings),
        *_trade_offs(findings),
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


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table, every cell of it shown as text; the texts of long cells may be broken."""
    head = "".join(_cell(cell, 'th scope="col"') for cell in header)
    body = "\n".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _cell(text: str, tag: str = "td") -> str:
    long = ' class="long"' if len(text) > _LONG else ""
    return f"<{tag}{long}>{shown(text)}</{tag[:2]}>"


_LONG = 34


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Give names and what they stand for."""
    return (
        "<dl>" + "\n".join(f"<dt>{shown(name)}</dt><dd>{shown(text)}</dd>" for name, text in pairs) + "</dl>"
    )


def badge(decision: str) -> str:
    """Give a decision in a word and a mark, never by colour."""
    return f'<span class="badge">{MARKS.get(decision, "")} {safe(decision)}</span>'


def _verdict(findings: Findings, name: str, one: Mapping[str, Any], opened: bool) -> str:
    parts = [f"<h3>{badge(one['decision'])} {shown(name)}{safe(standing(one))}</h3>"]
    parts += [f"<p>{shown(text)}</p>" for text in (one["description"], f"Claim: {one['claim']}.") if text]
    effect = one["effect"]
    if effect is not None:
        parts.append(
            f'<p class="number"><b>{effect["estimate"]:+.4g}{safe(effect_unit(findings, one))}</b> '
            f"[{effect['low']:+.4g}, {effect['high']:+.4g}] "
            f"at {effect['confidence']:.0%} – {shown(one['estimand'])}</p>"
        )
    if one["flags"]:
        items = "".join(f"<li>⚠ {shown(flag_words(flag))}</li>" for flag in one["flags"])
        parts.append(f'<ul class="flags" style="list-style:none">{items}</ul>')
    how = definitions(_details(one)) + (table(*_pair_rows(one)) if one["pairs"] else "")
    how += table(*_part_rows(findings, one)) if one.get("parts") else ""
    parts.append(
        f"<details{' open' if opened else ''}><summary>How it was decided, from {safe(n_words(one))}</summary>"
        f"{how}</details>"
    )
    return f'<section class="verdict {safe(one["decision"])}">{"".join(parts)}</section>'


def _details(one: Mapping[str, Any]) -> list[tuple[str, str]]:
    told = [("why", one["reason"]), ("n", n_words(one))]
    if one["preregistration"]:
        told.append(("preregistered as", one["preregistration"]))
    if one["test"]:
        exact = ", exact" if one["exact"] else ""
        told.insert(0, ("test", f"{one['test']}{exact}"))
    if one["p"] is not None:
        adjusted = "" if one["p_adjusted"] is None else f", adjusted {p_words(one['p_adjusted'])}"
        told.append(("p", f"{p_words(one['p'])}{adjusted}; alpha {one['alpha']:g}, margin {one['margin']:g}"))
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
    if one["note"]:
        told.append(("note", one["note"]))
    return told


def _pair_rows(one: Mapping[str, Any]) -> Rows:
    """Give the header and a row for each pair of several treatments that were compared."""
    rows = [
        [
            f"{pair['x']} − {pair['y']}",
            f"{pair['estimate']:+.4g}",
            f"[{pair['low']:+.4g}, {pair['high']:+.4g}]",
            p_words(pair["p"]),
            pair["procedure"],
        ]
        for pair in one["pairs"]
    ]
    return ["pair", "difference", "interval", "p", "compared by"], rows


def _part_rows(findings: Findings, one: Mapping[str, Any]) -> Rows:
    """Give the header and a row for each metric of a claim about several."""
    rows = []
    for part in one["parts"]:
        effect, p = part["effect"], part["p"]
        told = ["–", "–"]
        if effect is not None:
            interval = f"[{effect['low']:+.4g}, {effect['high']:+.4g}] at {effect['confidence']:.0%}"
            told = [f"{effect['estimate']:+.4g}{effect_unit(findings, part)}", interval]
        decision = f"{MARKS[part['decision']]} {part['decision']}"
        test = part["test"] or part["reason"]
        rows.append([part["metric"], decision, *told, "–" if p is None else p_words(p), test])
    return ["metric", "decision", "effect", "interval", "p", "tested by"], rows


def _figure(name: str, plot: Plot | str) -> str:
    caption = safe(CAPTIONS.get(name, name))
    if isinstance(plot, str):
        return f"<p><b>{caption}</b>: {shown(plot)}</p>"
    return (
        f"<figure><figcaption><b>{caption}</b>. {shown(plot.title)}</figcaption>"
        f'<div class="wide"><img src="{plot.uri()}" alt="{safe(plot.title)}"></div></figure>'
    )


def _rankings(findings: Findings) -> list[str]:
    parts = ["<h2>Which treatment is best</h2>"] if findings.rankings else []
    for one in findings.rankings:
        parts.append(f"<h3>{shown(quantity(findings, one['metric']))}: {BETTER[one['best']]}</h3>")
        parts += [table(*ranking_rows(one))] if one["places"] else []
        parts += [f'<p class="faint">{shown(line)}</p>' for line in ranking_words(one)]
    return parts


def _trade_offs(findings: Findings) -> list[str]:
    parts = ["<h2>Which treatments are worth having</h2>"] if findings.trade_offs else []
    for one in findings.trade_offs:
        parts += [table(*trade_off_rows(findings, one))] if one["places"] else []
        parts += [f'<p class="faint">{shown(line)}</p>' for line in (TRADE_OFF, *one["notes"])]
    return parts


def _failures(findings: Findings) -> list[str]:
    if not findings.failures:
        return []
    groups = failure_groups(findings)
    parts = [f"<h2>⚠ {len(findings.failures):,} of {findings.count:,} cells failed</h2>"]
    for group in groups[:MOST_FAILURES]:
        trace = f"<pre>{safe(group[0]['traceback'])}</pre>" if group[0]["traceback"] else ""
        parts.append(f"<details><summary>{shown(failure_words(group))}</summary>{trace}</details>")
    if rest := sum(len(group) for group in groups[MOST_FAILURES:]):
        parts.append(f"<p>… and {rest:,} more.</p>")
    return parts

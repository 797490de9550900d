"""Markup: HTML that shows any text as text, in notebooks and in files, on light and on dark ground."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

STYLE = """
.wa-view { font: 13px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; max-width: 100%; }
.wa-view table { border-collapse: collapse; font-size: 1em; font-variant-numeric: tabular-nums; margin: .4em 0;
  background: transparent; color: inherit; }
.wa-view th, .wa-view td { text-align: left; padding: .2em .9em .2em 0; border: 0; vertical-align: top;
  border-bottom: 1px solid #8886; background: transparent; color: inherit; max-width: 24em; min-width: 1.5em; }
.wa-view th { font-weight: 600; white-space: nowrap; } .wa-view .wide { overflow-x: auto; }
.wa-view td { overflow-wrap: break-word; }
.wa-view .faint { opacity: .72; } .wa-view .type { opacity: .72; font-family: ui-monospace, monospace; }
.wa-view code, .wa-view pre { font: 12px/1.4 ui-monospace, Menlo, Consolas, monospace; background: transparent;
  color: inherit; }
.wa-view pre { background: #8881; padding: .6em .8em; border-radius: 6px; overflow-x: auto; margin: .4em 0; }
.wa-view .box { border: 1px solid #8886; border-radius: 6px; padding: .5em .9em; display: inline-block;
  max-width: 100%; box-sizing: border-box; }
.wa-view .title { font-weight: 700; } .wa-view summary { cursor: pointer; }
.wa-view .state { font-weight: 600; white-space: nowrap; border-left: 4px solid #8888; padding-left: .4em; }
.wa-view .completed { border-color: #0072b2; } .wa-view .failed { border-color: #d55e00; border-left-style: double; }
.wa-view .running { border-color: #e69f00; border-left-style: dashed; }
.wa-view .skipped { border-left-style: dotted; } .wa-view .pending { opacity: .72; }
"""


def safe(text: Any) -> str:
    """Give a text as HTML shows it: no tag, no letter that a file cannot hold.

    >>> safe("<b>&")
    '&lt;b&gt;&amp;'
    """
    kept = re.sub(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]", "\ufffd", str(text))
    return html.escape(kept)


def shown(text: Any) -> str:
    """Give a text as HTML shows it, in which long names may be broken where their parts meet.

    >>> shown("a_name_of_many_many_parts")
    'a_<wbr>name_<wbr>of_<wbr>many_<wbr>many_<wbr>parts'
    """
    return re.sub(
        r"[^\s<>]{20,}", lambda found: re.sub(r"(?<=[_./])(?=[^\W_])", "<wbr>", found[0]), safe(text)
    )


def view(parts: Iterable[str]) -> str:
    """Put parts together to what a notebook shows: with its style, without a script, from nowhere else."""
    return f'<div class="wa-view"><style>{STYLE}</style>\n' + "\n".join(parts) + "\n</div>"


def tag(name: str, content: str, kind: str = "") -> str:
    """Put an element around markup."""
    return f'<{name} class="{safe(kind)}">{content}</{name}>' if kind else f"<{name}>{content}</{name}>"


def rows_of(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table of markup; its header is text."""
    head = "".join(f'<th scope="col">{shown(cell)}</th>' for cell in header)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    top = f"<thead><tr>{head}</tr></thead>" if any(header) else ""
    return f'<div class="wide"><table>{top}<tbody>\n{body}\n</tbody></table></div>'

"""Layouts: plain text that fits into a terminal, whatever is told in it."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence

NARROWEST = 40
"""Columns that every text takes, however narrow the terminal says it is."""

_GAP = "  "
_LEAST = 12
"""Letters of a word that is not broken, however narrow the table."""
_MOST_LINES = 4

_ASCII = str.maketrans("─│╭╮╰╯├┤┬▶→←…×✓✗–·▸", "-|+++++++>><~xvx-.>")


def terminal_width() -> int:
    """Give how many columns the terminal has; 100 where there is none."""
    return max(shutil.get_terminal_size((100, 24)).columns, NARROWEST)


def for_terminal(text: str, encoding: str | None = None) -> str:
    """Give a text as the terminal can show it: with ASCII's own marks where it knows no others.

    >>> for_terminal("a ──▶ b …", "ascii")
    'a --> b ~'
    """
    encoding = encoding or getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return text
    return text


def one_line(text: object) -> str:
    r"""Give a text in one line, in which nothing moves the cursor or changes the direction of writing.

    >>> one_line("a\n  b\x1b[31m")
    'a b\\x1b[31m'
    """
    words = " ".join(str(text).split())
    return words if words.isprintable() else "".join(map(_visible, words))


def visible(text: object) -> str:
    r"""Give a text of several lines, in which nothing but their ends moves the cursor."""
    return "\n".join(
        "".join(map(_visible, line.expandtabs(4))) for line in str(text).replace("\r\n", "\n").split("\n")
    )


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()


def breadth(text: str) -> int:
    """Give how many columns a text takes: some characters take two, marks on others none.

    >>> breadth("abc"), breadth("日本")
    (3, 4)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


def clipped(text: str, columns: int) -> str:
    """Cut a text that takes more columns.

    >>> clipped("abcdef", 4)
    'abc…'
    """
    if breadth(text) <= columns:
        return text
    return f"{_start(text, columns - 1)}…"


def _start(text: str, columns: int) -> str:
    if text.isascii():
        return text[:columns]
    taken = 0
    for place, one in enumerate(text):
        taken += breadth(one)
        if taken > columns:
            return text[:place]
    return text


def padded(text: str, columns: int) -> str:
    """Fill a text up with spaces."""
    return text + " " * (columns - breadth(text))


def wrapped(text: str, columns: int, lines: int = _MOST_LINES) -> list[str]:
    """Break one line into several, after spaces, commas and underscores where possible; clip what is more.

    >>> wrapped("one two three", 8)
    ['one two', 'three']
    """
    made: list[str] = []
    rest = text
    while breadth(rest) > columns and len(made) < lines - 1:
        start = _start(rest, columns)
        if rest[len(start)] == " ":
            cut = len(start)
        else:
            cut = max(start.rfind(mark) for mark in " ,_/") + 1
            cut = cut if cut > columns // 3 else max(len(start), 1)
        made.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*made, clipped(rest, columns)]


def table(header: Sequence[str], rows: Iterable[Sequence[object]], width: int, indent: str = "") -> list[str]:
    """Give the lines of a table that is at most so wide: wide columns are wrapped, the others kept as they are."""
    told = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(breadth, column), default=0) for column in zip(header, *told, strict=True)]
    room = width - breadth(indent) - len(_GAP) * (len(widths) - 1)
    widths = fitted(widths, room, _least(header, told))
    lines = [_row([list(wrapped(cell, wide)) for cell, wide in zip(header, widths, strict=True)], widths)]
    lines.append(["─" * (sum(widths) + len(_GAP) * (len(widths) - 1))])
    lines += [
        _row([wrapped(cell, wide) for cell, wide in zip(row, widths, strict=True)], widths) for row in told
    ]
    return [clipped(f"{indent}{line}".rstrip(), width) for block in lines for line in block]


def narrowest(header: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Tell how wide a table is at least, whose wide columns are wrapped."""
    return sum(_least(header, rows)) + len(_GAP) * (len(header) - 1)


def _least(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[int]:
    return [
        min(max((breadth(word) for cell in column for word in cell.split()), default=1), _LEAST)
        for column in zip(header, *rows, strict=True)
    ]


def _row(cells: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    height = max(map(len, cells), default=0)
    return [
        _GAP.join(
            padded(cell[at] if at < len(cell) else "", wide) for cell, wide in zip(cells, widths, strict=True)
        )
        for at in range(height)
    ]


def fitted(widths: Sequence[int], room: int, least: Sequence[int]) -> list[int]:
    """Take from the widest columns until all fit, or are as narrow as may be.

    >>> fitted([4, 30, 20], 40, [4, 4, 4])
    [4, 18, 18]
    """
    made = list(widths)
    while (surplus := sum(made) - room) > 0:
        open_ = [at for at, wide in enumerate(made) if wide > least[at]]
        if not open_:
            break
        widest = max(made[at] for at in open_)
        those = [at for at in open_ if made[at] == widest]
        second = max((made[at] for at in open_ if made[at] < widest), default=0)
        target = max(second, widest - max(surplus // len(those), 1))
        for at in those:
            made[at] = max(target, least[at])
    return made


def boxed(title: str, parts: Iterable[Sequence[str]], width: int) -> list[str]:
    """Draw a box around lines, with a rule between its parts."""
    blocks = [[clipped(line, width - 4) for line in part] for part in parts]
    blocks = [block for block in blocks if block]
    title = clipped(title, width - 6)
    inner = max([breadth(title) + 2, *(breadth(line) for block in blocks for line in block)])
    lines = [f"╭─ {title} {'─' * (inner - breadth(title) - 1)}╮"]
    for number, block in enumerate(blocks):
        if number:
            lines.append(f"├{'─' * (inner + 2)}┤")
        lines += [f"│ {padded(line, inner)} │" for line in block]
    return [*lines, f"╰{'─' * (inner + 2)}╯"]


def span(seconds: float | None) -> str:
    """Tell a time in a few characters.

    >>> span(0.00123), span(75), span(None)
    ('1.2 ms', '1 min 15 s', '')
    """
    if seconds is None:
        return ""
    if seconds < 0.001:
        return "<1 ms" if seconds > 0 else "0 s"
    if seconds < 1:
        return f"{seconds * 1000:.2g} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(amount: float) -> str:
    """Tell a number of bytes.

    >>> size(12), size(12_300_000)
    ('12 B', '12.3 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TB"

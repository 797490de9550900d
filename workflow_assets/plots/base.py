"""What all plots keep to: paper, ink, labels that fit, and pictures that are the same every time.

Nothing is told by colour alone: markers, line styles and words tell it too.
"""

from __future__ import annotations

import base64
import io
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MIDDLE, PALE, ACCENT = "#222222", "#666666", "#9a9a9a", "#0072b2"  # the blue of Okabe and Ito's palette
MOST_METRICS = 4
WIDTH = 9.5
FEW_ROWS = 8
_LABEL = 26

Form = Literal["png", "svg"]
_TYPES = {"png": "image/png", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class Plot:
    """A picture, and a title that tells it to those who cannot see it."""

    title: str
    data: bytes
    form: Form = "png"

    def base64(self) -> str:
        """Give the picture as text."""
        return base64.b64encode(self.data).decode()

    def uri(self) -> str:
        """Give the picture as the address of an image, which needs no file."""
        return f"data:{_TYPES[self.form]};base64,{self.base64()}"


@contextmanager
def drawing() -> Iterator[None]:
    """Draw as we do, whatever the user has set."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a font that lacks a letter of a name
        matplotlib.rcdefaults()
        matplotlib.rcParams["svg.hashsalt"] = "workflow_assets"
        yield


def sheet(height: float, width: float = WIDTH) -> Figure:
    """Take a sheet, in inches; without pyplot, which would keep it and choose a backend for the whole process."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)  # which can be measured without being printed
    return figure


def printed(figure: Figure, title: str, form: Form) -> Plot:
    """Give the picture of a sheet, the same bytes every time."""
    layout = figure.get_layout_engine()
    if layout is not None:  # laid out here, or matplotlib would draw everything twice to do so
        layout.execute(figure)
        figure.set_layout_engine(None)
    buffer = io.BytesIO()
    said = {"Date": None} if form == "svg" else {"Software": None}
    figure.savefig(buffer, format=form, metadata=said, dpi=100 if form == "png" else 150)
    return Plot(title, buffer.getvalue(), form)


def label(text: str, width: int = _LABEL) -> str:
    r"""Give a name in at most two lines that fit beside an axis; the middle of a longer one is left out.

    >>> label("a" * 30, width=10)
    'aaaaaaaaaa\n…aaaaaaaaa'
    """
    text = "".join(one for one in text if one.isprintable())
    if len(text) > width:
        text = _in_two(text, width)
    return text.replace("$", r"\$")  # or matplotlib would read a formula


def labels(names: Iterable[str], width: int = _LABEL) -> list[str]:
    r"""Give names labels that tell them apart: where the middle of the names does, what they begin with is left out.

    >>> labels(["a" * 30 + "1" + "b" * 30, "a" * 30 + "2" + "b" * 30], width=12)
    ['…1bbbbbbbbbb\nbbbbbbbbbbb…', '…2bbbbbbbbbb\nbbbbbbbbbbb…']
    """
    given = list(names)
    made = [label(name, width) for name in given]
    for one in {one for one in made if made.count(one) > 1}:
        alike = [place for place, other in enumerate(made) if other == one]
        least, *_, most = sorted(given[place] for place in alike)
        shared = next((i for i, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), 0)
        for place in alike:
            rest = f"…{given[place][shared:]}"
            made[place] = label(rest if len(rest) <= 2 * width else f"{rest[: 2 * width - 1]}…", width)
    return made


def _in_two(text: str, width: int) -> str:
    if len(text) <= 2 * width:
        for mark in ("_", ".", "-", " "):
            cut = text.rfind(mark, len(text) - width - 1, width)
            if cut > 0:
                return f"{text[: cut + 1]}\n{text[cut + 1 :]}"
        return f"{text[:width]}\n{text[width:]}"
    return f"{text[:width]}\n…{text[-width + 1 :]}"


def tidy(axes: Axes, quantity: str, title: str) -> None:
    """Name the quantity along x and say in small letters above what is drawn."""
    axes.set_xlabel(label(quantity, 40), fontsize=9)
    axes.set_title(textwrap.fill(title, 38), fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    if axes.get_xscale() == "linear":
        axes.locator_params(axis="x", nbins=5)


def rows(axes: Axes, labels: Sequence[str], least: int = 1) -> None:
    """Give each row its label, the first on top, and leave room for as many as a neighbour has at least."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(max(len(labels), least) - 0.4, -0.6)


def lines_of(labels: Iterable[str]) -> int:
    """Say how many lines the longest label has."""
    return max((one.count("\n") + 1 for one in labels), default=1)


def height_of(count: int, lines: int = 1) -> float:
    """Say how high a panel is, in inches, of so many rows whose labels have so many lines; many rows are closer."""
    pitch = 0.42 if count <= FEW_ROWS else 0.28
    return 1.2 + max(pitch, 0.15 * lines) * max(count, 3)

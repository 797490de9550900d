"""Progress: how many cells of a run are done, as a bar in terminals and notebooks, and as lines in a log."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import IO, Any

from workflow_assets.outcomes import CellOutcome

_SOON = 0.5
"""Seconds after which a run is worth a bar, and between two looks at the clock."""

PERIOD = 10.0
"""Seconds between two lines in a log, at least."""


class Tally:
    """Counts the cells of a run.

    `stored` are those for which nothing was computed.
    """

    def __init__(self, cells: int) -> None:
        self.cells = cells
        self.done = self.stored = self.failed = 0
        self.started = monotonic()

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return monotonic() - self.started

    def add(self, outcome: CellOutcome) -> None:
        """Count a cell that is done."""
        self.done += 1
        if outcome.failure is not None:
            self.failed += 1
        elif not outcome.computed:
            self.stored += 1

    def __str__(self) -> str:
        return f"{self.stored} stored, {self.failed} failed"


class Log:
    """Says now and then, and at the end, how far a run is.

    Args:
        say: what each line is handed to.
        cells: how many there are.
        period: seconds between two lines, at least.
    """

    def __init__(self, say: Callable[[str], object], cells: int, period: float = PERIOD) -> None:
        self._say = say
        self._tally = Tally(cells)
        self._period = period
        self._last = self._tally.started, 0

    def add(self, outcome: CellOutcome) -> None:
        """Count a cell that is done."""
        self._tally.add(outcome)
        then, done = self._last
        passed = monotonic() - then
        if passed >= self._period and self._tally.done < self._tally.cells:
            # Cells that are stored are found in no time: what was lately done tells more than the average.
            rate = (self._tally.done - done) / passed
            left = (self._tally.cells - self._tally.done) / rate
            self._say(f"{self._counts()}; {_rate(rate)}, {clock(left)} left")
            self._last = monotonic(), self._tally.done

    def close(self) -> None:
        """Say what it came to."""
        seconds = self._tally.seconds
        rate = _rate(self._tally.done / seconds if seconds else 0.0)
        self._say(f"{self._counts()}; {rate}, in {clock(seconds)}")

    def _counts(self) -> str:
        return f"{self._tally.done} of {self._tally.cells} cells done, {self._tally}"


def _rate(rate: float) -> str:
    return f"{rate:.3g} cells/s" if rate >= 1 or not rate else f"{1 / rate:.3g} s/cell"


def clock(seconds: float) -> str:
    """Tell a time span as a clock does.

    >>> clock(7384)
    '2:03:04'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def shown(
    outcomes: Iterable[CellOutcome], name: str, cells: int, progress: bool | None
) -> Iterable[CellOutcome]:
    """Show a bar while outcomes are taken.

    Args:
        outcomes: what is counted.
        name: what the bar is called.
        cells: how many there are.
        progress: whether to show it; by default in a terminal or a notebook, if it takes longer than a moment.
    """
    if progress is False or (progress is None and not (_in_notebook() or _is_terminal(sys.stderr))):
        return outcomes
    return _shown(outcomes, name, Tally(cells), 0.0 if progress else _SOON)


def _shown(outcomes: Iterable[CellOutcome], name: str, tally: Tally, delay: float) -> Iterator[CellOutcome]:
    bar = _Bar(name, tally, delay)
    try:
        for outcome in outcomes:
            tally.add(outcome)
            bar.update()
            yield outcome
    finally:
        bar.close()


class _Bar:
    """A bar that appears when the run has taken a while, and shows that time goes by although no cell is done."""

    def __init__(self, name: str, tally: Tally, delay: float) -> None:
        self._name = name
        self._tally = tally
        self._bar: Any = None
        self._around = ExitStack()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        if not delay:
            self._open()
        self._thread = threading.Thread(target=self._tick, daemon=True, name="progress")
        self._thread.start()

    def update(self) -> None:
        """Show what the tally counts, if something is to be seen of it."""
        if self._bar is not None:
            with self._lock:
                self._bar.set_postfix_str(str(self._tally), refresh=False)
                self._bar.update(self._tally.done - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it is; later output follows below."""
        self._ended.set()
        self._thread.join()
        if self._bar is not None:
            self.update()
            self._around.close()
            self._bar.close()

    def _tick(self) -> None:
        while not self._ended.wait(_SOON):
            with self._lock:
                if self._bar is None:
                    self._open()
                else:
                    self._bar.refresh()

    def _open(self) -> None:
        bar = _bar_class()(total=self._tally.cells, desc=self._name, unit=" cells", dynamic_ncols=True)
        bar.start_t -= self._tally.seconds
        bar.last_print_t = bar.start_t  # what is done already has taken that long
        bar.set_postfix_str(str(self._tally), refresh=False)
        bar.update(self._tally.done)
        bar.refresh()
        if not _in_notebook():
            self._around.enter_context(_lines_above(bar))
        self._bar = bar


def _bar_class() -> Any:
    """Give the bar for where this is; `tqdm.auto` would warn in a notebook that has no widgets."""
    from tqdm.std import tqdm

    kind = tqdm
    if _in_notebook():
        from tqdm import notebook

        if notebook.IProgress is not None:
            kind = notebook.tqdm_notebook
    # The bar is refreshed by a thread of its own.
    return type("Bar", (kind,), {"monitor_interval": 0})


class _LinesAbove:
    """A stream that writes whole lines above the bar."""

    def __init__(self, stream: IO[str], bar: Any) -> None:
        self._stream = stream
        self._bar = bar
        self._begun = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        """Write what has become whole lines."""
        with self._lock:
            whole, newline, self._begun = (self._begun + text).rpartition("\n")
            if newline:
                self._put(whole + newline)
        return len(text)

    def finish(self) -> None:
        """Write the line that was only begun."""
        with self._lock:
            if self._begun:
                self.write("\n")

    def _put(self, text: str) -> None:
        with self._bar.get_lock():
            self._bar.clear(nolock=True)
            self._stream.write(text)
            self._stream.flush()
            self._bar.refresh(nolock=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _lines_above(bar: Any) -> Iterator[None]:
    """Have what is printed and logged meanwhile written above a bar, instead of behind it."""
    with ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream: Any = getattr(sys, name)
            if not _is_terminal(stream):
                continue
            above: Any = _LinesAbove(stream, bar)
            stack.callback(above.finish)
            setattr(sys, name, above)
            stack.callback(_put_back, name, above, stream)
            for handler in _handlers():
                if handler.stream is stream:
                    handler.setStream(above)
                    stack.callback(handler.setStream, stream)
        yield


def _put_back(name: str, above: object, stream: object) -> None:
    if getattr(sys, name) is above:  # else somebody else has put another in its place
        setattr(sys, name, stream)


def _handlers() -> Iterator[logging.StreamHandler[Any]]:
    for logger in (logging.getLogger(), *logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            yield from (one for one in logger.handlers if isinstance(one, logging.StreamHandler))


def _is_terminal(stream: Any) -> bool:
    isatty = getattr(stream, "isatty", None)  # which not every stream has that is put in another's place
    return isatty is not None and bool(isatty())


def _in_notebook() -> bool:
    """Tell whether this is the kernel of a notebook; IPython is loaded then."""
    shell = sys.modules.get("IPython")
    running = shell.get_ipython() if shell is not None else None
    return running is not None and "IPKernelApp" in running.config

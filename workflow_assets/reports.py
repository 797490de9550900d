"""Reports: findings and all the ways to tell them: a page, Markdown, a terminal, JSON, a gate."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from workflow_assets.errors import GateError, ReportError
from workflow_assets.findings import EXIT_CODES, Findings


class Report(Findings):
    """What an experiment came to, ready to be told, saved and read again.

    `Result.report()` makes it; `Report.load(path)` reads one that was saved, from which everything can be made again
    without running anything.

    >>> from workflow_assets import Experiment, step
    >>> @step
    ... def doubled(replicate: int) -> int:
    ...     return 2 * replicate
    >>> report = Experiment("study", [doubled], replicates=3).run().report()
    >>> Report.from_json(report.to_json()) == report
    True
    """

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Save the report as JSON."""
        return write(path, self.to_json())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a saved report.

        Raises `ReportError` for a file that is none, is damaged, or was written by a later version.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ReportError(f"{os.fspath(path)!r} is no report: it is no text") from None
        try:
            return cls.from_json(text)
        except ReportError as error:
            raise ReportError(f"{os.fspath(path)!r}: {error}") from None

    def html(self, path: str | os.PathLike[str]) -> Path:
        """Write the report as one HTML file, which needs neither network nor scripts."""
        from workflow_assets.pages import experiment_page

        return write(path, experiment_page(self))

    def markdown(self) -> str:
        """Tell the report in Markdown, for a pull request: verdicts, a table, and the rest folded away."""
        from workflow_assets.summaries import markdown_report

        return markdown_report(self)

    def terminal(self, width: int | None = None) -> str:
        """Tell the report in plain lines of at most a width, by default that of the terminal."""
        from workflow_assets.summaries import terminal_summary

        return terminal_summary(self, width)

    def gate(self) -> None:
        """Raise `GateError` where a hypothesis with ``gate=True`` has a verdict that it does not accept.

        `exit_code` tells the gravest: 3 refuted, 4 undecidable, 5 inconclusive.
        """
        blocked = self.blocked()
        if blocked:
            decisions = {name: str(one["decision"]) for name, one in blocked.items()}
            gravest = next(decision for decision in EXIT_CODES if decision in decisions.values())
            told = "\n".join(
                f"gate {name!r} is {one['decision']}: {one['text']}" for name, one in blocked.items()
            )
            raise GateError(told, decisions, EXIT_CODES[gravest])


def write(path: str | os.PathLike[str], text: str) -> Path:
    """Write a file whole or not at all."""
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8", errors="backslashreplace")
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target

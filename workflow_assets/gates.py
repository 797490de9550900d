"""Gates: a command for a build, which tells an experiment's verdicts and exits as its gates say.

``python -m workflow_assets.gates results.json`` reads a saved report, ``… my_module:experiment --store DIR`` runs the
experiment, which computes nothing that is stored.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from workflow_assets.errors import CellsFailedError, GateError, WorkflowAssetsError
from workflow_assets.reports import Report, write
from workflow_assets.store.places import open_store
from workflow_assets.summaries import describe

PASSED, FAULT, USAGE, FAILED_CELLS = 0, 1, 2, 7

_CODES = """exit codes:
  0  every gate accepts its verdict, and no cell failed
  1  the experiment or the report could not be loaded or run
  2  the command is not understood
  3  a gated hypothesis is refuted
  4  a gated hypothesis is undecidable: its data do not allow a verdict
  5  a gated hypothesis is inconclusive: nothing was shown either way
  6  a gated hypothesis is supported, and its gate does not accept that
  7  cells failed, though every gate accepts its verdict
Of several, the gravest: refuted, undecidable, inconclusive, supported, failed cells."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell an experiment's verdicts and give the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m workflow_assets.gates",
        description="Tell an experiment's verdicts, and exit as its gates say.",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", help="a saved report (results.json), or an experiment (module:name)")
    parser.add_argument(
        "--store", help="where an experiment's data are kept: a folder, or s3://bucket/prefix"
    )
    parser.add_argument("--json", help="save the report here")
    parser.add_argument("--html", help="write the report here as a page")
    parser.add_argument("--markdown", help="write the report here as Markdown; - for the standard output")
    given = parser.parse_args(arguments)
    try:
        report = _report(given.results, given.store)
        _write(report, given)
    except (WorkflowAssetsError, OSError, ImportError, ValueError) as error:
        _say(f"{type(error).__name__}: {error}", sys.stderr)
        return FAULT
    try:
        report.gate()
        if report.failures:
            raise CellsFailedError(describe(report))
    except GateError as error:
        _say(error, sys.stderr)
        return error.exit_code
    except CellsFailedError as error:
        _say(error, sys.stderr)
        return FAILED_CELLS
    return PASSED


def _report(results: str, store: str | None) -> Report:
    module, colon, name = results.partition(":")
    if not colon or Path(results).exists():
        return Report.load(results)
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `python -m` has it
    experiment: Any = importlib.import_module(module)
    for part in name.split("."):
        if not hasattr(experiment, part):
            raise ValueError(f"{module!r} has no {name!r}: give module:name of an experiment")
        experiment = getattr(experiment, part)
    if not hasattr(experiment, "run"):
        raise ValueError(f"{results!r} is a {type(experiment).__name__}: expected an experiment")
    report: Report = experiment.run(None if store is None else open_store(store)).report()
    return report


def _write(report: Report, given: argparse.Namespace) -> None:
    if given.json:
        report.save(given.json)
    if given.html:
        report.html(given.html)
    if given.markdown and given.markdown != "-":
        write(given.markdown, report.markdown())
    _say(report.markdown() if given.markdown == "-" else report.terminal())


def _say(text: object, stream: TextIO | None = None) -> None:
    """Print a text whatever is in it, though the stream cannot encode all of it."""
    stream = sys.stdout if stream is None else stream
    coding = stream.encoding or "utf-8"
    stream.write(str(text).encode(coding, "backslashreplace").decode(coding) + "\n")


if __name__ == "__main__":
    sys.exit(main())

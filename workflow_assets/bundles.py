"""Bundles: a command that judges the hypotheses of an archived result again, offline and without its code.

``python -m workflow_assets.bundles study.zip`` reads what `Result.bundle` has written, judges every hypothesis by the
values in it with the functions that judged it first, and tells what differs from what the archive says.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TextIO

from workflow_assets.dossiers import Opened, open_bundle
from workflow_assets.errors import BundleError, WorkflowAssetsError, excerpt
from workflow_assets.findings import read_strict, strict_json
from workflow_assets.parcels import read_parcel
from workflow_assets.store.codecs import installed_version
from workflow_assets.studies import Absent

AGREE, DIFFER, DAMAGED, NOT_ALL = 0, 1, 2, 3

TOLERANCE = 1e-9
"""By how much numbers of the same computation differ between machines and versions of libraries, at most."""

OWN = "not recomputed: a test of one's own"

_CLAIM = ("claim", "metric", "alternative", "margin", "alpha", "adjustment", "p_adjusted", "preregistration")
_FOLLOWS = (*_CLAIM, "n", "p", "flags")
"""What is known of a verdict whose test is not here, from its p and the values; where it gave no p, the first of it."""

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""What a terminal would obey; an archive may come from anybody."""

_CODES = """exit codes:
  0  every verdict was judged again, and is what the archive says
  1  a verdict differs, or two files of the archive contradict each other
  2  the archive is damaged, incomplete or of an unknown version, or the command is not understood
  3  nothing differs, but verdicts by a test of one's own were not recomputed: its code is not run"""


class Check(NamedTuple):
    """What judging a hypothesis again came to: both decisions, and what differs, each with what stands there."""

    hypothesis: str
    told: str
    found: str
    own: bool
    differences: Sequence[str]

    @property
    def outcome(self) -> str:
        """One word, or why it is not one."""
        if self.differences:
            return "DIFFERS"
        return OWN if self.own else "agrees"


class Recomputation(NamedTuple):
    """What judging an archive again came to."""

    name: str
    digest: str
    checks: Sequence[Check]
    contradictions: Sequence[str]
    versions: Sequence[str]

    @property
    def exit_code(self) -> int:
        """What the command exits with."""
        if self.contradictions or any(check.differences for check in self.checks):
            return DIFFER
        return NOT_ALL if any(check.own for check in self.checks) else AGREE

    def __str__(self) -> str:
        rows = [("hypothesis", "the archive says", "judged again", "")]
        rows += [(one.hypothesis, one.told, one.found, one.outcome) for one in self.checks]
        widths = [max(len(row[place]) for row in rows) for place in range(3)]
        lines = [f"{self.name}, bundle {self.digest}", ""]
        for row, check in zip(rows, (None, *self.checks), strict=True):
            padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
            lines.append("  ".join((*padded, row[3])).rstrip())
            lines += [f"  {one}" for one in check.differences] if check else []
        lines += ["", *self.contradictions, *self.versions]
        apart = sum(bool(one.differences) for one in self.checks)
        own = sum(one.own and not one.differences for one in self.checks)
        agree = len(self.checks) - apart - own
        lines.append(f"{agree} agree, {apart} differ, {own} not recomputed")
        return "\n".join(lines)


def recompute(path: str | os.PathLike[str]) -> Recomputation:
    """Judge every hypothesis of an archive again, and compare with what the archive says.

    A number agrees that differs by a billionth at most; words agree that are the same. The page in the archive is not
    compared: ``Report.from_json`` and `Report.html` make it again.

    Raises `BundleError` for an archive that is damaged, incomplete or of an unknown version, and `OSError` where there
    is none.
    """
    parcel = read_parcel(path)
    try:
        opened = open_bundle(parcel)
        found = {name: one.as_dict() for name, one in opened.dossier.judge(opened.study).items()}
    except BundleError as error:
        raise BundleError(f"{os.fspath(path)!r}: {error}") from None
    except (
        WorkflowAssetsError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise BundleError(
            f"{os.fspath(path)!r} cannot be judged: its files do not fit together ({type(error).__name__}: {error})"
        ) from None
    again = read_strict(strict_json(found))
    own = {one.name: one.test for one in opened.study.hypotheses if isinstance(one.test, Absent)}
    checks = [
        _check(name, opened.verdicts.get(name), again.get(name), own.get(name))
        for name in dict.fromkeys((*opened.verdicts, *again))
    ]
    return Recomputation(
        opened.study.name, parcel.digest, checks, opened.contradictions, _other_versions(opened)
    )


def _check(name: str, told: Any, found: Any, own: Absent | None) -> Check:
    name = name if name.isidentifier() else excerpt(name)
    if not isinstance(told, Mapping) or not isinstance(found, Mapping):
        missing = "the archive has no verdict on it" if told is None else "no hypothesis is called that"
        return Check(name, _decision(told), _decision(found), False, [missing])
    names = list(dict.fromkeys((*told, *found)))
    if own is not None:
        names = list(_CLAIM if own.p is None else _FOLLOWS)
        if not own.has_effect:  # the decision follows from an interval that is known too
            names += ["decision", "effect", "effects"]
    differences = [line for one in names for line in _differences(one, told.get(one), found.get(one), 0.0)]
    return Check(name, _decision(told), _decision(found), own is not None, differences)


def _differences(place: str, told: Any, found: Any, scale: float) -> list[str]:
    """Tell where two plain values differ, and by what."""
    if isinstance(told, Mapping) and isinstance(found, Mapping):
        # An estimate near 0 is as exact as the bounds around it.
        parts = [found[one] for one in ("estimate", "low", "high") if _is_finite(found.get(one))]
        scale = max(map(abs, parts), default=0.0)
        return [
            line
            for name in dict.fromkeys((*told, *found))
            for line in _differences(f"{place}.{name}", told.get(name), found.get(name), scale)
        ]
    if isinstance(told, list) and isinstance(found, list) and len(told) == len(found):
        pairs = enumerate(zip(told, found, strict=True))
        return [
            line for i, (one, other) in pairs for line in _differences(f"{place}[{i}]", one, other, scale)
        ]
    if _is_number(told) and _is_number(found):
        same = math.isclose(told, found, rel_tol=TOLERANCE, abs_tol=TOLERANCE * scale)
        same = same or (math.isnan(told) and math.isnan(found))
    else:
        same = type(told) is type(found) and told == found
    return [] if same else [f"{place}: {excerpt(told)} in the archive, {excerpt(found)} judged again"]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _decision(verdict: Any) -> str:
    if not isinstance(verdict, Mapping):
        return "–"
    p = verdict.get("p_adjusted")
    told = str(verdict.get("decision"))
    if not told.isidentifier():
        told = excerpt(told)
    return f"{told}, p = {p:.3g}" if _is_number(p) else told


def _other_versions(opened: Opened) -> list[str]:
    now = {name: installed_version(name) for name in opened.versions if name != "python"}
    return [
        f"judged there with {name} {excerpt(then)}, here with {excerpt(now[name])}"
        for name, then in opened.versions.items()
        if name in now and now[name] != then
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge an archive again, tell what differs, and give the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m workflow_assets.bundles",
        description="Judge every hypothesis of an archive again, and compare with what it says.",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", help="what result.bundle() has written, such as study.zip")
    parser.add_argument("--json", action="store_true", help="tell it as JSON")
    given = parser.parse_args(arguments)
    try:
        told = recompute(given.bundle)
    except (BundleError, OSError) as error:
        _say(f"{type(error).__name__}: {error}", sys.stderr)
        return DAMAGED
    if given.json:
        checks = [{**one._asdict(), "outcome": one.outcome} for one in told.checks]
        _say(json.dumps({**told._asdict(), "checks": checks, "exit_code": told.exit_code}, indent=1))
    else:
        _say(told)
    return told.exit_code


def _say(text: object, stream: TextIO | None = None) -> None:
    """Print a text whatever is in it, though the stream cannot encode all of it."""
    stream = sys.stdout if stream is None else stream
    coding = stream.encoding or "utf-8"
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text))
    stream.write(text.encode(coding, "backslashreplace").decode(coding) + "\n")


if __name__ == "__main__":
    sys.exit(main())

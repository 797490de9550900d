"""Families: claims that are made together, and how their p-values are adjusted for that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workflow_assets.errors import did_you_mean, excerpt, listing
from workflow_assets.faults import Faults
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.stats.methods import ADJUSTMENTS, JOINT

DEFAULT = "holm"


def read_families(value: Any, hypotheses: Sequence[Hypothesis], faults: Faults) -> dict[str, str]:
    """Read how each family is adjusted, by name: "" is that of the hypotheses that name none; note what is wrong."""
    given = {} if value is None else value
    if not isinstance(given, Mapping):
        faults.add(f"families = {excerpt(value)}: expected a mapping, such as {{'doses': 'dunnett'}}")
        return {}
    members = members_of(hypotheses)
    methods = [*ADJUSTMENTS, *JOINT]
    for family, method in given.items():
        if not isinstance(family, str) or (family and family not in members):
            near = did_you_mean(str(family), [name for name in members if name])
            faults.add(f"families has {excerpt(family)}, which no hypothesis names as its family: {near}")
        elif method not in methods:
            faults.add(
                f"family {family!r} is adjusted by {excerpt(method)}: {did_you_mean(str(method), methods)}"
            )
        elif method in JOINT:
            faults.extend(
                f"family {family!r} is compared by {method}, {fault}"
                for fault in _joint_faults(method, members.get(family, []))
            )
    for family in members:
        if family and given and family not in given:
            faults.add(f"no method is given for the family {family!r}: {did_you_mean(family, given)}")
    return {family: str(given.get(family, DEFAULT)) for family in members}


def members_of(hypotheses: Iterable[Hypothesis]) -> dict[str, list[Hypothesis]]:
    """Give the hypotheses of each family, in the order of their declaration."""
    members: dict[str, list[Hypothesis]] = {}
    for one in hypotheses:
        members.setdefault(one.family, []).append(one)
    return members


def _joint_faults(method: str, members: Sequence[Hypothesis]) -> list[str]:
    """Say what keeps claims from being judged by one comparison of all their treatments."""
    faults = []
    for what, values in (
        ("metric", {metric for one in members for metric in one.metrics}),
        ("alternative", {one.alternative for one in members}),
        ("margin", {one.margin for one in members}),
        ("alpha", {one.alpha for one in members}),
        ("paired", {one.paired for one in members}),
    ):
        if len(values) > 1:
            faults.append(f"which needs one {what} for all: there are {listing(map(str, values))}")
    if any(one.several or one.together or not isinstance(one.against, str) for one in members):
        faults.append("which compares pairs of treatments: leave other claims out of the family")
    if any(one.test != "auto" for one in members):
        faults.append("which is their test: leave out test=")
    known = JOINT[method]
    if any(one.paired for one in members) and known.paired is False:
        faults.append("which compares unpaired samples: say paired=False")
    if any(not one.paired for one in members) and known.paired is True:
        faults.append("which compares within replicates: leave out paired=False")
    sides = {one.alternative for one in members}
    if "equivalent" in sides or (
        method != "dunnett" and (sides - {"two-sided"} or any(one.margin for one in members))
    ):
        wanted = (
            "has no equivalence"
            if method == "dunnett"
            else 'is for alternative="two-sided", without a margin'
        )
        faults.append(f"which {wanted}")
    if method == "dunnett" and len({one.against for one in members}) > 1:
        faults.append("which compares with one treatment: give all of them the same against=")
    return faults

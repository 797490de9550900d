"""Automations: when an experiment or a workflow runs by itself, as plain data that Dagster's daemon acts on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workflow_assets.errors import DeclarationError, did_you_mean, excerpt
from workflow_assets.mappings import FrozenDict
from workflow_assets.names import identifier_fault
from workflow_assets.traits import is_count

if TYPE_CHECKING:
    from workflow_assets.stats.sequences import Until

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Mapping[str, tuple[int, int, tuple[str, ...]]] = {
    "minute": (0, 59, ()),
    "hour": (0, 23, ()),
    "day of the month": (1, 31, ()),
    "month": (1, 12, _MONTHS),
    "day of the week": (0, 7, _DAYS),
}
_NICKNAMES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_RANGE = re.compile(r"(?P<first>\*|\d+|[a-z]+)(-(?P<last>\d+|[a-z]+))?(/(?P<pace>\d+))?")


@dataclass(frozen=True)
class Schedule:
    """Run an experiment at given times: see `Experiment.schedule`.

    Args:
        experiment: the experiment's name.
        cron: five fields (minute, hour, day of the month, month, day of the week), or ``"@daily"`` and its like.
        timezone: what the hours are of, such as ``"Europe/Berlin"``.
        name: what it is called in Dagster; one experiment may have several schedules.
        running: whether it is on until somebody turns it off in the UI, or off until somebody turns it on.
        until: compute replicates in batches until this rule says that they are enough; by default all that are
            declared.
        hypotheses: those that the rule waits for; all by default.
        peek: wait for tests that are made for one look, too; their verdicts are flagged.

    >>> Schedule("study", "0 3 * * *").name
    'study_schedule'
    """

    experiment: str
    cron: str
    timezone: str = "UTC"
    name: str = ""
    running: bool = True
    until: Until | None = None
    hypotheses: Sequence[str] = ()
    peek: bool = False

    def __post_init__(self) -> None:
        if self.name == "":
            object.__setattr__(self, "name", f"{self.experiment}_schedule")
        names = (self.hypotheses,) if isinstance(self.hypotheses, str) else tuple(self.hypotheses)
        object.__setattr__(self, "hypotheses", names)
        faults = _common_faults(self)
        if self.until is None and (self.hypotheses or self.peek):
            faults.append("hypotheses and peek say how a rule waits: give it as until=Until(n_max=...)")
        faults += _time_faults(self.cron, self.timezone)
        if faults:
            raise DeclarationError(f"the schedule of experiment {self.experiment!r}", faults)


@dataclass(frozen=True)
class WorkflowSchedule:
    """Run a workflow at given times: see `Workflow.schedule`. By its name, one that a document declares can run, too.

    Args:
        workflow: the workflow's name.
        cron: as of a `Schedule`, and so are timezone, name and running.
        timezone: what the hours are of.
        name: what it is called in Dagster; one workflow may have several schedules.
        running: whether it is on until somebody turns it off in the UI, or off until somebody turns it on.
        parameters: values by ``step.parameter``, for these runs.
        inputs: values of inputs.
        rows: run over a sample: so many rows of each input and source, or of those named.
        force: steps to compute again although they are stored.

    >>> WorkflowSchedule("sums", "@daily", rows=100).name
    'sums_schedule'
    """

    workflow: str
    cron: str
    timezone: str = "UTC"
    name: str = ""
    running: bool = True
    parameters: Mapping[str, Any] = field(default_factory=FrozenDict)
    inputs: Mapping[str, Any] = field(default_factory=FrozenDict)
    rows: int | Mapping[str, int] | None = None
    force: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.name == "":
            object.__setattr__(self, "name", f"{self.workflow}_schedule")
        faults = [*_common_faults(self), *_time_faults(self.cron, self.timezone)]
        faults += [
            f"{name} = {excerpt(told)}: expected a mapping, such as {example}"
            for name, example in (("parameters", "{'total.scale': 10}"), ("inputs", "{'numbers': [1, 2]}"))
            if not isinstance(told := getattr(self, name), Mapping)
        ]
        if faults:
            raise DeclarationError(f"the schedule of workflow {self.workflow!r}", faults)


@dataclass(frozen=True)
class Watch:
    """Run an experiment when a source has a new version: see `Experiment.watch`.

    Args:
        experiment: the experiment's name.
        source: the source's name.
        every: how many seconds lie between two looks.
        name: what it is called in Dagster.
        running: whether it is on until somebody turns it off in the UI, or off until somebody turns it on.

    >>> Watch("study", "customers").name
    'study_watches_customers'
    """

    experiment: str
    source: str
    every: int = 60
    name: str = ""
    running: bool = True

    def __post_init__(self) -> None:
        if self.name == "":
            object.__setattr__(self, "name", f"{self.experiment}_watches_{self.source}")
        faults = _common_faults(self)
        if not is_count(self.every):
            faults.append(f"every = {excerpt(self.every)}: expected a whole number of seconds, 1 or more")
        if faults:
            raise DeclarationError(
                f"the watch of experiment {self.experiment!r} over {self.source!r}", faults
            )


Automation = Schedule | Watch | WorkflowSchedule


def cron_fault(cron: object) -> str | None:
    """Say why a cron expression is none; None if nothing is wrong with it that can be seen without a cron library.

    What only some know, such as ``L`` for the last day of a month, is left to Dagster to judge.

    >>> cron_fault("0 25 * * *")
    "'25' is no hour: expected 0 to 23"
    >>> cron_fault("*/10 8-18 * * mon-fri") is None
    True
    """
    example = "such as '0 3 * * *' for 3 o'clock each night"
    if not isinstance(cron, str):
        return f"expected a text of five fields, {example}"
    if cron.startswith("@"):
        return None if cron in _NICKNAMES else did_you_mean(cron, _NICKNAMES)
    fields = cron.lower().split()
    if len(fields) != len(_FIELDS):
        return f"expected five fields, {example}; these are {len(fields)}"
    for text, (kind, (lowest, highest, names)) in zip(fields, _FIELDS.items(), strict=True):
        for part in text.split(","):
            match = _RANGE.fullmatch(part)
            if match is None:
                if re.search(r"[l#?hr]", part):
                    continue
                return f"{part!r} is no {kind}: expected a number, a range such as 1-5, '*' or '*/2'"
            if match["pace"] and not int(match["pace"]):
                return f"{part!r} goes on by 0: expected 1 or more after the '/'"
            for value in (match["first"], match["last"]):
                if value is None or value in ("*", "l", "h", "r") or value in names:
                    continue
                if not value.isdecimal() or not lowest <= int(value) <= highest:
                    named = f", or {names[0]} to {names[-1]}" if names else ""
                    return f"{value!r} is no {kind}: expected {lowest} to {highest}{named}"
    return None


def _time_faults(cron: object, timezone: object) -> list[str]:
    faults = []
    if fault := cron_fault(cron):
        faults.append(f"cron = {excerpt(cron)}: {fault}")
    if fault := _timezone_fault(timezone):
        faults.append(f"timezone = {excerpt(timezone)}: {fault}")
    return faults


def _timezone_fault(timezone: object) -> str | None:
    import zoneinfo

    if not isinstance(timezone, str):
        return "expected the name of a time zone, such as 'Europe/Berlin'"
    try:
        zoneinfo.ZoneInfo(timezone)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return f"there is no such time zone; {did_you_mean(timezone, sorted(zoneinfo.available_timezones()))}"
    return None


def _common_faults(one: Any) -> list[str]:
    faults = []
    if fault := identifier_fault(one.name):
        faults.append(f"its name {fault}")
    if not isinstance(one.running, bool):
        faults.append(f"running = {excerpt(one.running)}: expected True or False")
    return faults

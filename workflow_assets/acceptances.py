"""Acceptances: changes of code that somebody has declared to change no result.

Keys are then made with the code as it was before, so that what was stored with it is found. Who said so, when and why
stays in the store, and is told with the provenance of every datum that it vouches for.
"""

from __future__ import annotations

import datetime
import getpass
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from workflow_assets.canonical import digest
from workflow_assets.store.base import Store

_ASSET = ("#accepted",)
"""Where acceptances are listed; no asset of an experiment or source can be called that."""


@dataclass(frozen=True)
class Acceptance:
    """One change of a step's code, from one digest to another, that was accepted as cosmetic."""

    step: str
    before: str
    now: str
    who: str
    when: str
    why: str

    def __str__(self) -> str:
        return f"a change of {self.step} was accepted by {self.who} on {self.when}: {self.why}"


def accept(store: Store, step: str, before: str, now: str, *, why: str, who: str | None = None) -> Acceptance:
    """Note that the code of digest `now` gives the same results as that of digest `before`.

    Raises `ValueError` where no reason is given.
    """
    if not isinstance(why, str) or not why.strip():
        raise ValueError(
            "why = '': say why the change cannot change any result; it is told with the provenance"
        )
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    acceptance = Acceptance(step, before, now, current_user() if who is None else who, when, why.strip())
    told = asdict(acceptance)
    key = digest("acceptance", repr(sorted(told.items())))
    store.put(key, told)
    store.refer(_ASSET, {now: key})
    return acceptance


def acceptances(store: Store) -> dict[str, Acceptance]:
    """Give the acceptances in force, by the digest of the newer code."""
    found = {}
    for now, key in store.references(_ASSET).items():
        record = store.find(key)
        if record is not None:
            found[now] = Acceptance(**store.load(record))
    return found


def original(code: str, accepted: Mapping[str, Acceptance]) -> str:
    """Follow acceptances back to the code that keys are made with."""
    seen = {code}
    while code in accepted and accepted[code].before not in seen:
        code = accepted[code].before
        seen.add(code)
    return code


def current_user() -> str:
    """Give the name of whoever runs this process, as far as the system knows it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"

"""Ledgers: what was tried and looked at for an experiment, kept in its store and never deleted.

An entry is a datum whose key is the digest of what it is about, so that the same run or look again is the same entry.
It is referred to before it is put: a process killed between the two leaves a reference to nothing, which nobody
reads, and whoever says the same again completes it.
"""

from __future__ import annotations

import datetime
import json
import logging
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from workflow_assets.canonical import digest
from workflow_assets.errors import StoreError
from workflow_assets.store.base import Store

logger = logging.getLogger("workflow_assets")

RUN, FAILURES, LOOK, OVERRIDE, AUDIT, PREREGISTRATION = (
    "run",
    "failures",
    "look",
    "override",
    "audit",
    "preregistration",
)


class Entry(NamedTuple):
    """One thing that happened: its kind, when it was first noted, and what is told of it."""

    kind: str
    when: str
    told: Mapping[str, Any]


class Ledger:
    """What was tried and looked at for one experiment; safe with several writers.

    >>> from workflow_assets import MemoryStore
    >>> ledger = Ledger(MemoryStore(), "study")
    >>> for _ in range(2):
    ...     ledger.note("run", {"seed": 7})
    >>> [entry.told for entry in ledger.entries()]
    [{'seed': 7}]

    Raises `StoreError` where the store cannot be read or written.
    """

    def __init__(self, store: Store, experiment: str) -> None:
        self.store = store
        self.experiment = experiment
        self._asset = ("#ledger", experiment)  # no asset of an experiment or source can be called that

    def note(
        self, kind: str, about: Mapping[str, Any], more: Mapping[str, Any] | None = None, run: str = ""
    ) -> None:
        """Note what happened, once: `about` tells it apart from others, `more` is told of the first time only."""
        self.note_all(kind, [(about, more or {})], run)

    def note_all(
        self, kind: str, noted: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], run: str = ""
    ) -> None:
        """Note several at once; `run` is the one whose note tells of machine and git."""
        keyed = {
            digest("ledger", kind, self.experiment, json.dumps(about, sort_keys=True)): {**about, **more}
            for about, more in noted
        }
        known = self.store.find_all(keyed)
        new = {key: told for key, told in keyed.items() if key not in known}
        if not new:
            return
        self.store.refer(self._asset, {key: key for key in new})
        now = moment()
        for key, told in new.items():
            self.store.put(
                key,
                {"kind": kind, "when": now, "told": told},
                provenance={"run": run} if run else None,
            )

    def entries(self, *kinds: str) -> list[Entry]:
        """Give what was noted, of some kinds or of all, in the order of time."""
        known = _READ.setdefault(self.store, {})
        keys = self.store.references(self._asset).values()
        missing = [key for key in keys if key not in known]
        for key, record in self.store.find_all(missing).items():
            said = self.store.load(record)
            known[key] = Entry(said["kind"], said["when"], said["told"])
        found = [known[key] for key in keys if key in known]
        return sorted(
            (entry for entry in found if not kinds or entry.kind in kinds), key=lambda entry: entry.when
        )

    def restore(self, entries: Iterable[Entry]) -> None:
        """Put entries that another store's ledger gave, as they are: into an empty one."""
        for number, entry in enumerate(entries):
            if entry.kind == PREREGISTRATION:
                key = self._number_key(entry.told["number"])
            else:
                key = digest("ledger", "restored", self.experiment, str(number))
            self.store.refer(self._asset, {key: key})
            self.store.put(key, entry._asdict())

    # -- preregistrations -----------------------------------------------------------------------------------------

    def preregistrations(self) -> Iterator[Mapping[str, Any]]:
        """Give the preregistrations, each of which was the first to take the number after the last one's."""
        number = 1
        while (told := self._preregistered(number)) is not None:
            yield told
            number += 1

    def _preregistered(self, number: int) -> Mapping[str, Any] | None:
        known = _READ.setdefault(self.store, {})
        key = self._number_key(number)
        if key not in known:
            record = self.store.find(key)
            if record is None:
                return None
            said = self.store.load(record)
            known[key] = Entry(PREREGISTRATION, said["when"], said["told"])
        return known[key].told

    def preregister(self, number: int, told: Mapping[str, Any]) -> bool:
        """Take a number, and wait until that is on disk; tell whether nobody else was quicker."""
        key = self._number_key(number)
        self.store.refer(self._asset, {key: key})
        self.store.put(key, {"kind": PREREGISTRATION, "when": told["when"], "told": told})
        self.store.sync()
        return self._preregistered(number) == told

    def _number_key(self, number: int) -> str:
        return digest("ledger", PREREGISTRATION, self.experiment, str(number))


_READ: weakref.WeakKeyDictionary[Store, dict[str, Entry]] = weakref.WeakKeyDictionary()
"""Entries that were read before: they never change."""


def moment() -> str:
    """Tell the time, to the microsecond: entries are put in its order."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")


@contextmanager
def lenient(what: str) -> Iterator[None]:
    """Let a store that cannot be written lose a note, and say so: no result is lost for it."""
    try:
        yield
    except StoreError as error:
        logger.warning("%s is not in the ledger: %s", what, error)


def spans(identities: Iterable[int | str]) -> list[Any]:
    """Shorten what replicates are known by: indices to spans of them, names as they are.

    >>> spans([0, 1, 2, 5, "P1/A01"])
    [[0, 2], [5, 5], 'P1/A01']
    """
    known = set(identities)
    found: list[Any] = []
    for index in sorted(one for one in known if isinstance(one, int)):
        if found and found[-1][1] == index - 1:
            found[-1][1] = index
        else:
            found.append([index, index])
    return [*found, *sorted(one for one in known if isinstance(one, str))]


def last_index(replicates: Sequence[Any]) -> int:
    """Give the highest index of spans, or -1."""
    return max((span[1] for span in replicates if not isinstance(span, str)), default=-1)


def overlap(replicates: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two lists of spans share a replicate."""
    names = {one for one in replicates if isinstance(one, str)} & {
        one for one in other if isinstance(one, str)
    }
    return bool(names) or any(
        one[0] <= two[1] and two[0] <= one[1]
        for one in replicates
        if not isinstance(one, str)
        for two in other
        if not isinstance(two, str)
    )

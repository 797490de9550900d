"""Items: a step that is called on each item of a collection, with what is stored of each.

An item that fails fails alone. What the others came to is kept in chunks under the items' own keys, so that a later
run calls the function only for items that failed, are new or have changed, however the collection was cut before.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

from workflow_assets.callers import Caller, Recorded
from workflow_assets.canonical import digest
from workflow_assets.errors import ContractError, excerpt, message_of
from workflow_assets.item_stores import CHUNK, Collection, Found, ItemStore
from workflow_assets.outcomes import ItemFailure, Share
from workflow_assets.plans import PlannedStep
from workflow_assets.scenes import COMPLETED, FAILED, SKIPPED
from workflow_assets.store.codecs import encode
from workflow_assets.store.trees import plain_to_json
from workflow_assets.wires import rows_of

_SHORT = 64
"""Texts shorter than this are told as they are."""

_MOST_TOLD = 3
"""How many of the items that failed a message names."""


class Absent(NamedTuple):
    """Stands where an item before this one has no value."""

    why: str


class ItemCalls(NamedTuple):
    """The calls of one step: which items have a value, what is told of each, and the first failures.

    `table` has the columns key, status, error and seconds; seconds are 0 for what was stored.
    """

    collection: Collection
    table: dict[str, list[Any]]
    failures: list[tuple[Any, ItemFailure]]
    skipped: int
    recorded: Recorded


Call = Callable[[dict[str, Any], int], tuple[Any, Recorded]]
"""Calls the function with arguments, under the seed of an item."""


def combined(
    arguments: Mapping[str, Any], over: Sequence[str], combine: str
) -> tuple[Collection, Iterator[Any]]:
    """Take the items of some arguments together: give their labels, and for each what the parameters are handed.

    Raises `ContractError` for what has no items, and for collections of which one has more than another.
    """
    read = {name: _items(arguments[name], name) for name in over}
    if combine == "product" and len(read) > 1:
        labels: Sequence[Any] = [
            ", ".join(map(str, one)) for one in itertools.product(*(labels for labels, _, _ in read.values()))
        ]
        return Collection(labels, keyed=False), itertools.product(*(items for _, _, items in read.values()))
    sizes = {name: len(labels) for name, (labels, _, _) in read.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} has {size}" for name, size in sizes.items())
        raise ContractError(
            f"items are taken together one by one, and there are not as many of each: {told}. "
            "For every combination, say combine='product'"
        )
    keys = [labels for labels, keyed, _ in read.values() if keyed]
    for other in keys[1:]:
        if list(other) != list(keys[0]):
            raise ContractError(
                f"items are taken together by their keys, which differ: {excerpt(list(keys[0]))} and "
                f"{excerpt(list(other))}"
            )
    labels = keys[0] if keys else range(next(iter(sizes.values())))
    return Collection(labels, keyed=bool(keys)), zip(*(items for _, _, items in read.values()), strict=True)


def _items(value: Any, name: str) -> tuple[Sequence[Any], bool, Iterable[Any]]:
    """Give the labels of items, whether these are keys, and the items."""
    if isinstance(value, Mapping):
        return list(value), True, value.values()
    if (rows := rows_of(value)) is not None:
        return range(len(rows)), False, rows
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise ContractError(
            f"{name!r} is handed a {type(value).__qualname__}, which has no items: expected a list, mapping or frame"
        )
    items = value if isinstance(value, Sequence) else list(value)
    return range(len(items)), False, items


def taken_apart(
    caller: Caller, arguments: dict[str, Any]
) -> tuple[Collection, Iterator[Any], dict[str, Any]]:
    """Give the items that a step is called on, what its parameters are handed for each, and what all share.

    Raises `ContractError` as `combined` does.
    """
    step = caller.step
    caller.add_settings(arguments)
    if caller.assembled is not None:
        arguments = caller.assembled(arguments)
    collection, items = combined(arguments, step.over, step.combine)
    return collection, items, {name: value for name, value in arguments.items() if name not in step.over}


def item_digest(item: Any, pickles: Any) -> str:
    """Tell what an item is: a digest, or for what is short and plain its own text."""
    kind = type(item)
    if kind is int or (kind is str and len(item) < _SHORT):
        return f"{kind.__name__} {item!r}"
    text = plain_to_json(item)
    if text is not None:
        return _digest(f"{type(item).__name__} {text}")
    encoded = encode(item, pickles=pickles, place="an item", snapshot=False)
    return digest("item", encoded.codec, then=encoded.pieces)


def _digest(text: str) -> str:
    """Give the digest of a short text, in less time than of parts that are kept apart."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def calls_key(planned: PlannedStep, seed: int, whole: Mapping[str, Any], pickles: Any) -> str:
    """Digest what the values of all items depend on: the step, its random stream if it has one, and what they share."""
    stream = f"seed {seed:x} {planned.stream}" if planned.node.step.random else ""
    fixed = [f"{name} {item_digest(value, pickles)}" for name, value in sorted(whole.items())]
    return digest("items", planned.static, stream, *fixed)


class ItemKeys:
    """Names items by what they are, wherever they stand.

    Those that are alike come to the same, and are called once. Where they do not, since they draw random numbers or
    must not be remembered, they are `counted`: the first, the second, ….
    """

    def __init__(self, key: str, pickles: Any, *, counted: bool) -> None:
        self.counted = counted
        self._key = key
        self._pickles = pickles
        self._alike: Counter[str] = Counter()

    def of(self, parts: Iterable[Any]) -> str:
        """Give the key of the next item, of what its parameters are handed."""
        own = "|".join([item_digest(part, self._pickles) for part in parts])
        if not self.counted:
            return _digest(f"{self._key}|{own}")
        self._alike[own] += 1
        return _digest(f"{self._key}|{own}|{self._alike[own]}")


def seed_of(item_key: str) -> int:
    """Give the seed of an item's random stream."""
    return int(item_key[:15], 16)


@dataclass
class ItemCaller:
    """Calls a step on one item, or finds what that came to.

    Args:
        over: the parameters that are handed what items are of.
        whole: the other arguments, which no call may change.
        call: calls the function.
        trace: gives the traceback of what a call raised.
        kept: what is stored.
        keys: names items.
        failed: why items failed in this run, by their keys.
        force: call it for what is stored, too.
    """

    over: Sequence[str]
    whole: Mapping[str, Any]
    call: Call
    trace: Callable[[Exception], str]
    kept: ItemStore
    keys: ItemKeys
    failed: dict[str, ItemFailure]
    force: bool = False
    _traced: bool = False

    def result(self, key: str, parts: Sequence[Any]) -> Found | ItemFailure:
        """Give what an item comes to."""
        if key in self.failed:
            return self.failed[key]
        if not self.force and (found := self.kept.find(key)) is not None:
            return found
        started = time.perf_counter()
        try:
            value, recorded = self.call(
                {**self.whole, **dict(zip(self.over, parts, strict=True))}, seed_of(key)
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this item's alone
            told = "" if self._traced else self.trace(error)
            self._traced = True
            seconds = time.perf_counter() - started
            failure = ItemFailure(type(error).__qualname__, message_of(error), told, seconds)
            if not self.force:
                self.failed[key] = failure
            return failure
        seconds = time.perf_counter() - started
        self.kept.add(key, value, recorded, seconds)
        return Found(value, recorded, seconds)


def call_each(collection: Collection, items: Iterator[Any], caller: ItemCaller) -> ItemCalls:
    """Call a step on each item, or find what that came to; the values are added to the collection."""
    statuses: list[str] = []
    errors: list[str] = []
    times: list[float] = []
    failures: list[tuple[Any, ItemFailure]] = []
    recorded: Recorded = []
    guard = Guard(caller.whole, caller.kept.store.pickles)
    for number, (label, parts) in enumerate(zip(collection.labels, items, strict=True), 1):
        status, error, seconds = COMPLETED, "", 0.0
        absent = next((part for part in parts if isinstance(part, Absent)), None)
        if absent is not None:
            value: Any = absent
            status, error = SKIPPED, absent.why
        else:
            found = caller.result(caller.keys.of(parts), parts)
            if isinstance(found, ItemFailure):
                value = Absent(f"{found.kind}: {found.message}")
                status, error, seconds = FAILED, value.why, found.seconds
                failures.append((label, found))
            else:
                value, said, seconds = found
                recorded += [(name, one, {**tags, "item": str(label)}) for name, one, tags in said]
        collection.values.append(value)
        statuses.append(status)
        errors.append(error)
        times.append(round(seconds, 6))
        if not number % CHUNK:
            guard.check()
    guard.check()
    caller.kept.write()
    table = {"key": list(collection.labels), "status": statuses, "error": errors, "seconds": times}
    return ItemCalls(collection, table, failures, statuses.count(SKIPPED), recorded)


def call_share(items: Iterator[Any], caller: ItemCaller, share: Share) -> dict[str, ItemFailure]:
    """Call a step on one worker's share of the items, whose values are stored; tell which failed, by their keys."""
    failed: dict[str, ItemFailure] = {}
    guard = Guard(caller.whole, caller.kept.store.pickles)
    for number, parts in enumerate(items):
        mine = number % share.of == share.first and not any(isinstance(part, Absent) for part in parts)
        if not mine and not caller.keys.counted:
            continue
        key = caller.keys.of(parts)
        if mine:
            found = caller.result(key, parts)
            if isinstance(found, ItemFailure):
                failed[key] = found
    guard.check()
    caller.kept.write()
    return failed


class Guard:
    """Sees to it that what all items share is not changed by the call for one of them."""

    def __init__(self, whole: Mapping[str, Any], pickles: Any) -> None:
        self._pickles = pickles
        self._whole = {
            name: value
            for name, value in whole.items()
            if not isinstance(value, str | bytes | int | float | complex | bool | None)
        }
        self._before = self._digests()

    def _digests(self) -> dict[str, str]:
        return {name: item_digest(value, self._pickles) for name, value in self._whole.items()}

    def check(self) -> None:
        """Raise `ContractError` for what has changed."""
        for name, now in self._digests().items():
            if now != self._before[name]:
                raise ContractError(
                    f"a call for one item changed {name!r} in place, which all others are handed too: "
                    "copy it in the step"
                )


def failure_of(calls: ItemCalls, slot: str) -> str:
    """Tell which items failed, and why."""
    count = len(calls.collection.labels)
    told = [f"item {excerpt(label)}: {one.kind}: {one.message}" for label, one in calls.failures]
    more = f" and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
    parts = []
    if told:
        parts.append(
            f"{len(told)} of {count} items of {slot!r} failed ({'; '.join(told[:_MOST_TOLD])}{more})"
        )
    if calls.skipped:
        parts.append(f"{calls.skipped} of {count} items of {slot!r} follow from items that failed")
    return "; ".join(parts) + "; what the others came to is kept"

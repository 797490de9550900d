"""Cells: one pass through the steps of a treatment, finding or computing the data of each.

What is stored is not computed; what is computed is stored before anyone uses it; and what a step is handed is its own
copy, equal to what a later run would read from the store.
"""

from __future__ import annotations

import logging
import random
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any, NamedTuple

from workflow_assets.callers import Caller, Place, Recorded, SuspectError
from workflow_assets.contracts.checkers import checker
from workflow_assets.errors import (
    CodecError,
    ContractError,
    CorruptDatumError,
    ItemsFailedError,
    ResourceError,
    StoreError,
    WorkflowAssetsError,
    message_of,
)
from workflow_assets.item_stores import Collection, ItemStore, items_asset, partial_key
from workflow_assets.items import (
    ItemCaller,
    ItemKeys,
    call_each,
    call_share,
    calls_key,
    failure_of,
    taken_apart,
)
from workflow_assets.outcomes import Failure, Handle, ItemFailure, Outcome, Share, ShareDone
from workflow_assets.plans import PlannedSource, PlannedStep
from workflow_assets.sources import AssetSource
from workflow_assets.store.base import Record
from workflow_assets.store.codecs import encode
from workflow_assets.traits import Retries
from workflow_assets.works import Planned, Work

logger = logging.getLogger("workflow_assets")

_LARGE = 1 << 20
"""What is larger than this is stored at once: its value is not held while others are computed."""


class Cell:
    """One pass through the steps of a treatment, for one replicate."""

    def __init__(
        self,
        run: Work,
        place: Place,
        keys: Mapping[PlannedStep, str],
        shared: dict[Planned, Outcome] | None = None,
    ) -> None:
        self.run = run
        self.place = place
        self.keys = keys
        self.shared = {} if shared is None else shared
        self._begun = False

    def begin(self) -> None:
        """Tell that the cell begins, once."""
        if not self._begun:
            self._begun = True
            self.run.listeners.before_cell(self.place.treatment, self.place.replicate, self.place.seed)

    def wanted(self, slots: frozenset[str] | None) -> Iterator[tuple[str, PlannedStep]]:
        """Give the steps whose data are stored, or those of them that are asked for."""
        for slot, step in self.run.plan.by_treatment[self.place.treatment].items():
            if not step.node.step.transient and (slots is None or slot in slots):
                yield slot, step

    def outcome(self, planned: Planned) -> Outcome:
        """Find a datum or compute it; the same failure is not met twice."""
        known = self._known(planned)
        if planned not in known:
            known[planned] = outcome = self._obtain(planned)
            if (
                isinstance(planned, PlannedSource)
                and isinstance(outcome, Handle)
                and not isinstance(planned.source, AssetSource)  # who materialises it says what it holds
            ):
                self.run.references.note(planned.source.asset, "", outcome.record.key)
        if known is not self.shared:
            self.shared[planned] = known[planned]
        return known[planned]

    def _known(self, planned: Planned) -> dict[Planned, Outcome]:
        varies = isinstance(planned, PlannedStep) and planned.varies
        return self.shared if varies else self.run.constants

    def _key(self, planned: Planned) -> str:
        return planned.key if isinstance(planned, PlannedSource) else self.keys[planned]

    def _obtain(self, planned: Planned) -> Outcome:
        """Find a datum that may be used, or compute it in place of one that may not."""
        if planned in self.run.forced:
            return self._compute(planned, replaces=True)
        key = self._key(planned)
        record = self.run.found.get(key)
        if record is None and (self.run.lost or key not in self.run.found):
            record = self.run.store.find(key)
        if record is not None and record.current:
            computed = self.run.again and record.provenance.get("run") == self.run.run_id
            return Handle(record, computed=computed)
        return self._compute(planned, replaces=record is not None)

    def _compute(self, planned: Planned, replaces: bool) -> Outcome:
        """Compute a datum and store it before anyone uses it."""
        store = self.run.store
        evaluated = self._evaluate(planned)
        if isinstance(evaluated, Failure):
            return evaluated
        try:
            place = f"the result of {planned.name!r}"
            uses = self.run.uses(planned)
            encoded = encode(evaluated.value, pickles=store.pickles, place=place, snapshot=uses > 0)
        except CodecError as error:
            return self._failure(planned, error)
        provenance = self._provenance(planned, evaluated.seconds)
        key, metrics = self._key(planned), evaluated.metrics
        records = tuple(one for one in evaluated.recorded if one[2] or one[0] not in metrics)

        def put() -> Record:
            record = store.put_encoded(
                key, encoded, metrics=metrics, provenance=provenance, records=records, replace=replaces
            )
            self.run.lost += record.provenance.get("run") != self.run.run_id
            return record

        pool = self.run.pool
        stored = put() if pool is None or encoded.size > _LARGE else pool.submit(put)
        return Handle(stored, encoded, self.run.run_id, uses)

    def _evaluate(self, planned: Planned) -> _Evaluated | Failure:
        """Call the function of a step or source; whatever it raises is the cell's failure."""
        if not self.run.compute:
            return self._failure(
                planned, LookupError("it is not stored; materialise the results to compute it")
            )
        started = time.perf_counter()
        try:
            if isinstance(planned, PlannedSource):
                with self.run.surroundings.limited(planned, self.place):
                    value = planned.source.load()
                look = checker(planned.source.returns)
                if look is not None and (fault := look(value)):
                    raise ContractError(f"source {planned.name!r} returned a wrong value: {fault}")
                return _Evaluated(value, {}, [], time.perf_counter() - started)
            return self._attempt(planned)
        except StoreError as error:
            if isinstance(error, CodecError):
                return self._failure(planned, error)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this cell's alone
            return self._failure(planned, error)

    def _attempt(self, planned: PlannedStep) -> _Evaluated | Failure:
        """Call the function of a step, again where that may help; raise what the last attempt raises."""
        caller = self.run.caller(planned)
        if planned.node.step.over:
            return self._on_each(planned, caller)

        def arguments() -> dict[str, Any] | Failure:
            made = {}
            for parameter, given in planned.inputs:
                made[parameter] = argument = self._argument(given)
                if isinstance(argument, Failure):
                    return argument
            return made

        tried = self._tried(planned, caller, arguments, self.place)
        if isinstance(tried, Failure):
            return tried
        value, recorded, seconds = tried
        return _Evaluated(value, caller.metrics(value, recorded), recorded, seconds)

    def _on_each(self, planned: PlannedStep, caller: Caller) -> _Evaluated | Failure:
        """Call the function of a step on each item; what failed of those before fails alone."""
        started = time.perf_counter()
        prepared = self._items(planned, caller)
        if isinstance(prepared, Failure):
            return prepared
        collection, items, on_item, upstream = prepared
        key = self._key(planned)
        # Hooks are told of the step, not of a hundred thousand items.
        with (
            suppress(ItemsFailedError),
            self._told(planned, 1, again=False) if self.run.listeners.steps else _UNTOLD,
        ):
            calls = call_each(collection, items, on_item)
            on_item.kept.tell(key, calls.table)
            if calls.failures:
                raise ItemsFailedError(failure_of(calls, planned.name))
        if not calls.failures and upstream is None:
            seconds = time.perf_counter() - started
            return _Evaluated(calls.collection.whole(), {}, calls.recorded, seconds)
        on_item.kept.leave(key, calls.collection)
        if not calls.failures:
            assert upstream is not None
            return replace(upstream, message=f"{upstream.message}; {failure_of(calls, planned.name)}")
        trace = next((one.traceback for _, one in calls.failures if one.traceback), "")
        kind, message, place = ItemsFailedError.__name__, failure_of(calls, planned.name), self.place
        return Failure(planned.name, place.treatment, place.replicate, place.seed, kind, message, trace)

    def share(self, planned: PlannedStep, share: Share) -> ShareDone:
        """Call a step on one worker's share of its items, and store what they come to.

        What prevents that is met again, and told, by who puts the shares together.
        """
        failed: Mapping[str, ItemFailure] = {}
        try:
            prepared = self._items(planned, self.run.caller(planned))
            if not isinstance(prepared, Failure):
                _, items, on_item, _ = prepared
                failed = call_share(items, on_item, share)
        except Exception as error:
            if isinstance(error, StoreError) and not isinstance(error, CodecError):
                raise
        return ShareDone(share, failed)

    def _items(self, planned: PlannedStep, caller: Caller) -> _Prepared | Failure:
        """Give what the items of a step are, what calls it on one, and the failure that some follow from."""
        step, store = planned.node.step, self.run.store
        arguments: dict[str, Any] = {}
        upstream: Failure | None = None
        for parameter, given in planned.inputs:
            argument = self._argument(given)
            if isinstance(argument, Failure):
                record = store.find(partial_key(self._key(given)))
                if record is None or parameter not in step.over:
                    return argument
                upstream, argument = upstream or argument, Collection(*store.load(record)).whole()
            arguments[parameter] = argument
        collection, items, whole = taken_apart(caller, arguments)
        key = calls_key(planned, self.place.seed, whole, store.pickles)
        made = {"run": self.run.run_id, "created": round(time.time(), 3)}
        kept = ItemStore(store, items_asset(self.run.plan.declaration.name, planned.name, key), made)
        random, again = step.random, step.retries.times or self.run.surroundings.guarded

        def call(given: dict[str, Any], seed: int) -> tuple[Any, Recorded]:
            own = self.place._replace(seed=seed) if random else self.place
            tried = self._tried(planned, caller, lambda: dict(given) if again else given, own, tell=False)
            assert not isinstance(tried, Failure)
            return tried[0], tried[1]

        shares = self.run.shares.get((planned, self.place.replicate), {})
        failed = {item: failure for done in shares.values() for item, failure in done.failed.items()}
        # What shares have computed in this run is not to be computed again, unless one was lost.
        lost = not shares or any(len(shares) < done.share.of for done in shares.values())
        on_item = ItemCaller(
            step.over,
            whole,
            call,
            _trace,
            kept,
            ItemKeys(key, store.pickles, counted=random or not step.memo),
            failed,
            force=(planned in self.run.forced or not step.memo) and lost,
        )
        return _Prepared(collection, items, on_item, upstream)

    def _tried(
        self,
        planned: PlannedStep,
        caller: Caller,
        make: Callable[[], dict[str, Any] | Failure],
        place: Place,
        *,
        tell: bool = True,
    ) -> tuple[Any, Recorded, float] | Failure:
        """Call a function with fresh arguments, again where that may help; the hooks need not be told."""
        told = tell and self.run.listeners.steps
        retries = planned.node.step.retries
        attempt, alone, again = 1, False, False
        while True:
            arguments = make()
            if isinstance(arguments, Failure):
                return arguments
            try:
                with self._told(planned, attempt, again) if told else _UNTOLD:
                    started = time.perf_counter()
                    value, recorded = caller.call(arguments, place, alone=alone)
                    seconds = time.perf_counter() - started
            except SuspectError:
                alone = again = True
            except Exception as error:
                cause = error.__cause__ if isinstance(error, ResourceError) else error
                worthwhile = isinstance(cause, retries.on) and not isinstance(cause, WorkflowAssetsError)
                if attempt > retries.times or not worthwhile:
                    raise
                self._wait(planned, retries, attempt, error)
                attempt, again = attempt + 1, False
            else:
                return value, recorded, seconds

    @contextmanager
    def _told(self, planned: PlannedStep, attempt: int, again: bool) -> Iterator[None]:
        """Tell the hooks of a call: once, where it is done `again` since nothing can be said of it."""
        tell, place = self.run.listeners.step, self.place
        of = (place.treatment, place.replicate if planned.varies else "", planned.name, attempt)
        if not again:
            tell("before_step", *of)
        started = time.perf_counter()
        try:
            yield
        except SuspectError:
            raise
        except BaseException as error:
            tell("after_step", *of, seconds=time.perf_counter() - started, error=error)
            raise
        tell("after_step", *of, seconds=time.perf_counter() - started)

    def _wait(self, planned: PlannedStep, retries: Retries, attempt: int, error: Exception) -> None:
        pause = retries.pause(attempt, random.Random())  # noqa: S311 - so that cells come back one by one
        logger.warning(
            "%s × %s: step %r raised %s: %s; attempt %d of %d in %.3g s",
            *(self.place.treatment, self.place.replicate, planned.name, type(error).__qualname__, error),
            *(attempt + 1, retries.times + 1, pause),
        )
        time.sleep(pause)

    def _argument(self, given: Planned) -> Any:
        """Give what an input parameter is handed, the consumer's own; or the failure that prevents it."""
        if isinstance(given, PlannedStep) and given.node.step.transient:
            if isinstance(known := self._known(given).get(given), Failure):
                return known
            evaluated = self._evaluate(given)
            return evaluated if isinstance(evaluated, Failure) else evaluated.value
        outcome = self.outcome(given)
        if isinstance(outcome, Failure):
            return outcome
        try:
            return outcome.value(self.run.store)
        except (CorruptDatumError, CodecError) as error:
            if outcome.computed:
                raise
            logger.warning("%s; computing it again", error)
        self._known(given)[given] = outcome = self._compute(given, replaces=True)
        return outcome if isinstance(outcome, Failure) else outcome.value(self.run.store)

    def _provenance(self, planned: Planned, seconds: float) -> dict[str, Any]:
        made: dict[str, Any] = {"made": self.run.origins.note(planned)}
        if isinstance(planned, PlannedStep):
            made["inputs"] = planned.input_keys(self.keys)
            if planned.varies:
                made["replicate"], made["seed"] = self.place.replicate, self.place.seed
        made["seconds"] = round(seconds, 6)
        made["created"] = round(time.time(), 3)
        if (peak := self.run.surroundings.peak_memory(seconds)) is not None:
            made["peak_memory"] = peak
        made["run"] = self.run.run_id
        return made

    def _failure(self, planned: Planned, error: Exception) -> Failure:
        kind, message, place = type(error).__qualname__, message_of(error), self.place
        text = _trace(error)
        return Failure(planned.name, place.treatment, place.replicate, place.seed, kind, message, text)


def _trace(error: Exception) -> str:
    """Give the traceback of an exception; it begins where the user's code does."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__") in _OURS:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


class _Prepared(NamedTuple):
    """The items that a step is called on, what calls it, and the failure that some of them follow from."""

    collection: Collection
    items: Iterator[Any]
    on_item: ItemCaller
    upstream: Failure | None


class _Evaluated(NamedTuple):
    """What a call came to."""

    value: Any
    metrics: Mapping[str, Any]
    recorded: Recorded
    seconds: float


_UNTOLD = nullcontext()

_OURS = {
    __name__,
    Caller.__module__,
    ItemCaller.__module__,
    AssetSource.__module__,
    "asyncio.runners",
    "asyncio.base_events",
}

"""Works: what all cells of a run share while it goes on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from math import inf
from typing import Any

from workflow_assets.callers import Caller, Surroundings
from workflow_assets.hooks import Listeners
from workflow_assets.outcomes import Outcome, ShareDone
from workflow_assets.plans import Plan, PlannedSource, PlannedStep
from workflow_assets.provenance import Origins
from workflow_assets.references import References
from workflow_assets.store.base import Record, Store

Planned = PlannedStep | PlannedSource


class Work:
    """What the cells of one run share: the plan, the store, and what was found, computed and noted so far."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        *,
        force: Iterable[str] = (),
        resources: Mapping[str, Any] | None = None,
        run_id: str = "",
        compute: bool = True,
        listeners: Listeners | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        self.plan = plan
        self.store = store
        self.surroundings = Surroundings(resources or {}) if surroundings is None else surroundings
        self.run_id = run_id or plan.nonce
        self.listeners = Listeners() if listeners is None else listeners
        self.compute = compute
        self.forced = plan.following(force)
        self.constants: dict[Planned, Outcome] = {}
        self.callers: dict[PlannedStep, Caller] = {}
        self.again = False  # whether an earlier attempt at the same cells may have stored some of their data
        self.references = References(store)
        self.claim = store.claim()
        self.origins = Origins(store, self.run_id, self.claim)
        self.pool: Executor | None = None
        # A transient step, and one that is tried again, may be computed, and ask, several times.
        self._uses: defaultdict[Planned, float] = defaultdict(float)
        for step in plan.steps:
            often = step.node.step.transient or step.node.step.retries.times
            for _, given in step.inputs:
                self._uses[given] += inf if often else 1
        self.found: Mapping[str, Record | None] = {}
        self.looked = 0.0
        self.shares: dict[
            tuple[PlannedStep, str], dict[int, ShareDone]
        ] = {}  # done by others, by their first items
        self.lost = 0  # data that another run, at work on the same, has stored first
        if compute:
            store.check_writable()

    def uses(self, planned: Planned) -> float:
        """Give how often the value of a datum will be asked for: for one of no single replicate, who knows."""
        varies = isinstance(planned, PlannedStep) and planned.varies
        return self._uses[planned] if varies or not self._uses[planned] else inf

    def caller(self, step: PlannedStep) -> Caller:
        """Give what calls a step."""
        if step not in self.callers:
            self.callers[step] = Caller(step, self.surroundings)
        return self.callers[step]

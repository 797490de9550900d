"""The experiment: declared on the floor below, run by the engine, without Dagster."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from workflow_assets.automations import Schedule, Watch
from workflow_assets.declarations import Declaration
from workflow_assets.errors import DeclarationError, StoreError, UnknownNameError, did_you_mean, excerpt
from workflow_assets.preregistrations import Attempts, Confirmation, chosen
from workflow_assets.replicates import Replicates

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from workflow_assets.acceptances import Acceptance
    from workflow_assets.explanations import Explanation
    from workflow_assets.forecasts import Forecast
    from workflow_assets.hooks import Hooks
    from workflow_assets.inspections import Audit
    from workflow_assets.results import Result
    from workflow_assets.stats.sequences import Until
    from workflow_assets.steps import Registry
    from workflow_assets.store.base import Store
    from workflow_assets.top_ups import ToppedUp

logger = logging.getLogger("workflow_assets")


class Experiment(Declaration):
    """A workflow, treatments, replicates and hypotheses: declared whole, run here or compiled to Dagster.

    See `Declaration` for the arguments.

    >>> from workflow_assets import step
    >>> @step
    ... def measure(rng, gain: float = 1.0) -> float:
    ...     return gain * rng.normal()
    >>> study = Experiment("study", [measure], {"double": {"measure.gain": 2.0}}, replicates=3)
    >>> study.run().table["measure"].notna().sum()
    np.int64(6)
    """

    def document(self) -> dict[str, Any]:
        """Give the experiment as a document, which holds nothing but what JSON has; see `docs/documents.md`.

        Raises `DocumentError` with the place of each value that no document can hold.
        """
        from workflow_assets.writings import write_experiment

        return write_experiment(self)

    @classmethod
    def from_document(
        cls, told: Mapping[str, Any] | str | Path, registry: Registry, *, pinned: bool = False
    ) -> Self:
        """Read an experiment from a mapping, a text (JSON or YAML), or a file.

        With `pinned`, a document is refused that was written with other code of its steps. Raises `DocumentError` with
        every fault, each at its place.
        """
        from workflow_assets.protocols import read_experiment
        from workflow_assets.readers import tree_of

        return read_experiment(tree_of(told), registry, cls, pinned=pinned)

    def run(
        self,
        store: Store | None = None,
        *,
        treatments: Iterable[str] | None = None,
        replicates: Iterable[str] | None = None,
        force: Iterable[str] = (),
        resources: Mapping[str, Any] | None = None,
        backend: Any = None,
        workers: int | None = None,
        capacity: Mapping[str, float | str] | None = None,
        max_failures: int | None = None,
        max_seconds: float | None = None,
        max_bytes: float | None = None,
        hooks: Hooks | Iterable[Hooks] | None = None,
        progress: bool | None = None,
    ) -> Result:
        """Run the experiment and give its results.

        What the store holds is not computed again. A failing cell is a row with its error; the others finish.

        Args:
            store: where data are kept; a fresh store in memory by default.
            treatments: run only these; all by default.
            replicates: run only the replicates of these keys (``"0007"``, or a unit's name); all by default.
            force: steps and sources to compute again, with all that follows from them.
            resources: what steps find in ``ctx.resources``; with `per_worker`, each worker opens its own.
            backend: who executes cells: ``"serial"`` (the default), ``"threads"``, ``"processes"``, ``"asyncio"``,
                ``"dask"``, a backend with options such as ``Dask("tcp://…")``, or a `concurrent.futures.Executor`. The
                results are the same.
            workers: how many cells at a time; more than one without a backend means processes.
            capacity: how much this machine has of what steps need in their ``resources=``, such as ``{"gpu": 1}``.
            max_failures: begin no more cells after so many have failed.
            max_seconds: how long computing may take, all steps one after the other.
            max_bytes: how much may be written, in bytes of values.
            hooks: functions that are told when the run, its cells and steps begin and end.
            progress: whether to show a bar with cells done, stored and failed, rate and time left; by default in a
                terminal or notebook, if the run takes longer than a moment.

        Raises `UnknownNameError` for a name that the experiment does not have, and before anything is computed
        `StoreError` where something is to be computed and the store cannot be written, `DeclarationError` where the
        backend cannot do what a step asks for, and `LimitError` where the time or size of earlier data says that a
        limit would be exceeded.
        """
        from workflow_assets.confirmations import configuration
        from workflow_assets.executions import Execution
        from workflow_assets.forecasts import forecast
        from workflow_assets.hooks import read_hooks
        from workflow_assets.plans import Plan
        from workflow_assets.progress import shown
        from workflow_assets.results import Result
        from workflow_assets.store.base import MemoryStore
        from workflow_assets.tables import describe_failures

        execution = Execution(backend, workers, capacity, max_failures, resources, read_hooks(hooks))
        execution.check(self)
        store = MemoryStore() if store is None else store
        unwritable: StoreError | None = None
        try:
            store.check_writable()
        except StoreError as error:
            unwritable = error
        plan = Plan(self, store)
        chosen, forced = plan.cells(treatments, replicates), list(force)
        if unwritable is not None or max_seconds is not None or max_bytes is not None:
            expected = forecast(plan, chosen, force=forced)
            if unwritable is not None and expected.data.to_compute:
                raise unwritable
            expected.check(max_seconds, max_bytes)
        outcomes = execution.cells(plan, store, chosen, force=forced, compute=unwritable is None)
        told = shown(outcomes, self.name, len(chosen), progress)
        result = Result.collect(self, told, store, configuration(plan).digest)
        if result.failures:
            logger.warning("%s: %s", self.name, describe_failures(result.failures, len(result.outcomes)))
        return result

    def top_up(
        self,
        until: Until,
        store: Store | None = None,
        *,
        hypotheses: str | Sequence[str] | None = None,
        peek: bool = False,
        **options: Any,
    ) -> ToppedUp:
        """Run replicates in batches, and judge after each, until hypotheses are decided.

        Replicates are taken in their order from the first on, those that are stored too: the same rule stops after the
        same number, whatever was computed before. Numbered replicates may become more than are declared.

        >>> from workflow_assets import Experiment, Hypothesis, Until, step
        >>> @step
        ... def measure(rng, gain: float = 1.0) -> float:
        ...     return gain * rng.normal(5.0)
        >>> better = Hypothesis("better", metric="measure", treatment="double", test="sequential_t")
        >>> study = Experiment("study", [measure], {"double": {"measure.gain": 2.0}}, hypotheses=[better])
        >>> result = study.top_up(Until(n_max=100))
        >>> result.looks["replicates"].tolist(), result.reason
        ([10], 'every claim is decided')

        Args:
            until: when to stop: a number at the latest, sooner when all is decided, or intervals are narrow enough.
            store: where data are kept; a fresh store in memory by default.
            hypotheses: the names of those to wait for; all by default. All are judged at every look.
            peek: wait for tests that are made for one look, too; their verdicts are flagged.
            options: as for `run`, whose limits hold for each batch; `replicates` are chosen here.

        Raises `DeclarationError` where a hypothesis is waited for whose test is made for one look, for re-splits of one
        data set, and for more units than are named.
        """
        from workflow_assets.store.base import MemoryStore
        from workflow_assets.top_ups import top_up

        if "replicates" in options:
            given = f"replicates = {excerpt(options['replicates'])}: the rule says how many, Until(n_max=...)"
            raise DeclarationError("top_up", [given])
        kept = MemoryStore() if store is None else store

        def run(grown: Experiment, keys: list[str]) -> Result:
            return grown.run(kept, replicates=keys, **options)

        return top_up(self, until, run, hypotheses=hypotheses, peek=peek)

    def confirm(
        self,
        hypothesis: str | Sequence[str],
        replicates: int | Sequence[str] = 30,
        *,
        store: Store,
        attempt: int = 1,
        attempts: Attempts | None = None,
        **options: Any,
    ) -> Result:
        """Ask a hypothesis again, of replicates that nobody has seen, and after writing down what is asked.

        The preregistration (what is asked and how, of which replicates, with which code, parameters and sources) is in
        the store before the first cell is computed; the verdict bears its digest. Asking for the same again, also after
        an interruption, continues with the same preregistration and gives the same data; whatever differs is another
        attempt, with fresh replicates.

        Alpha is spent: the ledger of the store counts the attempts in the family of a hypothesis, whatever it is called
        and whatever the seed. See `docs/confirming.md`.

        >>> from workflow_assets import Experiment, Hypothesis, MemoryStore, step
        >>> @step
        ... def measure(rng, gain: float = 1.0) -> float:
        ...     return gain * rng.normal(5.0)
        >>> better = Hypothesis("better", metric="measure", treatment="double")
        >>> study = Experiment("study", [measure], {"double": {"measure.gain": 2.0}}, 10, [better])
        >>> store = MemoryStore()
        >>> explored = study.run(store)
        >>> result = study.confirm("better", 20, store=store)
        >>> result.table["replicate"].min(), result.verdict("better").confirmed
        (np.int64(10), True)

        Args:
            hypothesis: the name of one of the experiment's, or several, whose p values are adjusted for each other.
            replicates: how many fresh ones; or the names of fresh units, where the experiment's are units.
            store: where the exploration was kept, and its ledger.
            attempt: a number for each time that the same is asked again, of fresh replicates.
            attempts: how many attempts there may be in this family, or "unlimited"; told at the first of them, 1 by
                default. Of so many, each may spend an equal share of alpha.
            options: as for `run`.

        Raises `DeclarationError` for a hypothesis that there is not, for units that are not fresh, and for other
        `attempts` than the first declared; `StoreError` where the store cannot be written.
        """
        from workflow_assets.confirmations import confirming, preregister

        declared = preregister(
            self, store, self.confirmation(hypothesis, replicates, attempt=attempt, attempts=attempts)
        )
        logger.info("%s", declared)
        return confirming(self, declared).run(store, **options)

    def confirmation(
        self,
        hypothesis: str | Sequence[str],
        replicates: int | Sequence[str] = 30,
        *,
        attempt: int = 1,
        attempts: Attempts | None = None,
        name: str = "",
    ) -> Confirmation:
        """Declare a confirmation for Dagster; hand what this gives to `to_dagster(confirmations=[...])`.

        >>> from workflow_assets import Experiment, Hypothesis, step
        >>> @step
        ... def measure(rng, gain: float = 1.0) -> float:
        ...     return gain * rng.normal(5.0)
        >>> better = Hypothesis("better", metric="measure", treatment="double")
        >>> study = Experiment("study", [measure], {"double": {"measure.gain": 2.0}}, 10, [better])
        >>> study.confirmation("better").name
        'study_confirms_better'

        Args:
            hypothesis: the name of one of the experiment's, or several.
            replicates: how many fresh ones, or the names of fresh units.
            attempt: a number for each time that the same is asked again, of fresh replicates.
            attempts: how many attempts there may be in this family; see `confirm`.
            name: what its job is called, and the first part of its assets' keys.

        Raises `DeclarationError` for a hypothesis that the experiment does not have, and for what is no number.
        """
        names = (hypothesis,) if isinstance(hypothesis, str) else tuple(hypothesis)
        chosen(self.hypotheses, names, self.name)
        given = replicates if isinstance(replicates, int) else Replicates.read(replicates).units or ()
        Replicates.read(given)
        return Confirmation(self.name, names, given, attempt, attempts, name)

    def explain(
        self, store: Store, name: str, treatment: str = "baseline", replicate: str | int = 0
    ) -> Explanation:
        """Say whether a step's datum is stored, and if not, what has changed: which function, value or input.

        Raises `UnknownNameError` for a step, treatment or replicate that the experiment does not have.
        """
        from workflow_assets.explanations import explain
        from workflow_assets.plans import Plan

        return explain(Plan(self, store), treatment, self.replicates.key(replicate), name)

    def accept(self, store: Store, name: str, *, why: str, who: str | None = None) -> list[Acceptance]:
        """Declare that a step's changed code gives the same results, so that what is stored stays valid.

        Who, when and why are told with the provenance of all that the change would have computed again.

        Raises `UnknownNameError` for a name that the experiment does not have, or whose code has not changed, and
        `ValueError` where no reason is given.
        """
        from workflow_assets.explanations import accept_change
        from workflow_assets.plans import Plan

        return accept_change(Plan(self, store), name, why=why, who=who)

    def plan(
        self,
        store: Store,
        *,
        treatments: Iterable[str] | None = None,
        replicates: Iterable[str] | None = None,
        steps: Iterable[str] | None = None,
        force: Iterable[str] = (),
    ) -> Forecast:
        """Tell what a run over a store would find, share and compute, and what it would take; print it for a table.

        Nothing is executed but the loaders of sources that declare no version.

        Args:
            store: where data are kept.
            treatments: plan only these; all by default.
            replicates: plan only the replicates of these keys; all by default.
            steps: plan only these, and what they need and is not stored; all by default.
            force: steps and sources to compute again, with all that follows from them.

        Raises `UnknownNameError` for a name that the experiment does not have.
        """
        from workflow_assets.forecasts import forecast
        from workflow_assets.plans import Plan

        plan = Plan(self, store)
        return forecast(plan, plan.cells(treatments, replicates), steps=steps, force=force)

    def audit(
        self,
        store: Store,
        *,
        sample: int = 20,
        steps: Iterable[str] | None = None,
        rng: random.Random | None = None,
        resources: Mapping[str, Any] | None = None,
    ) -> Audit:
        """Compute a random sample of what is stored again, and tell which steps give something else than before.

        Each datum is computed from its stored inputs. Nothing is stored but a note in the ledger that there was an
        audit: verdicts of confirmations are flagged without one.

        >>> from workflow_assets import Experiment, MemoryStore, step
        >>> @step
        ... def doubled(replicate: int) -> int:
        ...     return 2 * replicate
        >>> store, study = MemoryStore(), Experiment("study", [doubled], replicates=3)
        >>> result = study.run(store)
        >>> print(study.audit(store))
        doubled: 3 computed again, none different

        Args:
            store: where the data are.
            sample: how many data are computed, of all steps together; fewer if fewer are stored.
            steps: compute data of these; of all by default.
            rng: draws the sample; by default anew each time.
            resources: what steps find in ``ctx.resources``.

        Raises `UnknownNameError` for a step that the experiment does not have, and `ValueError` for a sample of none.
        """
        from workflow_assets.confirmations import note_audit
        from workflow_assets.inspections import audit
        from workflow_assets.plans import Plan

        plan = Plan(self, store)
        found = audit(plan, store, sample=sample, steps=steps, rng=rng, resources=resources)
        note_audit(plan, store, found.computed, deterministic=found.deterministic)
        return found

    def schedule(
        self,
        cron: str,
        *,
        timezone: str = "UTC",
        name: str = "",
        running: bool = True,
        until: Until | None = None,
        hypotheses: str | Sequence[str] = (),
        peek: bool = False,
    ) -> Schedule:
        """Let Dagster run the experiment at given times; hand what this gives to `to_dagster(automations=[...])`.

        >>> from workflow_assets import Experiment, step
        >>> @step
        ... def doubled(replicate: int) -> int:
        ...     return 2 * replicate
        >>> Experiment("study", [doubled]).schedule("0 3 * * *", timezone="Europe/Berlin").name
        'study_schedule'

        Args:
            cron: minute, hour, day of the month, month and day of the week: ``"0 3 * * *"`` is 3 o'clock each night.
            timezone: what the hours are of.
            name: what it is called in Dagster; to be given where an experiment has several schedules.
            running: False to leave it off until somebody turns it on in the UI.
            until: when the declared replicates are enough, as for `top_up`; by default all are computed.
            hypotheses: those that the rule waits for; all by default.
            peek: wait for tests that are made for one look, too.

        Raises `DeclarationError` for times that are none, and for a rule by which this cannot be topped up.
        """
        made = Schedule(self.name, cron, timezone, name, running, until, hypotheses, peek)
        if until is not None:
            from workflow_assets.top_ups import rule_faults

            if faults := rule_faults(self, until, made.hypotheses or None, peek=peek):
                raise DeclarationError(f"the schedule of experiment {self.name!r}", faults)
        return made

    def watch(self, source: str, *, every: int = 60, name: str = "", running: bool = True) -> Watch:
        """Let Dagster run the experiment whenever a source has another version than the latest results are made of.

        Hand what this gives to `to_dagster(automations=[...])`. A source that declares no version is loaded at each
        look, to see whether its content has changed.

        Args:
            source: the source's name.
            every: how many seconds lie between two looks; Dagster looks every five seconds at most.
            name: what it is called in Dagster.
            running: False to leave it off until somebody turns it on in the UI.

        Raises `UnknownNameError` for a source that the experiment does not read, and `DeclarationError` for a time
        that is none.
        """
        if not isinstance(source, str) or source not in self.sources:
            raise UnknownNameError(
                f"experiment {self.name!r} reads no source {excerpt(source)} to watch: "
                f"{did_you_mean(str(source), self.sources)}"
            )
        return Watch(self.name, source, every, name, running)

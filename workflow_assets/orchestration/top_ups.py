"""Topping up in a job: replicates of the declared grid in batches, until hypotheses are decided."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from workflow_assets.errors import DeclarationError
from workflow_assets.experiments import Experiment
from workflow_assets.results import Result
from workflow_assets.top_ups import ToppedUp, top_up

if TYPE_CHECKING:
    from workflow_assets.stats.sequences import Until


class UntilConfig(dg.Config):
    """When a run has computed enough of the declared replicates: the fields of `Until`."""

    n_max: int | None = Field(None, description="How many replicates at the latest; by default all declared.")
    decided: bool = Field(True, description="Go on until hypotheses are supported or refuted.")
    width: float | None = Field(None, description="Go on until every interval is at most that wide.")
    first: int = Field(
        10, description="How many replicates to compute before the first look, if there are so many."
    )
    batch: int = Field(5, description="How many to add before the next.")
    hypotheses: list[str] = Field([], description="Wait for these only; all are judged.")
    peek: bool = Field(False, description="Wait for tests that are made for one look, too, and flag them.")

    def topped_up(
        self, experiment: Experiment, compute: Callable[[Experiment, list[str]], Result]
    ) -> ToppedUp:
        """Compute until the rule says that it is enough, within the declared grid.

        Raises `DeclarationError` for a rule that cannot be, and for what cannot be topped up.
        """
        from workflow_assets.stats.sequences import Until

        n_max = len(experiment.replicates) if self.n_max is None else self.n_max
        try:
            until = Until(n_max, self.decided, self.width, min(self.first, n_max), self.batch)
        except ValueError as error:
            raise DeclarationError("until", [str(error)]) from None
        names = self.hypotheses or None
        return top_up(experiment, until, compute, hypotheses=names, peek=self.peek, grow=False)


def until_config(
    experiment: str, until: "Until | None", hypotheses: Sequence[str] = (), *, peek: bool = False
) -> dict[str, Any]:
    """Give the run configuration that tops an experiment up; that of a plain run where there is no rule."""
    if until is None:
        return {}
    told = {**dataclasses.asdict(until), "hypotheses": list(hypotheses), "peek": peek}
    return {"ops": {f"{experiment}__results": {"config": {"until": told}}}}


def top_up_metadata(result: Result) -> dict[str, Any]:
    """Tell why a run ended where it did; nothing of one that was not topped up."""
    if not isinstance(result, ToppedUp):
        return {}
    looks = [f"| {one['replicates']} | {one['hypothesis']} | {one['decision']} |" for one in result.seen]
    table = "\n".join(["| replicates | hypothesis | decision |", "| --- | --- | --- |", *looks])
    return {
        "stopped": f"after {len(result.declaration.replicates)} replicates: {result.reason}",
        "looks": dg.MetadataValue.md(table),
    }

"""What can be set for one run, in the launchpad or on the command line."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import dagster as dg
from pydantic import Field

from workflow_assets.executions import Execution
from workflow_assets.orchestration.top_ups import UntilConfig


class BackendName(Enum):
    """The backends that a run can name: all of `NAMES`, which the launchpad offers."""

    serial = "serial"
    threads = "threads"
    processes = "processes"
    asyncio = "asyncio"
    dask = "dask"


class RunConfig(dg.Config):
    """What can be set for one run, in the launchpad or on the command line."""

    force: list[str] = Field([], description="Steps and sources to compute again although they are stored.")
    backend: BackendName | None = Field(
        None, description="Who executes cells; by default as the definitions say."
    )
    workers: int | None = Field(None, description="How many cells at a time.")
    capacity: dict[str, float] = Field(
        {}, description="How much there is of what steps need, such as gpu: 1; memory in bytes."
    )
    max_failures: int | None = Field(None, description="Begin no more cells after so many have failed.")

    def execution(self, default: Execution, resources: Mapping[str, Any]) -> Execution:
        """Give how cells are executed: as the definitions say, but for what is set here."""
        named = self.backend
        return Execution(
            default.backend if named is None else named.value,
            self.workers or (default.workers if named is None else None),
            {**(default.capacity or {}), **self.capacity},
            self.max_failures or default.max_failures,
            resources,
            default.hooks,
        )


class ResultsConfig(RunConfig):
    """What can be set for one run of the results."""

    until: UntilConfig | None = Field(
        None, description="Compute replicates in batches, and stop as soon as hypotheses are decided."
    )
    bundles: str | None = Field(
        None,
        description="Write an archive of the results into this folder; by default as the definitions say, '' for none.",
    )

"""Steps that say which process computes; in a module of their own, so that worker processes need not import Dagster."""

import os
from typing import Any

from workflow_assets import Experiment, step


@step
def process(replicate: int) -> int:
    """Say who computes."""
    return os.getpid()


@step
def drawn(process: int, rng: Any) -> float:
    """Draw a number."""
    return float(rng.normal())


study = Experiment("study", [process, drawn], {"same": {}}, replicates=4)


@step(name="process")
def process_of_workflow(offset: int = 0) -> int:
    """Say who computes."""
    return os.getpid() + offset

"""The code location that Dagster loads: the example experiments."""

from workflow_assets.examples.breast_cancer import regularisation
from workflow_assets.orchestration.definitions import to_dagster

defs = to_dagster(regularisation)

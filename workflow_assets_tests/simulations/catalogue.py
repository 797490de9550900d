"""All simulations."""

from workflow_assets_tests.simulations import lineages, means

SIMULATIONS = [*means.SIMULATIONS, *lineages.SIMULATIONS]

"""All simulations."""

from workflow_assets_tests.simulations import designs, means

SIMULATIONS = [*means.SIMULATIONS, *designs.SIMULATIONS]

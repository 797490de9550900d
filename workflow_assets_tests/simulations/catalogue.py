"""All simulations."""

from workflow_assets_tests.simulations import means

SIMULATIONS = [*means.SIMULATIONS]

"""All simulations."""

from workflow_assets_tests.simulations import contrasts, means

SIMULATIONS = [*means.SIMULATIONS, *contrasts.SIMULATIONS]

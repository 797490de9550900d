"""All simulations."""

from workflow_assets_tests.simulations import effects, means

SIMULATIONS = [*means.SIMULATIONS, *effects.SIMULATIONS]

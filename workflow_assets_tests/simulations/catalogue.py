"""All simulations."""

from workflow_assets_tests.simulations import means, powers

SIMULATIONS = [*means.SIMULATIONS, *powers.SIMULATIONS]

"""All simulations."""

from workflow_assets_tests.simulations import contrasts, means, powers

SIMULATIONS = [*means.SIMULATIONS, *contrasts.SIMULATIONS, *powers.SIMULATIONS]

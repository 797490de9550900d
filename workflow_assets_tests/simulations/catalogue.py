"""All simulations."""

from workflow_assets_tests.simulations import contrasts, effects, means, powers

SIMULATIONS = [one for module in (means, contrasts, effects, powers) for one in module.SIMULATIONS]

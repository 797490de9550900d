"""All simulations."""

from workflow_assets_tests.simulations import contrasts, effects, groups, means, powers

SIMULATIONS = [one for module in (means, contrasts, effects, powers, groups) for one in module.SIMULATIONS]

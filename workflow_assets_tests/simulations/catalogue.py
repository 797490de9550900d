"""All simulations."""

from workflow_assets_tests.simulations import groups, means

SIMULATIONS = [*groups.SIMULATIONS, *means.SIMULATIONS]

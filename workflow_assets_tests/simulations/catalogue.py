"""All simulations."""

from workflow_assets_tests.simulations import calibrations, families, means, sequences

SIMULATIONS = [
    *means.SIMULATIONS,
    *sequences.SIMULATIONS,
    *families.SIMULATIONS,
    *calibrations.SIMULATIONS,
]

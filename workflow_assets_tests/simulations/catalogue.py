"""All simulations."""

from workflow_assets_tests.simulations import (
    calibrations,
    contrasts,
    designs,
    effects,
    families,
    groups,
    means,
    powers,
    sequences,
)

MODULES = (means, contrasts, effects, powers, groups, sequences, families, calibrations, designs)
SIMULATIONS = [one for module in MODULES for one in module.SIMULATIONS]

"""All simulations."""

from workflow_assets_tests.simulations import (
    calibrations,
    contrasts,
    designs,
    effects,
    families,
    groups,
    lineages,
    means,
    powers,
    sequences,
)

MODULES = (means, contrasts, effects, powers, groups, sequences, families, calibrations, designs, lineages)
SIMULATIONS = [one for module in MODULES for one in module.SIMULATIONS]

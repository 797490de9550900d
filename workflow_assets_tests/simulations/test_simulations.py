"""Error rates and coverage, as simulated in a few hundred trials; `make simulate` runs many thousands."""

import pytest

from workflow_assets_tests.simulations.catalogue import SIMULATIONS


@pytest.mark.parametrize("simulation", SIMULATIONS, ids=lambda one: one.name)
def test_rates_are_what_they_should_be(simulation):
    """Nothing happens more or less often than it should."""
    assert simulation.fault(simulation.count(simulation.fast, seed=1), simulation.fast) is None


def test_names_are_told_apart():
    """No two simulations bear the same name, which their draws depend on."""
    names = [simulation.name for simulation in SIMULATIONS]
    assert len(names) == len(set(names))

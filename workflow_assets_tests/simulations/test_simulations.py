"""Error rates and coverage, as simulated; python -m workflow_assets_tests.simulations prints them."""

import pytest

from workflow_assets_tests.simulations.catalogue import SIMULATIONS

each = pytest.mark.parametrize("simulation", SIMULATIONS, ids=lambda one: one.name)


@each
def test_rates_are_what_they_should_be(simulation):
    """In a few hundred trials, nothing happens more or less often than it should."""
    assert simulation.fault(simulation.count(simulation.fast, seed=1), simulation.fast) is None


@pytest.mark.slow
@pytest.mark.timeout(1800)
@each
def test_rates_are_what_they_should_be_in_many_trials(simulation):
    """In many thousands of trials, nothing happens more or less often than it should."""
    assert simulation.fault(simulation.count(simulation.full, seed=2), simulation.full) is None


def test_names_are_told_apart():
    """No two simulations bear the same name, which their draws depend on."""
    names = [simulation.name for simulation in SIMULATIONS]
    assert len(names) == len(set(names))

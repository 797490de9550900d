"""Evidence that may be looked at after every replicate."""

import itertools
import math

import numpy as np
import pytest
from scipy import special

from workflow_assets.stats.martingales import (
    betting_bounds,
    log_betting,
    log_student,
    running_squares,
    student_bounds,
    student_reach,
)


def test_running_squares_are_those_of_each_beginning():
    """Mean and squares after n values are those of the first n alone, far from zero too."""
    values = np.random.default_rng(0).normal(1e6, 1e-3, 50)
    mean, squares = running_squares(values)
    for n in (1, 2, 17, 50):
        assert mean[n - 1] == pytest.approx(values[:n].mean(), rel=1e-14)
        assert squares[n - 1] == pytest.approx(np.var(values[:n]) * n, rel=1e-6, abs=1e-12)


def test_betting_is_fair_in_every_future():
    """The expected capital is 1 after any number of pairs when the mean is at the edge, and less below it."""
    for edge, chances in ((0.0, (0.3, 0.4, 0.3)), (0.25, (0.5, 0.25, 0.25)), (-0.5, (0.1, 0.3, 0.6))):
        total = below = 0.0
        for path in itertools.product((0, 1, 2), repeat=5):
            wins, ties, losses = (np.array([float(path.count(i))]) for i in range(3))
            capital = float(np.exp(log_betting(wins, ties, losses, edge))[0])
            total += capital * math.prod(chances[i] for i in path)
            below += capital * math.prod((0.05, 0.0, 0.95)[i] for i in path)
        assert total == pytest.approx(1.0, rel=1e-12)
        assert below < 1


def test_student_is_fair_on_average():
    """The mean e-value of normal values of mean 0 is 1 after 2 and after 6 values, and less for a mean below 0."""
    values = np.random.default_rng(1).normal(size=(100_000, 6))
    for n in (2, 6):
        for shift, least, most in ((0.0, 0.97, 1.03), (-0.5, 0.1, 0.7)):
            drawn = values[:, :n] + shift
            log_e = log_student(drawn.mean(axis=1), drawn.var(axis=1) * n, np.full(len(drawn), float(n)))
            assert least < np.exp(log_e).mean() < most


def test_student_grows_with_the_values_in_every_beginning():
    """Adding a constant to all values never lowers the evidence, which is why a mean below 0 is covered too."""
    rng = np.random.default_rng(2)
    n = np.arange(1.0, 41.0)
    for _ in range(50):
        values = rng.standard_t(2, 40)
        mean, squares = running_squares(values)
        assert np.all(log_student(mean + 0.1, squares, n) >= log_student(mean, squares, n) - 1e-12)


@pytest.mark.parametrize("unit", [1e-100, 1.0, 1e100])
def test_bounds_are_where_the_evidence_meets_the_level(unit):
    """Evidence at the bounds is exactly what the level asks for, in any unit."""
    values = np.random.default_rng(3).normal(1.0, 1.0, 30) * unit
    mean, squares = running_squares(values)
    n = np.arange(1.0, 31.0)
    low, high = student_bounds(mean, squares, n, 0.025)
    assert np.isneginf(low[:5]).all()
    assert np.isposinf(high[:5]).all()
    for gap in (mean - low, high - mean):
        assert log_student(gap[5:], squares[5:], n[5:]) == pytest.approx(math.log(40), rel=1e-9)


def test_bounds_of_shares_are_where_the_evidence_meets_the_level():
    """Evidence at the bounds is what the level asks for; where nothing was won, the lower bound is -1."""
    wins, ties, losses = (
        np.array([9.0, 0.0, 30.0, 1.0]),
        np.array([3.0, 0.0, 0.0, 0.0]),
        np.array([1.0, 8, 0, 900]),
    )
    low, high = betting_bounds(wins, ties, losses, 0.025)
    assert low[1] == -1.0
    assert high[2] == 1.0
    for i in (0, 2, 3):
        one = np.array([1.0])
        at = log_betting(wins[i] * one, ties[i] * one, losses[i] * one, low[i])
        assert at[0] == pytest.approx(math.log(40), rel=1e-7)
    assert np.all(low <= (wins - losses) / (wins + ties + losses))
    assert np.all(high >= (wins - losses) / (wins + ties + losses))


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (5, 5), (60, 20), (3000, 2900)])
def test_betting_at_zero_is_the_beta_binomial_mixture(wins, losses):
    """Without a margin, ties do not count and the closed form is met, also beyond what the grid integrates exactly."""
    one = np.array([1.0])
    ours = log_betting(wins * one, 7 * one, losses * one, 0.0)[0]
    mass = special.betaincc(wins + 1, losses + 1, 0.5)
    closed = (wins + losses + 1) * math.log(2) + special.betaln(wins + 1, losses + 1) + math.log(mass)
    assert ours == pytest.approx(closed, abs=1e-9)


def test_reach_is_wider_than_that_of_a_fixed_number():
    """The price of looking at will: about two thirds more width after 30 pairs."""
    assert student_reach(np.array([30.0]), 0.025)[0] / special.stdtrit(29, 0.975) == pytest.approx(
        1.64, abs=0.01
    )

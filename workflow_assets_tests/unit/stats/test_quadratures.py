"""Averages over what two sample variances may have been."""

import numpy as np
import pytest

from workflow_assets.stats.quadratures import divisions, spreads


@pytest.mark.parametrize("df", [1.0, 2.0, 5.0, 40.0, 1e4, 1e7])
@pytest.mark.parametrize("turn", [0.0, 0.3, 1.0, 50.0])
def test_a_variance_is_chi_square(df, turn):
    """Wherever the panels end, the first two moments of S² are those of chi-square over its degrees of freedom."""
    s, weights = spreads(df, np.array([[turn], [turn + 1e-6]]))
    assert np.sum(weights * s**2) == pytest.approx(1.0, rel=1e-12)
    assert np.sum(weights * s**4) == pytest.approx(1.0 + 2.0 / df, rel=1e-12)


@pytest.mark.parametrize("tails", [False, True])
@pytest.mark.parametrize(("df_x", "df_y"), [(1.0, 1.0), (1.0, 30.0), (7.0, 2.0), (400.0, 3.0), (1e5, 1e5)])
def test_a_division_is_beta(df_x, df_y, tails):
    """The share of one of two chi-squares in their sum has the mean and variance of the beta distribution."""
    b, rest, weights = divisions(df_x, df_y, tails=tails)
    whole = df_x + df_y
    assert np.sum(weights * b) == pytest.approx(df_x / whole, rel=1e-11)
    assert np.sum(weights * b * rest) == pytest.approx(df_x * df_y / (whole * (whole + 2)), rel=1e-11)
    assert np.all(b + rest == pytest.approx(1.0))


def test_tails_are_seen():
    """What is small but near an end, where B is tiny, is averaged as precisely: P(B < t) of the arcsine law."""
    b, _, weights = divisions(1.0, 1.0, tails=True)
    found = float(np.sum(weights / (1.0 + b / 1e-12)))
    assert found == pytest.approx(
        1e-6 / np.sqrt(1.0 + 1e-12), rel=1e-9
    )  # the mean of c / (c + B) is sqrt(c / (1 + c))

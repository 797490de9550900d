"""Order statistics of more sums than are written down."""

import tracemalloc

import numpy as np
import pytest

from workflow_assets.stats import selections
from workflow_assets.stats.selections import smallest_sums


@pytest.mark.parametrize("at_once", [1, 7, 1_000_000])
@pytest.mark.parametrize("whole", [True, False], ids=["many ties", "no ties"])
def test_selection_equals_sorting_everything(at_once, whole, monkeypatch):
    """However few sums fit into memory, those of every rank are those of the full sorted table."""
    monkeypatch.setattr(selections, "SUMS_AT_ONCE", at_once)
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=9), rng.normal(size=6)
    if whole:
        a, b = np.round(2 * a), np.round(2 * b)
    table = np.sort(np.add.outer(a, b), axis=None)
    assert smallest_sums(a, b, range(1, 55)) == pytest.approx(table, abs=1e-12)
    walsh = np.sort(np.add.outer(a, a)[np.triu_indices(9)])
    assert smallest_sums(a, a, range(1, 46), once=True) == pytest.approx(walsh, abs=1e-12)


def test_one_value_many_times():
    """More equal sums than are held at once are found without writing them down."""
    ones = np.ones(1_500)
    assert smallest_sums(ones, -ones, [1, 1_000_000, 2_250_000]) == [0.0, 0.0, 0.0]


def test_long_samples_need_no_table_of_sums():
    """The middle of 12.5 million sums is found in a tenth of the memory that they would take."""
    rng = np.random.default_rng(2)
    values = rng.normal(3.0, 1.0, 5_000)
    total = 5_000 * 5_001 // 2
    tracemalloc.start()
    try:
        (middle,) = smallest_sums(values, values, [total // 2], once=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50_000_000
    assert middle / 2 == pytest.approx(3.0, abs=0.06)

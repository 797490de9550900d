"""Effects of factors: what is estimated, what cannot be told, and what no spread means."""

import numpy as np
import pytest

from workflow_assets.stats.factors import factor_effects
from workflow_assets.stats.means import paired_t

A = ["0", "0", "1", "1"]
B = ["0", "1", "0", "1"]
RNG = np.random.default_rng(3)
TABLE = RNG.normal(size=(4, 6))


def test_a_factor_of_two_levels_is_judged_by_the_paired_t_test() -> None:
    term = factor_effects(TABLE[:2], {"a": ["x", "y"]}).terms[0]
    paired = paired_t(TABLE[1], TABLE[0])
    assert term.df_error == paired.df
    assert term.p == pytest.approx(paired.p)
    assert term.contrasts[0].p == pytest.approx(paired.p)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_units_do_not_matter(pooled: bool, size: float) -> None:
    plain = factor_effects(TABLE, {"a": A, "b": B}, pooled=pooled)
    scaled = factor_effects(TABLE * size, {"a": A, "b": B}, pooled=pooled)
    for one, other in zip(plain.terms, scaled.terms, strict=True):
        assert other.p == pytest.approx(one.p, rel=1e-9)
        assert other.contrasts[0].low == pytest.approx(one.contrasts[0].low * size, rel=1e-9)


@pytest.mark.parametrize("pooled", [False, True])
def test_an_effect_that_is_the_same_in_every_replicate_is_found(pooled: bool) -> None:
    """A constant +1 over varying replicates is judged by sign-flips, in spite of rounding."""
    table = np.vstack([TABLE[0], TABLE[0] + 1.0, TABLE[0], TABLE[0] + 1.0]) + 0.1
    found = factor_effects(table, {"a": A, "b": B}, pooled=pooled)
    assert [term.p for term in found.terms] == [1.0, 2.0**-5, 1.0]
    assert found.terms[1].f is None
    one = found.terms[1].contrasts[0]
    assert [one.low, one.estimate, one.high] == pytest.approx([1.0, 1.0, 1.0])


def test_a_constant_table_has_no_effects() -> None:
    found = factor_effects(np.full((4, 3), 7.0), {"a": A, "b": B})
    assert {term.p for term in found.terms} == {1.0}
    assert {term.contrasts[0].estimate for term in found.terms} == {0.0}


def test_two_replicates_are_enough() -> None:
    found = factor_effects(TABLE[:, :2], {"a": A, "b": B})
    assert [term.df_error for term in found.terms] == [1.0, 1.0, 1.0]


def test_what_a_fraction_cannot_tell_apart_is_said() -> None:
    found = factor_effects(TABLE, {"a": A, "b": B, "c": ["1", "0", "0", "1"]})
    assert [term.name for term in found.terms] == ["a", "b", "c"]
    assert found.notes[0] == "a × b cannot be told from c in these treatments"


@pytest.mark.parametrize("pooled", [False, True])
def test_what_blocks_differ_by_cancels_out(pooled: bool) -> None:
    """However large, it changes no number; and blocks are no term."""
    table, blocks = np.vstack([TABLE, TABLE[::-1] * 0.7]), ["x"] * 4 + ["y"] * 4
    factors = {"a": A + A, "b": B + B}
    plain = factor_effects(table, factors, blocks=blocks, pooled=pooled)
    shifted = factor_effects(
        table + 50.0 * np.repeat([0, 1], 4)[:, np.newaxis], factors, blocks=blocks, pooled=pooled
    )
    assert [term.name for term in shifted.terms] == ["a", "b", "a × b"]
    for one, other in zip(plain.terms, shifted.terms, strict=True):
        assert other.p == pytest.approx(one.p, rel=1e-9)
        assert other.contrasts[0].estimate == pytest.approx(one.contrasts[0].estimate, rel=1e-9)


def test_what_cannot_be_told_from_blocks_is_said() -> None:
    found = factor_effects(TABLE, {"a": A, "b": B}, blocks=["x", "y", "y", "x"])
    assert [term.name for term in found.terms] == ["a", "b"]
    assert found.notes == ("a × b cannot be told from the blocks in these treatments",)


def test_interactions_of_too_few_samples_are_left_out() -> None:
    points = {name: RNG.uniform(-1, 1, 6) for name in ("a", "b", "c")}
    found = factor_effects(RNG.normal(size=(6, 4)), {name: list(of) for name, of in points.items()})
    assert [term.name for term in found.terms] == ["a", "b", "c"]
    assert found.notes == ("interactions are left out: 6 treatments cannot tell 7 coefficients apart",)


@pytest.mark.parametrize(
    ("table", "factors", "options", "told"),
    [
        (TABLE, {"a": A, "b": A}, {}, "factor 'b' cannot be told from a"),
        (TABLE, {"a": A}, {"blocks": A}, "factor 'a' cannot be told from the blocks"),
        (TABLE, {"a": A}, {"blocks": A[:3]}, "there are 3 blocks for 4 treatments"),
        (TABLE, {"a": ["0"] * 4}, {}, "has one level only"),
        (TABLE, {"a": ["0"] * 3}, {}, "has 3 levels and the table 4 treatments"),
        (TABLE, {}, {}, "there are no factors"),
        (TABLE, {"a": [0.0, 1.0, 2.0, 3.0]}, {}, "give numbers from -1"),
        (TABLE[:, :1], {"a": A}, {}, "1 replicates have every treatment: at least 2"),
        (TABLE[0], {"a": A}, {}, "has the shape"),
        (np.full((4, 2), np.inf), {"a": A}, {}, "infinite"),
        (np.full((4, 2), np.nan), {"a": A}, {"pooled": True}, "treatment 0 has no value"),
        (TABLE[:, :1], {"a": A, "b": B}, {"pooled": True}, "more replicates are needed"),
        (TABLE, {"a": A}, {"confidence": 95}, "confidence is 95"),
        (TABLE, {"a": A}, {"variance_inflation": 0.5}, "variance_inflation is 0.5"),
    ],
)
def test_what_cannot_be_estimated_is_refused(table, factors, options, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        factor_effects(table, factors, **options)

"""Several claims, and several attempts at one."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_assets.stats.families import PROCEDURES, adjust, holm, share, spend, spent

every_procedure = pytest.mark.parametrize("procedure", sorted(PROCEDURES))
families = st.lists(st.floats(0, 1), max_size=12)
attempts_made = st.one_of(st.integers(1, 40), st.just("unlimited"))


def test_holm_keeps_the_order_of_the_questions():
    """Each adjusted p stands where its raw p stood."""
    assert holm([0.04, 0.001, 0.03]) == pytest.approx((0.06, 0.003, 0.06))


@every_procedure
@pytest.mark.parametrize(
    ("raw", "adjusted"), [([], ()), ([0.2], (0.2,)), ([1.0, 1.0], (1.0, 1.0)), ([0.0, 1.0], (0, 1))]
)
def test_families_at_their_ends(procedure, raw, adjusted):
    """No question, one question, and p-values of 0 and 1 are adjusted too."""
    assert adjust(procedure, raw) == adjusted


@every_procedure
@pytest.mark.parametrize("bad", [math.nan, -0.1, 1.1])
def test_what_is_no_p_is_refused(procedure, bad):
    """A NaN would sort anywhere: it is refused with its place."""
    with pytest.raises(ValueError, match=r"p_values\[1\] is"):
        adjust(procedure, [0.5, bad])


@every_procedure
@given(p=families)
def test_adjusting_keeps_the_order_and_lowers_nothing(procedure, p):
    """Whatever the procedure, no p falls, none passes 1, and a smaller one stays no larger than a larger one."""
    adjusted = adjust(procedure, p)
    assert len(adjusted) == len(p)
    assert all(type(one) is float for one in adjusted)
    ranked = [one for _, one in sorted(zip(p, adjusted, strict=True))]
    assert ranked == sorted(ranked)
    assert all(raw <= one <= 1 for raw, one in zip(p, adjusted, strict=True))


@given(p=families)
def test_holm_and_hochberg_are_between_bonferroni_and_benjamini_hochberg(p):
    """What guards against more, adjusts more."""
    order = ("bonferroni", "holm", "hochberg", "benjamini_hochberg")
    adjusted = [adjust(procedure, p) for procedure in order]
    for strict, lenient in itertools.pairwise(adjusted):
        assert all(a >= b * (1 - 1e-12) for a, b in zip(strict, lenient, strict=True))


def test_a_misspelt_procedure_is_named():
    """A near match is offered for a name that is no procedure."""
    with pytest.raises(ValueError, match=r"no procedure called 'holmes'.*did you mean 'holm'"):
        adjust("holmes", [0.1])


@given(attempts=attempts_made, looks=st.integers(0, 60))
def test_shares_of_alpha_add_up_to_what_is_spent(attempts, looks):
    """However many attempts are made, their shares are never more than all of alpha."""
    total = math.fsum(share(k, attempts) for k in range(1, looks + 1))
    assert total == pytest.approx(spent(looks, attempts))
    assert total <= 1 + 1e-12


@given(attempts=attempts_made, attempt=st.integers(1, 60), p=st.floats(0, 1))
def test_an_attempt_is_judged_by_its_share(attempts, attempt, p):
    """The adjusted p is p over the share of the attempt, at most 1; without a share it is 1, also for p = 0."""
    mine = share(attempt, attempts)
    adjusted = spend(p, attempt, attempts)
    assert adjusted == (pytest.approx(min(1.0, p / mine)) if mine else 1.0)


def test_the_sixth_of_five_attempts_supports_nothing():
    """An attempt beyond those declared has nothing left to spend."""
    assert spend(0.0, 6, 5) == 1.0
    assert spend(0.0, 5, 5) == 0.0


@pytest.mark.parametrize(
    ("attempt", "attempts", "message"),
    [
        (0, 5, "attempt is 0"),
        (1.5, 5, "attempt is 1.5"),
        (1, 0, "attempts is 0"),
        (1, True, "attempts is True"),
        (1, "many", "attempts is 'many'"),
        (1, 2.5, "attempts is 2.5"),
    ],
)
def test_attempts_that_cannot_be_counted_are_refused(attempt, attempts, message):
    """Attempts are counted from 1, and declared as a number or as unlimited."""
    with pytest.raises(ValueError, match=message):
        spend(0.5, attempt, attempts)
    with pytest.raises(ValueError, match="looks is -1"):
        spent(-1, 5)

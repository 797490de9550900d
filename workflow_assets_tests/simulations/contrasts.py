"""How often tests of shares, signs, spreads, quantiles and permutations err, and their intervals hold the truth."""

from functools import partial

from workflow_assets.stats.means import student_t
from workflow_assets.stats.permutations import permutation, sign_flip
from workflow_assets.stats.proportions import share_difference, share_excess
from workflow_assets.stats.quantiles import Quantile, quantile_difference
from workflow_assets.stats.ranks import sign_test
from workflow_assets.stats.shares import binomial, fisher_exact, mcnemar, score_difference
from workflow_assets.stats.spreads import brown_forsythe, log_spread_ratio, pitman_morgan
from workflow_assets_tests.simulations.means import interval, pairs, unequal
from workflow_assets_tests.simulations.trials import covers, rejects


def independent(draw, n_x, n_y):
    """Make a drawer of two independent arms of one distribution, which has the names of the generator's methods."""
    return lambda rng: (draw(rng, n_x), draw(rng, n_y))


def skewed(rng, n):
    return rng.exponential(size=n)


def heavy(rng, n):
    return rng.standard_t(5, size=n)


def normal(rng, n):
    return rng.normal(size=n)


def together(draw, n):
    """Make a drawer of pairs whose arms share a part."""

    def drawn(rng):
        common = draw(rng, n)
        return draw(rng, n) + common, draw(rng, n) + common

    return drawn


def shares(rng, n_x, n_y, share_x, share_y):
    return (rng.random(n_x) < share_x) * 1, (rng.random(n_y) < share_y) * 1


def paired_shares(rng, n, only_x, only_y):
    """Draw pairs that disagree with these shares; of the rest, half are ones."""
    u = rng.random(n)
    x = (u < only_x) | (u > (1 + only_x + only_y) / 2)
    y = ((u >= only_x) & (u < only_x + only_y)) | (u > (1 + only_x + only_y) / 2)
    return x * 1, y * 1


def asked(test, draw, **options):
    """Make a trial that draws two arms and gives the p of a claim about them."""
    return lambda rng: test(*draw(rng), **options).p


def drawing(test, draw, **options):
    """Make the same of a test that draws."""
    return lambda rng: test(*draw(rng), rng=rng, **options).p


def bounds(effect, draw, **options):
    return lambda rng: interval(effect(*draw(rng), **options))


def by_quantile(share, draw, **options):
    return lambda rng: interval(
        quantile_difference(*draw(rng), share=share, rng=rng, resamples=399, **options)
    )


SIMULATIONS = [
    rejects("student_t, unequal sizes, equal spreads", asked(student_t, independent(normal, 6, 20))),
    rejects("student_t, 20 and 20, skewed", asked(student_t, independent(skewed, 20, 20)), least=0.04),
    # Not its domain: this is what equal spreads are assumed for.
    rejects("student_t, the smaller arm spreads more", asked(student_t, unequal), least=0.15, most=0.25),
    rejects("sign_test, 30 pairs, heavy tails", asked(sign_test, together(heavy, 30)), least=0.03),
    rejects(
        "permutation, 8 and 9, skewed", asked(permutation, independent(skewed, 8, 9)), least=0.048, fast=200
    ),
    rejects(
        "permutation, 20 and 60, skewed, drawn",
        drawing(permutation, independent(skewed, 20, 60), resamples=399),
        fast=100,
    ),
    # Not its domain: arms of equal means and unequal spreads do not come from one distribution.
    rejects(
        "permutation, the smaller arm spreads more",
        drawing(permutation, unequal, resamples=399),
        least=0.12,
        most=0.25,
        fast=100,
    ),
    rejects(
        "sign_flip, 30 pairs, drawn",
        drawing(sign_flip, lambda rng: pairs(rng, 30), resamples=399),
        fast=200,
    ),
    rejects(
        "mcnemar, 40 pairs", asked(mcnemar, partial(paired_shares, n=40, only_x=0.2, only_y=0.2)), least=0.015
    ),
    rejects(
        "fisher_exact, 30 and 40",
        asked(fisher_exact, partial(shares, n_x=30, n_y=40, share_x=0.4, share_y=0.4)),
        least=0.015,
    ),
    rejects(
        "binomial, 50 of 0.3", asked(binomial, lambda rng: ((rng.random(50) < 0.3) * 1, [0.3])), least=0.02
    ),
    rejects(
        "score_difference, 40 pairs, margin",
        asked(
            score_difference,
            partial(paired_shares, n=40, only_x=0.2, only_y=0.1),
            paired=True,
            alternative="greater",
            margin=0.1,
        ),
        least=0.04,
        most=0.06,
    ),
    rejects(
        "score_difference, 30 and 40, margin",
        asked(
            score_difference,
            partial(shares, n_x=30, n_y=40, share_x=0.6, share_y=0.7),
            paired=False,
            alternative="greater",
            margin=-0.1,
        ),
        least=0.04,
        most=0.06,
    ),
    covers(
        "share_difference, 30 and 40",
        bounds(share_difference, partial(shares, n_x=30, n_y=40, share_x=0.7, share_y=0.5), paired=False),
        0.2,
        fast=100,
    ),
    covers(
        "share_difference, 40 pairs",
        bounds(share_difference, partial(paired_shares, n=40, only_x=0.3, only_y=0.1), paired=True),
        0.2,
        fast=100,
    ),
    covers(
        "share_excess, 300 of 0.6",
        bounds(share_excess, lambda rng: ((rng.random(300) < 0.6) * 1, [0.5])),
        0.1,
    ),
    # Not its domain: an exact interval holds the truth too often where values are few.
    covers(
        "share_excess, 15 of 0.6",
        bounds(share_excess, lambda rng: ((rng.random(15) < 0.6) * 1, [0.5])),
        0.1,
        low=0.95,
        high=0.995,
    ),
    rejects("pitman_morgan, 10 normal pairs", asked(pitman_morgan, together(normal, 10))),
    # Not its domain: tails heavier than normal ones.
    rejects(
        "pitman_morgan, 30 pairs, heavy tails",
        asked(pitman_morgan, together(heavy, 30)),
        least=0.08,
        most=0.13,
    ),
    *(
        rejects(
            f"brown_forsythe, {'20 pairs' if paired else '20 and 20'}, {draw.__name__}",
            asked(brown_forsythe, together(draw, 20) if paired else independent(draw, 20, 20), paired=paired),
            least=0.03,
        )
        for paired in (True, False)
        for draw in (normal, heavy, skewed)
    ),
    covers(
        "log_spread_ratio, 20 and 20, normal",
        bounds(log_spread_ratio, independent(normal, 20, 20), paired=False),
        0.0,
    ),
    covers(
        "log_spread_ratio, 20 and 40, heavy",
        bounds(log_spread_ratio, independent(heavy, 20, 40), paired=False),
        0.0,
    ),
    covers(
        "log_spread_ratio, 20 pairs, normal", bounds(log_spread_ratio, together(normal, 20), paired=True), 0.0
    ),
    covers(
        "log_spread_ratio, 20 pairs, skewed", bounds(log_spread_ratio, together(skewed, 20), paired=True), 0.0
    ),
    # Not its domain: strong skewness in independent arms.
    covers(
        "log_spread_ratio, 20 and 20, skewed",
        bounds(log_spread_ratio, independent(skewed, 20, 20), paired=False),
        0.0,
        low=0.91,
        high=0.945,
    ),
    rejects(
        "Quantile(0.9), 50 pairs, skewed",
        drawing(Quantile(0.9), together(skewed, 50), paired=True, resamples=399),
        least=0.03,
        most=0.06,
        fast=200,
    ),
    rejects(
        "Quantile(0.5), 20 and 20, heavy",
        drawing(Quantile(0.5), independent(heavy, 20, 20), paired=False, resamples=399),
        least=0.03,
        most=0.06,
        fast=200,
    ),
    # Not its domain: two values beyond the quantile.
    rejects(
        "Quantile(0.9), 20 pairs, normal",
        drawing(Quantile(0.9), together(normal, 20), paired=True, resamples=399),
        least=0.07,
        most=0.13,
        fast=200,
    ),
    covers(
        "quantile_difference, 0.9 of 50 pairs",
        by_quantile(0.9, together(normal, 50), paired=True),
        0.0,
        high=0.97,
        fast=200,
    ),
    covers(
        "quantile_difference, median of 30 and 30",
        by_quantile(0.5, independent(skewed, 30, 30), paired=False),
        0.0,
        high=0.97,
        fast=200,
    ),
]

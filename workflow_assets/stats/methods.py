"""Methods: which tests there are and what each is for, told without loading what computes them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Method(NamedTuple):
    """What is known of a test before it is asked.

    `paired` says which design it is for (None: for both), `takes` what it takes besides a claim ("rng", "resamples",
    "test_fraction", "paired") and `optional` which of these it can do without, `effect` which effect's interval belongs
    to it. One that is not for `margins` can only be asked whether there is any difference, and one of `shares` only
    about values that are 0 or 1. That of an `anytime` one may be looked at after every replicate, and that
    of a `posterior` one is the probability that the claim is false.
    """

    paired: bool | None
    takes: frozenset[str] = frozenset()
    effect: str = "mean_difference"
    margins: bool = True
    shares: bool = False
    anytime: bool = False
    posterior: bool = False
    optional: frozenset[str] = frozenset()


DRAWS = frozenset({"rng", "resamples"})
RESPLITS = frozenset({"test_fraction"})
PAIRING = frozenset({"paired"})

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "paired_t": Method(paired=True),
        "corrected_resampled_t": Method(paired=True, takes=RESPLITS),
        "wilcoxon_signed_rank": Method(paired=True, effect="hodges_lehmann"),
        "sign_test": Method(paired=True, effect="median_difference"),
        "sign_flip": Method(paired=True, takes=DRAWS),
        "welch_t": Method(paired=False),
        "student_t": Method(paired=False),
        "mann_whitney": Method(paired=False, effect="hodges_lehmann"),
        "bayes_correlated_t": Method(paired=True, takes=RESPLITS, optional=RESPLITS, posterior=True),
        "bayes_unpaired_t": Method(paired=False, posterior=True),
        "permutation": Method(paired=False, takes=DRAWS),
        "mcnemar": Method(paired=True, effect="share_difference", margins=False, shares=True),
        "fisher_exact": Method(paired=False, effect="share_difference", margins=False, shares=True),
        "score_difference": Method(paired=None, takes=PAIRING, effect="share_difference", shares=True),
        "binomial": Method(paired=False, effect="share_excess", shares=True),
        "pitman_morgan": Method(paired=True, effect="log_spread_ratio", margins=False),
        "brown_forsythe": Method(paired=None, takes=PAIRING, effect="log_spread_ratio", margins=False),
        "bootstrap": Method(paired=None, takes=DRAWS | PAIRING, effect="bootstrap_mean_difference"),
        "sequential_t": Method(paired=None, takes=PAIRING, effect="sequential_mean_difference", anytime=True),
        "sequential_shares": Method(
            paired=None, takes=PAIRING, effect="sequential_share_difference", shares=True, anytime=True
        ),
    }
)
OMNIBUS: Mapping[str, Method] = MappingProxyType(
    {
        "repeated_measures_anova": Method(paired=True, margins=False),
        "friedman": Method(paired=True, margins=False),
        "cochran_q": Method(paired=True, margins=False, shares=True),
        "anova": Method(paired=False, margins=False),
        "welch_anova": Method(paired=False, margins=False),
        "kruskal_wallis": Method(paired=False, margins=False),
    }
)
"""Tests of whether several arms differ at all."""

JOINT: Mapping[str, Method] = MappingProxyType(
    {
        "dunnett": Method(paired=None),
        "tukey": Method(paired=None, margins=False),
        "games_howell": Method(paired=False, margins=False),
        "nemenyi": Method(paired=True, effect="nemenyi", margins=False),
    }
)
"""Comparisons of several pairs of arms that are adjusted for each other since they are made together."""

ALL_OF = "all_of"
"""The test of a claim about several metrics: that all of its parts hold."""

ADJUSTMENTS = ("holm", "bonferroni", "hochberg", "benjamini_hochberg", "benjamini_yekutieli", "none")
"""How the p-values of several claims are adjusted for each other once each is known."""

PAIRED_TESTS = frozenset(name for name, method in METHODS.items() if method.paired)
UNPAIRED_TESTS = frozenset(name for name, method in METHODS.items() if method.paired is False)

"""Methods: which tests there are and what each is for, told without loading what computes them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Method(NamedTuple):
    """What is known of a test before it is asked.

    `paired` says which design it is for (None: for both), `takes` what it takes besides a claim ("rng", "resamples",
    "test_fraction", "paired"), `effect` which effect's interval belongs to it. One that is not for `margins` can only
    be asked whether there is any difference, and one of `shares` only about values that are 0 or 1.
    """

    paired: bool | None
    takes: frozenset[str] = frozenset()
    effect: str = "mean_difference"
    margins: bool = True
    shares: bool = False


DRAWS = frozenset({"rng", "resamples"})

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "paired_t": Method(paired=True),
        "corrected_resampled_t": Method(paired=True, takes=frozenset({"test_fraction"})),
        "wilcoxon_signed_rank": Method(paired=True),
        "sign_flip": Method(paired=True, takes=DRAWS),
        "welch_t": Method(paired=False),
        "mann_whitney": Method(paired=False),
        "sequential_t": Method(paired=None, takes=frozenset({"paired"}), effect="sequential_mean_difference"),
        "sequential_shares": Method(
            paired=None, takes=frozenset({"paired"}), effect="sequential_share_difference", shares=True
        ),
    }
)
PAIRED_TESTS = frozenset(name for name, method in METHODS.items() if method.paired)
UNPAIRED_TESTS = frozenset(name for name, method in METHODS.items() if method.paired is False)

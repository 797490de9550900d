"""Counts: exact probabilities of how many, with and without replacement."""

import numpy as np
from scipy import special


def at_least(successes: int, trials: int, share: float) -> float:
    """Say how likely so many successes or more are, if each trial succeeds with this share (binomial).

    R: pbinom(successes - 1, trials, share, lower.tail = FALSE).

    >>> at_least(9, 10, 0.5) == 11 / 1024
    True
    """
    if successes <= 0:
        return 1.0
    return float(special.betainc(successes, trials - successes + 1.0, share))


def at_least_drawn(successes: int, draws: int, marked: int, total: int) -> float:
    """Say how likely so many marked ones or more are among those drawn from a total without replacement.

    Hypergeometric; R: phyper(successes - 1, marked, total - marked, draws, lower.tail = FALSE). Adds up ratios of
    neighbouring probabilities, so that far tails keep their digits.

    >>> round(at_least_drawn(4, 5, 5, 10), 6)  # (5 * 5 + 1) / 252
    0.103175
    """
    fewest, most = max(0, draws + marked - total), min(draws, marked)
    k = np.arange(fewest, most, dtype=np.float64)
    ratios = (marked - k) * (draws - k) / ((k + 1) * (total - marked - draws + k + 1))
    logs = np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    weights = logs - logs.max()
    start = max(successes, fewest) - fewest
    return float(np.exp(special.logsumexp(weights[start:]) - special.logsumexp(weights)))

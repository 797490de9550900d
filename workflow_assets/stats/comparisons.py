"""Comparisons: every test of two arms by its name, and a user's own beside them.

What each claims and answers is said in `claims`, what each is for in `methods`; which one suits an experiment in
`decisions.choose_test`.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from workflow_assets.errors import did_you_mean
from workflow_assets.stats.bayes import bayes_correlated_t, bayes_unpaired_t
from workflow_assets.stats.bootstraps import bootstrap
from workflow_assets.stats.claims import Alternative, Comparison, prepare
from workflow_assets.stats.means import corrected_resampled_t, paired_t, student_t, welch_t
from workflow_assets.stats.methods import METHODS
from workflow_assets.stats.permutations import permutation, sign_flip
from workflow_assets.stats.ranks import mann_whitney, sign_test, wilcoxon_signed_rank
from workflow_assets.stats.sequences import sequential_shares, sequential_t
from workflow_assets.stats.shares import binomial, fisher_exact, mcnemar, score_difference
from workflow_assets.stats.spreads import brown_forsythe, pitman_morgan

OwnTest = Callable[..., float | Comparison]


TESTS: Mapping[str, Callable[..., Comparison]] = MappingProxyType(
    {
        test.__name__: test
        for test in (
            *(paired_t, corrected_resampled_t, wilcoxon_signed_rank, sign_test, sign_flip),
            *(welch_t, student_t, mann_whitney, permutation),
            *(mcnemar, fisher_exact, score_difference, binomial),
            *(pitman_morgan, brown_forsythe),
            *(bayes_correlated_t, bayes_unpaired_t),
            *(bootstrap, sequential_t, sequential_shares),
        )
    }
)


def compare(
    test: str | OwnTest,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool | None = None,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
    rng: np.random.Generator | None = None,
    test_fraction: float | None = None,
    resamples: int = 9_999,
) -> Comparison:
    """Run a test by its name, or a function of one's own; each takes what it needs of the rest.

    `paired` may be left out where the test is made for one design only.

    Raises ValueError for an unknown name, for a test that is not made for the design, and with the reason of the test
    where these arms cannot be judged.

    >>> compare("paired_t", [5.1, 4.9, 6.2], [4.8, 4.1, 5.9]).df
    2.0
    """
    if not isinstance(test, str):
        if paired is None:
            raise ValueError("say whether the arms are paired: paired=True or paired=False")
        return compare_by(test, x, y, paired=paired, alternative=alternative, margin=margin, rng=rng)
    if test not in TESTS:
        raise ValueError(f"there is no test called {test!r}: {did_you_mean(test, TESTS)}")
    method = METHODS[test]
    paired = method.paired if paired is None else paired
    if paired is None:
        raise ValueError(
            f"{test} compares pairs as well as independent arms: say paired=True or paired=False"
        )
    if method.paired not in (None, paired):
        raise ValueError(
            f"{test} compares {'pairs' if method.paired else 'independent arms'}: say paired={method.paired}"
        )
    if "test_fraction" in method.takes - method.optional and test_fraction is None:
        raise ValueError(f"{test} needs test_fraction=, the share of the data each split holds out")
    given = {"rng": rng, "test_fraction": test_fraction, "resamples": resamples, "paired": paired}
    options = {name: given[name] for name in method.takes}
    return TESTS[test](x, y, alternative=alternative, margin=margin, **options)


def compare_by(
    own: OwnTest,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    alternative: Alternative,
    margin: float,
    rng: np.random.Generator | None = None,
) -> Comparison:
    """Ask a function of the user's own, which takes the two arms (aligned, if paired) and gives a p-value.

    It may take `alternative`, `margin`, `paired` and `rng` by name. What a claim says and the function does not take
    cannot be tested by it: then the function is refused rather than asked about another claim. It may also give a
    `Comparison`.

    >>> from scipy.stats import ttest_rel
    >>> def ours(x, y, alternative):
    ...     return ttest_rel(x, y, alternative=alternative).pvalue
    >>> result = compare_by(
    ...     ours, [5.1, 4.9, 6.2], [4.8, 4.1, 5.9], paired=True, alternative="greater", margin=0.0
    ... )
    >>> result.test, round(result.p, 4)
    ('ours', 0.0537)
    """
    samples = prepare(x, y, alternative, margin, paired=paired)
    name = getattr(own, "__name__", type(own).__name__)
    given = {"alternative": alternative, "margin": margin, "paired": paired, "rng": rng}
    parameters = inspect.signature(own).parameters
    everything = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    takes = {key: value for key, value in given.items() if everything or key in parameters}
    if margin and "margin" not in takes:
        raise ValueError(f"the claim has a margin of {margin:g}, and {name} takes no margin=")
    if alternative != "two-sided" and "alternative" not in takes:
        raise ValueError(f'the claim is "{alternative}", and {name} takes no alternative=')
    answer = own(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64), **takes)
    if isinstance(answer, Comparison):
        return answer
    try:
        p = float(answer)
    except (TypeError, ValueError):
        p = math.nan
    if not 0 < p <= 1:
        raise ValueError(f"{name} gave {answer!r}: expected a p-value above 0 and at most 1, or a Comparison")
    return Comparison(
        test=name, statistic=math.nan, df=None, p=p, alternative=alternative, margin=margin, n=samples.sizes,
        paired=paired, exact=False, note="a test of one's own",
    )  # fmt: skip

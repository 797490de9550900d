"""Tests of means: t-tests of pairs, of independent arms, and of replicates that re-split one data set.

Called as every test is, with a claim about x - y (`claims`).
"""

import math

import numpy.typing as npt
from scipy import special

from workflow_assets.stats.claims import Alternative, Comparison, Direction, Tail, judge, prepare
from workflow_assets.stats.samples import Samples, is_constant


def paired_t(
    x: npt.ArrayLike, y: npt.ArrayLike, *, alternative: Alternative = "two-sided", margin: float = 0.0
) -> Comparison:
    """Test a mean difference by Student's t on the differences of the pairs.

    Student (1908); R: t.test(x, y, paired = TRUE, mu = ±margin). Robust against skewed differences from a few tens of
    pairs on; needs differences that vary.

    >>> result = paired_t([5.1, 4.9, 6.2, 5.7], [4.8, 4.1, 5.9, 5.0], alternative="greater")
    >>> round(result.statistic, 3), result.df, round(result.p, 4)
    (3.992, 3.0, 0.0141)
    """
    samples = prepare(x, y, alternative, margin, paired=True)
    return _student("paired_t", samples, alternative, margin, paired=True)


def welch_t(
    x: npt.ArrayLike, y: npt.ArrayLike, *, alternative: Alternative = "two-sided", margin: float = 0.0
) -> Comparison:
    """Test a difference of means of two unpaired arms, whose spreads may differ.

    Welch (1947), degrees of freedom after Satterthwaite; R: t.test(x, y). One of the arms may be constant, not both.

    >>> result = welch_t([5.1, 4.9, 6.2, 5.7], [4.1, 4.6, 4.4], alternative="greater")
    >>> round(result.statistic, 3), round(result.df, 3), round(result.p, 4)
    (3.366, 4.253, 0.0128)
    """
    samples = prepare(x, y, alternative, margin, paired=False)
    return _student("welch_t", samples, alternative, margin, paired=False)


def student_t(
    x: npt.ArrayLike, y: npt.ArrayLike, *, alternative: Alternative = "two-sided", margin: float = 0.0
) -> Comparison:
    """Test a difference of means of two unpaired arms, which are taken to spread alike.

    Student (1908), with the variance pooled over both arms and n_x + n_y - 2 degrees of freedom; R: t.test(x, y,
    var.equal = TRUE). Arms of equal size forgive unequal spreads; where sizes differ too, `welch_t` errs as often as it
    says and this one does not. The interval beside it is Welch's.

    >>> result = student_t([5.1, 4.9, 6.2, 5.7], [4.1, 4.6, 4.4], alternative="greater")
    >>> round(result.statistic, 3), result.df, round(result.p, 4)
    (2.995, 5.0, 0.0151)
    """
    samples = prepare(x, y, alternative, margin, paired=False)
    return _student("student_t", samples, alternative, margin, paired=False, pooled=True)


def corrected_resampled_t(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    test_fraction: float,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
) -> Comparison:
    """Test a mean difference over replicates that re-split one and the same data set.

    Such replicates share most of their training data, so their differences are correlated and an ordinary t-test calls
    far too much significant. Nadeau and Bengio (2003), "Inference for the generalization error", Machine Learning 52,
    replace the variance factor 1/n of the mean difference by 1/n + n_test/n_train; n_test/n_train = f / (1 - f) for a
    test fraction f; n - 1 degrees of freedom. An approximation: it assumes the correlation f between any two splits.

    >>> x, y = [0.91, 0.93, 0.90, 0.94], [0.89, 0.90, 0.90, 0.91]
    >>> paired = paired_t(x, y, alternative="greater")
    >>> corrected = corrected_resampled_t(x, y, test_fraction=0.3, alternative="greater")
    >>> round(paired.p, 3), round(corrected.p, 3)
    (0.033, 0.092)
    """
    samples = prepare(x, y, alternative, margin, paired=True)
    inflation = resampling_inflation(samples.x.size, test_fraction)
    note = (
        f"the variance of the mean difference is taken {inflation:.3g} times as large, "
        f"since the replicates re-split one data set (test fraction {test_fraction:g})"
    )
    return _student(
        "corrected_resampled_t", samples, alternative, margin, paired=True, inflation=inflation, note=note
    )


def resampling_inflation(n: int, test_fraction: float) -> float:
    """Say how many times larger the variance of a mean over n overlapping re-splits is than it looks.

    1 + n * n_test/n_train, after Nadeau and Bengio (2003): pass it as `variance_inflation` to an effect to get the
    interval that belongs to `corrected_resampled_t`.

    >>> resampling_inflation(30, 0.25)
    11.0
    """
    if not 0 < test_fraction < 1:
        raise ValueError(
            f"test_fraction is {test_fraction}: give the share of the data that each split holds out, between 0 and 1"
        )
    return 1.0 + n * test_fraction / (1.0 - test_fraction)


def _student(
    test: str,
    samples: Samples,
    alternative: Alternative,
    margin: float,
    *,
    paired: bool,
    pooled: bool = False,
    inflation: float = 1.0,
    note: str = "",
) -> Comparison:
    shift, error, df = samples.mean_difference(paired=paired)
    if pooled:
        error, df = _pooled_error(samples)
    if error == 0:
        raise ValueError("the difference is the same in every pair: its spread of zero cannot be divided by")
    error *= math.sqrt(inflation)

    def tail(direction: Direction) -> Tail:
        t = (direction * shift - samples.margin) / error
        return Tail(direction * t, float(special.stdtr(df, -t)), df=df, note=note)

    return judge(test, samples, tail, alternative, margin, paired=paired)


def _pooled_error(samples: Samples) -> tuple[float, float]:
    arms, df = (samples.x, samples.y), sum(samples.sizes) - 2.0
    squares = sum(0.0 if is_constant(arm) else float(arm.var()) * arm.size for arm in arms)
    return math.sqrt(squares / df * sum(1 / arm.size for arm in arms)), df

"""Omnibus tests: is there any difference at all between several treatments?

Each takes arms by the name of their treatment (`groups`): independent groups, or aligned ones, a value of each
treatment per replicate (block). They say that not all treatments are alike, never which differ: that is for `posthoc`,
which needs no leave from an omnibus test, as its procedures keep the error rate by themselves.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from workflow_assets.stats.claims import check_p, possible
from workflow_assets.stats.groups import Arms, Groups, residuals, several_samples
from workflow_assets.stats.samples import FloatArray


class Size(NamedTuple):
    """An effect size, and in words what it is."""

    name: str
    value: float
    meaning: str


class Reading(NamedTuple):
    """The same data judged by another convention, for readers who expect it; never the p to decide by."""

    name: str
    statistic: float
    df: tuple[float, ...]
    p: float


@dataclass(frozen=True)
class Omnibus:
    """What one test says about all treatments at once.

    `statistic` is the F, H, chi-square or Q of the test and `df` its degrees of freedom, one or two numbers. `n` holds
    the size of each treatment by its name. `p` is the one to decide by; `others` tell what other conventions give.

    >>> anova({"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 6.0]}).n
    (('a', 3), ('b', 3))
    """

    test: str
    statistic: float
    df: tuple[float, ...]
    p: float
    n: tuple[tuple[str, int], ...]
    paired: bool
    sizes: tuple[Size, ...]
    others: tuple[Reading, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        check_p(self.p)

    def size(self, name: str) -> float:
        """Give an effect size by its name."""
        return next(one.value for one in self.sizes if one.name == name)


def anova(groups: Arms) -> Omnibus:
    """Test whether several independent treatments have the same mean, if all spread alike.

    Fisher's one-way analysis of variance; R: summary(aov(value ~ treatment)). Misleads where both spreads and sizes
    differ: `welch_anova` is the safer one. For two treatments F is the square of Student's t.

    Raises ValueError where no treatment varies.

    >>> result = anova({"a": [5.1, 4.9, 6.2], "b": [4.8, 4.1, 5.9], "c": [6.6, 7.1, 6.9]})
    >>> round(result.statistic, 4), result.df, round(result.p, 4)
    (6.6538, (2.0, 6.0), 0.03)
    """
    several = several_samples(groups, paired=False)
    within, df = several.pooled_error()
    if within == 0:
        raise ValueError("no treatment varies within itself: a spread of zero cannot be divided by")
    sizes = np.array(several.sizes, dtype=np.float64)
    means = several.means
    grand = float(np.average(means, weights=sizes))
    between = float(np.sum(sizes * (means - grand) ** 2))
    freedom = float(len(sizes) - 1)
    total = between + df * within
    return Omnibus(
        test="anova",
        statistic=between / freedom / within,
        df=(freedom, df),
        p=_upper_f(between / freedom / within, freedom, df),
        n=_n(several),
        paired=False,
        sizes=(
            Size("eta_squared", between / total, "the share of the variance in the data between treatments"),
            Size(
                "omega_squared",
                (between - freedom * within) / (total + within),
                "the same share in the population, estimated with less bias; below 0 if nothing is to be seen",
            ),
        ),
    )


def welch_anova(groups: Arms) -> Omnibus:
    """Test whether several independent treatments have the same mean, however differently they spread.

    Welch (1951), "On the comparison of several mean values"; R: oneway.test(value ~ treatment). Needs at least 2 values
    in each treatment, which vary. At alpha 5 % four treatments alike are found to differ in 5.1 % of cases with 12
    values or more in each, and in 5.4 % with 8, 5.6 % with 6 or 6.5 % with 4 in that which spreads most.

    >>> result = welch_anova({"a": [5.1, 4.9, 6.2], "b": [4.8, 4.1, 5.9], "c": [6.6, 7.1, 6.9]})
    >>> round(result.statistic, 4), [round(df, 4) for df in result.df], round(result.p, 4)
    (9.1912, [2.0, 3.1319], 0.0489)
    """
    several = several_samples(groups, paired=False, least=2)
    variances = several.variances()
    for name, variance in zip(several.names, variances, strict=True):
        if variance == 0:
            raise ValueError(
                f"{name} does not vary, and each treatment is weighted by one over its variance: "
                f"ask kruskal_wallis, or anova if all would spread alike"
            )
    sizes = np.array(several.sizes, dtype=np.float64)
    precisions = sizes / variances
    shares = precisions / precisions.sum()
    means = several.means
    centre = float(np.sum(shares * means))
    k = len(sizes)
    lack = float(np.sum((1.0 - shares) ** 2 / (sizes - 1.0))) / (k * k - 1.0)
    between = float(np.sum(precisions * (means - centre) ** 2))
    statistic = between / ((k - 1) * (1.0 + 2.0 * (k - 2) * lack))
    df = (k - 1.0, 1.0 / (3.0 * lack))
    return Omnibus(
        test="welch_anova",
        statistic=statistic,
        df=df,
        p=_upper_f(statistic, *df),
        n=_n(several),
        paired=False,
        sizes=(
            Size(
                "omega_squared",
                df[0] * (statistic - 1.0) / (df[0] * (statistic - 1.0) + float(sizes.sum())),
                "the share of the variance in the population between treatments, from Welch's F",
            ),
        ),
    )


def kruskal_wallis(groups: Arms) -> Omnibus:
    """Test whether values of some independent treatments tend to be larger than those of others, by ranks.

    Kruskal and Wallis (1952), corrected for ties, with the chi-square distribution; R: kruskal.test. Cautious for fewer
    than 5 values per treatment. Treatments that only spread differently can be called different too.

    >>> result = kruskal_wallis({"a": [5.1, 4.9, 6.2], "b": [4.8, 4.1, 5.9], "c": [6.6, 7.1, 6.9]})
    >>> round(result.statistic, 4), result.df, round(result.p, 4)
    (5.9556, (2.0,), 0.0509)
    """
    from scipy import stats

    several = several_samples(groups, paired=False)
    pooled = np.concatenate(several.values)
    total = pooled.size
    ties = _ties(pooled)
    if np.unique(pooled).size == 1:
        raise ValueError("all values are equal: there is nothing to rank")
    ranks = np.split(stats.rankdata(pooled), np.cumsum(several.sizes)[:-1])
    middle = (total + 1) / 2
    spread = sum(arm.size * (float(arm.mean()) - middle) ** 2 for arm in ranks)
    statistic = 12.0 * spread / (total * (total + 1)) / (1.0 - ties / (total**3 - total))
    df = len(ranks) - 1.0
    return Omnibus(
        test="kruskal_wallis",
        statistic=statistic,
        df=(df,),
        p=_at_least_something(float(special.chdtrc(df, statistic))),
        n=_n(several),
        paired=False,
        sizes=(
            Size("epsilon_squared", statistic / (total - 1), "the share of the ranks' variance between treatments"),
        ),
    )  # fmt: skip


def repeated_measures_anova(groups: Arms) -> Omnibus:
    """Test whether several treatments have the same mean, each measured in every replicate.

    One value per treatment and block; R: summary(aov(value ~ treatment + Error(block / treatment))). That F has its
    nominal distribution only if all differences between two treatments vary alike (sphericity), which is seldom known
    and which a test of few blocks cannot find out. So the p to decide by is always that of Greenhouse and Geisser
    (1959), whose epsilon shrinks the degrees of freedom by how much they differ in the data (car::Anova): at worst
    somewhat cautious. `others` holds F without correction and with that of Huynh and Feldt (1976), their epsilon as in
    car and at most 1.

    Raises ValueError where treatment and block explain everything.

    >>> result = repeated_measures_anova({"a": [5.1, 4.9, 6.2], "b": [4.8, 4.1, 5.9], "c": [6.6, 7.1, 6.9]})
    >>> round(result.statistic, 3), round(result.size("greenhouse_geisser_epsilon"), 3), round(result.p, 4)
    (11.036, 0.515, 0.0769)
    """
    several = several_samples(groups, paired=True)
    error, df = several.block_error()
    if error == 0:
        raise ValueError(
            "the differences between treatments are the same in every block: a spread of zero cannot be divided by"
        )
    table = several.table
    k, b = table.shape
    means = several.means
    between = b * float(np.sum((means - means.mean()) ** 2))
    freedom = k - 1.0
    statistic = between / freedom / error
    epsilon = _sphericity(table)
    huynh_feldt = 1.0
    if b - 1 - freedom * epsilon > 0:
        huynh_feldt = min(1.0, (b * freedom * epsilon - 2) / (freedom * (b - 1 - freedom * epsilon)))
    readings = [("uncorrected", 1.0), ("huynh_feldt", max(huynh_feldt, epsilon))]
    blocks = k * float(np.sum((table.mean(axis=0) - table.mean()) ** 2))
    return Omnibus(
        test="repeated_measures_anova",
        statistic=statistic,
        df=(epsilon * freedom, epsilon * df),
        p=_upper_f(statistic, epsilon * freedom, epsilon * df),
        n=_n(several),
        paired=True,
        sizes=(
            Size(
                "partial_eta_squared",
                between / (between + df * error),
                "the share between treatments of the variance that blocks leave",
            ),
            Size(
                "generalized_eta_squared",
                between / (between + df * error + blocks),
                "the share between treatments of all variance, as comparable with unpaired designs",
            ),
            Size(
                "greenhouse_geisser_epsilon",
                epsilon,
                f"how alike the differences between treatments vary, from 1 (alike) to {1 / freedom:.3g}",
            ),
        ),
        others=tuple(
            Reading(name, statistic, (share * freedom, share * df), _upper_f(statistic, share * freedom, share * df))
            for name, share in readings
        ),
        note=f"degrees of freedom times epsilon = {epsilon:.3g} (Greenhouse and Geisser), as sphericity is not known",
    )  # fmt: skip


def friedman(groups: Arms) -> Omnibus:
    """Test whether some treatments tend to rank higher than others in the same replicate.

    Friedman (1937), corrected for ties, with the chi-square distribution; R: friedman.test. That is cautious for few
    blocks or treatments, and the p to decide by, since the F of Iman and Davenport (1980), which Demšar (2006) prefers
    and `others` holds, rejects too often for few blocks. Where all blocks agree entirely that F has no value.

    >>> result = friedman({"a": [5.1, 4.9, 6.2, 5], "b": [4.8, 4.1, 5.9, 6], "c": [6.6, 7.1, 6.9, 7]})
    >>> result.statistic, result.df, round(result.p, 4), round(result.others[0].p, 4)
    (6.5, (2.0,), 0.0388, 0.0066)
    """
    several = several_samples(groups, paired=True)
    ranks = several.block_ranks()
    k, b = ranks.shape
    # For integers and halves these sums are exact.
    spread = float(np.sum((ranks - (k + 1) / 2) ** 2))
    if spread == 0:
        raise ValueError("all treatments are equal in every block: there is nothing to rank")
    statistic = (k - 1) * float(np.sum((ranks - (k + 1) / 2).sum(axis=1) ** 2)) / spread
    df = k - 1.0
    concordance = statistic / (b * df)
    others: tuple[Reading, ...] = ()
    if concordance < 1:
        f = (b - 1) * concordance / (1.0 - concordance)
        freedom = (df, df * (b - 1))
        others = (Reading("iman_davenport", f, freedom, _upper_f(f, *freedom)),)
    return Omnibus(
        test="friedman",
        statistic=statistic,
        df=(df,),
        p=_at_least_something(float(special.chdtrc(df, statistic))),
        n=_n(several),
        paired=True,
        sizes=(
            Size(
                "kendalls_w", concordance, "how far the blocks agree in their ranking, from 0 to 1 (entirely)"
            ),
        ),
        others=others,
    )


def cochran_q(groups: Arms) -> Omnibus:
    """Test whether several treatments succeed equally often, each tried in every replicate (0/1 values).

    Cochran (1950), with the chi-square distribution; the same as Friedman's test of 0/1 values. For two treatments it
    is McNemar's test without continuity correction. Counts on some two dozen blocks in which treatments disagree.

    >>> result = cochran_q({"a": [1, 1, 0, 1, 1], "b": [0, 1, 0, 0, 1], "c": [0, 0, 0, 0, 1]})
    >>> round(result.statistic, 4), round(result.p, 4)
    (4.6667, 0.097)
    """
    several = several_samples(groups, paired=True)
    for name, arm in zip(several.names, several.values, strict=True):
        bad = np.flatnonzero((arm != 0) & (arm != 1))
        if bad.size:
            raise ValueError(
                f"{name}[{bad[0]}] is {arm[bad[0]]:g}, but Cochran's Q is for values of 0 or 1: ask friedman"
            )
    table = np.stack(several.values)
    k, b = table.shape
    successes, passed = table.sum(axis=1), table.sum(axis=0)
    spread = float(np.sum(passed * (k - passed)))
    if spread == 0:
        raise ValueError("all treatments are equal in every block: there is nothing to compare")
    statistic = (k - 1) * (k * float(np.sum(successes**2)) - float(successes.sum()) ** 2) / spread
    df = k - 1.0
    disagreeing = int(np.sum((passed > 0) & (passed < k)))
    return Omnibus(
        test="cochran_q",
        statistic=statistic,
        df=(df,),
        p=_at_least_something(float(special.chdtrc(df, statistic))),
        n=_n(several),
        paired=True,
        sizes=(Size("kendalls_w", statistic / (b * df), "how far the blocks agree, from 0 to 1 (entirely)"),),
        note=f"treatments disagree in {disagreeing} of {b} blocks",
    )


def _sphericity(table: FloatArray) -> float:
    """Estimate Greenhouse and Geisser's epsilon, (tr S)² / ((k - 1) tr S²), S being the centred covariance."""
    k, b = table.shape
    rests = residuals(table)
    rests = rests / np.max(np.abs(rests))
    # The smaller one of the two products has the same traces of its powers.
    product = rests @ rests.T if k <= b else rests.T @ rests
    epsilon = float(np.trace(product)) ** 2 / ((k - 1) * float(np.sum(product**2)))
    return float(min(1.0, max(epsilon, 1.0 / (k - 1))))


def _upper_f(statistic: float, df: float, df_error: float) -> float:
    return _at_least_something(float(special.fdtrc(df, df_error, statistic)))


def _at_least_something(p: float) -> float:
    if math.isnan(p):
        raise ValueError("the differences are too large beside the spread to be judged")
    return possible(p)


def _n(several: Groups) -> tuple[tuple[str, int], ...]:
    return tuple(zip(several.names, several.sizes, strict=True))


def _ties(values: FloatArray) -> float:
    counts = np.unique(values, return_counts=True)[1].astype(np.float64)
    return float(np.sum(counts**3 - counts))

"""Groups: the arms of a comparison of several treatments, checked once.

Every test of several treatments starts here, as those of two do in `samples`: 1-D arrays of finite numbers by the name
of their treatment. `paired` groups are aligned, one value of each treatment per replicate (a block).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workflow_assets.errors import did_you_mean
from workflow_assets.stats.samples import FloatArray, as_sample, is_constant

Arms = Mapping[str, npt.ArrayLike] | Sequence[npt.ArrayLike] | npt.NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class Groups:
    """Several arms ready to be compared, in a unit in which squares neither overflow nor vanish.

    `values` are the user's own, whose order ranks are taken of; `arms` are divided by 2**exponent, which is exact.

    >>> groups = several_samples({"a": [3e200, 1e200], "b": [1e200, 2e200]}, paired=True)
    >>> groups.restore(float(groups.table.max()))
    3e+200
    """

    names: tuple[str, ...]
    values: tuple[FloatArray, ...]
    arms: tuple[FloatArray, ...]
    exponent: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each arm has."""
        return tuple(arm.size for arm in self.arms)

    @property
    def table(self) -> FloatArray:
        """Paired arms as a table: a row per treatment, a column per block."""
        return np.stack(self.arms)

    @property
    def means(self) -> FloatArray:
        """The mean of each arm, in the unit of the arms."""
        return np.array([_mean(arm) for arm in self.arms])

    def restore(self, value: float) -> float:
        """Put a number computed here back into the units of the user's metric; what has no bound stays so."""
        try:
            return math.ldexp(value, self.exponent)
        except OverflowError:
            return math.copysign(math.inf, value)

    def variances(self) -> FloatArray:
        """Give the variance of each arm; 0 where it is constant apart from rounding, and where it has one value."""
        return np.array([0.0 if is_constant(arm) else float(arm.var(ddof=1)) for arm in self.arms])

    def pooled_error(self) -> tuple[float, float]:
        """Give the variance within the arms and its degrees of freedom; for paired ones beside treatment and block.

        >>> several_samples([[1.0, 3.0], [2.0, 6.0]], paired=False).pooled_error()[1]
        2.0
        """
        df = sum(self.sizes) - len(self.names)
        if df == 0:
            raise ValueError("each treatment has 1 value: at least 2 of one are needed to judge chance")
        weights = np.array(self.sizes) - 1.0
        return float(np.sum(weights * self.variances()) / df), float(df)

    def block_error(self) -> tuple[float, float]:
        """Give the variance that neither treatment nor block explains and its (b - 1) (k - 1) degrees of freedom."""
        table = self.table
        rests = residuals(table)
        magnitude = float(np.max(np.abs(table)))
        df = float((table.shape[0] - 1) * (table.shape[1] - 1))
        if is_constant(rests.ravel(), scale=magnitude):
            return 0.0, df
        return float(np.sum(rests**2)) / df, df

    def index(self, name: str) -> int:
        """Find a treatment by its name, or say which there are."""
        if name not in self.names:
            raise ValueError(f"there is no treatment called {name!r}: {did_you_mean(name, self.names)}")
        return self.names.index(name)

    def block_ranks(self) -> FloatArray:
        """Rank the treatments in each block, 1 for the smallest value; equal values share their mean rank."""
        from scipy import stats

        ranks: FloatArray = stats.rankdata(np.stack(self.values), axis=0)
        return ranks


def several_samples(groups: Arms, *, paired: bool, least: int = 1) -> Groups:
    """Take several arms as the user has them, by name or in a row; paired arms hold one value per block.

    A list, or the rows of a table, are named "0", "1" and so on. `least` is how many values each must have.

    Raises ValueError for anything but two or more 1-D arrays of finite numbers, for paired ones of differing lengths or
    with fewer than 2 blocks.

    >>> several_samples({"a": [1, 2, 3], "b": [True, False, True]}, paired=True).table.tolist()
    [[0.25, 0.5, 0.75], [0.25, 0.0, 0.25]]
    """
    items = (
        list(groups.items())
        if isinstance(groups, Mapping)
        else [(str(i), arm) for i, arm in enumerate(groups)]
    )
    if len(items) < 2:
        raise ValueError(f"{len(items)} treatment{'' if len(items) == 1 else 's'} given: compare at least 2")
    names = tuple(str(name) for name, _ in items)
    values = tuple(as_sample(arm, name) for name, (_, arm) in zip(names, items, strict=True))
    least = max(least, 2) if paired else least
    for name, arm in zip(names, values, strict=True):
        if arm.size != values[0].size and paired:
            raise ValueError(
                f"{names[0]} has {values[0].size} values and {name} has {arm.size}, but paired treatments need one "
                f"value each in every block: leave out the incomplete blocks, or compare them unpaired"
            )
        if arm.size < least:
            raise ValueError(
                f"{name} has {arm.size} value{'' if arm.size == 1 else 's'}: at least {least} are needed"
                + (" to judge chance" if least > 1 else "")
            )
    largest = max(float(np.max(np.abs(arm))) for arm in values)
    exponent = math.frexp(largest)[1]
    arms = tuple(np.ldexp(arm, -exponent) for arm in values)
    return Groups(names=names, values=values, arms=arms, exponent=exponent)


def residuals(table: FloatArray) -> FloatArray:
    """Give what is left of a table of treatments by blocks beside the effects of both.

    >>> residuals(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    centred = table - table.mean()
    rests: FloatArray = centred - centred.mean(axis=0) - centred.mean(axis=1, keepdims=True)
    return rests


def _mean(arm: FloatArray) -> float:
    # The mean of equal numbers is that number, whatever adding them up rounds.
    first = float(arm[0])
    return first + float(np.mean(arm - first))

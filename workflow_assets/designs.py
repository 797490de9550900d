"""Designs: treatments that change several factors together, so that each one's effect can be told from the others'.

A design is a mapping of treatments, as `Experiment(treatments=...)` takes it, that remembers which level of which
factor each treatment has: `factor_effects(result, metric)` estimates main effects and interactions from it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, Literal

from workflow_assets.canonical import unwrap_scalar
from workflow_assets.errors import DeclarationError, did_you_mean, excerpt
from workflow_assets.factors import Factor, Range, is_whole, read_factors, read_range, same
from workflow_assets.mappings import FrozenDict
from workflow_assets.names import partition_fault
from workflow_assets.treatments import BASELINE, Treatment

MOST_TREATMENTS = 100_000


class Design(Mapping[str, Treatment]):
    """Treatments by name, and for each the levels of its factors; made by `factorial`, `fractional` or `sampled`.

    `blocked` assigns them to blocks, which `blocks` has beside the `factors`.

    More treatments are added as to a dict, ``factorial({...}) | {"robust": Treatment(...)}``; they take no part in the
    estimation of factors.

    >>> design = factorial({"model.C": [0.1, 1, 10], "split.test_size": [0.2, 0.3]})
    >>> list(design)[:2], design.settings["C=0.1 test_size=0.3"]
    (['C=0.1 test_size=0.2', 'C=0.1 test_size=0.3'], {'model.C': '0.1', 'split.test_size': '0.3'})
    """

    def __init__(
        self,
        factors: Mapping[str, Factor],
        settings: Mapping[str, Mapping[str, Any]],
        others: Mapping[str, Any] | None = None,
        *,
        blocks: Mapping[str, Factor] | None = None,
    ) -> None:
        self.factors: Mapping[str, Factor] = FrozenDict(factors)
        self.blocks: Mapping[str, Factor] = FrozenDict(blocks or {})
        self.settings: Mapping[str, Mapping[str, Any]] = FrozenDict(
            {name: FrozenDict(setting) for name, setting in settings.items()}
        )
        self.others: Mapping[str, Any] = FrozenDict(others or {})
        self._treatments: dict[str, Any] = {
            name: Treatment() if name == BASELINE else Treatment(self.values_of(name)) for name in settings
        }
        if both := [name for name in self.others if name in self._treatments]:
            raise DeclarationError(
                "design", [f"treatment {both[0]!r} is one of the design already: choose another name"]
            )
        self._treatments.update(self.others)

    def values_of(self, treatment: str) -> dict[str, Any]:
        """Give the parameters that a treatment of the design sets, or in the baseline finds set."""
        return {
            address: setting if levels is None else levels[setting]
            for address, setting in self.settings[treatment].items()
            for levels in [(self.factors if address in self.factors else self.blocks)[address].levels]
        }

    def coded(self) -> dict[str, list[Any]]:
        """Give each factor's level in each treatment of the design, as `stats.factors.factor_effects` takes them."""
        return {
            address: [
                str(setting[address]) if factor.levels is not None else factor.coded(setting[address])
                for setting in self.settings.values()
            ]
            for address, factor in self.factors.items()
        }

    def block_of(self) -> list[str] | None:
        """Give the block of each treatment of the design; None if it has no blocks."""
        if not self.blocks:
            return None
        return [
            " ".join(str(setting[address]) for address in self.blocks) for setting in self.settings.values()
        ]

    @property
    def efficiencies(self) -> Mapping[str, float]:
        """How much of its information each main effect and interaction of two keeps in spite of the blocks.

        1: blocks cost nothing; 0: it cannot be told from them. See `stats.terms.efficiencies`.
        """
        from workflow_assets.stats.terms import efficiencies

        return efficiencies(self.coded(), self.block_of() or [""] * len(self.settings))

    def __getitem__(self, name: str) -> Treatment:
        treatment: Treatment = self._treatments[name]
        return treatment

    def __iter__(self) -> Iterator[str]:
        return iter(self._treatments)

    def __len__(self) -> int:
        return len(self._treatments)

    def __or__(self, others: Mapping[str, Any]) -> Design:
        if not isinstance(others, Mapping):
            return NotImplemented
        return Design(self.factors, self.settings, {**self.others, **others}, blocks=self.blocks)

    def __repr__(self) -> str:
        within = f" in blocks of {', '.join(self.blocks)}" if self.blocks else ""
        return f"Design({len(self.settings)} treatments of {', '.join(self.factors)}{within})"


def factorial(
    factors: Mapping[str, Sequence[Any] | Mapping[str, Any]], *, baseline: Mapping[str, Any] | None = None
) -> Design:
    """Combine every level of every factor with every other.

    Args:
        factors: for each parameter (``"model.C"``) its values, or a mapping from labels to values where these do not
            tell themselves apart in a few letters.
        baseline: the values that the workflow has without any change. The combination of these is the treatment
            "baseline" then, instead of a copy of it; an experiment whose parameters are others refuses the design.

    Raises `DeclarationError` with every fault.

    >>> design = factorial(
    ...     {"model.C": [0.1, 1.0], "model.depth": [2, 3]}, baseline={"model.C": 1.0, "model.depth": 2}
    ... )
    >>> list(design)
    ['C=0.1 depth=2', 'C=0.1 depth=3', 'baseline', 'C=1.0 depth=3']
    """
    read = read_factors(factors)
    count = math.prod(len(factor.levels or ()) for factor in read.values())
    if count > MOST_TREATMENTS:
        raise DeclarationError(
            "design", [f"these are {count:,} treatments: sample them, with sampled(...) or fractional(...)"]
        )
    return _compile(read, itertools.product(*(factor.levels or () for factor in read.values())), baseline)


def fractional(
    factors: Mapping[str, Sequence[Any] | Mapping[str, Any]],
    generators: Mapping[str, Sequence[str]],
    *,
    baseline: Mapping[str, Any] | None = None,
) -> Design:
    """Combine factors of two levels each in a half, a quarter, … of all combinations.

    A factor with a generator does not double the number of treatments: its level is the product of the levels of those
    named, taken as -1 and 1 (Box and Hunter 1961). Its effect can then not be told from their interaction, which
    `factor_effects` says; with three or more factors in each generator, main effects and interactions of two stay
    apart.

    Raises `DeclarationError` with every fault.

    >>> design = fractional({"m.a": [0, 1], "m.b": [0, 1], "m.c": [0, 1]}, {"m.c": ["m.a", "m.b"]})
    >>> list(design)
    ['a=0 b=0 c=1', 'a=0 b=1 c=0', 'a=1 b=0 c=0', 'a=1 b=1 c=1']
    """
    read = read_factors(factors)
    free = [address for address in read if address not in generators]
    faults = [
        f"factor {address!r} has {len(factor.levels or ())} levels: a fractional design is of two each"
        for address, factor in read.items()
        if len(factor.levels or ()) != 2
    ]
    for address, of in generators.items():
        if address not in read:
            faults.append(f"generator {address!r} is no factor: {did_you_mean(address, read)}")
        if isinstance(of, str) or len(of) < 2:
            faults.append(f"generator of {address!r} = {excerpt(of)}: expected a list of two or more factors")
            continue
        faults += [
            f"generator of {address!r} names {excerpt(one)}: {did_you_mean(str(one), free)}"
            for one in of
            if one not in free
        ]
    if faults:
        raise DeclarationError("design", faults)
    runs = []
    for signs in itertools.product((-1, 1), repeat=len(free)):
        sign = dict(zip(free, signs, strict=True))
        sign |= {
            address: reduce(lambda total, one: total * sign[one], of, 1) for address, of in generators.items()
        }
        runs.append([list(factor.levels or ())[sign[address] > 0] for address, factor in read.items()])
    return _compile(read, runs, baseline)


def sampled(
    ranges: Mapping[str, Range | Sequence[Any] | Mapping[str, Any]],
    n: int,
    *,
    seed: int,
    method: Literal["sobol", "lhs", "halton"] = "sobol",
) -> Design:
    """Spread n treatments evenly over ranges of parameters.

    Args:
        ranges: for each parameter ``(low, high)``, with ``"log"`` behind it for a range of magnitudes; two whole
            numbers give whole numbers, both bounds among them. A list or mapping holds levels to choose from.
        n: how many treatments; for "sobol", powers of 2 are spread best.
        seed: the same seed gives the same treatments.
        method: scrambled Sobol points (Owen 1998), a Latin hypercube, or scrambled Halton points: `scipy.stats.qmc`.

    Raises `DeclarationError` with every fault.

    >>> design = sampled({"model.C": (0.01, 100.0, "log"), "model.depth": (1, 8)}, 4, seed=1)
    >>> list(design)
    ['sample0', 'sample1', 'sample2', 'sample3']
    >>> all(0.01 <= design.values_of(name)["model.C"] <= 100 for name in design)
    True
    """
    read: dict[str, Factor] = {}
    faults: list[str] = []
    for address, given in ranges.items():
        try:
            read[address] = read_range(address, given)
        except DeclarationError as error:
            faults.extend(error.faults)
    count, start = unwrap_scalar(n), unwrap_scalar(seed)
    if not is_whole(count) or not 1 <= count <= MOST_TREATMENTS:
        faults.append(f"n = {excerpt(n)}: expected a whole number from 1 to {MOST_TREATMENTS:,}")
    if not is_whole(start) or start < 0:
        faults.append(f"seed = {excerpt(seed)}: expected a whole number of 0 or more")
    if method not in ("sobol", "lhs", "halton"):
        faults.append(f"method = {method!r}: {did_you_mean(str(method), ('sobol', 'lhs', 'halton'))}")
    if not ranges:
        faults.append("it has no factors")
    if faults:
        raise DeclarationError("design", faults)
    import numpy as np
    from scipy.stats import qmc

    rng = np.random.default_rng(start)
    if method == "sobol":
        points = qmc.Sobol(len(read), rng=rng).random_base2(max(count - 1, 0).bit_length())[:count]
    else:
        points = (qmc.LatinHypercube if method == "lhs" else qmc.Halton)(len(read), rng=rng).random(count)
    width = len(str(count - 1))
    settings = {
        f"sample{row:0{width}d}": {
            address: _sampled_value(factor, float(point))
            for (address, factor), point in zip(read.items(), points[row], strict=True)
        }
        for row in range(count)
    }
    return Design(read, settings)


def _sampled_value(factor: Factor, share: float) -> Any:
    if factor.levels is not None:
        return list(factor.levels)[min(int(share * len(factor.levels)), len(factor.levels) - 1)]
    low, high = factor.bounds or (0.0, 1.0)
    if isinstance(low, int) and isinstance(high, int):
        if not factor.log:
            return min(low + int(share * (high - low + 1)), high)
        return min(max(round(math.exp(math.log(low) + share * math.log(high / low))), low), high)
    if factor.log:
        return min(max(math.exp(math.log(low) + share * math.log(high / low)), low), high)
    return low + share * (high - low)


def _compile(factors: Mapping[str, Factor], runs: Any, baseline: Mapping[str, Any] | None) -> Design:
    """Name each combination of labels."""
    short = short_names(factors)
    unchanged = None if baseline is None else baseline_labels(factors, baseline)
    settings: dict[str, dict[str, Any]] = {}
    for place, labels in enumerate(runs):
        setting = dict(zip(factors, labels, strict=True))
        name = " ".join(f"{part}={label}" for part, label in zip(short, labels, strict=True))
        if setting == unchanged:
            name = BASELINE
        elif partition_fault(name):  # too long
            name = f"run{place}"
        settings[name] = setting
    if unchanged is not None and BASELINE not in settings:
        raise DeclarationError(
            "design", ["baseline is none of the combinations of this fraction: leave it out"]
        )
    return Design(factors, settings)


def short_names(addresses: Iterable[str]) -> list[str]:
    """Leave out the step where the parameters' own names tell them apart."""
    whole = list(addresses)
    lasts = [address.rpartition(".")[2] for address in whole]
    return lasts if len(set(lasts)) == len(lasts) else whole


def baseline_labels(factors: Mapping[str, Factor], baseline: Mapping[str, Any]) -> dict[str, str]:
    """Find the labels of the values that the workflow has, or raise `DeclarationError`."""
    faults = [
        f"baseline has {one!r}: {did_you_mean(str(one), factors)}" for one in baseline if one not in factors
    ]
    labels: dict[str, str] = {}
    for address, factor in factors.items():
        levels = factor.levels or {}
        if address not in baseline:
            faults.append(
                f"baseline has no {address!r}: give the value that the workflow has without any change"
            )
            continue
        held = [label for label, value in levels.items() if same(value, baseline[address])]
        if not held:
            faults.append(
                f"baseline[{address!r}] = {excerpt(baseline[address])} is none of its levels: "
                f"{excerpt(list(levels.values()))}"
            )
        else:
            labels[address] = held[0]
    if faults:
        raise DeclarationError("design", faults)
    return labels

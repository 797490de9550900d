"""Designs: treatments that change several factors together, so that each one's effect can be told from the others'.

A design is a mapping of treatments, as `Experiment(treatments=...)` takes it, that remembers which level of which
factor each treatment has: `factor_effects(result, metric)` estimates main effects and interactions from it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

from workflow_assets.canonical import unwrap_scalar
from workflow_assets.errors import DeclarationError, did_you_mean, excerpt
from workflow_assets.mappings import FrozenDict
from workflow_assets.names import partition_fault
from workflow_assets.treatments import BASELINE, Treatment

Range = tuple[float, float] | tuple[float, float, Literal["log"]]
LONGEST_LABEL = 32
MOST_TREATMENTS = 100_000


@dataclass(frozen=True)
class Factor:
    """A parameter that a design changes: its levels by their labels, or the range that it is sampled from.

    >>> Factor("model.C", bounds=(0.25, 4.0), log=True).coded(4.0)
    1.0
    """

    address: str
    levels: Mapping[str, Any] | None = None
    bounds: tuple[float, float] | None = None
    log: bool = False

    def coded(self, value: float) -> float:
        """Place a sampled value between -1 (the lower bound) and 1 (the upper one)."""
        if self.bounds is None:
            raise ValueError(f"factor {self.address!r} has levels and no range")
        low, high, value = (math.log(one) if self.log else float(one) for one in (*self.bounds, value))
        return 2.0 * (value - low) / (high - low) - 1.0


class Design(Mapping[str, Treatment]):
    """Treatments by name, and for each the levels of its factors; made by `factorial`, `fractional` or `sampled`.

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
    ) -> None:
        self.factors: Mapping[str, Factor] = FrozenDict(factors)
        self.settings: Mapping[str, Mapping[str, Any]] = FrozenDict(
            {name: FrozenDict(setting) for name, setting in settings.items()}
        )
        self._others = dict(others or {})
        self._treatments: dict[str, Any] = {
            name: Treatment() if name == BASELINE else Treatment(self.values_of(name)) for name in settings
        }
        if both := [name for name in self._others if name in self._treatments]:
            raise DeclarationError(
                "design", [f"treatment {both[0]!r} is one of the design already: choose another name"]
            )
        self._treatments |= self._others

    def values_of(self, treatment: str) -> dict[str, Any]:
        """Give the parameters that a treatment of the design sets, or in the baseline finds set."""
        return {
            address: setting if levels is None else levels[setting]
            for address, setting in self.settings[treatment].items()
            for levels in [self.factors[address].levels]
        }

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
        return Design(self.factors, self.settings, {**self._others, **others})

    def __repr__(self) -> str:
        return f"Design({len(self.settings)} treatments of {', '.join(self.factors)})"


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
    read = _read_factors(factors)
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
    read = _read_factors(factors)
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
            read[address] = _read_range(address, given)
        except DeclarationError as error:
            faults.extend(error.faults)
    count, start = unwrap_scalar(n), unwrap_scalar(seed)
    if not _is_whole(count) or not 1 <= count <= MOST_TREATMENTS:
        faults.append(f"n = {excerpt(n)}: expected a whole number from 1 to {MOST_TREATMENTS:,}")
    if not _is_whole(start) or start < 0:
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


def _read_range(address: str, given: Any) -> Factor:
    if not isinstance(given, tuple):
        return _read_factors({address: given})[address]
    plain = [unwrap_scalar(one) for one in given[:2]]
    log = len(given) == 3 and given[2] == "log"
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in plain)
    if (
        len(given) not in (2, 3)
        or (len(given) == 3 and not log)
        or not numbers
        or not -math.inf < plain[0] < plain[1] < math.inf
        or (log and plain[0] <= 0)
    ):
        raise DeclarationError(
            "design",
            [
                (
                    f"{address!r} = {excerpt(given)}: expected (low, high), or (low, high, 'log') with low above 0; "
                    f"levels to choose from are a list"
                )
            ],
        )
    _read_factors({address: plain})  # which says what is wrong with the address
    return Factor(address, bounds=(plain[0], plain[1]), log=log)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _read_factors(factors: Any) -> dict[str, Factor]:
    if not isinstance(factors, Mapping) or not factors:
        raise DeclarationError(
            "design",
            [f"factors = {excerpt(factors)}: expected a mapping such as {{'model.C': [0.1, 1, 10]}}"],
        )
    read: dict[str, Factor] = {}
    faults = []
    for address, given in factors.items():
        if not isinstance(address, str) or not address.partition(".")[2]:
            faults.append(f"factor {excerpt(address)}: expected a parameter such as 'model.C'")
        elif isinstance(given, str | bytes) or not isinstance(given, Sequence | Mapping):
            if hasattr(given, "tolist") and getattr(given, "ndim", 0) == 1:  # numpy's
                read[address] = Factor(address, FrozenDict(_labelled(given.tolist())))
                continue
            faults.append(f"factor {address!r} = {excerpt(given)}: expected a list of values")
        elif len(given) < 2:
            faults.append(f"factor {address!r} has {len(given)} levels: at least 2 are needed to compare")
        else:
            levels = given if isinstance(given, Mapping) else _labelled(given)
            faults += [
                f"factor {address!r}: label {excerpt(label)} {fault}"
                for label in levels
                if (fault := partition_fault(label))
            ]
            if len(levels) < len(given):
                faults.append(f"factor {address!r} has one level twice: {excerpt(given)}")
            read[address] = Factor(address, FrozenDict(levels))
    if faults:
        raise DeclarationError("design", faults)
    return read


def _labelled(values: Sequence[Any]) -> dict[str, Any]:
    """Label values by what they look like, or by their place in the list where that is long."""
    labels: dict[str, Any] = {}
    for place, value in enumerate(values):
        plain = unwrap_scalar(value)
        text = plain if isinstance(plain, str) else repr(plain)
        text = text.translate(str.maketrans("|,[]", "/;()")).strip()
        if isinstance(plain, str | int | float | bool) or plain is None:
            usable = not partition_fault(text) and len(text) <= LONGEST_LABEL
        else:
            usable = not partition_fault(text) and len(text) <= LONGEST_LABEL and " object at 0x" not in text
        label = text if usable else f"#{place}"
        if label in labels and labels[label] != plain:
            label = f"#{place}"
        labels[label] = value
    return labels


def _compile(factors: Mapping[str, Factor], runs: Any, baseline: Mapping[str, Any] | None) -> Design:
    """Name each combination of labels."""
    lasts = [address.rpartition(".")[2] for address in factors]
    short = lasts if len(set(lasts)) == len(lasts) else list(factors)
    unchanged = None if baseline is None else _baseline_labels(factors, baseline)
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


def _baseline_labels(factors: Mapping[str, Factor], baseline: Mapping[str, Any]) -> dict[str, str]:
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


def same(one: Any, other: Any) -> bool:
    """Say whether two values of a parameter are the same, whatever they are."""
    try:
        return bool(one is other or one == other)
    except Exception:  # noqa: BLE001 - arrays, for one, have no truth
        return False

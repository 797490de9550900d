"""Factors: parameters that a design changes, with their levels or ranges, as users give them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workflow_assets.canonical import unwrap_scalar
from workflow_assets.errors import DeclarationError, excerpt
from workflow_assets.mappings import FrozenDict
from workflow_assets.names import partition_fault

Range = tuple[float, float] | tuple[float, float, Literal["log"]]
LONGEST_LABEL = 32


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


def read_factors(factors: Any) -> dict[str, Factor]:
    """Read the levels of each factor, or raise `DeclarationError` with every fault."""
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


def read_range(address: str, given: Any) -> Factor:
    """Read a range, or the levels to choose from; or raise `DeclarationError`."""
    if not isinstance(given, tuple):
        return read_factors({address: given})[address]
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
    read_factors({address: plain})  # which says what is wrong with the address
    return Factor(address, bounds=(plain[0], plain[1]), log=log)


def same(one: Any, other: Any) -> bool:
    """Say whether two values of a parameter are the same, whatever they are."""
    try:
        return bool(one is other or one == other)
    except Exception:  # noqa: BLE001 - arrays, for one, have no truth
        return False


def is_whole(value: Any) -> bool:
    """Say whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)

"""Traits: what a step needs from whoever executes it, and what may be done where it fails."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, get_args

from workflow_assets.errors import did_you_mean, excerpt
from workflow_assets.mappings import FrozenDict

Category = Literal["extract", "transform", "analyse", "load"]
"""What kind of work a step does."""

Mode = Literal["whole", "each", "stream"]
"""What a call of a step is handed: all of its inputs, one item of them, or chunk after chunk."""

MEMORY = "memory"
"""The resource whose amount is bytes, and may be written as text: ``"4 GiB"``."""

_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{letter}B": 1000**power for power, letter in enumerate("KMGT", start=1)}
_UNITS |= {f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", start=1)}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


@dataclass(frozen=True)
class Retries:
    """How often a step is called again when it raises, and how long to wait before: for faults that pass.

    Every attempt is handed fresh inputs and the same random stream, so that the value does not depend on how many
    there were. The engine's own complaints, such as a value of the wrong type, are never worth another attempt.

    >>> Retries(3, wait=0.5, on=(ConnectionError, TimeoutError)).pause(2, random.Random(1)) < 1.5
    True

    Args:
        times: how many attempts more than the first.
        wait: seconds before the second attempt, give or take half of it, so that many cells do not come back at once.
        backoff: how many times longer each wait is than the one before.
        longest: no wait is longer than this, in seconds.
        on: which exceptions are worth another attempt.
    """

    times: int
    wait: float = 1.0
    backoff: float = 2.0
    longest: float = 60.0
    on: tuple[type[Exception], ...] = (Exception,)

    def pause(self, attempt: int, rng: random.Random) -> float:
        """Give the seconds to wait after an attempt, the first being 1."""
        return min(self.longest, self.wait * self.backoff ** (attempt - 1)) * rng.uniform(0.5, 1.5)


NO_RETRIES = Retries(0)


def read_retries(given: Any) -> tuple[Retries, list[str]]:
    """Read how often a step may be called again: a number, or `Retries`; give also what is wrong with it."""
    retries = Retries(given) if isinstance(given, int) and not isinstance(given, bool) else given
    if not isinstance(retries, Retries):
        return NO_RETRIES, [f"retries = {excerpt(given)}: expected a whole number, or Retries(...)"]
    faults = []
    if isinstance(retries.times, bool) or not isinstance(retries.times, int) or retries.times < 0:
        faults.append(f"retries = {excerpt(retries.times)}: expected a whole number of 0 or more")
    for name, least in (("wait", 0.0), ("backoff", 1.0), ("longest", 0.0)):
        value = getattr(retries, name)
        if not _is_number(value) or value < least:
            faults.append(f"Retries({name}={excerpt(value)}): expected a number of {least:g} or more")
    kinds = retries.on if isinstance(retries.on, tuple) else (retries.on,)
    if not kinds or not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
        faults.append(f"Retries(on={excerpt(retries.on)}): expected exception classes, such as (OSError,)")
    return retries, faults


def read_timeout(given: Any) -> tuple[float | None, list[str]]:
    """Read how many seconds a call may take; give also what is wrong with it."""
    if given is None or (_is_number(given) and 0 < given < float("inf")):
        return None if given is None else float(given), []
    return None, [f"timeout = {excerpt(given)}: expected a number of seconds, more than 0"]


def read_resources(given: Any) -> tuple[Mapping[str, float], list[str]]:
    """Read how much of what is needed: ``{"gpu": 1, "memory": "4 GiB"}``; give also what is wrong with it.

    >>> read_resources({"memory": "2 KiB"})[0]
    {'memory': 2048.0}
    """
    if not isinstance(given, Mapping):
        return FrozenDict({}), [f"resources = {excerpt(given)}: expected a mapping, such as {{'gpu': 1}}"]
    amounts: dict[str, float] = {}
    faults = []
    for name, amount in given.items():
        if not isinstance(name, str) or not name.isidentifier():
            faults.append(f"resources name {excerpt(name)}: expected one word, such as 'gpu'")
            continue
        size = _size(amount) if name == MEMORY else amount
        if not _is_number(size) or not 0 < size < float("inf"):
            example = "bytes, or a text such as '4 GiB'" if name == MEMORY else "a number of more than 0"
            faults.append(f"resources[{name!r}] = {excerpt(amount)}: expected {example}")
        else:
            amounts[name] = float(size)
    return FrozenDict(amounts), faults


def read_category(given: Any) -> tuple[Category | None, list[str]]:
    """Read what kind of work a step does; give also what is wrong with it."""
    return (None, []) if given is None else _one_of(given, "category", get_args(Category), None)


def read_mode(given: Any) -> tuple[Mode, list[str]]:
    """Read what a call of a step is handed; give also what is wrong with it.

    >>> read_mode("eech")
    ('whole', ["mode = 'eech': did you mean 'each'?"])
    """
    return _one_of(given, "mode", get_args(Mode), "whole")


def _one_of(given: Any, what: str, known: tuple[str, ...], default: Any) -> tuple[Any, list[str]]:
    if isinstance(given, str) and given in known:
        return given, []
    return default, [f"{what} = {excerpt(given)}: {did_you_mean(str(given), known)}"]


def read_metadata(given: Any) -> tuple[Mapping[str, Any], list[str]]:
    """Read what else is told of a step: plain values that JSON holds as they are; give also what is wrong with it."""
    if not isinstance(given, Mapping):
        return FrozenDict({}), [
            f"metadata = {excerpt(given)}: expected a mapping, such as {{'licence': 'MIT'}}"
        ]
    told: dict[str, Any] = {}
    faults = []
    for name, value in given.items():
        try:
            told[name] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            faults.append(f"metadata[{name!r}] = {excerpt(value)} is nothing that JSON holds: {error}")
            continue
        if not isinstance(name, str):
            faults.append(f"metadata name {excerpt(name)}: expected a text")
        elif told[name] != value:
            faults.append(
                f"metadata[{name!r}] = {excerpt(value)} is {excerpt(told[name])} in JSON: write it so"
            )
    return FrozenDict(told), faults


def most(needs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Give what is needed where one is done after the other.

    >>> most([{"gpu": 1, "memory": 8}, {"gpu": 2}])
    {'gpu': 2, 'memory': 8}
    """
    amounts: dict[str, float] = {}
    for one in needs:
        for name, amount in one.items():
            amounts[name] = max(amounts.get(name, 0.0), amount)
    return amounts


def is_count(value: object) -> bool:
    """Tell whether a value is a whole number of 1 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _size(amount: Any) -> Any:
    if not isinstance(amount, str):
        return amount
    match = _SIZE.fullmatch(amount)
    return float(match[1]) * _UNITS[match[2]] if match and match[2] in _UNITS else None

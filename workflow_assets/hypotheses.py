"""Hypotheses: what is expected of a metric, declared before it is seen."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from workflow_assets.canonical import unwrap_scalar
from workflow_assets.errors import DeclarationError, did_you_mean, excerpt, listing
from workflow_assets.fingerprint import fingerprint
from workflow_assets.flags import override_faults
from workflow_assets.mappings import FrozenDict
from workflow_assets.names import identifier_fault
from workflow_assets.stats.methods import METHODS, OMNIBUS, Method

Alternative = Literal["greater", "less", "two-sided", "equivalent"]

ALTERNATIVES = ("greater", "less", "two-sided", "equivalent")
EACH = "each"
"""The alternative of a claim about several metrics, which have their own."""

DECISIONS = ("supported", "refuted", "inconclusive", "undecidable")
RESERVED = ("complete",)


@dataclass(frozen=True)
class Hypothesis:
    """A claim about the difference that a treatment makes to a metric.

    The claim is ``treatment - against > margin`` for "greater", ``< -margin`` for "less", a difference of more than
    `margin` either way for "two-sided", and one of less than `margin` either way for "equivalent". A negative margin
    claims non-inferiority. With several treatments the claim is that they and `against` are not all alike.

    Args:
        name: an identifier; the name of the asset check in Dagster.
        metric: a declared metric, as ``step.field``; or several, each with its own direction, or direction and margin,
            ``{"fit.seconds": "less", "fit.accuracy": ("greater", -0.01)}``: the claim is then that all of it holds.
        treatment: the treatment that the claim is about, or several.
        against: the treatment that it is compared with, or a number: the value that the metric is compared with.
        alternative: the direction of the claim; "greater" unless it is about several treatments, which has none, or
            about several metrics, which have their own.
        margin: how large the difference must at least be, in the metric's own units; for "equivalent", how large it
            may be at most.
        test: "auto", one of the tests by name, or a function of the two arms that gives a p-value: of their values, in
            the order of the replicates if they are paired. It takes ``alternative`` and ``margin`` by name if the claim
            has them.
        paired: compare within replicates (they share their random streams); False compares the two samples.
        alpha: the accepted rate of false support; intervals have the confidence ``1 - alpha``, for "equivalent"
            ``1 - 2 * alpha``.
        gate: make the asset check blocking, so that a job exits non-zero when the verdict is not one of `accept`.
        accept: the decisions that pass the check and the gate: "supported", "refuted", "inconclusive", "undecidable".
        family: claims of one family are adjusted together (see ``families`` of an experiment), and counted together
            when they are confirmed; by default all are adjusted together, and those that compare the same treatments on
            the same metric are counted together.
        overrides: why flags on the verdict do not matter, by their codes; they are shown, with these reasons.

    >>> Hypothesis("weaker_is_better", metric="score.accuracy", treatment="strong").alternative
    'greater'
    """

    name: str
    metric: str | Mapping[str, Any] = field(hash=False)
    treatment: str | Sequence[str]
    against: str | float = "baseline"
    alternative: Alternative = None  # type: ignore[assignment] # never afterwards
    margin: float = 0.0
    test: str | Callable[..., Any] = "auto"
    paired: bool = True
    alpha: float = 0.05
    gate: bool = False
    accept: tuple[str, ...] = ("supported",)
    description: str = ""
    family: str = ""
    overrides: Mapping[str, str] = field(default_factory=FrozenDict, hash=False)

    def __post_init__(self) -> None:
        for name in ("margin", "alpha", "against"):
            object.__setattr__(self, name, unwrap_scalar(getattr(self, name)))
        if isinstance(self.treatment, Sequence) and not isinstance(self.treatment, str):
            object.__setattr__(self, "treatment", tuple(self.treatment))
        given: Alternative | None = self.alternative
        if isinstance(self.metric, Mapping):
            object.__setattr__(self, "metric", FrozenDict(map(_direction, self.metric.items())))
        if given is None:
            usual = EACH if self.together else "two-sided" if self.several else "greater"
            object.__setattr__(self, "alternative", usual)
        faults = [*_text_faults(self), *_number_faults(self), *_gate_faults(self)]
        faults += override_faults(self.overrides)
        faults += _parts_faults(self, faults) if self.together else _test_faults(self)
        if isinstance(self.overrides, Mapping):
            object.__setattr__(self, "overrides", FrozenDict(self.overrides))
        if self.name in RESERVED:
            faults.append(f"{self.name!r} is the name of a built-in check; choose another")
        if self.alternative not in ((EACH,) if self.together else ALTERNATIVES):
            faults.append(
                f"alternative = {self.alternative!r}: each metric has its own: leave it out"
                if self.together
                else f"alternative = {self.alternative!r}: {did_you_mean(str(self.alternative), ALTERNATIVES)}"
            )
        doubles = [arm for arm, count in Counter(self.arms).items() if count > 1]
        faults += [f"{arm!r} is compared with itself: name each treatment once" for arm in doubles]
        if faults:
            raise DeclarationError(
                f"hypothesis {self.name!r}" if isinstance(self.name, str) else "hypothesis", faults
            )

    @property
    def together(self) -> bool:
        """Whether the claim is about several metrics, and that all of it holds."""
        return isinstance(self.metric, Mapping)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric that the claim is about, or all of them."""
        return (self.metric,) if isinstance(self.metric, str) else tuple(self.metric)

    @property
    def parts(self) -> tuple[Hypothesis, ...]:
        """The claims about one metric each that must all hold; the claim itself if it is about one."""
        if isinstance(self.metric, str):
            return (self,)
        return tuple(self.part(name) for name in self.metric)

    def part(self, metric: str) -> Hypothesis:
        """Give the claim about one of several metrics."""
        assert isinstance(self.metric, Mapping)
        alternative, margin = self.metric[metric]
        return dataclasses.replace(self, metric=metric, alternative=alternative, margin=margin)

    @property
    def several(self) -> bool:
        """Whether the claim is about several treatments together."""
        return not isinstance(self.treatment, str)

    @property
    def arms(self) -> tuple[str, ...]:
        """The treatments that are compared."""
        treated = (self.treatment,) if isinstance(self.treatment, str) else tuple(self.treatment)
        return (*treated, self.against) if isinstance(self.against, str) else treated

    @property
    def test_name(self) -> str:
        """The name of the test, or of the function that is one."""
        return self.test if isinstance(self.test, str) else str(getattr(self.test, "__name__", self.test))

    @property
    def confidence(self) -> float:
        """The confidence of intervals: the claim of equivalence is supported where one lies within the margin."""
        return 1 - self.alpha * (2 if self.alternative == "equivalent" else 1)

    def identity(self) -> str:
        """Give a text that is the same for two hypotheses only if they claim the same and are judged alike."""
        if isinstance(self.test, str):
            return repr(self)
        return f"{dataclasses.replace(self, test='auto')!r} by {fingerprint(self.test).digest}"

    def claim(self) -> str:
        """Tell the claim in words."""
        if self.together:
            return ", and ".join(part.claim() for part in self.parts)
        if self.several:
            return f"{self.metric} is not the same under {listing(self.arms)}"
        whom = f"under {self.against}" if isinstance(self.against, str) else f"{self.against:g}"
        difference = f"{self.metric} under {self.treatment} minus {whom}"
        if self.alternative == "two-sided":
            return f"{difference} is not 0" if not self.margin else f"{difference} is beyond ±{self.margin:g}"
        if self.alternative == "equivalent":
            return f"{difference} is within ±{self.margin:g}"
        sign, bound = (">", self.margin) if self.alternative == "greater" else ("<", -self.margin)
        return f"{difference} {sign} {bound + 0.0:g}"


def _text_faults(one: Any) -> list[str]:
    faults = []
    if fault := identifier_fault(one.name):
        faults.append(f"its name {fault}")
    faults += [
        f"{name} = {excerpt(getattr(one, name))}: expected {what}"
        for name, what in (
            ("description", "a text"),
            ("family", "a name"),
        )
        if not isinstance(getattr(one, name), str)
    ]
    if not isinstance(one.metric, str | Mapping):
        faults.append(
            f"metric = {excerpt(one.metric)}: expected a metric's name, such as 'score.accuracy', or several with "
            "their directions, as {'fit.seconds': 'less', 'fit.accuracy': ('greater', -0.01)}"
        )
    if not one.treatment or not all(isinstance(arm, str) for arm in one.arms):
        faults.append(f"treatment = {excerpt(one.treatment)}: expected a treatment's name, or several")
    if not isinstance(one.against, str) and not (_is_number(one.against) and math.isfinite(one.against)):
        faults.append(f"against = {excerpt(one.against)}: expected a treatment's name, or a finite number")
    return faults


def _number_faults(one: Any) -> list[str]:
    faults = []
    if not _is_number(one.margin) or not math.isfinite(one.margin):
        faults.append(f"margin = {excerpt(one.margin)}: expected a finite number")
    elif one.alternative == "two-sided" and one.margin < 0:
        faults.append(f"margin = {one.margin}: a two-sided claim has a margin of 0 or more")
    elif one.alternative == "equivalent" and one.margin <= 0:
        faults.append(
            f"margin = {one.margin}: a claim of equivalence says how large the difference may be: give more than 0"
        )
    most = 0.5 if one.alternative == "equivalent" else 1
    if not _is_number(one.alpha) or not 0 < one.alpha < most:
        faults.append(f"alpha = {excerpt(one.alpha)}: expected a rate between 0 and {most}")
    faults += [
        f"{name} = {excerpt(getattr(one, name))}: expected True or False"
        for name in ("paired", "gate")
        if not isinstance(getattr(one, name), bool)
    ]
    return faults


def _direction(item: tuple[Any, Any]) -> tuple[Any, Any]:
    """Give a metric with its direction and margin, of which the latter may be left out."""
    metric, said = item
    return metric, (said, 0.0) if isinstance(said, str) else tuple(said) if isinstance(said, list) else said


def _parts_faults(one: Any, known: Sequence[str]) -> list[str]:
    """Say which part of a claim about several metrics cannot be made, but for what is known of all of it."""
    faults = []
    if len(one.metric) < 2:
        faults.append(f"metric = {excerpt(dict(one.metric))}: expected two or more, or the name of one")
    if one.margin:
        faults.append(f"margin = {one.margin}: each metric has its own: give ('greater', {one.margin})")
    if one.several:
        faults.append(
            "a claim about several treatments is about one metric: make a claim about each treatment"
        )
    for metric, said in one.metric.items():
        if not isinstance(metric, str) or not isinstance(said, tuple) or len(said) != 2:
            faults.append(
                f"metric[{metric!r}] = {excerpt(said)}: expected a direction, or one with a margin: ('less', 0.5)"
            )
    for metric in () if faults else one.metric:
        try:
            one.part(metric)
        except DeclarationError as error:
            faults += [f"metric[{metric!r}]: {fault}" for fault in error.faults if fault not in known]
    return faults


def _test_faults(one: Any) -> list[str]:
    """Say which test cannot be asked about the claim."""
    if one.several:
        if one.alternative != "two-sided" or one.margin or not isinstance(one.against, str):
            fault = (
                "has no direction, no margin and no number to compare with: make a claim about each, instead"
            )
            return [f"a claim about several treatments {fault}"]
        if callable(one.test):
            return [f"test = {one.test_name}: expected {listing(OMNIBUS, 'or')} for several treatments"]
    elif callable(one.test):
        return _own_test_faults(one)
    if one.test == "auto":
        return []
    methods, others = (OMNIBUS, METHODS) if one.several else (METHODS, OMNIBUS)
    if one.test in others:
        hint = "compares two treatments" if one.several else "compares several treatments: treatment=[...]"
        return [f"test = {one.test!r} {hint}"]
    if one.test not in methods:
        return [f"test = {one.test!r}: {did_you_mean(str(one.test), ['auto', *methods])}"]
    return _named_test_faults(one, methods[one.test])


def _own_test_faults(one: Any) -> list[str]:
    takes = inspect.signature(one.test).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values()):
        return []
    faults = []
    if _is_number(one.margin) and one.margin and "margin" not in takes:
        faults.append(f"margin = {one.margin}: the test {one.test_name} takes no margin=")
    if one.alternative != "two-sided" and "alternative" not in takes:
        faults.append(f"alternative = {one.alternative!r}: the test {one.test_name} takes no alternative=")
    return faults


def _named_test_faults(one: Any, method: Method) -> list[str]:
    faults = []
    alone = not isinstance(one.against, str)  # pairs and samples are the same, against a number
    if method.paired is False and one.paired is True and not alone:
        faults.append(f"test = {one.test!r} compares unpaired samples: say paired=False")
    elif method.paired is True and one.paired is False:
        faults.append(f"test = {one.test!r} compares pairs: leave out paired=False")
    if not method.margins and one.alternative == "equivalent":
        faults.append(
            f"test = {one.test!r} can only ask whether there is a difference, not whether there is none"
        )
    elif not method.margins and one.margin:
        faults.append(
            f"test = {one.test!r} knows no margin: leave out margin = {one.margin}, or choose another test"
        )
    return faults


def _gate_faults(one: Any) -> list[str]:
    if not isinstance(one.accept, tuple) or not one.accept:
        given = excerpt(one.accept)
        return [f"accept = {given}: expected a tuple of decisions, as ('supported', 'inconclusive')"]
    return [
        f"accept names {excerpt(decision)}: {did_you_mean(str(decision), DECISIONS)}"
        for decision in one.accept
        if decision not in DECISIONS
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""Studies: what an experiment asks of its data, apart from the code that makes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from workflow_assets.contracts.checkers import MetricType
from workflow_assets.errors import DeclarationError, did_you_mean, excerpt
from workflow_assets.families import read_families
from workflow_assets.faults import Faults
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.levels import Levels
from workflow_assets.modules import qualified_name
from workflow_assets.names import identifier_fault
from workflow_assets.preregistrations import Preregistration
from workflow_assets.replicates import Replicates
from workflow_assets.treatments import Treatment

MOST_REPLICATES = 10_000_000
"""More than any experiment has, and few enough to be listed in memory."""

_KINDS: Mapping[str, MetricType] = {"float": float, "int": int, "bool": bool, "str": str}


class Asking(Protocol):
    """What judging needs to know of an experiment."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def ledger_name(self) -> str:
        """The name under which the ledger knows it, also where it is being confirmed."""

    @property
    def seed(self) -> int:
        """What resampling tests draw from."""

    @property
    def treatments(self) -> Mapping[str, Treatment]:
        """Its treatments, of which only the names and `tuned` matter."""

    @property
    def replicates(self) -> Replicates:
        """Its replicates, with their levels and the share of re-splits."""

    @property
    def metrics(self) -> Mapping[str, MetricType]:
        """The type of each metric."""

    @property
    def hypotheses(self) -> Sequence[Hypothesis]:
        """What is claimed."""

    @property
    def families(self) -> Mapping[str, str]:
        """How the claims of each family are adjusted."""

    @property
    def preregistration(self) -> Preregistration | None:
        """That of a confirmation."""


@dataclass(frozen=True)
class Study:
    """What an experiment asks, read from plain values.

    A test that is a function of one's own is not among these: where it stood, `Absent` gives the p that it gave then.
    """

    name: str
    ledger_name: str
    seed: int
    treatments: Mapping[str, Treatment]
    replicates: Replicates
    metrics: Mapping[str, MetricType]
    hypotheses: tuple[Hypothesis, ...]
    families: Mapping[str, str]
    preregistration: Preregistration | None

    @classmethod
    def from_dict(
        cls,
        told: Mapping[str, Any],
        preregistration: Mapping[str, Any] | None,
        p_of: Mapping[str, float | None],
    ) -> Study:
        """Read what `study_dict` gave; `p_of` has the p of each hypothesis, for tests that are not here.

        Raises `DeclarationError` for what no experiment could have asked.
        """
        metrics = {str(name): _KINDS[kind] for name, kind in told["metrics"].items()}
        treatments = {str(name): Treatment(tuned=tuned) for name, tuned in told["treatments"].items()}
        hypotheses = tuple(_hypothesis(one, p_of) for one in told["hypotheses"])
        faults = Faults(_unknown(hypotheses, treatments, metrics))
        families = read_families(told["families"], hypotheses, faults)
        faults.extend(
            f"its name {fault}" for name in ("name", "ledger_name") if (fault := identifier_fault(told[name]))
        )
        if not _is_seed(told["seed"]):
            faults.add(f"seed = {excerpt(told['seed'])}: expected a whole number of 0 or more")
        declared = None if preregistration is None else Preregistration.from_dict(preregistration)
        if declared is not None:
            faults.extend(
                f"hypothesis {one.name!r} is none of those that were preregistered"
                for one in hypotheses
                if one.name not in declared.families
            )
        if faults:
            raise DeclarationError("the study", list(faults))
        return cls(
            name=told["name"],
            ledger_name=told["ledger_name"],
            seed=told["seed"],
            treatments=treatments,
            replicates=_replicates(told["replicates"]),
            metrics=metrics,
            hypotheses=hypotheses,
            families=families,
            preregistration=declared,
        )


class Absent:
    """Stands where a test of one's own stood, whose code is not here: gives the p that it gave then."""

    def __init__(self, told: Mapping[str, Any], p: float | None) -> None:
        self.__module__, _, self.__qualname__ = str(told["function"]).partition(":")
        self.__name__ = str(told["name"])
        self.has_effect = bool(told["effect"])
        self.p = p

    def __call__(self, x: object, y: object, **claim: object) -> float:  # noqa: ARG002 - what a test is asked
        """Give the p that is known."""
        if self.p is None:
            raise ValueError(f"{self.__name__} gave no p")
        return self.p


def study_dict(asking: Asking) -> dict[str, Any]:
    """Give what an experiment asks as plain values, for JSON."""
    replicates = asking.replicates
    levels = replicates.levels
    return {
        "name": asking.name,
        "ledger_name": asking.ledger_name,
        "seed": asking.seed,
        "treatments": {name: one.tuned for name, one in asking.treatments.items()},
        "metrics": {name: kind.__name__ for name, kind in asking.metrics.items()},
        "replicates": {
            "count": replicates.count,
            "units": None if replicates.units is None else list(replicates.units),
            "test_fraction": replicates.test_fraction,
            "first": replicates.first,
            "levels": None if levels is None else {**_fields(levels), "places": dict(levels.places)},
        },
        "families": dict(asking.families),
        "hypotheses": [
            {**_fields(one), "test": _test_dict(one.test), "overrides": dict(one.overrides)}
            for one in asking.hypotheses
        ],
    }


def _fields(one: Any) -> dict[str, Any]:
    return {part.name: getattr(one, part.name) for part in dataclasses.fields(one)}


def _test_dict(test: str | Callable[..., Any]) -> str | dict[str, Any]:
    if isinstance(test, str):
        return test
    from workflow_assets.stats.quantiles import Quantile

    if type(test) is Quantile:
        return {"quantile": test.share}
    name = getattr(test, "__name__", type(test).__name__)
    return {"function": qualified_name(test), "name": name, "effect": hasattr(test, "effect")}


def _hypothesis(told: Mapping[str, Any], p_of: Mapping[str, float | None]) -> Hypothesis:
    test = told["test"]
    if isinstance(test, Mapping):
        from workflow_assets.stats.quantiles import Quantile

        test = Quantile(test["quantile"]) if "quantile" in test else Absent(test, p_of.get(told["name"]))
    return Hypothesis(**{**told, "test": test, "accept": tuple(told["accept"])})


def _replicates(told: Mapping[str, Any]) -> Replicates:
    levels, units = told["levels"], told["units"]
    if not isinstance(told["count"], int) or told["count"] > MOST_REPLICATES:
        raise DeclarationError(
            "replicates", [f"count = {excerpt(told['count'])}: expected at most {MOST_REPLICATES:,}"]
        )
    if levels is not None:
        places = {key: tuple(place) for key, place in levels["places"].items()}
        levels = Levels(**{**levels, "names": tuple(levels["names"]), "places": places})
    return Replicates(**{**told, "units": None if units is None else tuple(units), "levels": levels})


def _unknown(
    hypotheses: Sequence[Hypothesis], treatments: Mapping[str, Any], metrics: Mapping[str, MetricType]
) -> list[str]:
    faults = [
        f"hypothesis {one.name!r} has the unknown treatment {arm!r}: {did_you_mean(arm, treatments)}"
        for one in hypotheses
        for arm in one.arms
        if arm not in treatments
    ]
    return faults + [
        f"hypothesis {one.name!r} has the unknown metric {metric!r}: {did_you_mean(metric, metrics)}"
        for one in hypotheses
        for metric in one.metrics
        if metric not in metrics
    ]


def _is_seed(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

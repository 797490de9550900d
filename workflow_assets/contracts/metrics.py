"""The metrics that a step declares: apart, since a worker whose steps declare none needs no pydantic."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from workflow_assets.contracts.checkers import Reported, checker, describe, metric_type, plain_number
from workflow_assets.errors import ContractError, did_you_mean


class Metrics(Reported, BaseModel):
    """The numbers that a step reports, declared so that a misspelt metric is an error before anything runs.

    Fields are `float`, `int`, `bool` or `str`, or any of these `| None`. A field of the step `score` is the metric
    ``score.<field>``. numpy scalars are accepted as the Python numbers that they hold, a whole number as a float.

    Raises `ContractError` that names each value of a wrong type, each missing and each unknown metric.

    >>> class Score(Metrics):
    ...     accuracy: float
    >>> Score(accuracy=1).accuracy
    1.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())

    def __init__(self, /, **metrics: Any) -> None:
        try:
            super().__init__(**metrics)
        except ValidationError as error:
            raise ContractError(_metric_faults(type(self), error)) from None

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, values: Any) -> Any:
        return (
            {name: plain_number(item) for name, item in values.items()}
            if isinstance(values, dict)
            else values
        )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        for name, field in cls.model_fields.items():
            if metric_type(field.annotation) is None:
                raise TypeError(
                    f"{cls.__qualname__}.{name} is declared as {describe(field.annotation)}: "
                    "a metric is a float, int, bool or str, or one of these | None"
                )


def _metric_faults(metrics: type[Metrics], error: ValidationError) -> str:
    faults = []
    for fault in error.errors():
        name = str(fault["loc"][0]) if fault["loc"] else ""
        field = metrics.model_fields.get(name)
        if fault["type"] == "missing":
            faults.append(f"{metrics.__qualname__}.{name} is missing")
        elif field is None:
            faults.append(
                f"{metrics.__qualname__} has no metric {name!r}: {did_you_mean(name, metrics.model_fields)}"
            )
        else:
            look = checker(field.annotation)
            told = (look(fault["input"]) if look is not None else None) or fault["msg"]
            faults.append(f"{metrics.__qualname__}.{name}: {told}")
    return "; ".join(faults)

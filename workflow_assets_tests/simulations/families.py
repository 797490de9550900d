"""How often families of claims, and repeated attempts at one, hold a false one."""

from functools import partial

import numpy as np
from scipy import special

from workflow_assets import Experiment, Hypothesis, Metrics, step
from workflow_assets.arms import Arm
from workflow_assets.judgements import judge
from workflow_assets.stats.families import adjust, spend
from workflow_assets_tests.simulations.trials import Simulation

CLAIMS = 10
TRUE = 4  # of them, where some are


def scores(rng, dependence, effects):
    """Draw normal scores, the first of which have an effect, that are correlated by 0.5, 0 or -1 / (claims - 1)."""
    z = rng.normal(size=CLAIMS)
    if dependence == "positive":
        z = np.sqrt(0.5) * (z + rng.normal())
    elif dependence == "negative":
        z = (z - z.mean()) * np.sqrt(CLAIMS / (CLAIMS - 1))
    z[:effects] += 3.0
    return z


def any_false(rng, procedure, dependence, effects):
    p = special.ndtr(-scores(rng, dependence, effects))
    return min(adjust(procedure, p)[effects:]) <= 0.05


def one_supported_is_false(rng, procedure, dependence, effects):
    """Draw one of the supported claims: it is false with a probability that is the false discovery rate."""
    p = special.ndtr(-scores(rng, dependence, effects))
    supported = np.flatnonzero(np.array(adjust(procedure, p)) <= 0.05)
    return supported.size and rng.choice(supported) >= effects


class Fit(Metrics):
    speed: float
    accuracy: float


@step
def fit(rng: np.random.Generator, size: int = 1) -> Fit:
    raise NotImplementedError("what it would measure is drawn")


ALL = Hypothesis("both", {"fit.speed": "greater", "fit.accuracy": "greater"}, "more")
STUDY = Experiment("study", [fit], {"more": {"fit.size": 2}}, 12, [ALL])


def both_hold(rng):
    """Claim that two metrics are better where one of them is, as clearly as can be, and the other is not."""

    def drawn(treatment, metric):
        better = 9.0 * (treatment == "more" and metric == "fit.speed")
        return Arm(
            treatment, metric, {str(k): one for k, one in enumerate(rng.normal(better, 1.0, size=12))}, 12, 0
        )

    return judge(STUDY, drawn)["both"].supported


def lineage(rng, attempts):
    """Repeat a claim of which nothing is true up to 20 times, on new data, until it is supported."""
    p = special.ndtr(rng.normal(size=20))
    return any((one if attempts is None else spend(one, k, attempts)) <= 0.05 for k, one in enumerate(p, 1))


SIMULATIONS = [
    Simulation(
        "a claim about two metrics of which one does not differ",
        both_hold,
        0.05,
        0.05,
        100,
        10_000,
    ),
    *(
        Simulation(
            f"{procedure}, {effects} of {CLAIMS} claims true, {dependence} dependence: a false one is supported",
            partial(any_false, procedure=procedure, dependence=dependence, effects=effects),
            0.005,
            0.05,
        )
        for procedure in ("bonferroni", "holm")
        for dependence in ("positive", "negative")
        for effects in (0, TRUE)
    ),
    Simulation(
        f"hochberg, {CLAIMS} claims, positive dependence: a false one is supported",
        partial(any_false, procedure="hochberg", dependence="positive", effects=0),
        0.005,
        0.05,
    ),
    Simulation(
        f"no adjustment, {CLAIMS} claims, no dependence: a false one is supported",
        lambda rng: special.ndtr(-scores(rng, "none", 0)).min() <= 0.05,
        0.37,
        0.43,
    ),
    *(
        Simulation(
            f"{procedure}, {effects} of {CLAIMS} claims true, {dependence} dependence: a supported one is false",
            partial(one_supported_is_false, procedure=procedure, dependence=dependence, effects=effects),
            0.001,
            0.05,
        )
        for procedure, dependence in (
            ("benjamini_hochberg", "positive"),
            ("benjamini_hochberg", "none"),
            ("benjamini_yekutieli", "negative"),
        )
        for effects in (0, TRUE)
    ),
    Simulation("20 attempts, declared: nothing ends supported", partial(lineage, attempts=20), 0.04, 0.05),
    Simulation(
        "20 attempts, unlimited: nothing ends supported", partial(lineage, attempts="unlimited"), 0.035, 0.05
    ),
    Simulation("20 attempts, 5 declared: nothing ends supported", partial(lineage, attempts=5), 0.04, 0.05),
    Simulation(
        "20 attempts, each with all of alpha: nothing ends supported",
        partial(lineage, attempts=None),
        0.62,
        0.66,
    ),
]

"""How long a verdict takes: 1,000 replicates, 10,000 permutations; beside SciPy's permutation test on the same values.

An experiment of one step has been run; what is measured is `Result.verdicts`: reading the values, the test, the effect
with its interval and two others, the flags, and the note in the ledger. SciPy's figure is `permutation_test` alone,
vectorised, with as many resamples. The first verdict of a process imports SciPy's distributions besides, and is not
counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import numpy as np
from rounds import load_note, markdown, spread
from scipy import stats

from workflow_assets import Experiment, Hypothesis, step

REPLICATES, RESAMPLES = 1_000, 9_999
BUDGET = 0.2
TESTS = {
    "sign_flip": True,
    "permutation": False,
    "bootstrap": True,
    "wilcoxon_signed_rank": True,
    "paired_t": True,
}


@step
def score(rng: np.random.Generator, gain: float = 0.0) -> float:
    return float(gain * (1.0 + rng.normal()) + rng.normal())


def verdict_seconds(test: str, paired: bool, seed: int, replicates: int) -> float:
    claim = Hypothesis("claim", "score", "more", test=test, paired=paired)
    study = Experiment("study", [score], {"more": {"score.gain": 0.05}}, replicates, [claim], seed=seed)
    result = study.run()
    started = time.perf_counter()
    assert result.verdict("claim").p is not None
    return time.perf_counter() - started


def scipy_seconds(paired: bool, seed: int, replicates: int) -> float:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0.05, 1.0, replicates), rng.normal(size=replicates)
    started = time.perf_counter()
    stats.permutation_test(
        (x, y),
        lambda one, other, axis: one.mean(axis=axis) - other.mean(axis=axis),
        permutation_type="samples" if paired else "independent",
        alternative="greater",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=500,
        rng=rng,
    )
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="show in seconds that everything works")
    options = parser.parse_args()
    replicates, rounds = (40, 1) if options.quick else (REPLICATES, options.rounds)
    verdict_seconds("sign_flip", True, 0, 10)
    ours: dict[str, list[float]] = {test: [] for test in TESTS}
    peers: dict[bool, list[float]] = {True: [], False: []}
    loads = [os.getloadavg()[0]]
    for seed in range(rounds):
        for test, paired in TESTS.items():
            ours[test].append(verdict_seconds(test, paired, seed, replicates))
        for paired, seconds in peers.items():
            seconds.append(scipy_seconds(paired, seed, replicates))
        loads.append(os.getloadavg()[0])
    rows = [["verdict by", "seconds", "× scipy.stats.permutation_test", f"≤ {BUDGET} s"]]
    for test, seconds in ours.items():
        ratio = statistics.median(peers[TESTS[test]]) / statistics.median(seconds)
        held = "pass" if statistics.median(seconds) <= BUDGET else "FAIL"
        rows.append([test, spread(seconds, 3), f"{ratio:.1f}", held])
    print(f"{replicates:,} replicates, {RESAMPLES:,} resamples, {rounds} rounds; {load_note(loads)}\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()

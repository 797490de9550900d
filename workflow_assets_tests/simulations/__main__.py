"""Print how often tests err and intervals hold the truth: python -m workflow_assets_tests.simulations."""

import argparse
import math

from workflow_assets_tests.simulations.catalogue import SIMULATIONS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only simulations whose name has one of these words")
    parser.add_argument("--trials", type=int, help="how many trials; as many as the slow tests by default")
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    print("| simulation | trials | rate | ± | should be |")
    print("| --- | --- | --- | --- | --- |")
    for one in SIMULATIONS:
        if options.words and not any(word in one.name for word in options.words):
            continue
        trials = options.trials or one.full
        hits = one.count(trials, options.seed)
        rate = hits / trials
        error = 1.96 * math.sqrt(max(rate * (1 - rate), 1 / trials) / trials)
        fault = "" if one.fault(hits, trials) is None else " ✗"
        print(
            f"| {one.name} | {trials:,} | {rate:.4f} | {error:.4f} | {one.low:g} to {one.high:g}{fault} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

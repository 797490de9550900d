"""Print how often tests err and intervals hold the truth: python -m workflow_assets_tests.simulations."""

import argparse
import math
import sys
from concurrent.futures import ProcessPoolExecutor

from workflow_assets_tests.simulations.catalogue import SIMULATIONS


def count(place: int, trials: int, seed: int) -> int:
    return SIMULATIONS[place].count(trials, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only simulations whose name has one of these words")
    parser.add_argument("--trials", type=int, help="how many trials; as many as each asks for by default")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="how many processes")
    options = parser.parse_args()
    chosen = [
        place
        for place, one in enumerate(SIMULATIONS)
        if not options.words or any(word in one.name for word in options.words)
    ]
    print("| simulation | trials | rate | ± | should be |")
    print("| --- | --- | --- | --- | --- |")
    wrong = 0
    with ProcessPoolExecutor(options.jobs) as pool:
        trials = {place: options.trials or SIMULATIONS[place].full for place in chosen}
        counting = {place: pool.submit(count, place, trials[place], options.seed) for place in chosen}
        for place, future in counting.items():
            one, hits = SIMULATIONS[place], future.result()
            rate = hits / trials[place]
            error = 1.96 * math.sqrt(max(rate * (1 - rate), 1 / trials[place]) / trials[place])
            fault = one.fault(hits, trials[place]) is not None
            wrong += fault
            bounds = f"{one.low:g} to {one.high:g}{' ✗' if fault else ''}"
            row = [one.name, f"{trials[place]:,}", f"{rate:.4f}", f"{error:.4f}", bounds]
            print(f"| {' | '.join(row)} |", flush=True)
    sys.exit(f"{wrong} of {len(chosen)} are not what they should be" if wrong else 0)


if __name__ == "__main__":
    main()

"""What workflows cost beside the functions of their steps: chains of ``x + 1``, and 100,000 items of one step.

Chains have 100, 1,000 and 10,000 steps. Each figure is the wall time of a call, divided by the number of steps; the
final value is checked. Rounds alternate between all figures, so that what else the machine does falls on each. How fast
the machine is meanwhile is told by *plain* and *loads*: compare with these.

- *plain*: the functions called in a loop, the least that it can take.
- *wire*: composing by call.
- *call*: ``workflow.function(...)()``, which hands values on in memory and stores nothing.
- *run*: ``workflow.run()`` on a fresh store in memory, with plan, keys, records and provenance of each step.
- *write*: the document of the workflow, and *text*, that as JSON.
- *loads*: ``json.loads`` of it; *parse*: ours, which also finds keys that stand twice, numbers that no JSON has, and
  what is too deep or too large; *read*: the workflow again, with slugs, types, references and code versions checked.

Budgets are per step: 17 µs for a call of 100 steps, which the engine takes that inspired these workflows and that does
not store either, linear to 10,000; 2 µs for parsing. An item may cost 20 µs beyond the function.

``--quick`` shows in seconds that everything works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
from collections.abc import Callable
from typing import Any

from rounds import load_note, markdown, spread, timed

from workflow_assets import MemoryStore, Registry, Workflow, from_document, step, to_document
from workflow_assets.documents import to_json
from workflow_assets.texts import parse

SIZES, ITEMS, ROUNDS = (100, 1_000, 10_000), 100_000, 7
QUICK_SIZES, QUICK_ITEMS = (10, 100), 1_000
LEAST = 0.1
"""Seconds that a figure is measured for in each round: short calls are repeated."""

BUDGETS = {"call": 17.0, "parse": 2.0, "item": 20.0}
"""Microseconds for each step, or item."""

REGISTRY = Registry()


@REGISTRY.add
@step
def increase(x: int) -> int:
    return x + 1


@step
def numbers(count: int) -> list[int]:
    return list(range(count))


def compose(size: int) -> Workflow:
    """Compose a chain by call."""
    with Workflow("chain") as workflow:
        value: Any = 0
        for _ in range(size):
            value = increase(value)
    return workflow


def called_plainly(size: int) -> int:
    value, function = 0, increase.function
    for _ in range(size):
        value = function(value)
    return value


def chain_figures(size: int) -> dict[str, Callable[[], Any]]:
    """Give what is measured of a chain; each checks what it comes to."""
    workflow = compose(size)
    last = list(workflow)[-1]
    function = workflow.function(last)
    document = to_document(workflow)
    text = to_json(document)

    def checked(value: Any, expected: Any = size) -> None:
        if value != expected:
            raise RuntimeError(f"{value} instead of {expected}")

    return {
        "plain": lambda: checked(called_plainly(size)),
        "wire": lambda: checked(len(compose(size))),
        "call": lambda: checked(function()),
        "run": lambda: checked(workflow.run()[last]),
        "write": lambda: checked(len(to_document(workflow)["steps"])),
        "text": lambda: checked(to_json(document), text),
        "loads": lambda: checked(json.loads(text)["name"], "chain"),
        "parse": lambda: checked(parse(text)["name"], "chain"),
        "read": lambda: checked(len(from_document(text, REGISTRY).wired.nodes)),  # type: ignore[union-attr]
    }


def item_figures(count: int) -> dict[str, Callable[[], Any]]:
    """Give what is measured of a step on each item."""
    with Workflow("items") as workflow:
        workflow.add(increase.each("x"), workflow.add(numbers, count))
    store = MemoryStore()
    workflow.run(store, steps=["numbers"])

    def computed() -> None:
        workflow.run(store, force=["increase"])

    return {"plain": lambda: [increase.function(one) for one in range(count)], "item": computed}


def measured(figures: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Give the seconds of each figure in each round, the first of which is left out."""
    times: dict[str, list[float]] = {name: [] for name in figures}
    often = dict.fromkeys(figures, 1)
    for number in range(rounds + 1):
        for name, call in figures.items():
            gc.collect()
            _, seconds, _ = timed(lambda call=call, name=name: [call() for _ in range(often[name])])  # type: ignore[misc]
            if number:
                times[name].append(seconds / often[name])
            else:
                often[name] = max(1, int(LEAST / seconds))
    return times


def cell(name: str, times: list[float], count: int) -> str:
    figures = [1e6 * seconds / count for seconds in times]
    budget = BUDGETS.get(name)
    met = "" if budget is None else " pass" if statistics.median(figures) <= budget else " FAIL"
    return spread(figures, 2 if statistics.median(figures) < 10 else 1) + met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, help=f"how often to measure ({ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="one round of small ones, to see that it works")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    sizes, items = (QUICK_SIZES, QUICK_ITEMS) if options.quick else (SIZES, ITEMS)
    loads = [os.getloadavg()[0]]
    chains = {}
    for size in sizes:
        print(f"{size} steps", file=sys.stderr)
        chains[size] = measured(chain_figures(size), rounds)
        loads.append(os.getloadavg()[0])
    rows = [["µs for each step", *(f"{size:,} steps" for size in sizes)]]
    rows += [[name, *(cell(name, chains[size][name], size) for size in sizes)] for name in chains[sizes[0]]]
    print(f"### Chains of x + 1\n\n{markdown(rows)}\n")
    each = measured(item_figures(items), rounds)
    loads.append(os.getloadavg()[0])
    rows = [["µs for each item", f"{items:,} items"]]
    rows += [[name, cell(name, times, items)] for name, times in each.items()]
    print(f"### A step on each item, a store in memory\n\n{markdown(rows)}\n")
    print(f"- Rounds: {rounds}, after one that does not count. Each figure is a median (least–most).")
    print(f"- {load_note(loads)}")


if __name__ == "__main__":
    main()

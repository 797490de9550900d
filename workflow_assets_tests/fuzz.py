"""A search for documents that crash, hang or execute something: ``python -m workflow_assets_tests.fuzz --seconds 600``.

Documents are written, damaged as trees and as texts, and read. What is accepted validates against the schema, and is
written and read again; all else is a `DocumentError` with places.
"""

from __future__ import annotations

import argparse
import copy
import faulthandler
import json
import random
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jsonschema

from workflow_assets import (
    Experiment,
    Hypothesis,
    Metrics,
    Registry,
    Replicates,
    Treatment,
    Workflow,
    crossed,
    document_schema,
    factorial,
    from_document,
    resamples,
    sets,
    source,
    step,
    to_document,
    units,
)
from workflow_assets.documents import to_json, to_yaml
from workflow_assets.errors import DocumentError, DocumentWarning
from workflow_assets.notations import Places, plain
from workflow_assets.readers import tree_of

REGISTRY = Registry()
CALLED: list[str] = []
FORBIDDEN = (
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.system",
    "socket.connect",
    "subprocess.Popen",
    "pickle.find_class",
)
VALIDATORS = {
    kind: jsonschema.Draft202012Validator(document_schema(kind)) for kind in ("workflow", "experiment")
}
LONGEST = 60  # seconds for one document: more is a hang


for _ready in sets.READY:
    REGISTRY.add(_ready)


class Measured(Metrics):
    size: int
    share: float


@REGISTRY.add
@step
def first(number: int = 1, text: str = "") -> int:
    CALLED.append("first")
    return number


@REGISTRY.add
@step
def second(first: int, more: list[int] | None = None, named: dict[str, float] | None = None) -> float:
    CALLED.append("second")
    return float(first)


@REGISTRY.add
@step
def third(first: int, more: tuple[int, ...] = (1,)) -> Measured:
    CALLED.append("third")
    return Measured(size=first, share=0.5)


@REGISTRY.add
@step
def fourth(size: Any, row: dict[str, Any], by: int = 2) -> int:
    CALLED.append("fourth")
    return by


@REGISTRY.add
@source(version="1")
def shop() -> list[int]:
    CALLED.append("shop")
    return []


@REGISTRY.add
@source(slug="shop.other", version="1")
def other_shop() -> list[int]:
    CALLED.append("other_shop")
    return []


def grouped() -> Workflow:
    """Compose steps on each item, a workflow in a workflow that is one step of a third, ready steps and a source."""
    with Workflow("inner") as inner:
        first(inner.input("number", 1, int))
    with Workflow("outer") as outer:
        third(inner(outer.input("n")))
    with Workflow("whole", description="Ü") as whole:
        many = sets.keep(shop, relation="greater", value=1)
        whole_first = first.each("number")(many, text="é")
        third.named("two").each("first", "more", combine="product")(many, [[1], whole.input("x")])
        measured = outer(4)
        fourth.each("size", "row", combine="zip")(whole_first, [{"a": 1}, {"b": measured["size"]}])
    return whole


def originals() -> list[dict[str, Any]]:
    """Give sound documents, which are damaged then."""
    with Workflow("flow") as flow:
        number = flow.input("number", 3, int)
        one = first.with_traits(retries=2, timeout=5.0)(number, text="yes")
        second(one, [1, one, number], {"a": 0.5, "b": one})
    flow.ui = {"position": [1, 2, None], "é": True}
    claims = [
        Hypothesis("better", metric="second", treatment="more"),
        Hypothesis(
            "both", metric={"first": "greater", "second": ("less", 0.5)}, treatment="more", family="two"
        ),
    ]
    study = Experiment("study", flow, {"more": {"first.text": "no"}}, ["P1", "P2"], claims, tags={"k": "v"})
    whole = grouped()
    changed = Treatment(
        {"fourth.by": 3}, {"outer__third": third.with_traits(memo=False)}, {"shop": other_shop}, "Ü", 2
    )
    wells = {"P1/a": {"plate": "P1"}, "P2/a": {"plate": "P2"}}
    rest = [
        Experiment("levels", flow, {"more": {"first.text": "no"}}, units(wells, unit="plate"), claims),
        Experiment("crossing", flow, None, crossed({"a": 2, "b": ["x", "y"]}, unit="a")),
        Experiment("splits", flow, None, resamples(3, test_fraction=0.25), seed=7),
        Experiment("later", flow, None, Replicates(2, first=10), owners=["somebody@example.org"]),
        Experiment("designed", flow, factorial({"first.text": {"short": "a", "none": ""}})),
        Experiment("swaps", whole.bound({"x": [2]}), {"other": changed}),
    ]
    families = {"two": "bonferroni", "": "holm"}
    judged = Experiment("judged", flow, {"more": {"first.text": "no"}}, 2, claims, families=families)
    made: list[Workflow | Experiment] = [flow, study, whole, *rest, judged]
    return [one.document() for one in made]


WORDS = (
    *(
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        '"',
        "'",
        "\n",
        "  ",
        "- ",
        "? ",
        "|",
        ">",
        "#",
        "%YAML 1.1\n",
        "---\n",
        "...\n",
    ),
    *(
        "&a ",
        "*a",
        "<<: *a",
        "!!python/object/apply:os.system ['true']",
        "!!binary ",
        "!t ",
        "\\ud800",
        "\x00",
        "\ufeff",
    ),
    *(
        "NaN",
        "-Infinity",
        ".inf",
        "1e999",
        "9" * 5_000,
        "-0",
        "0x1F",
        "2026-01-01",
        "yes",
        "null",
        "~",
        "[" * 3_000,
    ),
    *(
        "kind",
        "steps",
        "id",
        "from",
        "value",
        "list",
        "dict",
        "arguments",
        "first",
        "second",
        "more",
        "code_version",
    ),
    *("each", "of", "combine", "zip", "product", "groups", "sources", "metric", "levels", "settings", "dict"),
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        0,
        1,
        10**30,
        10**200,
        0.5,
        float("nan"),
        float("inf"),
        "",
        "first",
        "second.x",
        "nobody",
        "é\ud800",
    ),
    *(
        [],
        {},
        [[]],
        {"from": "first"},
        {"value": None},
        {"from": 1},
        {"list": [{"from": "second"}]},
        {"dict": {"a": 1}},
    ),
    *((1, 2), {1: 2}, b"x", {"times": -1}, "__import__('os').system('true')", "list[" * 90, "int | 1"),
)


def damaged_tree(rng: random.Random, tree: Any) -> Any:
    """Change one place of a tree."""
    made = copy.deepcopy(tree)
    holder, key = rng.choice(list(holders(made)))
    kind = rng.randrange(5)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[rng.choice([*WORDS, *map(str, holder)])] = rng.choice(VALUES)
    elif kind == 2:
        other, place = rng.choice(list(holders(tree)))
        holder[key] = copy.deepcopy(other[place])
    elif kind == 3 and isinstance(holder, list):
        holder.insert(rng.randrange(len(holder) + 1), copy.deepcopy(rng.choice(holder)))
    else:
        holder[key] = rng.choice(VALUES)
    return made


def holders(tree: Any) -> Iterator[tuple[Any, Any]]:
    for key, inner in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        if isinstance(inner, dict | list):
            yield from holders(inner)


def damaged_text(rng: random.Random, text: str) -> str:
    """Change some places of a text."""
    for _ in range(rng.randrange(1, 4)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice([0, 0, 1, 2, 20]))
        piece = rng.choice(
            [rng.choice(WORDS), text[start : start + rng.randrange(80)], chr(rng.randrange(0x2FFF))]
        )
        text = text[:start] + piece + text[end:]
    return text


def draw(rng: random.Random, documents: list[dict[str, Any]]) -> Any:
    """Give a damaged document: a tree, or a text in either notation."""
    tree: Any = rng.choice(documents)
    kind = rng.randrange(3)
    if kind != 1:
        for _ in range(rng.randrange(1, 4)):
            if any(True for _ in holders(tree)):
                tree = damaged_tree(rng, tree)
    if kind == 0:
        return tree
    try:
        text = (to_json if rng.random() < 0.5 else to_yaml)(tree)
    except (TypeError, ValueError, AssertionError, RecursionError):  # what no text can hold
        text = repr(tree)
    return damaged_text(rng, text) if kind == 1 or rng.random() < 0.3 else text


def look(told: Any) -> str:
    """Read one document: it is accepted, and then it comes back; or it is refused, with places."""
    faults: tuple[tuple[str, str], ...] | None = None
    try:
        made = from_document(told, REGISTRY)
    except DocumentError as error:
        faults = error.faults
    if faults is not None:
        assert faults, "refused without a fault"
        assert all(path.startswith("$") and sentence for path, sentence in faults), faults
        return "refused"
    document = to_document(made)
    given = plain(tree_of(told), Places())
    VALIDATORS[document["kind"]].validate(given)
    again = to_document(from_document(to_json(document), REGISTRY))
    assert json.dumps(again) == json.dumps(document), "it does not come back as it was"
    return "accepted"


def watched(event: str, _: tuple[Any, ...]) -> None:
    if event in FORBIDDEN:
        CALLED.append(event)


def search(seed: int, *, seconds: float = float("inf"), documents: float = float("inf")) -> Counter[str]:
    """Look at damaged documents until the time is up, and count what came of them.

    Raises whatever a reader raises that is no `DocumentError`, with the document.
    """
    rng, corpus = random.Random(seed), originals()
    CALLED.clear()
    counts: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while counts.total() < documents and time.monotonic() < end:
        told = draw(rng, corpus)
        faulthandler.dump_traceback_later(LONGEST, exit=True)  # a hang ends the search, and says where it was
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DocumentWarning)
                counts[look(told)] += 1
        except Exception as error:
            raise AssertionError(f"document {counts.total()} of seed {seed}: {told!r:.3000}") from error
        finally:
            faulthandler.cancel_dump_traceback_later()
        assert not CALLED, f"executed {CALLED} for {told!r:.3000}"
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description="Look for documents that crash, hang or execute something.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = parser.parse_args()
    sys.addaudithook(watched)
    counts = search(given.seed, seconds=given.seconds)
    told = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
    print(f"seed {given.seed}: {counts.total():,} documents: {told}; no crash, no hang, nothing executed")


if __name__ == "__main__":
    main()

"""What a step needs and how often it is tried: read when it is declared, with a clear word where it is wrong."""

import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from workflow_assets import Experiment, step
from workflow_assets.errors import DeclarationError
from workflow_assets.traits import Retries


def plain() -> int:
    return 1


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"retries": -1}, "retries = -1: expected a whole number of 0 or more"),
        ({"retries": 1.5}, "retries = 1.5: expected a whole number, or Retries(...)"),
        ({"retries": True}, "retries = True: expected a whole number, or Retries(...)"),
        ({"retries": Retries(2, wait=-1)}, "Retries(wait=-1): expected a number of 0 or more"),
        ({"retries": Retries(2, backoff=0.5)}, "Retries(backoff=0.5): expected a number of 1 or more"),
        ({"retries": Retries(2, on=("OSError",))}, "expected exception classes, such as (OSError,)"),  # type: ignore[arg-type]
        ({"timeout": 0}, "timeout = 0: expected a number of seconds, more than 0"),
        ({"timeout": "1 min"}, "timeout = '1 min': expected a number of seconds, more than 0"),
        ({"timeout": float("inf")}, "timeout = inf: expected a number of seconds, more than 0"),
        ({"resources": {"gpu": 0}}, "resources['gpu'] = 0: expected a number of more than 0"),
        (
            {"resources": {"memory": "4 gigs"}},
            "resources['memory'] = '4 gigs': expected bytes, or a text such as '4 GiB'",
        ),
        ({"resources": {"two words": 1}}, "resources name 'two words': expected one word, such as 'gpu'"),
        ({"resources": ["gpu"]}, "resources = ['gpu']: expected a mapping, such as {'gpu': 1}"),
    ],
)
def test_a_wrong_trait_is_refused(options: dict[str, Any], fault: str) -> None:
    """When the step is made, with what was expected."""
    with pytest.raises(DeclarationError) as caught:
        step(**options)(plain)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("size", "expected"),
    [("4 GiB", 4 * 2**30), ("1.5GB", 1.5e9), ("512 MiB", 512 * 2**20), ("10", 10), (7, 7), ("3 B", 3)],
)
def test_memory_is_read_from_text(size: Any, expected: float) -> None:
    """In units of a thousand and of 1,024."""
    assert step(resources={"memory": size})(plain).resources == {"memory": expected}


def test_traits_are_no_part_of_the_code() -> None:
    """What a step needs and how often it is tried changes no result, and so no key."""
    bare = Experiment("study", [step(plain)])
    full = Experiment("study", [step(retries=3, timeout=9.0, resources={"cpus": 1})(plain)])
    assert bare.version() == full.version()


def test_waits_grow_up_to_the_longest() -> None:
    """Give or take half of each."""
    retries, rng = Retries(9, wait=1.0, backoff=3.0, longest=20.0), random.Random(5)
    for attempt, expected in enumerate([1.0, 3.0, 9.0, 20.0, 20.0], start=1):
        pauses = [retries.pause(attempt, rng) for _ in range(50)]
        assert min(pauses) >= 0.5 * expected
        assert max(pauses) <= 1.5 * expected
        assert max(pauses) > 1.2 * expected > 0.8 * expected > min(pauses)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "proceses"}, "no backend is called 'proceses': did you mean 'processes'?"),
        (
            {"backend": 3},
            "backend = 3: expected 'serial', 'threads', 'processes', 'asyncio' or 'dask', a backend",
        ),
        ({"workers": 0}, "workers = 0: expected a whole number of 1 or more"),
        ({"max_failures": 0}, "max_failures = 0: expected a whole number of 1 or more"),
        ({"capacity": {"gpu": "many"}}, "capacity['gpu'] = 'many': expected a number of more than 0"),
        ({}, "step 'plain' needs 2 of 'gpu': say how much there is, as in capacity={'gpu': 2}"),
        ({"capacity": {"gpu": 1}}, "step 'plain' needs 2 of 'gpu', and there is 1"),
    ],
)
def test_what_a_run_cannot_keep_is_refused(options: dict[str, Any], message: str) -> None:
    """Before anything runs."""
    study = Experiment("study", [step(resources={"gpu": 2})(plain)])
    with pytest.raises((DeclarationError, LookupError)) as caught:
        study.run(**options)
    assert message in str(caught.value)


def test_a_step_on_chunks_takes_or_gives_them():
    @step(mode="stream")
    def sums(chunks: Iterable[list[int]]) -> int:
        return sum(map(sum, chunks))

    @step(mode="stream")
    def cut(rows: list[int]) -> Iterator[list[int]]:
        yield rows

    assert (sums.mode, cut.mode) == ("stream", "stream")
    with pytest.raises(DeclarationError, match="neither yields nor takes an Iterable"):

        @step(mode="stream")
        def whole(rows: list[int]) -> int:
            return sum(rows)

"""Random streams follow from seed, replicate and slot, and from nothing else."""

import pickle
import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_assets.seeds import StreamSeed
from workflow_assets.streams import (
    GlobalGenerator,
    generator,
    integer,
    replicate_seed,
    seeded_globals,
)


@given(
    st.integers(0, 2**70), st.lists(st.integers(0, 10**6) | st.text(max_size=8), min_size=2, unique_by=repr)
)
def test_replicates_have_distinct_seeds(seed: int, identities: list[int | str]) -> None:
    assert len({replicate_seed(seed, identity) for identity in identities}) == len(identities)


def test_index_and_name_of_the_same_digits_are_different_replicates() -> None:
    assert replicate_seed(1, 7) != replicate_seed(1, "7")


def test_streams_are_the_same_on_every_machine() -> None:
    # Another number here means that every stored datum of a random step is lost.
    seed = replicate_seed(42, 3)
    assert seed == 2974447682698646737
    assert integer(seed, "split") == 2226946942
    assert generator(seed, "split").integers(10**6) == 624905


def test_words_of_a_stream_are_as_many_and_as_wide_as_asked_for() -> None:
    seed: Any = StreamSeed(b"key")
    assert seed.generate_state(624).shape == (624,)
    assert seed.generate_state(2, np.uint64).tolist() == seed.generate_state(4, np.uint64).tolist()[:2]
    assert (
        np.random.Generator(np.random.MT19937(seed)).random()
        != np.random.Generator(np.random.PCG64(seed)).random()
    )


def test_streams_inside_a_stream_differ_and_are_the_same_again() -> None:
    first, again = ([child.random() for child in generator(7, "split").spawn(3)] for _ in range(2))
    assert first == again
    assert len(set(first)) == 3
    rng = generator(7, "split")
    assert rng.spawn(1)[0].random() != rng.spawn(1)[0].random()


def test_generator_survives_pickling() -> None:
    rng = generator(7, "split")
    rng.random()
    assert pickle.loads(pickle.dumps(rng)).random() == rng.random()


def test_draws_of_many_streams_are_uniform() -> None:
    drawn = np.array([generator(replicate_seed(0, index), "step").random() for index in range(4_000)])
    counts, _ = np.histogram(drawn, bins=20, range=(0, 1))
    assert ((counts - 200) ** 2 / 200).sum() < 43.8, "chi-square with 19 degrees of freedom, p = 0.001"


@given(st.integers(0, 2**63 - 1), st.text(max_size=10), st.text(max_size=10))
def test_streams_of_different_names_differ(seed: int, one: str, two: str) -> None:
    same = generator(seed, one).integers(2**62) == generator(seed, two).integers(2**62)
    assert same == (one == two)


def test_global_generators_are_seeded_for_the_call_and_restored_after_it() -> None:
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002 - the state that is to be restored
    expected = random.random(), np.random.rand()  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    drawn = []
    for _ in range(2):
        with seeded_globals(11, "legacy"):
            drawn.append((random.random(), np.random.rand()))  # noqa: NPY002
    assert drawn[0] == drawn[1]
    assert (random.random(), np.random.rand()) == expected  # noqa: NPY002


def test_global_generators_are_restored_when_the_call_fails() -> None:
    state = random.getstate()

    def drawing_and_failing() -> None:
        with seeded_globals(11, "legacy"):
            random.random()
            raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        drawing_and_failing()
    assert random.getstate() == state


def test_watching_numpys_global_generator_sees_draws_and_only_draws() -> None:
    watch = GlobalGenerator()
    before = watch.position()
    assert before is not None
    assert watch.position() == before
    np.random.default_rng(1).random()
    assert watch.position() == before
    np.random.rand()  # noqa: NPY002
    assert watch.position() != before
    seeded = watch.position()
    np.random.seed(3)  # noqa: NPY002
    assert watch.position() != seeded


@pytest.mark.parametrize(
    ("call", "moved"),
    [
        ("pass", False),
        ("import numpy.random", False),
        ("import numpy.random; numpy.random.default_rng(1).random()", False),
        ("import numpy.random; numpy.random.rand()", True),
        ("import numpy.random; numpy.random.randint(2)", True),
        ("import numpy.random; numpy.random.seed(1)", True),
    ],
)
def test_draws_from_a_numpy_that_a_step_has_just_loaded_are_seen(call: str, moved: bool) -> None:
    script = f"""
import sys
from workflow_assets.streams import GlobalGenerator
watch = GlobalGenerator()
assert "numpy" not in sys.modules
before = watch.position()
{call}
print(watch.moved(before))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(moved)

"""Laws of the canonical form, for any value: equal exactly when the values mean the same to a step."""

import copy
import datetime
import decimal
import math
import pickle
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from workflow_assets.canonical import canonical, digest

# What forms are made of, so that text which imitates a form is likely.
structure = st.text("[]{}<>(),:='\"0123456789abx \\", max_size=8)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, math.nan, math.inf]),
    st.complex_numbers(),
    structure,
    st.text(max_size=3),
    st.binary(max_size=3),
    st.dates(),
    st.datetimes(timezones=st.none() | st.timezones()),
    st.timedeltas(),
    st.decimals(allow_nan=False).map(lambda value: value + 0),
    structure.filter(lambda text: "/" not in text).map(PurePosixPath),
)
keys = st.one_of(
    st.integers(-3, 3), st.booleans(), structure, st.none(), st.tuples(st.integers(0, 2), structure)
)


@dataclass(frozen=True)
class Left:
    """One type of object."""

    value: Any = None


@dataclass(frozen=True)
class Right:
    """Another with the same fields."""

    value: Any = None


def containers(inner):
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
        st.sets(keys, max_size=3),
        st.frozensets(keys, max_size=3),
        st.builds(Left, inner),
        st.builds(Right, inner),
    )


values = st.recursive(scalars, containers, max_leaves=8)


def meaning(value):
    """Say what a value means to a step, in another way than the code under test does."""
    kind = type(value).__name__
    if isinstance(value, float):
        return kind, "nan" if math.isnan(value) else value + 0.0
    if isinstance(value, complex):
        return kind, meaning(value.real), meaning(value.imag)
    if isinstance(value, list | tuple):
        return kind, tuple(map(meaning, value))
    if isinstance(value, set | frozenset):
        return kind, frozenset(map(meaning, value))
    if isinstance(value, dict):
        return kind, frozenset((meaning(key), meaning(item)) for key, item in value.items())
    if isinstance(value, Left | Right):
        return kind, meaning(value.value)
    if isinstance(value, datetime.datetime):
        zone = value.tzinfo
        offset = None if zone is None else zone.utcoffset(None)  # of a zone that never changes
        return (
            kind,
            value.replace(tzinfo=None).isoformat(),
            str(zone) if offset is None else offset,
            value.fold,
        )
    if isinstance(value, decimal.Decimal):
        return kind, str(value)
    return kind, value


@given(values, values)
@example([1, 2], (1, 2))
@example({"a": 1}, {"a": True})
@example([["a"], "b"], [["a", "b"]])
@example("3'a,b'", ["a", "b"])
def test_two_forms_are_equal_exactly_when_the_values_mean_the_same(one, two):
    """No two meanings share a form, and no meaning has two."""
    assert (canonical(one) == canonical(two)) == (meaning(one) == meaning(two))


@given(values)
def test_a_copy_has_the_same_form(value):
    """Deep copies and pickled ones; so the form does not depend on identity."""
    assert canonical(copy.deepcopy(value)) == canonical(value)
    assert canonical(pickle.loads(pickle.dumps(value))) == canonical(value)


@given(values, st.randoms(use_true_random=False))
def test_the_order_of_dicts_and_sets_does_not_matter(value, random):
    """At any depth."""

    def shuffled(value):
        if isinstance(value, list | tuple):
            return type(value)(map(shuffled, value))
        if isinstance(value, Left | Right):
            return type(value)(shuffled(value.value))
        if isinstance(value, dict):
            items = list(value.items())
            random.shuffle(items)
            return {key: shuffled(item) for key, item in items}
        if isinstance(value, set | frozenset):
            members = list(value)
            random.shuffle(members)
            return type(value)(members)
        return value

    assert canonical(shuffled(value)) == canonical(value)


@given(
    st.lists(st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), structure), max_size=4)
)
def test_numpy_scalars_are_the_python_values_that_they_hold(items):
    """Whatever their type, inside any list."""
    # A text of numpy's own drops zero bytes at its end; `structure` has none.
    assert canonical([np.array([item])[0] if item != "" else item for item in items]) == canonical(items)


@given(st.lists(structure, max_size=4), st.lists(structure, max_size=4))
def test_a_digest_tells_lists_of_parts_apart(one, two):
    """Equal exactly when the parts are."""
    assert (digest(*one) == digest(*two)) == (one == two)


kinds = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(),
    arrays.floating_dtypes(),
    arrays.complex_number_dtypes(),
    arrays.datetime64_dtypes(),
    arrays.timedelta64_dtypes(),
    arrays.unicode_string_dtypes(max_len=3),
    arrays.byte_string_dtypes(max_len=3),
    arrays.array_dtypes(arrays.scalar_dtypes(), max_size=2),
)


@given(arrays.arrays(kinds, arrays.array_shapes(min_side=0, max_dims=3, max_side=3)))
def test_an_array_has_one_form_however_it_lies_in_memory(array):
    """Copies, other orders of axes in memory, views and the other byte order."""
    form = canonical(array)
    assert canonical(array.copy(order="F")) == form
    assert canonical(array[::-1][::-1]) == form
    assert canonical(array.astype(array.dtype.newbyteorder())) == form
    assert canonical(np.concatenate([array, array])[: len(array)]) == form


@given(arrays.arrays(kinds, arrays.array_shapes(max_dims=2, max_side=3)), st.data())
def test_an_array_with_another_element_has_another_form(array, data):
    """Equal forms mean equal elements, where a NaN equals a NaN."""
    other = data.draw(arrays.arrays(array.dtype, array.shape))
    same = all(
        (one == two) or (one != one and two != two)  # noqa: PLR0124 - what only NaN and NaT are
        for one, two in zip(flat(array), flat(other), strict=True)
    )
    assert (canonical(array) == canonical(other)) == same


def flat(array):
    """Give the plain elements of an array, those of its fields one by one."""
    if array.dtype.names:
        return [element for name in array.dtype.names for element in flat(array[name])]
    return list(array.ravel())


THEN, NOW = (datetime.datetime(year, 1, 1) for year in (2000, 2030))  # noqa: DTZ001 - the zone is drawn
columns = st.one_of(
    st.lists(st.floats(), min_size=2, max_size=2),
    st.lists(st.integers(-5, 5), min_size=2, max_size=2),
    st.lists(st.booleans(), min_size=2, max_size=2),
    st.lists(structure | st.none(), min_size=2, max_size=2),
    st.lists(structure, min_size=2, max_size=2).map(pd.Categorical),
    st.lists(st.datetimes(THEN, NOW), min_size=2, max_size=2),
    st.lists(
        st.datetimes(THEN, NOW, timezones=st.just(datetime.UTC)),
        min_size=2,
        max_size=2,
    ),
)
frames = st.dictionaries(st.sampled_from("abc"), columns, max_size=3).map(pd.DataFrame)


@given(frames, frames)
def test_frames_have_equal_forms_exactly_when_pandas_calls_them_equal(one, two):
    """Columns in order, their types, their values, the index."""
    try:
        pd.testing.assert_frame_equal(
            one, two, check_exact=True, check_index_type=False, check_column_type=False
        )
    except AssertionError:
        same = False
    else:
        # pandas takes None and NaN for one; a step can tell them apart.
        same = [[kind_of(item) for item in one[name]] for name in one] == [
            [kind_of(item) for item in two[name]] for name in two
        ]
    assert (canonical(one) == canonical(two)) == same


def kind_of(item):
    return type(item) if item is None or isinstance(item, float) else object


@given(frames)
def test_a_copied_frame_has_the_same_form(frame):
    """Also one put together from its columns, or read back from a pickle."""
    form = canonical(frame)
    assert canonical(frame.copy()) == form
    assert canonical(pickle.loads(pickle.dumps(frame))) == form

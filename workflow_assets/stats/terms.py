"""Terms: the columns of a linear model that stand for each factor and for each two, and which of them can be told."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from workflow_assets.stats.samples import FloatArray

BLOCKS = "the blocks"


class Columns(NamedTuple):
    """A term's columns of the model, and the rows that make its differences of their coefficients."""

    factors: tuple[str, ...]
    columns: FloatArray
    names: tuple[str, ...]
    rows: FloatArray

    @property
    def name(self) -> str:
        """The names of its factors, as they stand in a table."""
        return " × ".join(self.factors)


def _main(name: str, levels: Sequence[Any]) -> Columns:
    if not all(isinstance(level, str) for level in levels):
        coded = np.asarray(levels, dtype=np.float64)
        if not (np.abs(coded) <= 1 + 1e-9).all():
            raise ValueError(f"factor {name!r} is sampled: give numbers from -1 (its lower bound) to 1")
        return Columns((name,), coded[:, np.newaxis], ("over its range",), np.array([[2.0]]))
    kinds = list(dict.fromkeys(levels))
    if len(kinds) < 2:
        raise ValueError(f"factor {name!r} has one level only: leave it out")
    codes: FloatArray = np.vstack([np.eye(len(kinds) - 1), -np.ones(len(kinds) - 1)]).astype(np.float64)
    places = [kinds.index(level) for level in levels]
    return Columns(
        (name,),
        codes[places],
        tuple(f"{kind} − {kinds[0]}" for kind in kinds[1:]),
        codes[1:] - codes[0],
    )


def _product(one: Columns, other: Columns) -> Columns:
    columns = (one.columns[:, :, np.newaxis] * other.columns[:, np.newaxis, :]).reshape(len(one.columns), -1)
    names = tuple(f"({a}) × ({b})" for a in one.names for b in other.names)
    rows = np.kron(one.rows, other.rows).astype(np.float64)
    return Columns((*one.factors, *other.factors), columns, names, rows)


class Model(NamedTuple):
    """The columns of a linear model: its ground, which is not asked for, and the terms that can be told from it.

    The ground is the mean, and what the blocks differ by.
    """

    ground: FloatArray
    terms: tuple[Columns, ...]

    @property
    def matrix(self) -> FloatArray:
        """All columns, those of the ground first."""
        return np.hstack([self.ground, *(term.columns for term in self.terms)])

    def slices(self) -> Iterator[tuple[Columns, slice]]:
        """Give each term, and which columns of the matrix are its own."""
        start = self.ground.shape[1]
        for term in self.terms:
            stop = start + term.columns.shape[1]
            yield term, slice(start, stop)
            start = stop


def model(
    factors: Mapping[str, Sequence[Any]],
    treatments: int,
    notes: list[str],
    blocks: Sequence[str] | None = None,
) -> Model:
    """Choose the terms that these treatments, in these blocks, can tell apart.

    Raises ValueError for a factor that cannot be told from others or from the blocks. Interactions that cannot be are
    left out, and noted.
    """
    mains = main_effects(factors)
    made = Model(ground(treatments, blocks), ())
    for term in mains:
        if twins := aliases(term, made):
            raise ValueError(
                f"factor {term.name!r} cannot be told from {' and '.join(twins)} in these treatments: leave it out"
            )
        made = made._replace(terms=(*made.terms, term))
    products = [_product(one, other) for one, other in combinations(mains, 2)]
    sampled = any(not isinstance(level, str) for levels in factors.values() for level in levels)
    if sampled and products:
        everything = Model(made.ground, (*mains, *products)).matrix
        if np.linalg.matrix_rank(everything) < everything.shape[1]:
            notes.append(
                f"interactions are left out: {treatments} treatments cannot tell {everything.shape[1]} coefficients "
                f"apart"
            )
            products = []
    for term in products:
        if twins := aliases(term, made):
            notes.append(f"{term.name} cannot be told from {' and '.join(twins)} in these treatments")
        else:
            made = made._replace(terms=(*made.terms, term))
    return made


def main_effects(factors: Mapping[str, Sequence[Any]]) -> list[Columns]:
    """Give the columns of each factor, or raise ValueError."""
    if not factors:
        raise ValueError("there are no factors: name at least one")
    return [_main(name, levels) for name, levels in factors.items()]


def aliases(term: Columns, known: Model) -> list[str]:
    """Name the terms that share what a term would tell; none if it tells all of its own."""
    matrix = known.matrix
    coefficients = np.linalg.lstsq(matrix, term.columns, rcond=None)[0]
    rest = term.columns - matrix @ coefficients
    _, sizes, directions = np.linalg.svd(rest)
    lost = directions[int((sizes > 1e-9 * len(rest)).sum()) :].T
    if not lost.shape[1]:
        return []
    shared = np.abs(coefficients @ lost).max(axis=1) > 1e-9
    twins = [other.name for other, place in known.slices() if shared[place].any()]
    if shared[1 : known.ground.shape[1]].any():
        twins.append(BLOCKS)
    return twins or ["the mean"]


def efficiencies(factors: Mapping[str, Sequence[Any]], blocks: Sequence[str]) -> dict[str, float]:
    """Give how much of its information each term keeps, where blocks differ by more than chance.

    The harmonic mean of a term's canonical efficiency factors (John and Williams 1995): 1 where blocks cost nothing, 0
    where it cannot be told from them. Its variance is that of the same treatments without blocks, divided by it, if
    values scatter as much. Terms that could not be told without blocks either are left out.

    >>> efficiencies({"a": ["1", "2", "1", "3", "2", "3"]}, ["x", "x", "y", "y", "z", "z"])
    {'a': 0.75}
    """
    free = model(factors, len(blocks), [])
    told = model(factors, len(blocks), [], blocks)
    alone = Model(free.ground, told.terms)
    bound, unbound = (np.linalg.inv(one.matrix.T @ one.matrix) for one in (told, alone))
    kept = {
        term.name: len(unbound[place, place])
        / float(np.trace(np.linalg.solve(unbound[place, place], bound[blocked, blocked])))
        for (term, place), (_, blocked) in zip(alone.slices(), told.slices(), strict=True)
    }
    return {term.name: min(round(kept.get(term.name, 0.0), 12), 1.0) for term in free.terms}


def ground(treatments: int, blocks: Sequence[str] | None) -> FloatArray:
    """Give the columns of the mean and of what blocks differ by."""
    ones = np.ones((treatments, 1))
    if blocks is None or len(set(blocks)) < 2:
        return ones
    kinds = list(dict.fromkeys(blocks))
    codes = np.vstack([np.eye(len(kinds) - 1), -np.ones(len(kinds) - 1)])
    return np.hstack([ones, codes[[kinds.index(block) for block in blocks]]])

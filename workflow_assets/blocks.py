"""Blocks: treatments shared out among batches, days or machines, so that effects can be told from what those differ by.

A block is a nuisance: nobody asks what it does, but it shifts whatever is run in it. `blocked` says which treatments
are run in which block; `factor_effects` compares them within blocks, and neither tests blocks nor counts them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workflow_assets.canonical import unwrap_scalar
from workflow_assets.designs import MOST_TREATMENTS, Design, baseline_labels, short_names
from workflow_assets.errors import DeclarationError, did_you_mean, excerpt
from workflow_assets.factors import Factor, is_whole, read_factors
from workflow_assets.names import partition_fault
from workflow_assets.treatments import BASELINE

if TYPE_CHECKING:
    import numpy as np

Labels = tuple[str, ...]


def blocked(
    design: Design,
    blocks: Mapping[str, Sequence[Any] | Mapping[str, Any]],
    *,
    size: int | None = None,
    confounding: Sequence[Sequence[str]] | None = None,
    seed: int | None = None,
    baseline: Mapping[str, Any] | None = None,
) -> Design:
    """Assign the treatments of a design to blocks: batches, days, machines, data sets.

    Without more, each block has every treatment (complete blocks). Where that is too much, a block has some of them:

    - `size` of them, balanced: each treatment in as many blocks as the others (or one more), and those that share a
      block chosen so that main effects and interactions of two lose as little as may be
      (`stats.assignments.assign`): a balanced incomplete block design, or nearly one.
    - for factors of two levels, `confounding` names interactions to give up. Treatments that differ in their sign are
      in different blocks, so that these, and the products of two of them, cannot be told from blocks; all other effects
      are told as if there were none (Box, Hunter and Hunter 2005). Name interactions of three factors or more.

    Which treatments go to which block is drawn with `seed`. ``design.efficiencies`` of what is returned says how much
    of its information each effect keeps. Blocks are taken to shift all their treatments alike.

    Args:
        design: made by `factorial`, `fractional` or `sampled`. Treatments added to it with ``|`` are in no block.
        blocks: a parameter and its values, one for each block (``{"source.batch": ["mon", "tue"]}``), or a mapping from
            labels to values; of several parameters, each combination is a block.
        size: how many treatments a block has.
        confounding: lists of factors, one for each interaction to give up; p of them make 2**p blocks.
        seed: the same seed gives the same assignment; needed where blocks do not have every treatment.
        baseline: the block in which the workflow is without any change, as ``{"source.batch": "mon"}``: the baseline of
            the design in that block is the treatment "baseline" then.

    Raises `DeclarationError` with every fault, and where a main effect could not be told from blocks.

    >>> from workflow_assets import factorial
    >>> design = factorial({"model.C": [1, 2], "model.depth": [3, 4]})
    >>> list(blocked(design, {"source.batch": ["mon", "tue"]}))[:2]
    ['C=1 depth=3 batch=mon', 'C=1 depth=4 batch=mon']
    >>> halves = blocked(
    ...     design, {"source.batch": ["mon", "tue"]}, confounding=[["model.C", "model.depth"]], seed=1
    ... )
    >>> len(halves), dict(halves.efficiencies)
    (4, {'model.C': 1.0, 'model.depth': 1.0, 'model.C × model.depth': 0.0})
    """
    if not isinstance(design, Design):
        raise DeclarationError(
            "design", [f"{excerpt(design)} is no design: make one, with factorial({{...}})"]
        )
    read = read_factors(blocks)
    faults = _clashes(design, read)
    places: list[Labels] = list(itertools.product(*(factor.levels or () for factor in read.values())))
    names = list(design.settings)
    if size is not None and confounding is not None:
        faults.append(
            "size and confounding are both given: the interactions to give up say how large blocks are"
        )
    elif size is not None:
        faults += _size_faults(size, len(names), len(places))
    words = [] if confounding is None else _read_words(confounding, design, faults)
    start = unwrap_scalar(seed)
    if seed is None and (size is not None or confounding is not None):
        faults.append("blocks that do not have every treatment are drawn: give seed=, as in seed=1")
    elif seed is not None and (not is_whole(start) or start < 0):
        faults.append(f"seed = {excerpt(seed)}: expected a whole number of 0 or more")
    if size is None and confounding is None and len(names) * len(places) > MOST_TREATMENTS:
        faults.append(f"these are {len(names) * len(places):,} treatments: give size=, how many a block has")
    unchanged = None if baseline is None else tuple(_baseline_block(design, read, baseline, faults))
    if faults:
        raise DeclarationError("design", faults)
    if size is None and confounding is None:
        dealt = [names for _ in places]
    else:
        import numpy as np

        rng = np.random.default_rng(start)
        if size is None:
            dealt = _split(design, words, len(places), rng)
        else:
            dealt = _balance(design, len(places), int(unwrap_scalar(size)), rng)
    made = _compile(design, read, dict(zip(places, dealt, strict=True)), unchanged)
    _check_main_effects(made, "confounding" if confounding is not None else "size")
    return made


def _clashes(design: Design, blocks: Mapping[str, Factor]) -> list[str]:
    faults = [
        f"{address!r} is a factor of the design already: what is asked about cannot be a block"
        for address in blocks
        if address in design.factors
    ]
    if design.blocks:
        faults.append(
            f"the design has blocks of {' and '.join(design.blocks)} already: give all parameters in one call"
        )
    return faults


def _size_faults(size: Any, treatments: int, blocks: int) -> list[str]:
    count = unwrap_scalar(size)
    if not is_whole(count) or not 2 <= count < treatments:
        return [
            (
                f"size = {excerpt(size)}: expected a whole number from 2 to {treatments - 1}; leave it out for blocks "
                f"of all {treatments} treatments"
            )
        ]
    if blocks * count < treatments:
        return [
            (
                f"{blocks} blocks of {count} have no place for {treatments} treatments: give "
                f"size={-(-treatments // blocks)} or more, or {-(-treatments // count)} blocks"
            )
        ]
    return []


def _read_words(confounding: Any, design: Design, faults: list[str]) -> list[list[str]]:
    """Read the interactions to give up."""
    if isinstance(confounding, str) or not isinstance(confounding, Sequence) or not confounding:
        faults.append(
            f"confounding = {excerpt(confounding)}: expected interactions, as in [['m.a', 'm.b', 'm.c']]"
        )
        return []
    many = [address for address, factor in design.factors.items() if len(factor.levels or ()) != 2]
    faults += [
        f"factor {address!r} does not have two levels, and interactions to give up are of such: give size= instead"
        for address in many
    ]
    for word in confounding:
        if isinstance(word, str) or not isinstance(word, Sequence) or len(word) < 2:
            faults.append(f"confounding has {excerpt(word)}: expected a list of two or more factors")
            continue
        faults += [
            f"confounding names {excerpt(one)}: {did_you_mean(str(one), design.factors)}"
            for one in word
            if one not in design.factors
        ]
        if len(set(map(str, word))) < len(word):
            faults.append(f"confounding has one factor twice in {excerpt(word)}")
    return [] if faults else [list(word) for word in confounding]


def _split(
    design: Design, words: Sequence[Sequence[str]], blocks: int, rng: np.random.Generator
) -> list[list[str]]:
    """Put treatments together that have the same sign in every interaction to give up, and draw who is where."""
    levels = {address: list(factor.levels or ()) for address, factor in design.factors.items()}
    parts: dict[Labels, list[str]] = {}
    for name, setting in design.settings.items():
        odd = [sum(levels[one].index(setting[one]) for one in word) % 2 for word in words]
        parts.setdefault(tuple(map(str, odd)), []).append(name)
    if len(parts) < 2 ** len(words):
        raise DeclarationError(
            "design",
            [
                (
                    f"confounding names {len(words)} interactions and divides the treatments in {len(parts)} parts "
                    f"instead of {2 ** len(words)}: leave out those that are products of others, or the same in all "
                    f"treatments"
                )
            ],
        )
    if blocks % len(parts):
        raise DeclarationError(
            "design",
            [
                (
                    f"{len(words)} interactions to give up make {len(parts)} blocks, and {blocks} are given: give "
                    f"{len(parts)}, or a multiple"
                )
            ],
        )
    shares = list(parts.values()) * (blocks // len(parts))
    return [shares[int(place)] for place in rng.permutation(blocks)]


def _balance(design: Design, blocks: int, size: int, rng: np.random.Generator) -> list[list[str]]:
    from workflow_assets.stats.assignments import assign

    names = list(design.settings)
    try:
        dealt = assign(design.coded(), len(names), blocks, size, rng)
    except ValueError as error:
        raise DeclarationError("design", [str(error)]) from None
    return [[names[place] for place in block] for block in dealt]


def _baseline_block(
    design: Design, blocks: Mapping[str, Factor], baseline: Mapping[str, Any], faults: list[str]
) -> Iterable[str]:
    if BASELINE not in design.settings:
        faults.append("baseline is given, and the design has none: give baseline= to factorial(...), too")
    try:
        return baseline_labels(blocks, baseline).values()
    except DeclarationError as error:
        faults.extend(error.faults)
        return ()


def _compile(
    design: Design,
    blocks: Mapping[str, Factor],
    dealt: Mapping[Labels, Sequence[str]],
    unchanged: Labels | None,
) -> Design:
    """Name each treatment in each of its blocks."""
    every = short_names([*design.factors, *blocks])
    short, last = every[: len(design.factors)], every[len(design.factors) :]
    settings: dict[str, dict[str, Any]] = {}
    for labels, names in dealt.items():
        where = " ".join(f"{part}={label}" for part, label in zip(last, labels, strict=True))
        for name in names:
            setting = design.settings[name]
            what = " ".join(f"{part}={label}" for part, label in zip(short, setting.values(), strict=True))
            full = f"{what if name == BASELINE else name} {where}"
            if name == BASELINE and labels == unchanged:
                full = BASELINE
            elif partition_fault(full):  # too long
                full = f"run{len(settings)}"
            settings[full] = {**setting, **dict(zip(blocks, labels, strict=True))}
    if unchanged is not None and BASELINE not in settings:
        raise DeclarationError(
            "design",
            [
                (
                    f"the baseline is not among the treatments of {' '.join(unchanged)}: leave baseline= out, or take "
                    f"another seed"
                )
            ],
        )
    return Design(design.factors, settings, design.others, blocks=blocks)


def _check_main_effects(made: Design, cause: str) -> None:
    """Refuse blocks that hide what a factor does."""
    from workflow_assets.stats.terms import BLOCKS, Model, aliases, ground, main_effects

    factors, blocks = made.coded(), made.block_of()
    known = ground(len(made.settings), blocks)
    mains = main_effects(factors)
    cure = {
        "confounding": "name other interactions: neither they nor the product of two of them may be one factor",
        "size": "give more blocks, or larger ones",
    }[cause]
    faults = []
    for place, term in enumerate(mains):
        twins = aliases(term, Model(known, (*mains[:place], *mains[place + 1 :])))
        if BLOCKS in twins:
            faults.append(
                f"the main effect of {term.name!r} is confounded with {' and '.join(twins)}: {cure}"
            )
        elif twins:
            faults.append(
                f"{term.name!r} cannot be told from {' and '.join(twins)} in any blocks: leave it out of the design"
            )
    if faults:
        raise DeclarationError("design", faults)

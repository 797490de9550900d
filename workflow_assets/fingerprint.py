"""A digest of everything in the user's own code that a step's result depends on.

It follows a function through its helpers, methods, closures, defaults, module constants and classes, through every
module of the user's own packages. Comments, docstrings, formatting and unrelated functions are not seen, and neither
is code that was installed: its version is recorded, and a step that stands in an installed package carries an
explicit version. What the code changes as it runs (a counter, a list of calls) is state: how it begins counts, what
it holds at the moment does not.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workflow_assets.canonical import digest
from workflow_assets.code.generators import global_method
from workflow_assets.code.readers import Reader
from workflow_assets.modules import home_module, is_users_module, qualified_name, wrapped


@dataclass(frozen=True)
class Fingerprint:
    """What a step's code is: one digest, and the parts that it was made of.

    `parts` maps each function, class and constant that the step reaches to the digest of its own code or value, so
    that two fingerprints can be compared part by part; `texts` has their source, or their value in short.
    `global_randomness` names the uses of global random generators that were seen on the way, `imports` the packages
    that the files import which the code stands in.
    """

    digest: str
    parts: Mapping[str, str]
    global_randomness: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    imports: frozenset[str] = field(default=frozenset(), compare=False)


def fingerprint(function: Callable[..., Any], version: str | None = None) -> Fingerprint:
    """Take the fingerprint of a function; a declared `version` takes the place of its code.

    The function's own defaults are left out: those of a step are parameters, whose values are told apart.

    >>> def double(x):
    ...     return x * 2
    >>> fingerprint(double, version="1").digest == fingerprint(double, version="2").digest
    False
    """
    if version is not None:
        parts = {"version": version}
        imports = frozenset({home_module(function).partition(".")[0]})
        return Fingerprint(
            digest("version", qualified_name(function), version), parts, texts=parts, imports=imports
        )
    return _read(function, defaults=False)


def _read(thing: Any, defaults: bool) -> Fingerprint:
    reader = Reader(thing, defaults)
    reader.read()
    texts, imports = reader.told()
    return Fingerprint(
        digest("code", *(text for item in sorted(reader.keyed.items()) for text in item)),
        dict(sorted(reader.parts.items())),
        tuple(dict.fromkeys(reader.randomness)),
        texts,
        frozenset(imports),
    )


def code_form(thing: Any) -> str:
    """Write code that is itself a value, such as a function that is passed as a parameter.

    The user's own code is followed; what was installed is known by its name.

    >>> code_form(max) == code_form(min)
    False
    """
    inner = wrapped(thing)
    if inner is not None:
        return code_form(inner)
    home = thing.__name__ if isinstance(thing, types.ModuleType) else home_module(thing)
    if isinstance(thing, types.BuiltinFunctionType) or not is_users_module(home):
        return qualified_name(thing)
    return _read(thing, defaults=True).digest


def global_draws(things: Iterable[Any]) -> tuple[str, ...]:
    """Name the global random generators that code draws from, which is itself a value.

    >>> import random
    >>> global_draws([random.gauss, max, 3])
    ('random.gauss',)
    """
    draws: dict[str, None] = {}
    for thing in things:
        code = wrapped(thing) or thing
        if (name := global_method(code)) is not None:
            draws[name] = None
        elif isinstance(code, types.FunctionType) and is_users_module(home_module(code)):
            draws.update(dict.fromkeys(fingerprint(code).global_randomness))
    return tuple(draws)

"""Global random generators, and how code that draws from them is recognised.

Their numbers depend on everything that ran before, so that a result made from them cannot be repeated.
"""

from __future__ import annotations

import sys
from typing import Any

_PYTHON = frozenset(
    {
        "betavariate",
        "binomialvariate",
        "choice",
        "choices",
        "expovariate",
        "gammavariate",
        "gauss",
        "getrandbits",
    }
    | {
        "lognormvariate",
        "normalvariate",
        "paretovariate",
        "randbytes",
        "randint",
        "random",
        "randrange",
        "sample",
    }
    | {"seed", "setstate", "shuffle", "triangular", "uniform", "vonmisesvariate", "weibullvariate"}
)
_NUMPY = frozenset(
    {
        "beta",
        "binomial",
        "bytes",
        "chisquare",
        "choice",
        "dirichlet",
        "exponential",
        "f",
        "gamma",
        "geometric",
    }
    | {
        "gumbel",
        "hypergeometric",
        "laplace",
        "logistic",
        "lognormal",
        "logseries",
        "multinomial",
        "noncentral_f",
    }
    | {"multivariate_normal", "negative_binomial", "noncentral_chisquare", "normal", "pareto", "permutation"}
    | {"poisson", "power", "rand", "randint", "randn", "random", "random_integers", "random_sample", "ranf"}
    | {
        "rayleigh",
        "sample",
        "seed",
        "set_state",
        "shuffle",
        "standard_cauchy",
        "standard_exponential",
        "wald",
    }
    | {
        "standard_gamma",
        "standard_normal",
        "standard_t",
        "triangular",
        "uniform",
        "vonmises",
        "weibull",
        "zipf",
    }
)
_TORCH = frozenset(
    {
        "bernoulli",
        "manual_seed",
        "multinomial",
        "normal",
        "poisson",
        "rand",
        "rand_like",
        "randint",
        "randint_like",
    }
    | {"randn", "randn_like", "randperm", "seed"}
)
_FUNCTIONS = {
    "random": ("random", _PYTHON),
    "numpy.random": ("numpy.random", _NUMPY),
    "numpy.random.mtrand": ("numpy.random", _NUMPY),
    "torch": ("torch", _TORCH),
    "torch.random": ("torch.random", frozenset({"manual_seed", "seed"})),
    "torch.cuda": ("torch.cuda", frozenset({"manual_seed", "manual_seed_all", "seed", "seed_all"})),
}


def global_function(dotted: str) -> str | None:
    """Give the name of a function that draws from (or seeds) a global generator; None for any other.

    >>> global_function("numpy.random.mtrand.rand"), global_function("numpy.random.default_rng")
    ('numpy.random.rand', None)
    """
    module, _, name = dotted.rpartition(".")
    shown, functions = _FUNCTIONS.get(module, ("", frozenset()))
    return f"{shown}.{name}" if name in functions else None


def is_generator(value: Any) -> bool:
    """Tell whether a value is a random generator, whose state every draw changes.

    >>> import random
    >>> is_generator(random.Random(3)), is_generator(random.Random)
    (True, False)
    """
    python, numpy = sys.modules.get("random"), sys.modules.get("numpy.random")
    kinds = [python.Random] if python is not None else []
    kinds += [
        getattr(numpy, name) for name in ("Generator", "RandomState", "BitGenerator") if hasattr(numpy, name)
    ]
    torch = getattr(sys.modules.get("torch"), "Generator", None)
    return isinstance(value, (*kinds, torch) if isinstance(torch, type) else tuple(kinds))


def global_method(value: Any) -> str | None:
    """Name a function such as `random.random` or `numpy.random.rand`, which is a method of the global generator."""
    owner = value.__self__ if hasattr(type(value), "__self__") else None
    if owner is None or not is_generator(owner):
        return None
    name = getattr(value, "__name__", type(value).__qualname__)
    if owner is getattr(sys.modules.get("random"), "_inst", None):
        return f"random.{name}"
    mtrand = getattr(sys.modules.get("numpy.random"), "mtrand", None)
    return (
        f"numpy.random.{name}"
        if owner is getattr(mtrand, "_rand", None)
        else f"{type(owner).__name__}.{name}"
    )

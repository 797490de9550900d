"""Global random generators are recognised wherever a step or its helpers draw from them."""

import random
import sys
import types
from typing import Any

import numpy as np
import pytest

from workflow_assets.code.generators import global_function, global_method, is_generator
from workflow_assets.fingerprint import fingerprint

DRAWS = {
    "random": ("import random", "return random.random()", "random.random"),
    "random under another name": ("import random as r", "return r.gauss(0, 1)", "random.gauss"),
    "a function of random": ("from random import shuffle", "shuffle(x)", "random.shuffle"),
    "a function of random under another name": (
        "from random import choice as c",
        "return c(x)",
        "random.choice",
    ),
    "random imported late": ("", "import random\n    return random.randint(0, 9)", "random.randint"),
    "a function of random imported late": (
        "",
        "from random import sample\n    return sample(x, 1)",
        "random.sample",
    ),
    "seeding": ("import random", "random.seed(3)", "random.seed"),
    "numpy": ("import numpy", "return numpy.random.rand(3)", "numpy.random.rand"),
    "numpy under another name": ("import numpy as np", "np.random.shuffle(x)", "numpy.random.shuffle"),
    "numpy.random": ("import numpy.random", "return numpy.random.normal()", "numpy.random.normal"),
    "numpy.random under another name": (
        "import numpy.random as npr",
        "return npr.randn()",
        "numpy.random.randn",
    ),
    "random of numpy": ("from numpy import random", "return random.choice(x)", "numpy.random.choice"),
    "a function of numpy.random": (
        "from numpy.random import permutation",
        "return permutation(x)",
        "numpy.random.permutation",
    ),
    "numpy imported late": ("", "import numpy as np\n    return np.random.uniform()", "numpy.random.uniform"),
    "numpy.random imported late": (
        "",
        "import numpy.random as r\n    return r.uniform()",
        "numpy.random.uniform",
    ),
    "random of numpy imported late": (
        "",
        "from numpy import random\n    return random.beta(1, 1)",
        "numpy.random.beta",
    ),
    "a function of numpy.random imported late": (
        "",
        "from numpy.random import randint\n    return randint(3)",
        "numpy.random.randint",
    ),
    "numpy under a local name": (
        "import numpy as np",
        "r = np.random\n    return r.rand()",
        "numpy.random.rand",
    ),
    "numpy in a lambda": (
        "import numpy as np",
        "return [(lambda: np.random.rand())() for _ in x]",
        "numpy.random.rand",
    ),
    "numpy in a comprehension": (
        "import numpy as np",
        "return [np.random.rand() for _ in x]",
        "numpy.random.rand",
    ),
    "numpy in an inner function": (
        "import numpy as np",
        "def g(): return np.random.rand()\n    return g()",
        "numpy.random.rand",
    ),
    "numpy passed on": ("import numpy as np", "return list(map(np.random.rand, x))", "numpy.random.rand"),
    "torch imported late": ("", "import torch\n    return torch.randn(3)", "torch.randn"),
    "a function of torch imported late": (
        "",
        "from torch import manual_seed\n    manual_seed(3)",
        "torch.manual_seed",
    ),
    "a generator of the module": (
        "import numpy as np\nRNG = np.random.default_rng(0)",
        "return RNG.normal()",
        "RNG",
    ),
    "an old generator of the module": (
        "import numpy as np\nRNG = np.random.RandomState(0)",
        "return RNG.rand()",
        "RNG",
    ),
    "Python's generator of the module": (
        "import random\nRNG = random.Random(0)",
        "return RNG.random()",
        "RNG",
    ),
    "a method of a generator": (
        "import numpy as np\ndraw = np.random.default_rng(0).normal",
        "return draw()",
        "Generator.normal",
    ),
    "a generator in a dict": (
        "import random\nTOOLS = {'r': random.Random(0)}",
        "return TOOLS['r'].random()",
        "a Random",
    ),
    "a generator in an object": (
        "import random\nclass O: pass\nobj = O()\nobj.rng = random.Random(0)",
        "return obj.rng.random()",
        "a Random",
    ),
    "a helper": ("import numpy as np\ndef g(): return np.random.rand()", "return g()", "numpy.random.rand"),
    "a helper's default": (
        "import random\ndef g(r=random.Random(0)): return r.random()",
        "return g()",
        "g[r]",
    ),
    "a method": (
        "import random\nclass O:\n  def m(self): return random.random()",
        "return O().m()",
        "random.random",
    ),
    "a constructor": (
        "import random\nclass O:\n  def __init__(self): self.r = random.random()",
        "return O().r",
        "random.random",
    ),
    "a property": (
        "import random\nclass O:\n  @property\n  def r(self): return random.random()",
        "return O().r",
        "random.random",
    ),
    "a method that a method calls": (
        "import random\nclass O:\n  def m(self): return self.n()\n  def n(self): return random.random()",
        "return O().m()",
        "random.random",
    ),
}


@pytest.mark.parametrize("case", DRAWS)
def test_a_global_draw_is_seen(load, case):
    """Its name is given, as a user knows it."""
    setup, body, name = DRAWS[case]
    assert load(f"{setup}\n\ndef f(x):\n    {body}\n").taken.global_randomness == (name,)


@pytest.mark.parametrize("case", [case for case in DRAWS if "local name" not in case])
def test_a_global_draw_is_seen_without_source(case):
    """The instructions tell it too."""
    setup, body, name = DRAWS[case]
    names: dict[str, Any] = {"__name__": "draws_without_source"}
    exec(compile(f"{setup}\n\ndef f(x):\n    {body}\n", "<no source>", "exec"), names)
    assert fingerprint(names["f"]).global_randomness == (name,)


@pytest.mark.parametrize("loaded", [True, False])
def test_torch_is_known_by_name(load, monkeypatch, loaded):
    """Whether or not it is installed: its functions draw from a global generator."""
    if loaded:
        torch = types.ModuleType("torch")
        vars(torch)["rand"] = lambda n: n
        monkeypatch.setitem(sys.modules, "torch", torch)
    text = "def f(x):\n    import torch\n    return torch.rand(3)\n"
    assert load(f"import torch\n{text}" if loaded else text).taken.global_randomness == ("torch.rand",)


def test_each_draw_is_named_once(load):
    """In the order in which they are met."""
    text = (
        "import random as r\ndef g(): return r.gauss(0, 1)\ndef f(x): return r.random() + r.random() + g()\n"
    )
    assert load(text).taken.global_randomness == ("random.random", "random.gauss")


INNOCENT = {
    "a generator of its own": ("import random", "return random.Random(3).random()"),
    "numpy's generator of its own": ("import numpy as np", "return np.random.default_rng(3).normal()"),
    "an old generator of its own": ("import numpy as np", "return np.random.RandomState(3).rand()"),
    "a generator that it is given": ("import numpy as np", "return x.normal() + x.random() + x.choice(3)"),
    "a parameter called random": ("import random", "return (lambda random: random.random())(x)"),
    "a parameter called np": ("import numpy as np", "return (lambda np: np.random.rand())(x)"),
    "a type": ("import numpy as np", "return isinstance(x, np.random.Generator)"),
    "a seed sequence": ("import numpy as np", "return np.random.SeedSequence(3).spawn(2)"),
    "its own function random": ("def random(): return 3", "return random()"),
    "its own class random": (
        "class random:\n  @staticmethod\n  def random(): return 3",
        "return random.random()",
    ),
    "a generator that another function uses": (
        "import random\nRNG = random.Random(0)\ndef g(): RNG.random()",
        "return x",
    ),
    "a method that nobody calls": (
        "import random\nclass O:\n  def m(self): return random.random()",
        "return O()",
    ),
    "randomness in a string": ("", "return 'random.random()'"),
    "a module of that name in a package": ("", "import email.charset\n    return email.charset"),
}


@pytest.mark.parametrize("case", INNOCENT)
def test_what_is_no_global_draw_is_not_taken_for_one(load, case):
    """Seeded generators, generators passed in, and names that only look alike."""
    setup, body = INNOCENT[case]
    assert load(f"{setup}\n\ndef f(x):\n    {body}\n").taken.global_randomness == ()


def test_drawing_from_a_generator_leaves_the_fingerprint(load):
    """The state of a generator is state."""
    study = load("import random\nRNG = random.Random(0)\ndef f(x):\n    return RNG.random()\n")
    study.f(1)
    assert fingerprint(study.f) == study.taken


def test_functions_are_known_by_their_full_name():
    """The legacy functions of numpy, and not the classes beside them."""
    assert global_function("numpy.random.mtrand.rand") == "numpy.random.rand"
    assert global_function("numpy.random.Generator") is None
    assert global_function("numpy.random") is None
    assert global_function("rand") is None


def test_every_legacy_function_of_numpy_is_known():
    """All methods of the global RandomState that numpy.random offers, but for reading its state."""
    known = {name for name in dir(np.random) if global_function(f"numpy.random.{name}")}
    offered = {name for name in dir(np.random) if global_method(getattr(np.random, name))}
    assert offered - known == {"get_state"}


def test_every_function_of_random_is_known():
    """All methods of the global Random, but for reading its state."""
    offered = {name for name in dir(random) if global_method(getattr(random, name))}
    assert {name for name in offered if global_function(f"random.{name}") is None} <= {"getstate"}


def test_generators_are_known_by_what_they_are():
    """Instances, of subclasses too; not the classes."""

    class Own(random.Random):
        pass

    generators: list[Any] = [Own(), random.SystemRandom(), np.random.default_rng(0), np.random.PCG64(0)]
    assert all(is_generator(value) for value in [*generators, np.random.RandomState(0)])
    others: list[Any] = [Own, np.random.Generator, np.random, 3, None]
    assert not any(is_generator(value) for value in others)

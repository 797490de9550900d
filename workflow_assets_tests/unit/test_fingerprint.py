"""What a fingerprint sees of the user's code, and what it leaves alone."""

import pytest


def changed(files, place, old, new):
    """Give the files with one change."""
    files = {"study.py": files} if isinstance(files, str) else dict(files)
    assert old in files[place], "the case does not say what changes"
    return files | {place: files[place].replace(old, new)}


HELPER = """
    def helper(x):
        return x + 1

    def f(x):
        return helper(x)
"""

CLASS = """
    class Scale:
        factor = 2.0

        def __init__(self, by=1):
            self.by = by

        @property
        def double(self):
            return self.by * 2

        @staticmethod
        def plain(x):
            return x + 10

        @classmethod
        def made(cls):
            return cls(7)

        def __call__(self, x):
            return self._inner(x) * self.factor

        def _inner(self, x):
            return x - 100

    def f(x):
        scale = Scale(3)
        return scale(x) + scale.double + Scale.plain(x) + Scale.made().by
"""

PACKAGE = {
    "study.py": """
        import pkg
        import pkg.sub as s
        import pkg.deep.inner
        from pkg import top as renamed
        from helpers import *

        def f(x):
            return s.one(x) + pkg.deep.inner.two(x) + renamed(x) + starred(x) + pkg.again(x)
    """,
    "helpers.py": "def starred(x):\n    return x + 20",
    "pkg/__init__.py": "from .sub import relative as again\n\ndef top(x):\n    return x + 30",
    "pkg/sub.py": """
        from . import constants
        from .deep import inner

        def one(x):
            return inner.three(x) * constants.RATE

        def relative(x):
            return x + 40
    """,
    "pkg/constants.py": "RATE = 0.5\nOTHER = 0.25",
    "pkg/deep/__init__.py": "",
    "pkg/deep/inner.py": """
        def two(x):
            return x + 50

        def three(x):
            return x + 60

        def unused(x):
            return x + 70
    """,
}

LATE = {
    "study.py": """
        def f(x):
            import pkg.sub
            import helpers as h
            from more import third
            from pkg import sub as again

            return pkg.sub.one(x) + h.two(x) + third(x) + again.four(x)
    """,
    "pkg/__init__.py": "",
    "pkg/sub.py": "def one(x):\n    return x + 10\n\ndef four(x):\n    return x + 40",
    "helpers.py": "def two(x):\n    return x + 20",
    "more.py": "def third(x):\n    from helpers import two\n    return two(x) + 30",
}

WRAPPED = """
    import functools

    FACTOR = 3

    def times(count):
        def decorate(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return count * function(*args, **kwargs) + OFFSET
            return wrapper
        return decorate

    OFFSET = 5

    @times(FACTOR)
    def helper(x):
        return x + 1

    def f(x):
        return helper(x)
"""

BARE = """
    def bare(function):
        def wrapper(x):
            return function(x) + 5
        return wrapper

    @bare
    def helper(x):
        return x + 1

    def f(x):
        return helper(x)
"""

DATACLASS = """
    from dataclasses import dataclass, field
    from enum import Enum
    from typing import NamedTuple

    def default():
        return [1, 2]

    @dataclass(order=True)
    class Base:
        low: float = 0.5

    @dataclass
    class Config(Base):
        high: int = 8
        items: list = field(default_factory=default)

    class Mode(Enum):
        FAST = "fast"

        @property
        def cost(self):
            return 11

    class Pair(NamedTuple):
        left: int = 21
        right: int = 22

    MODE = Mode.FAST
    PAIR = Pair(23)
    CONFIG = Config(high=9)

    def f(x):
        return x + CONFIG.high + Config(x).low + MODE.cost + PAIR.left + Pair(x).right
"""

CACHED = """
    import functools
    import operator

    @functools.lru_cache(maxsize=8)
    def cached(x):
        return x + 10

    @functools.cache
    def also(x):
        return x + 20

    def scaled(x, by):
        return x * by + 30

    half = functools.partial(scaled, by=0.5)
    named = functools.update_wrapper(functools.partial(scaled, by=0.25), scaled)

    @functools.singledispatch
    def show(x):
        return x + 40

    @show.register
    def _(x: str):
        return x + "50"

    class Lazy:
        @functools.cached_property
        def table(self):
            return 60

        @functools.lru_cache
        def entry(self, x):
            return 70

    LAZY = Lazy()

    def f(x):
        return cached(x) + also(x) + half(x) + named(x) + show(x) + LAZY.table + LAZY.entry(x)
"""

CLOSURES = """
    def make(rate):
        step_size = rate * 2

        def inner(x):
            return x + step_size

        def f(x, shift=4):
            return inner(x) * rate + shift
        return f

    f = make(1.5)
"""

CALLABLE = """
    import functools

    class Repeat:
        def __init__(self, function, times):
            functools.update_wrapper(self, function)
            self.function, self.times = function, times

        def __call__(self, x):
            for _ in range(self.times):
                x = self.function(x)
            return x

    def once(x):
        return x + 1

    twice = Repeat(once, 2)
    methods = {"twice": twice, "text": [str.upper, max]}

    def f(x):
        return methods["twice"](x)
"""

VALUES = """
    import re
    from decimal import Decimal
    from pathlib import Path

    RATE = 0.5
    TABLE = {"a": [1, 2], "b": {3, 4}}
    PATTERN = re.compile("a+")
    WHERE = Path("data") / "one.csv"
    PRICE = Decimal("1.50")
    WEIGHTS = None
    pick = lambda x: x + 7
    LOOKUP = {"pick": pick, "kind": int}

    def f(x):
        y = TABLE["a"][0] + len(PATTERN.findall(x)) + WHERE.stat().st_size
        return [RATE * z for z in (y, PRICE)] + [LOOKUP["pick"](x), LOOKUP["kind"](x)]
"""

RECURSION = """
    def even(x):
        return x == 0 or odd(x - 1)

    def odd(x):
        return x != 0 and even(x - 1)

    def f(x, base=1):
        return base if even(x) else x * f(x - 1)
"""

SEEN = {
    "a helper": (HELPER, "study.py", "x + 1", "x + 2"),
    "the operator of a helper": (HELPER, "study.py", "x + 1", "x - 1"),
    "a method": (CLASS, "study.py", "- 100", "- 101"),
    "a constructor": (CLASS, "study.py", "self.by = by", "self.by = by + 1"),
    "the default of a constructor": (CLASS, "study.py", "by=1", "by=2"),
    "a property": (CLASS, "study.py", "self.by * 2", "self.by * 3"),
    "a static method": (CLASS, "study.py", "x + 10", "x + 11"),
    "a class method": (CLASS, "study.py", "cls(7)", "cls(8)"),
    "a class attribute": (CLASS, "study.py", "factor = 2.0", "factor = 2.5"),
    "a function of a module under another name": (PACKAGE, "pkg/sub.py", "inner.three(x)", "inner.two(x)"),
    "a module constant two modules away": (PACKAGE, "pkg/constants.py", "RATE = 0.5", "RATE = 0.75"),
    "a function reached through a chain of modules": (PACKAGE, "pkg/deep/inner.py", "x + 50", "x + 51"),
    "a function that a helper reaches by a relative import": (
        PACKAGE,
        "pkg/deep/inner.py",
        "x + 60",
        "x + 61",
    ),
    "a function imported under another name": (PACKAGE, "pkg/__init__.py", "x + 30", "x + 31"),
    "a function imported with a star": (PACKAGE, "helpers.py", "x + 20", "x + 21"),
    "a function that a package passes on": (PACKAGE, "pkg/sub.py", "x + 40", "x + 41"),
    "a module imported late": (LATE, "pkg/sub.py", "x + 10", "x + 11"),
    "a module imported late under another name": (LATE, "helpers.py", "x + 20", "x + 21"),
    "a function imported late": (LATE, "more.py", "+ 30", "+ 31"),
    "a module imported late from a package": (LATE, "pkg/sub.py", "x + 40", "x + 41"),
    "a decorated helper": (WRAPPED, "study.py", "x + 1", "x + 2"),
    "the wrapper of a decorator": (WRAPPED, "study.py", "+ OFFSET", "- OFFSET"),
    "a constant that a wrapper uses": (WRAPPED, "study.py", "OFFSET = 5", "OFFSET = 6"),
    "the argument of a decorator": (WRAPPED, "study.py", "FACTOR = 3", "FACTOR = 4"),
    "the text of a decorator": (WRAPPED, "study.py", "@times(FACTOR)", "@times(FACTOR + 1)"),
    "a wrapper that does not say what it wraps": (BARE, "study.py", "+ 5", "+ 6"),
    "what a silent wrapper wraps": (BARE, "study.py", "x + 1", "x + 2"),
    "a default of a dataclass": (DATACLASS, "study.py", "high: int = 8", "high: int = 10"),
    "a default factory": (DATACLASS, "study.py", "[1, 2]", "[1, 3]"),
    "a base class": (DATACLASS, "study.py", "low: float = 0.5", "low: float = 0.6"),
    "how a dataclass is made": (DATACLASS, "study.py", "order=True", "frozen=False"),
    "a field of a dataclass": (
        DATACLASS,
        "study.py",
        "    low: float = 0.5",
        "    low: float = 0.5\n        more: int = 0",
    ),
    "an object of a dataclass": (DATACLASS, "study.py", "Config(high=9)", "Config(high=7)"),
    "a property of an enumeration": (DATACLASS, "study.py", "return 11", "return 12"),
    "the value of a member": (DATACLASS, "study.py", '"fast"', '"quick"'),
    "a named tuple": (DATACLASS, "study.py", "Pair(23)", "Pair(24)"),
    "a default of a named tuple": (DATACLASS, "study.py", "right: int = 22", "right: int = 25"),
    "a cached function": (CACHED, "study.py", "x + 10", "x + 11"),
    "another cached function": (CACHED, "study.py", "x + 20", "x + 21"),
    "what a partial function calls": (CACHED, "study.py", "* by + 30", "* by + 31"),
    "what a partial function fills in": (CACHED, "study.py", "by=0.5", "by=0.6"),
    "a partial function that takes its function's name": (CACHED, "study.py", "by=0.25", "by=0.35"),
    "the default of a generic function": (CACHED, "study.py", "x + 40", "x + 41"),
    "a registered variant of a generic function": (CACHED, "study.py", '"50"', '"51"'),
    "a cached property": (CACHED, "study.py", "return 60", "return 61"),
    "a cached method": (CACHED, "study.py", "return 70", "return 71"),
    "a value in a closure": (CLOSURES, "study.py", "make(1.5)", "make(2.5)"),
    "a function in a closure": (CLOSURES, "study.py", "x + step_size", "x - step_size"),
    "what a value in a closure is made from": (CLOSURES, "study.py", "rate * 2", "rate * 3"),
    "an object that is called": (CALLABLE, "study.py", "Repeat(once, 2)", "Repeat(once, 3)"),
    "how an object is called": (CALLABLE, "study.py", "x = self.function(x)", "x = -self.function(x)"),
    "a function in an object": (CALLABLE, "study.py", "x + 1", "x + 2"),
    "a method of a builtin type": (CALLABLE, "study.py", "str.upper", "str.lower"),
    "a builtin function": (CALLABLE, "study.py", "max]", "min]"),
    "a number": (VALUES, "study.py", "RATE = 0.5", "RATE = 0.6"),
    "the type of a number": (VALUES, "study.py", "RATE = 0.5", "RATE = 5"),
    "a list in a dict": (VALUES, "study.py", "[1, 2]", "[2, 1]"),
    "a pattern": (VALUES, "study.py", '"a+"', '"b+"'),
    "a path": (VALUES, "study.py", "one.csv", "two.csv"),
    "a decimal": (VALUES, "study.py", "1.50", "1.60"),
    "a lambda": (VALUES, "study.py", "x + 7", "x + 8"),
    "a type": (VALUES, "study.py", '"kind": int', '"kind": float'),
    "one of two functions that call each other": (RECURSION, "study.py", "x != 0 and", "x > 0 and"),
    "the default that a recursive call leaves out": (RECURSION, "study.py", "base=1", "base=2"),
}


@pytest.mark.parametrize("case", SEEN)
def test_what_a_step_depends_on_is_seen(load, case):
    """A change of anything that the step's result depends on gives another fingerprint."""
    files, place, old, new = SEEN[case]
    assert load(files).taken.digest != load(changed(files, place, old, new)).taken.digest


UNSEEN = {
    "a comment": (HELPER, "study.py", "return x + 1", "return x + 1  # one more"),
    "a docstring": (HELPER, "study.py", "return x + 1", "'Adds.'\n        return x + 1"),
    "formatting": (HELPER, "study.py", "return x + 1", "return (\n            x\n            + 1\n        )"),
    "an unrelated function": (
        HELPER,
        "study.py",
        "def f(x)",
        "def other(x):\n        return 1\n\n    def f(x)",
    ),
    "an unrelated constant": (HELPER, "study.py", "def f(x)", "RATE = 3\n\n    def f(x)"),
    "another spelling of a string": (VALUES, "study.py", '"a+"', "'a' '+'"),
    "the order of a dict": (VALUES, "study.py", '{"a": [1, 2], "b": {3, 4}}', '{"b": {4, 3}, "a": [1, 2]}'),
    "a function of a module that is not used": (PACKAGE, "pkg/deep/inner.py", "x + 70", "x + 71"),
    "a constant of a module that is not used": (PACKAGE, "pkg/constants.py", "OTHER = 0.25", "OTHER = 0.3"),
    "the docstring of a module": (PACKAGE, "pkg/constants.py", "RATE", "'Rates.'\nRATE"),
    "a comment in a late import": (LATE, "more.py", "def third", "# the third\ndef third"),
    "the docstring of a method": (CLASS, "study.py", "return x - 100", "'Less.'\n            return x - 100"),
    "the docstring of a class": (CLASS, "study.py", "factor = 2.0", "'Scales.'\n        factor = 2.0"),
    "the docstring of what an object wraps": (
        CALLABLE,
        "study.py",
        "return x + 1",
        "'Adds.'\n        return x + 1",
    ),
    "the docstring of a default factory": (DATACLASS, "study.py", "return [1", "'Two.'\n        return [1"),
    "the size of a cache": (CACHED, "study.py", "maxsize=8", "maxsize=8,"),
}


@pytest.mark.parametrize("case", UNSEEN)
def test_what_changes_no_result_is_not_seen(load, case):
    """A change that no result depends on keeps the fingerprint."""
    files, place, old, new = UNSEEN[case]
    assert load(files).taken.digest == load(changed(files, place, old, new)).taken.digest


def test_the_order_of_definitions_does_not_matter(load):
    """Functions, classes and constants may change places."""
    one = load("RATE = 2\n\ndef helper(x):\n    return x * RATE\n\ndef f(x):\n    return helper(x)").taken
    two = load("def f(x):\n    return helper(x)\n\ndef helper(x):\n    return x * RATE\n\nRATE = 2").taken
    assert one == two


def test_parts_tell_what_changed(load):
    """Two fingerprints differ in the part that was changed, by its full name."""
    one, two = (
        load(PACKAGE).taken,
        load(changed(PACKAGE, "pkg/constants.py", "RATE = 0.5", "RATE = 0.75")).taken,
    )
    differing = {name for name in one.parts | two.parts if one.parts.get(name) != two.parts.get(name)}
    assert differing == {"pkg.constants:RATE"}
    assert "pkg.deep.inner:three" in one.parts

"""Source as a canonical form: the same on every Python, whatever the formatting."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workflow_assets.code.syntax import canonical_syntax, find_class, find_function, source_file
from workflow_assets.fingerprint import code_form, fingerprint

ROOT = Path(__file__).parents[2]

CORPUS = '''
import argparse, array, asyncio, calendar, collections, contextlib, contextvars, datetime, decimal, email.message
import fractions, http, inspect, io, ipaddress, itertools, json, logging, math, operator, socket, statistics, string
import struct, textwrap, threading, types, typing, urllib.parse, uuid, weakref, zoneinfo
import dataclasses
import enum
import functools
import re
from collections import deque
from pathlib import Path
from typing import NamedTuple

VALUES = [
    collections.OrderedDict(b=1, a=2), collections.defaultdict(list, a=[1]), collections.Counter("aab"),
    collections.ChainMap({"a": 1}), collections.namedtuple("Pair", "left right")(1, 2), types.SimpleNamespace(a=1),
    datetime.datetime(2024, 3, 1, tzinfo=zoneinfo.ZoneInfo("UTC")), datetime.timezone(datetime.timedelta(hours=1)),
    datetime.date(2024, 3, 1), datetime.time(3), fractions.Fraction(1, 3), decimal.Decimal("1.50"), uuid.UUID(int=5),
    range(0, 9, 2), slice(1, None, 2), array.array("d", [1.0]), operator.itemgetter(1), operator.attrgetter("a"),
    functools.partial(int, base=2), ValueError("a"), ipaddress.ip_address("::1"), 1 + 2j, bytes(100), bytearray(b"a"),
    frozenset({1, "a", (2,)}), {3, 1, 2}, ..., None, int, list[int], dict[str, int | None], typing.Optional[int],
    str.upper, "a".upper, max, math.sin, len, json, typing.Any, Path, re.compile("a", re.I), threading.Lock(),
    threading.RLock(), logging.getLogger(__name__), logging.LoggerAdapter(logging.getLogger("a")), io.StringIO("a"),
    (number for number in range(3)), open(__file__), memoryview(b"a"), struct.Struct("<i"), string.Template("$a"),
    weakref.ref(Path), contextvars.ContextVar("a"), inspect.signature(len), socket.AF_INET, argparse.Namespace(a=1),
    textwrap.TextWrapper(), enum.Enum("Made", "A B").A, http.HTTPStatus.OK, object(), super(int, 3), property(),
    itertools.count(3), iter([1, 2]), zip([1], [2]), reversed([1]), map(str, [1]), filter(None, [1]), enumerate("a"),
    email.message.Message(), urllib.parse.urlparse("http://a/b"), calendar.Calendar(), statistics.NormalDist(1, 2),
]


def values():
    return VALUES


RATE = 0.1 + 0.2
HUGE = 0xFFFF_FFFF_FFFF_FFFF_FFFF
NAMES = frozenset({"a", "b", "c"})
LINES = deque(["x"], maxlen=3)
PATTERN = re.compile(r"(?i)a+\\d", re.MULTILINE)
WHERE = Path("data") / "one"


def fstrings(x, width=10, name="n"):
    a = f"{x!r:>{width}.3} {{literal}} {name}" "and" f"{x:}" f'{x["k"]:{"<"}{width}}' f"{x = }"
    b = f"""{
        x
    }"""  if False else rf"\\d{x}\\n"
    return a + b + f"{'nested ' + f'{x}'}" + f"{x:%Y-%m-%d}{x!s}{{}}" + f"{x:{{}}>{width}}" if 0 else a


def matching(x):
    match x:
        case {"kind": "a", "n": [1, *rest], **others} if rest:
            return rest, others
        case [int() | float() as number, (2 | 3)]:
            return number
        case Point(left=0, right=right):
            return right
        case None | True | "s" | -1 | 2.5 | 1 + 2j:
            return RATE
        case _:
            return (y := 3)


class Point(NamedTuple):
    left: int = 0
    right: int = 1


def walrus(x):
    while (n := len(x)) > 3 and (m := n - 1):
        x = x[:m]
    return [last := v for v in x if v], {k: v for k, v in zip(x, x)}, {v for v in x}, (v for v in x)


def lambdas(x, key=lambda v: v * 2, *args, other: int = 3, **kwargs):
    return sorted(x, key=key), (lambda *a, b=RATE, **k: (a, b, k))(*args, **kwargs), [(lambda: i) for i in x]


def errors(x):
    try:
        with contextlib.suppress(KeyError) as one, open(x) as two:
            return one, two
    except* (ValueError, TypeError) as group:
        raise RuntimeError("no") from group
    else:
        del x
    finally:
        assert RATE, "message"


def scopes(x):
    global HUGE
    total = 0

    def inner():
        nonlocal total
        total += x
        return total

    HUGE = inner()
    return HUGE


async def waiting(x):
    async with x as y:
        async for z in y:
            yield await z
    result = [v async for v in x if await v]
    await asyncio.sleep(0)


def stars(x, /, y, *, z):
    first, *middle, last = x
    a = [*x, *y], {**z, "k": 1}, (*x,), {*x}
    print(*x, sep="", **z)
    return first, middle, last, a, x[1:2, ..., ::3], x[*y], -x ** 2 // 3 @ y if x else not y


def literals():
    return 1_000_000, 0x_ff, 1e-300, 1e400, -0.0, 3j, b"\\x00a", "\\N{BULLET}é", ..., None, True, 10**30, NAMES, LINES


def chained(x):
    return 1 < x <= 3 != 4 in x is not None, x and (yes or no), PATTERN.match(x), WHERE


def yes():
    yield from yes()


no = None


@functools.lru_cache(maxsize=None)
def cached(x):
    return x


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """Settings."""

    rate: float = RATE
    names: list = dataclasses.field(default_factory=lambda: [1])

    @property
    def double(self):
        return self.rate * 2


class Mode(enum.Flag):
    A = enum.auto()
    B = enum.auto()
    AB = A | B


class Base:
    """A base class."""

    def __init_subclass__(cls, /, loud=False, **kwargs):
        super().__init_subclass__(**kwargs)


class Derived(Base, loud=True):
    items: "list[int]" = []
    step = staticmethod(lambda x: x)

    class Inner:
        value = 3

    def method(self):
        return super().__init__(), __class__, self.Inner.value


CONFIG = Config(2.0)


def objects(x):
    return Derived().method(), CONFIG.double, Mode.AB, cached(x), Config(x), Derived.step(x)


def dead(x):
    if False:
        return yes()
    while 0:
        no()
    return x
    return RATE


def annotated(x: "int", y: list[int] | None = None) -> dict[str, "Config"]:
    z: Config = x
    w: int
    return z
'''

GENERIC = """
type Pair[T] = tuple[T, T]


def first[T: (int, float)](x: Pair[T], *rest: T) -> T:
    def inner[U](y: U) -> U:
        return y, RATE
    return inner(x[0])


class Box[T]:
    item: T

    def get(self) -> T:
        return self.item + RATE


RATE = 2


def boxed(x):
    return Box().get(), f"{"nested " + f"{x['a']}"}", f"{x:{'>'}{10}}", f"{
        x
    }"
"""

PRINT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import {module} as module
from workflow_assets.fingerprint import fingerprint
print(json.dumps({{name: fingerprint(getattr(module, name)).parts for name in {names!r}}}))
"""


def interpreter(version):
    """Find a Python of a version, on the path or among those of pyenv; None where there is none."""
    homes = Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python")
    for candidate in (shutil.which(f"python{version}"), *map(str, sorted(homes))):
        if candidate is None:
            continue
        asked = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=False)
        if answer.stdout.strip() == version:
            return candidate
    return None


def parts_on(version, folder, module, names):
    python = sys.executable if version is None else interpreter(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed here")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "7",
    }
    environment.pop("VIRTUAL_ENV", None)
    finished = subprocess.run(
        [python, "-W", "ignore", "-c", PRINT.format(module=module, names=names), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def functions_in(text):
    return [
        node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Write the corpus, and take its fingerprints on this Python."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "corpus.py").write_text(CORPUS, encoding="utf-8")
    return folder, parts_on(None, folder, "corpus", functions_in(CORPUS))


@pytest.mark.parametrize("version", ["3.12", "3.13", "3.14"])
def test_a_fingerprint_is_the_same_on_every_python(corpus, version):
    """Each part of the fingerprint of each function, whatever syntax it uses, is what this Python says."""
    folder, here = corpus
    assert parts_on(version, folder, "corpus", list(here)) == here
    assert all(here.values())


def test_generic_functions_are_the_same_on_every_python_that_has_them(tmp_path):
    """Type parameters, and the f-strings that came with them, give one fingerprint."""
    (tmp_path / "generic.py").write_text(GENERIC, encoding="utf-8")
    names = ["first", "boxed"]
    assert parts_on("3.12", tmp_path, "generic", names) == parts_on("3.13", tmp_path, "generic", names)


SAME = {
    "quotes": ("'a'", '"a"'),
    "number": ("1000", "1_000"),
    "hexadecimal": ("255", "0xff"),
    "parentheses": ("(a + b)", "a + b"),
    "joined text": ("'ab'", "'a' 'b'"),
    "unicode text": ("'a'", "u'a'"),
    "an empty specification": ("f'{a}'", "f'{a:}'"),
    "joined f-strings": ("f'a{b}c'", "f'a' f'{b}' 'c'"),
    "a trailing comma": ("f(a, b)", "f(a, b,)"),
    "a line break": ("f(a, b)", "f(\n  a,\n  b,\n)"),
    "a docstring": ("def f(): return 1", "def f():\n  'Gives one.'\n  return 1"),
    "only a docstring": ("def f(): pass", "def f():\n  'Does nothing.'"),
    "a docstring of a class": ("class A:\n  x = 1", "class A:\n  'An A.'\n  x = 1"),
    "a type comment": ("x = []  # type: list", "x = []"),
}


@pytest.mark.parametrize("case", SAME)
def test_what_means_the_same_is_written_the_same(case):
    """Spelling and formatting leave no trace."""
    one, two = (canonical_syntax(ast.parse(text)) for text in SAME[case])
    assert one == two


DIFFERENT = {
    "an operator": ("a + b", "a - b"),
    "the order of arguments": ("f(a, b)", "f(b, a)"),
    "a starred argument": ("f(a)", "f(*a)"),
    "a keyword": ("f(a=1)", "f(b=1)"),
    "the type of a constant": ("1", "1.0"),
    "a boolean": ("1", "True"),
    "none": ("return_ = None", "return_ = ..."),
    "text and bytes": ("'a'", "b'a'"),
    "text that looks like code": ("'a b'", "'a', 'b'"),
    "a name and an attribute": ("a.b", "b.a"),
    "an f-string and its text": ("f'{a}'", "'{a}'"),
    "a conversion": ("f'{a!r}'", "f'{a!s}'"),
    "a specification": ("f'{a:>3}'", "f'{a:>4}'"),
    "asynchronous": ("async def f(): pass", "def f(): pass"),
    "a default": ("def f(a=1): pass", "def f(a=2): pass"),
    "where a default belongs": ("def f(a, b=1): pass", "def f(a=1, *, b): pass"),
    "positional only": ("def f(a, /, b): pass", "def f(a, b, /): pass"),
    "a text that is no docstring": ("def f():\n  x\n  'a'", "def f():\n  x\n  'b'"),
    "the level of an import": ("from . import a", "from .. import a"),
    "what a comprehension filters": ("[a for a in b if a]", "[a for a in b if not a]"),
    "a global": ("def f():\n  global a\n  a = 1", "def f():\n  global b\n  a = 1"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_means_something_else_is_written_differently(case):
    """No two meanings share a form."""
    one, two = (canonical_syntax(ast.parse(text)) for text in DIFFERENT[case])
    assert one != two


def test_a_number_of_many_digits_is_written():
    """Python refuses to print numbers of more than 4,300 digits, and they may stand in code."""
    assert canonical_syntax(ast.parse("x = 0x" + "f" * 5_000)) != canonical_syntax(
        ast.parse("x = 0x" + "f" * 5_001)
    )


PAIRS = {
    "side by side": "pair = [lambda x: x + 1, lambda x: x + 2]",
    "one inside the other": "outer = lambda x: (lambda y: y + 1)\npair = [outer, outer(0)]",
    "of the same body": "pair = [lambda x: (x, 1), lambda y: (y, 1)]",
    "with defaults": "pair = [lambda x=1: x, lambda x=2: x]",
    "over two lines": "pair = [lambda x: x +\n 1, lambda x: x +\n 2]",
}


@pytest.mark.parametrize("case", PAIRS)
def test_lambdas_that_share_a_line_are_told_apart(load, case):
    """The instructions know their columns."""
    study = load(f"{PAIRS[case]}\ndef f(): pass\n")
    one, two = study.pair
    found = [
        find_function(function.__code__, vars(study)) or pytest.fail("not found") for function in study.pair
    ]
    assert found[0][1] is not found[1][1]
    assert code_form(one) != code_form(two)


def test_a_function_under_a_condition_is_found(load):
    """Two definitions of one name are told apart by their lines; of two classes, by their methods."""
    text = """
        if {}:
            def f(x):
                return Kind().get() + 1

            class Kind:
                def get(self):
                    return 1
        else:
            def f(x):
                return Kind().get() + 2

            class Kind:
                def get(self):
                    return 2
    """
    one, two = load(text.format(True)), load(text.format(False))
    first, second = (find_class(study.Kind) or pytest.fail("not found") for study in (one, two))
    assert first[1].lineno < second[1].lineno
    assert one.taken.digest != two.taken.digest


def test_any_encoding_that_python_reads_is_read(load, tmp_path):
    """A file may declare its encoding, begin with a byte order mark, or end its lines as Windows does."""
    digests = set()
    for number, data in enumerate(
        (
            "def f():\n    return 'é'\n".encode(),
            "# -*- coding: latin-1 -*-\ndef f():\n    return 'é'\n".encode("latin-1"),
            "\ufeffdef f():\r\n    return 'é'\r\n".encode(),
        )
    ):
        path = tmp_path / f"encoded_{number}.py"
        path.write_bytes(data)
        assert source_file(str(path)) is not None
        names: dict[str, Any] = {"__name__": "encoded"}
        exec(compile(data, str(path), "exec"), names)
        digests.add(fingerprint(names["f"]).digest)
    assert len(digests) == 1


def test_source_that_warns_is_read_in_silence(load):
    """What the compiler warns of was told when the module was imported; here warnings are errors."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = load("def f(x):\n    return x is 'a', '\\d'\n")
    assert fingerprint(study.f) == study.taken
    assert find_function(study.f.__code__, vars(study)) is not None

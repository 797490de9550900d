"""Where code may come from: files, scripts, notebooks, other processes, nowhere at all."""

import ast
import importlib
import json
import linecache
import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from _pytest.assertion.rewrite import rewrite_asserts

from workflow_assets import step
from workflow_assets.fingerprint import fingerprint

ROOT = Path(__file__).parents[2]

STUDY = """
    from dataclasses import dataclass
    import logging

    from helpers import scaled

    NAMES = {"alpha", "beta", "gamma", "delta"}
    TABLE = {"b": frozenset({"x", "y", "z"}), "a": [1, 2]}
    logger = logging.getLogger(__name__)

    @dataclass
    class Config:
        rate: float = 0.5

    CONFIG = Config()

    def helper(x):
        logger.info("%s", x)
        return x in {"one", "two", "three", "four"} or CONFIG.rate

    def f(x):
        return helper(x), sorted(NAMES), TABLE, scaled(x), Config(x), __file__, __name__

    if __name__ == "__main__":
        import json
        from workflow_assets.fingerprint import fingerprint
        print(json.dumps(fingerprint(f).digest))
"""
HELPERS = "def scaled(x):\n    return x * 2\n"


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")


def run(folder, *arguments, **environment):
    finished = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", **environment},
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


IMPORTED = """
import json, study
from workflow_assets.fingerprint import fingerprint
print(json.dumps(fingerprint(study.f).digest))
"""


def test_processes_agree(tmp_path, load):
    """A script, a module started with -m, an imported module, in any folder, under any hash seed: one fingerprint."""
    here = load({"study.py": STUDY, "helpers.py": HELPERS}).taken.digest
    write(tmp_path, study=STUDY, helpers=HELPERS)
    assert run(tmp_path, "study.py", PYTHONHASHSEED="1") == here
    assert run(tmp_path, "-m", "study", PYTHONHASHSEED="2") == here
    assert run(tmp_path, "-c", IMPORTED, PYTHONHASHSEED="3") == here
    assert run(tmp_path, "-OO", "-c", IMPORTED, PYTHONHASHSEED="4") == here


def test_a_script_without_source_is_repeatable(tmp_path):
    """Code given with -c has a fingerprint by its instructions, the same under any hash seed; its changes are seen."""
    code = """
import json
from workflow_assets.fingerprint import fingerprint
CALLS, NAMES = [], {"a", "b", "c", "d"}
def helper(x):
    CALLS.append(x)
    return x in {"one", "two", "three", "four"} or NAMES
def f(x):
    return helper(x)
one = fingerprint(f).digest
f(1)
assert fingerprint(f).digest == one
print(json.dumps(one))
"""
    digests = {run(tmp_path, "-c", code, PYTHONHASHSEED=str(seed)) for seed in range(3)}
    assert len(digests) == 1
    assert run(tmp_path, "-c", code.replace("or NAMES", "and NAMES")) not in digests
    assert run(tmp_path, "-c", code.replace('"d"}', '"e"}')) not in digests


def test_a_step_has_the_fingerprint_of_its_function(load):
    """The decorator and what it says leave no trace, whichever way it is named."""
    texts = [
        "def f(x):\n    return x",
        "from workflow_assets import step\n\n@step\ndef f(x):\n    return x",
        "import workflow_assets as wa\n\n@wa.step(tags={'a': 'b'}, memo=False)\ndef f(x):\n    return x",
        "from workflow_assets import Registry, step\nsteps = Registry()\n@steps.add\n@step\ndef f(x):\n    return x",
    ]
    assert len({fingerprint(getattr(load(text).f, "function", load(text).f)).digest for text in texts}) == 1


def test_a_decorator_under_step_is_seen(load):
    """What a user's own decorator does belongs to the step's code."""
    text = """
        import functools
        from workflow_assets import step

        def times(count):
            def decorate(function):
                @functools.wraps(function)
                def wrapper(*args, **kwargs):
                    return count * function(*args, **kwargs)
                return wrapper
            return decorate

        @step
        @times(2)
        def f(x, power: int = 1):
            return x ** power
    """
    taken = load(text).taken.digest
    for old, new in (
        ("times(2)", "times(3)"),
        ("count * function", "count + function"),
        ("x ** power", "power ** x"),
    ):
        assert load(text.replace(old, new)).taken.digest != taken
    assert set(load(text).f.parameters) == {"x", "power"}


def test_a_default_of_the_step_is_no_code(load):
    """It is a parameter, whose value the key knows; so is its annotation's effect, not its text's formatting."""
    one, two = (
        load(f"def f(x, rate={rate}, *, names={names}):\n    return x")
        for rate, names in ((1, []), (2, ["a"]))
    )
    assert one.taken == two.taken


def test_other_steps_may_be_called_as_functions(load):
    """A step that calls another depends on the other's code."""
    text = """
        from workflow_assets import step

        @step
        def double(x: int = 1) -> int:
            return 2 * x

        @step
        def f(x: int = 1) -> int:
            return double(x)
    """
    assert load(text).taken.digest != load(text.replace("2 * x", "3 * x")).taken.digest
    assert (
        load(text).taken.digest
        != load(text.replace("def double(x: int = 1)", "def double(x: int = 2)")).taken.digest
    )


# -- files that change under way --------------------------------------------------------------------------------------


@pytest.fixture
def edit(load):
    """Load a study, then change its file; give the module that still runs, and what the file now says."""

    def edit(text, old, new):
        study = load(text)
        path = Path(study.__file__)
        before = path.read_text(encoding="utf-8")
        assert old in before
        path.write_text(before.replace(old, new), encoding="utf-8")
        os.utime(path, ns=(1, 1))  # another time, even if the disk's clock is coarse
        return study, before.replace(old, new)

    return edit


EDITS = {
    "the step": ("def f(x):\n    return x + 1\n", "x + 1", "x + 2"),
    "a helper": ("def g(x):\n    return x + 1\n\ndef f(x):\n    return g(x)\n", "x + 1", "x + 2"),
    "a method": (
        "class A:\n    def m(self):\n        return 1\n\ndef f(x):\n    return A().m()\n",
        "return 1",
        "return 2",
    ),
    "a default of a method": (
        "class A:\n    def m(self, x=1):\n        return x\n\ndef f(x):\n    return A().m()\n",
        "x=1",
        "x=2",
    ),
    "a decorator": (
        """
            import functools

            def by(n):
                def wrap(g):
                    return functools.wraps(g)(lambda x: n * g(x))
                return wrap

            @by(1)
            def g(x):
                return x

            def f(x):
                return g(x)
        """,
        "@by(1)",
        "@by(2)",
    ),
    "a class attribute": ("class A:\n    rate = 1\n\ndef f(x):\n    return A.rate\n", "rate = 1", "rate = 2"),
    "a field": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    b: int\n\ndef f(x):\n    return A\n",
        "    b: int\n",
        "    b: int\n    c: int\n",
    ),
    "a base class": (
        "class A: pass\nclass B: rate = 1\nclass C(A): pass\n\ndef f(x):\n    return C\n",
        "class C(A)",
        "class C(B)",
    ),
    "a lambda": ("g = lambda x: x + 1\n\ndef f(x):\n    return g(x)\n", "x + 1", "x + 2"),
    "a constant": ("RATE = 1\n\ndef f(x):\n    return RATE\n", "RATE = 1", "RATE = 2"),
    "a default": ("def g(x=1):\n    return x\n\ndef f(x):\n    return g()\n", "x=1", "x=2"),
    "an enumeration": (
        "import enum\nclass A(enum.Enum):\n    B = 1\n\ndef f(x):\n    return A.B\n",
        "B = 1",
        "B = 2",
    ),
    "the number of lines": (
        "def f(x):\n    return x + 1\n",
        "def f",
        "import os\n\n\ndef g(x):\n    return 1\n\n\ndef f",
    ),
}


@pytest.mark.parametrize("case", [case for case in EDITS if case != "the number of lines"])
def test_an_edit_does_not_reach_the_code_that_runs(edit, load, case):
    """What runs is what was imported: after an edit it is never taken for the code that the file now holds."""
    study, text = edit(*EDITS[case])
    running = fingerprint(study.f).digest
    assert running != load(text).taken.digest


@pytest.mark.parametrize(
    "case", ["the step", "a helper", "a lambda", "a constant", "a default", "the number of lines"]
)
def test_an_edit_leaves_the_code_that_runs_as_it_was(edit, case):
    """Until it is imported anew, the code keeps its fingerprint: nothing is computed again for nothing."""
    study, _ = edit(*EDITS[case])
    assert fingerprint(study.f) == study.taken


def test_a_file_edited_before_it_was_ever_read_is_told_by_its_instructions(tmp_path, monkeypatch):
    """Between import and the first look at the source, too, code is not taken for what the file holds by now."""
    monkeypatch.syspath_prepend(tmp_path)
    write(tmp_path, edited_early="def f(x):\n    return x + 1\n")
    importlib.invalidate_caches()
    module = importlib.import_module("edited_early")
    write(tmp_path, edited_early="def f(x):\n    return x + 2\n")
    stale = fingerprint(module.f).digest
    os.utime(tmp_path / "edited_early.py", ns=(1, 1))
    assert fingerprint(importlib.reload(module).f).digest != stale


def test_reloading_brings_the_new_code(edit, load):
    """After `importlib.reload` the fingerprint is that of the file."""
    study, text = edit(*EDITS["a helper"])
    assert fingerprint(importlib.reload(study).f) == load(text).taken


def test_assertions_that_pytest_rewrote_are_read_as_written(load, tmp_path):
    """A test module runs as pytest's own version of it; its fingerprint is that of the source."""
    text = "def helper(x):\n    assert x, 'no'\n    return [v for v in (lambda: [x])()]\ndef f(x):return helper(x)\n"
    plain = load(text)
    path = plain.__file__
    tree = ast.parse(text)
    rewrite_asserts(tree, text.encode())
    names: dict[str, Any] = {"__name__": "study", "__file__": path}
    exec(compile(tree, path, "exec"), names)
    assert names["helper"].__code__.co_code != plain.helper.__code__.co_code
    assert fingerprint(names["f"]) == plain.taken


# -- notebooks --------------------------------------------------------------------------------------------------------


class Notebook:
    """Runs cells as IPython does: compiled under a name of their own, with their source kept by `linecache`."""

    def __init__(self, monkeypatch):
        self.module = types.ModuleType("__main__")
        monkeypatch.setitem(sys.modules, "__main__", self.module)
        self.cells = 0
        self.added = []

    def run(self, text, flags=0):
        self.cells += 1
        name = f"<ipython-input-{self.cells}-{id(self)}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        self.added.append(name)
        exec(compile(text, name, "exec", flags), vars(self.module))
        return self.module

    def forget(self):
        for name in self.added:
            linecache.cache.pop(name, None)


@pytest.fixture
def notebook(monkeypatch):
    notebook = Notebook(monkeypatch)
    yield notebook
    notebook.forget()


def test_a_notebook_is_read_like_a_file(notebook):
    """Functions and classes of several cells; comments are not seen, changes are."""
    notebook.run("class Scale:\n    rate = 2\n    def by(self, x):\n        return x * self.rate\n")
    notebook.run("def helper(x):\n    return Scale().by(x)\n")
    main = notebook.run("def f(x):\n    return helper(x)\n")
    taken = fingerprint(main.f)
    notebook.run("# a comment\ndef helper(x):\n    'Scales.'\n    return Scale().by( x )\n")
    assert fingerprint(main.f) == taken
    notebook.run("class Scale:\n    rate = 2\n    def by(self, x):\n        return x + self.rate\n")
    assert fingerprint(main.f).digest != taken.digest


def test_a_constant_of_a_notebook_is_read_as_it_is_now(notebook):
    """Between two runs, a cell may give a constant another value, or change it in place."""
    main = notebook.run("RATES = {'a': 1}\nLIMIT = 3\n\ndef f(x):\n    return RATES, LIMIT\n")
    digests = [fingerprint(main.f).digest]
    for cell in ("LIMIT = 4", "RATES['a'] = 2", "RATES['b'] = [1]", "RATES['b'].append(2)"):
        notebook.run(cell)
        digests.append(fingerprint(main.f).digest)
    assert len(set(digests)) == len(digests)


def test_the_first_value_of_a_notebooks_state_is_seen(notebook):
    """A model that the step fits in place is known by the cell that made it."""
    notebook.run(
        "class Model:\n    def __init__(self, alpha): self.alpha = alpha\n    def fit(self, x): self.w = x\n"
    )
    notebook.run("model = Model(1)\n")
    main = notebook.run("calls = []\ndef f(x):\n    calls.append(x)\n    model.fit(x)\n")
    taken = fingerprint(main.f).digest
    main.f(3)
    assert fingerprint(main.f).digest == taken
    notebook.run("model = Model(2)\n")
    assert fingerprint(main.f).digest != taken


def test_a_cell_with_postponed_annotations_and_awaiting_is_read(notebook):
    """IPython compiles cells with the features that earlier cells asked for, and lets them await."""
    import __future__

    flags = __future__.annotations.compiler_flag
    text = "def f(x):\n    def inner(y: int) -> Nothing:\n        return y\n    return inner(x)\n"
    taken = fingerprint(notebook.run(text, flags).f)
    assert fingerprint(notebook.run(f"# again\n{text}", flags).f) == taken


# -- values -----------------------------------------------------------------------------------------------------------


HARMLESS = {
    "a logger": "import logging\nthing = logging.getLogger('a')",
    "a lock": "import threading\nthing = threading.Lock()",
    "an open file": "thing = open(__file__)",
    "a generator": "thing = (n for n in range(3))",
    "a socket": "import socket\nthing = socket.socket()",
    "a weak reference": "import weakref\nclass A: pass\na = A()\nthing = weakref.ref(a)",
    "a module": "import json as thing",
    "a context variable": "import contextvars\nthing = contextvars.ContextVar('thing')",
    "a thing that raises when it is pickled": "class A:\n  def __reduce_ex__(self, n): raise OSError\nthing = A()",
    "a thing that raises when it is asked": "class A:\n  def __getattr__(self, n): raise OSError\nthing = A()",
    "a thing that answers to any name": "from unittest.mock import MagicMock\nthing = MagicMock(name='a')",
    "a list that holds itself": "thing = [1]\nthing.append(thing)",
    "two things that hold each other": "class A: pass\nthing, b = A(), A()\nthing.b, b.a = b, thing",
    "a deeply nested list": "thing = []\nfor _ in range(100_000): thing = [thing]",
    "an experiment": (
        "from workflow_assets import Experiment, step\n@step\ndef s() -> float: return 1.\nthing = Experiment('e', [s])"
    ),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_has_no_canonical_form_does_no_harm(load, case):
    """A step may use it, and its fingerprint is the same the next time."""
    text = f"{HARMLESS[case]}\n\ndef f(x):\n    return thing\n"
    one = load(text)
    two = load(text)
    for study in (one, two):
        if case in {"an open file", "a socket"}:
            study.thing.close()
    assert one.taken.digest == two.taken.digest


@pytest.mark.parametrize(
    ("one", "two"), [("struct.Struct('<i')", "struct.Struct('<q')"), ("(n for n in 'a')", "(n for n in 'b')")]
)
def test_what_has_no_canonical_form_is_known_by_how_it_is_made(load, one, two):
    """The statement that makes it counts."""
    text = "import struct\nthing = {}\n\ndef f(x):\n    return thing\n"
    assert load(text.format(one)).taken.digest != load(text.format(two)).taken.digest


def test_large_data_in_a_module_are_seen(load):
    """Arrays and frames are module constants like others: one changed number is another fingerprint."""
    text = "def f(x):\n    return array, frame\n"
    study = load(f"array = frame = None\n{text}")
    digests = []
    for row in (None, 77_777):
        study.array, study.frame = (
            np.zeros(300_000),
            pd.DataFrame({"a": np.arange(100_000), "b": list("ab") * 50_000}),
        )
        digests.append(fingerprint(study.f).digest)
        if row is not None:
            study.array[row] = 1
            digests.append(fingerprint(study.f).digest)
            study.frame.loc[row, "b"] = "c"
            digests.append(fingerprint(study.f).digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_a_module_handed_on_is_read_whole(load):
    """Where a step passes a module on, any of its functions may be called."""
    files = {
        "study.py": "import helpers\ndef call(m, n): return getattr(m, n)(1)\ndef f(x): return call(helpers, x)\n",
        "helpers.py": "from more import inner\nRATE = 1\n\ndef g(x):\n    return inner(x) * RATE\n",
        "more.py": "def inner(x):\n    return x\n\ndef other(x):\n    return x\n",
    }
    taken = load(files).taken.digest
    for place, old, new in (
        ("helpers.py", "* RATE", "+ RATE"),
        ("helpers.py", "RATE = 1", "RATE = 2"),
        ("more.py", "inner(x):\n    return x", "inner(x):\n    return -x"),
    ):
        assert load(files | {place: files[place].replace(old, new)}).taken.digest != taken
    assert (
        load(
            files
            | {"more.py": files["more.py"].replace("other(x):\n    return x", "other(x):\n    return -x")}
        ).taken.digest
        == taken
    )


def test_a_late_import_that_fails_is_no_fault_of_the_declaration(load):
    """A step may import what is not installed, or what raises; it is told when it runs."""
    files = {
        "study.py": "def f(x):\n    import nowhere_to_be_found\n    from helpers import missing\n    import more\n",
        "helpers.py": "",
        "more.py": "raise RuntimeError('not here')",
    }
    assert load(files).taken.digest == load(files).taken.digest


def test_installed_code_is_known_by_its_name(load):
    """A function of a library is not followed; another one in its place is seen."""
    one = load("from scipy.special import expit as g\n\ndef f(x):\n    return g(x)\n").taken
    two = load("from scipy.special import erf as g\n\ndef f(x):\n    return g(x)\n").taken
    assert one.digest != two.digest
    assert len(one.parts) == 2


def test_a_version_takes_the_place_of_the_code(load):
    """With a version, neither an edit nor a constant counts; another version does, and so does another function."""
    one = load("RATE = 1\n\ndef f(x):\n    return RATE\n").f
    two = load("RATE = 2\n\ndef f(x):\n    return -RATE\n\ndef g(x):\n    return 1\n")
    assert fingerprint(one, "1") == fingerprint(two.f, "1")
    assert fingerprint(one, "1").digest != fingerprint(two.f, "2").digest
    assert fingerprint(two.g, "1").digest != fingerprint(two.f, "1").digest
    assert fingerprint(one, "1").digest != fingerprint(one).digest


def test_versions_of_two_modules_are_two():
    """Two packages may each have a step `model` of version 1."""

    def model():
        return 1

    other = types.FunctionType(model.__code__, {"__name__": "elsewhere"})
    other.__module__, other.__qualname__ = "elsewhere", model.__qualname__
    assert fingerprint(model, "1").digest != fingerprint(other, "1").digest


def test_code_made_while_running_is_followed():
    """Functions and classes that `exec` made belong to the user, whatever their module is called."""

    def made(text):
        names: dict[str, Any] = {"__name__": "made_while_running"}
        exec(text, names)
        return fingerprint(names["f"]).digest

    text = (
        "class A:\n  rate = 1\n  def m(self): return self.rate\n"
        "def g(x): return A().m() + 1\ndef f(x): return g(x)\n"
    )
    assert made(text) == made(text)
    for old, new in (("rate = 1", "rate = 2"), ("+ 1", "+ 2"), ("self.rate", "-self.rate")):
        assert made(text) != made(text.replace(old, new))


def test_a_local_step_is_read_with_its_closure():
    """Steps may be made in a function; what they keep from it counts."""

    def make(rate):
        class Local:
            def get(self):
                return rate

        @step
        def f(x: int = 1) -> int:
            return Local().get() * x

        return f.function

    assert fingerprint(make(1)).digest == fingerprint(make(1)).digest
    assert fingerprint(make(1)).digest != fingerprint(make(2)).digest

"""What code changes as it runs is state: how it begins counts, what it holds at the moment does not."""

from typing import Any

import pytest

from workflow_assets.fingerprint import fingerprint

COUNTERS = {
    "a list": ("CALLS = []", "CALLS.append(x)"),
    "a list that is rebound in place": ("CALLS = []", "global CALLS; CALLS += [x]"),
    "a list under a local name": ("CALLS = []", "calls = CALLS; calls.append(x)"),
    "a list that a local name adds to": ("CALLS = []", "calls = CALLS; calls += [x]"),
    "a dict": ("counter = {'n': 0}", "counter['n'] += 1"),
    "a dict of dicts": ("counter = {'a': {'n': 0}}", "counter['a']['n'] += 1"),
    "a dict whose items are changed one by one": ("ROWS = [{}, {}]", "[row.update(x=x) for row in ROWS]"),
    "a dict in a loop": ("ROWS = [{}, {}]", "for row in ROWS:\n        row['n'] = x"),
    "a deleted entry": ("TODO = list(range(9))", "del TODO[0]"),
    "a global number": ("n = 0", "global n\n    n += 1"),
    "a global that is exchanged": ("last = None", "global last\n    last = x"),
    "a global in a loop": ("last = None", "global last\n    for last in range(x): pass"),
    "an attribute": ("class O: n = 0\nobj = O()", "obj.n += 1"),
    "an attribute that is set by name": ("class O: n = 0\nobj = O()", "setattr(obj, 'n', obj.n + 1)"),
    "an attribute of an attribute": ("class O: n = 0\nobj = O()\nobj.inner = O()", "obj.inner.n += 1"),
    "a list in an attribute": ("class O: pass\nobj = O()\nobj.calls = []", "obj.calls.append(x)"),
    "a class attribute": ("class O: n = 0", "O.n += 1"),
    "a list in a class": ("class O: calls = []", "O.calls.append(x)"),
    "a method": ("class O:\n  n = 0\n  def hit(self): self.n += 1\nobj = O()", "obj.hit()"),
    "a method of a base class": (
        "class B:\n  n = 0\n  def hit(self): self.n += 1\nclass O(B): pass\nobj = O()",
        "obj.hit()",
    ),
    "a method that calls a method": (
        "class O:\n  n = 0\n  def hit(self): self._hit()\n  def _hit(self): self.n += 1\nobj = O()",
        "obj.hit()",
    ),
    "a class method": ("class O:\n  n = 0\n  @classmethod\n  def hit(cls): cls.n += 1", "O.hit()"),
    "a method that fills a dict": (
        "class O:\n  def __init__(self): self.seen = {}\n  def hit(self, x): self.seen[x] = x\nobj = O()",
        "obj.hit(x)",
    ),
    "a method that sets attributes by name": (
        "class O:\n  n = 0\n  def hit(self, name): setattr(self, name, self.n + 1)\nobj = O()",
        "obj.hit('n')",
    ),
    "an object that is called": ("class O:\n  n = 0\n  def __call__(self): self.n += 1\nobj = O()", "obj()"),
    "an object with items": (
        "class O:\n  def __init__(self): self.d = {}\n  def __setitem__(self, k, v): self.d[k] = v\nobj = O()",
        "obj[x] = x",
    ),
    "an object in a dict": (
        "class O:\n  n = 0\n  def hit(self): self.n += 1\nobj = {'o': O()}",
        "obj['o'].hit()",
    ),
    "an object with slots": (
        "class O:\n  __slots__ = ('n',)\n  def __init__(self): self.n = 0\n  def hit(self): self.n += 1\nobj = O()",
        "obj.hit()",
    ),
    "a dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass O:\n  n: int = 0\nobj = O()",
        "obj.n += 1",
    ),
    "an iterator": ("import itertools\nnumbers = itertools.count()", "next(numbers)"),
    "a deque": ("from collections import deque\ncalls = deque()", "calls.appendleft(x)"),
    "a counter": ("from collections import Counter\nseen = Counter()", "seen[x] += 1"),
    "a default dict": ("from collections import defaultdict\nseen = defaultdict(list)", "seen[x].append(x)"),
    "a heap": ("import heapq\nheap = [9]", "heapq.heappush(heap, x)"),
    "a queue": ("import queue\ntodo = queue.Queue()", "todo.put(x)"),
    "an array": ("import numpy as np\ntotal = np.zeros(3)", "total[0] += x"),
    "an array that a local name adds to": ("import numpy as np\ntotal = np.zeros(3)", "t = total; t += x"),
    "text in memory": ("import io\nlog = io.StringIO()", "log.write(str(x))"),
    "a helper": ("CALLS = []\ndef note(x): CALLS.append(x)", "note(x); len(CALLS)"),
    "a helper that is handed the list": ("CALLS = []\ndef note(to, x): to.append(x)", "note(CALLS, x)"),
    "a helper that hands it on": (
        "CALLS = []\ndef inner(x, to): to.append(x)\ndef note(to, x): inner(x, to=to)",
        "note(CALLS, x)",
    ),
    "a helper that is handed an object": ("class O: n = 0\nobj = O()\ndef hit(o): o.n += 1", "hit(obj)"),
    "a memo in a default": ("def memo(x, known={}):\n  known[x] = x\n  return x", "memo(x)"),
    "an attribute of a function": ("def helper(x): return x\nhelper.n = 0", "helper.n += helper(1)"),
    "a list in an attribute of a function": (
        "def helper(x): return x\nhelper.n = []",
        "helper.n.append(helper(1))",
    ),
    "its own attribute": ("", "f.calls = getattr(f, 'calls', 0) + 1"),
    "a cached property": (
        "import functools\nclass O:\n  @functools.cached_property\n  def table(self): return [1]\nobj = O()",
        "obj.table",
    ),
    "a property that fills itself": (
        "class O:\n  _t = None\n  @property\n  def table(self):\n    self._t = self._t or [1]\nobj = O()",
        "obj.table",
    ),
    "a cached function": ("import functools\n@functools.lru_cache\ndef g(x): return x", "g(x)"),
    "a fitted model": ("class M:\n  def fit(self, x): self.coef_ = x\n  c = 1\nmodel = M()", "model.fit(x)"),
}


@pytest.mark.parametrize("case", COUNTERS)
def test_what_a_call_changes_is_no_constant(load, case):
    """Calling the step leaves its fingerprint as it was."""
    setup, body = COUNTERS[case]
    study = load(f"{setup}\n\ndef f(x):\n    {body}\n    return x\n")
    for number in range(3):
        study.f(number)
        assert fingerprint(study.f).digest == study.taken.digest


FOLLOWED = ("helper", "local", "loop", "one by one", "heap")
"""What takes more than a look at each instruction."""


@pytest.mark.parametrize("case", [case for case in COUNTERS if not any(word in case for word in FOLLOWED)])
def test_state_is_found_without_source_too(case):
    """The same holds for code that has no source, as far as it names what it changes itself."""
    setup, body = COUNTERS[case]
    names: dict[str, Any] = {"__name__": "notebook_without_source"}
    exec(compile(f"{setup}\n\ndef f(x):\n    {body}\n    return x\n", "<no source>", "exec"), names)
    taken = fingerprint(names["f"]).digest
    for number in range(3):
        names["f"](number)
        assert fingerprint(names["f"]).digest == taken


def test_state_of_another_module_is_found(load):
    """A step may count in a list that it imports, and in an attribute of a module."""
    study = load(
        {
            "study.py": """
                import helpers
                from helpers import CALLS, note
                from helpers import CALLS as renamed

                def f(x):
                    helpers.TOTAL += x
                    helpers.SEEN["n"] = x
                    renamed.append(x)
                    note(x)
                    return len(CALLS) + helpers.rate(x)
            """,
            "helpers.py": """
                CALLS, TOTAL, SEEN, RATE = [], 0, {}, 2

                def note(x):
                    CALLS.append(x)

                def rate(x):
                    return x * RATE
            """,
        }
    )
    study.f(1)
    assert fingerprint(study.f).digest == study.taken.digest
    study.helpers.RATE = 3
    assert fingerprint(study.f).digest != study.taken.digest


def test_state_that_is_imported_late_is_found(load):
    """A list that the step imports inside its body is as much state as any other."""
    study = load(
        {
            "study.py": "def f(x):\n    from helpers import CALLS\n    CALLS.append(x)\n    return len(CALLS)",
            "helpers.py": "CALLS = []",
        }
    )
    study.f(1)
    assert fingerprint(study.f).digest == study.taken.digest


@pytest.mark.parametrize(
    ("old", "new"), [("Model(1)", "Model(2)"), ("SIZE = 5", "SIZE = 6"), ("self.alpha * x", "self.alpha + x")]
)
def test_how_state_begins_is_seen(load, old, new):
    """The statement that gives a changing variable its first value counts, and what that is made from."""
    text = (
        "SIZE = 5\n\n"
        "class Model:\n    def __init__(self, alpha): self.alpha = alpha\n"
        "    def predict(self, x): return self.alpha * x\n\n"
        "model, cache = Model(1), [0] * SIZE\n\n"
        "def f(x):\n    model.alpha += 1\n    cache.append(x)\n    return model.predict(x)\n"
    )
    assert load(text).taken.digest != load(text.replace(old, new)).taken.digest


def test_how_state_begins_is_seen_where_it_is_imported_from(load):
    """So does the statement in the module that a changing variable is imported from."""
    files = {
        "study.py": "from helpers import STACK\n\ndef f(x):\n    STACK.append(x)\n    return STACK[0]",
        "helpers.py": "STACK = [1]",
    }
    assert load(files).taken.digest != load(files | {"helpers.py": "STACK = [2]"}).taken.digest


CONSTANTS = {
    "an attribute beside one that changes": (
        "class O: pass\nobj = O()\nobj.n, obj.rate = 0, 2",
        "obj.n += 1\n    return obj.rate",
        "obj.rate = 3",
    ),
    "what only a setter changes that nobody calls": (
        "class O:\n  def __init__(self): self.rate = 1\n  def set_rate(self, rate): self.rate = rate\nobj = O()",
        "return obj.rate",
        "obj.set_rate(2)",
    ),
    "what a constructor's helper sets": (
        "class O:\n  def __init__(self, rate): self._set(rate)\n  def _set(self, rate): self.rate = rate\nobj = O(1)",
        "return obj.rate",
        "obj._set(2)",
    ),
    "what a function changes that nobody calls": (
        "RATE = [1]\ndef other(): RATE.append(2)",
        "return RATE",
        "other()",
    ),
    "a global that only another function assigns": (
        "rate = 1\ndef other():\n  global rate\n  rate = 2",
        "return rate",
        "other()",
    ),
    "a copy of what is changed": (
        "RATES = {'a': 1}",
        "r = dict(RATES); r['b'] = 2\n    return r",
        "RATES['a'] = 2",
    ),
    "a local name that is used twice": (
        "RATES = {'a': 1}",
        "r = RATES\n    r = {**r}; r['b'] = 2\n    return r",
        "RATES['a'] = 2",
    ),
    "a parameter of the same name": (
        "rate = [1]\ndef g(rate): rate.append(2)",
        "g([])\n    return rate",
        "rate[0] = 2",
    ),
    "a local variable of the same name": (
        "RATES = {'a': 1}\ndef g():\n  RATES = {}\n  RATES['b'] = 2",
        "g()\n    return RATES",
        "RATES['a'] = 2",
    ),
    "a number that a loop adds to": (
        "RATES = [1, 2]",
        "for r in RATES:\n        r += 1\n    return r",
        "RATES[0] = 5",
    ),
    "a number under a local name": ("RATE = 1", "r = RATE\n    r += 1\n    return r", "RATE = 2"),
    "what a helper copies before it changes it": (
        "RATES = [1]\ndef g(rates):\n  rates = list(rates)\n  rates.append(2)\n  return rates",
        "return g(RATES)",
        "RATES[0] = 5",
    ),
    "a class that is called": ("class O:\n  rate = 1\n  n = 0", "O.n += 1\n    return O.rate", "O.rate = 2"),
    "a function beside a counter of its module": (
        "import sys\ndef g(): return RATE\nRATE = 1\nme = sys.modules[__name__]\nn = 0",
        "me.n += 1\n    return me.g()",
        "RATE = 2",
    ),
    "a function that is called like a change": (
        "import sys\nRATE = 1\ndef update(): return RATE\nme = sys.modules[__name__]",
        "return me.update()",
        "RATE = 2",
    ),
}


@pytest.mark.parametrize("case", CONSTANTS)
def test_what_the_step_does_not_change_is_a_constant(load, case):
    """What a notebook sets by hand between two runs is seen, whatever else the code changes."""
    setup, body, statement = CONSTANTS[case]
    study = load(f"{setup}\n\ndef f(x):\n    {body}\n")
    study.f(1)
    assert fingerprint(study.f).digest == study.taken.digest
    exec(statement, vars(study))
    assert fingerprint(study.f).digest != study.taken.digest


def test_a_counter_in_a_closure_is_state():
    """A function may count in the function around it."""

    def make():
        number, calls = 0, []

        def f(x):
            nonlocal number
            number += 1
            calls.append(x)
            return x

        return f

    f = make()
    before = fingerprint(f).digest
    f(1)
    assert fingerprint(f).digest == before

"""What the tests of single modules share."""

import importlib
import sys
import textwrap
from itertools import count
from typing import Any

import pytest

from workflow_assets.fingerprint import fingerprint

NAMES = frozenset({"study", "helpers", "more", "pkg"})
"""The modules that a project of these tests may have."""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Write a project of a user's and import its module `study`, whose step is `f`; each call is a new project."""
    numbers = count()

    def forget():
        for name in [name for name in sys.modules if name.partition(".")[0] in NAMES]:
            del sys.modules[name]

    def load(files):
        forget()
        folder = tmp_path / str(next(numbers))
        for name, text in ({"study.py": files} if isinstance(files, str) else files).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        monkeypatch.syspath_prepend(folder)
        importlib.invalidate_caches()
        module: Any = importlib.import_module("study")
        module.taken = fingerprint(module.f)
        return module

    yield load
    forget()

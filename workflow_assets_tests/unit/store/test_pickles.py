"""Pickles, and the versions of the libraries that made them."""

import sys
import types
from importlib import metadata

import pytest

from workflow_assets.store import pickles
from workflow_assets.store.codecs import encode, installed_version, library_version
from workflow_assets.store.records import Record


class Mine:
    pass


@pytest.fixture
def library(monkeypatch):
    """A library of version 1.0 with a class in it."""
    module = types.ModuleType("a_library")
    module.__version__ = "1.0"  # type: ignore[attr-defined]
    kind = type("Thing", (), {"__module__": "a_library"})
    module.Thing = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_library", module)
    return module


def test_the_library_of_a_class_is_found_by_its_module(library):
    """The standard library has no version of its own, nor has a script."""
    assert library_version(library.Thing) == ("a_library", "1.0")
    assert library_version(dict) == ("", "")
    assert library_version(__import__("decimal").Decimal) == ("", "")
    assert library_version(Mine) == ("", "")


def test_all_libraries_in_a_pickle_are_noted(library):
    """Also that of a class which is itself the value, and of one deep inside."""
    for value in (library.Thing(), library.Thing, {"a": [library.Thing()]}, [Mine(), (library.Thing(),)]):
        assert encode(value, pickles=True).libraries == {"a_library": "1.0"}
    assert encode(Mine(), pickles=True).libraries is None


@pytest.mark.parametrize(
    ("now", "current"), [("1.0", True), ("1.0+cpu", True), ("1.1", False), ("", True), (None, True)]
)
def test_a_pickle_is_current_as_long_as_its_library_is(library, now, current):
    """A library that tells no version is taken at its word."""
    record = Record(
        "a1", "pickle", "", 0, provenance={"libraries": encode(library.Thing(), pickles=True).libraries}
    )
    library.__version__ = now
    assert record.current is current


def test_the_version_of_a_library_that_is_not_loaded_is_known(monkeypatch):
    """Without loading it: planning must not import what it plans."""
    versions = {"absent": ("2.0",), "unclear": ("1.0", "2.0")}
    monkeypatch.setattr(pickles, "_installed", lambda library: versions.get(library, ()))
    record = Record("a1", "pickle", "", 0, provenance={"libraries": {"absent": "1.0"}})
    assert not record.current
    assert installed_version("absent") == "2.0"
    assert installed_version("unclear") is None
    assert installed_version("no_such_library") is None
    assert "absent" not in sys.modules


def test_versions_are_asked_of_what_is_installed():
    """By the name under which a library is imported, not installed."""
    pickles._installed.cache_clear()
    for library, package in {
        "sklearn": "scikit-learn",
        "yaml": "PyYAML",
        "numpy": "numpy",
        "dateutil": "python-dateutil",
    }.items():
        assert pickles._installed(library) == (metadata.version(package),)
    for library in ("no_such_library", "no.such", "json"):
        assert pickles._installed(library) == ()


def test_a_record_without_pickles_is_current():
    """Nothing that it needs can change."""
    assert Record("a1", "json", "", 0).current

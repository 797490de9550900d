"""What every test relies on, and the server that the tests of stores in buckets share."""

import functools
import gc
import os
import sys
from collections.abc import Generator, Iterator

import pytest
from alembic.script import ScriptDirectory
from hypothesis import settings

from workflow_assets.store.signatures import VARIABLE
from workflow_assets_tests.conformance.buckets import Server, serving

# Tests edit files faster than their times tell: what was compiled of a file would be taken for what it holds now.
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

# A failure must come back when the test is run again, and a busy machine must not make one.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True, max_examples=30)
# To look for more: pytest --hypothesis-profile=search
settings.register_profile("search", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile("repeatable")

FIRST = ("/browser/", "/test_commands.py")
"""Where the tests that take longest are: they come first, so that no worker is left alone with one at the end."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, None, None]:
    """Nothing of what is collected goes away: looking for garbage in it takes as long as the rest."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not any(place in item.nodeid for place in FIRST))


@pytest.fixture(scope="session", autouse=True)
def migrations_that_are_read_once() -> Iterator[None]:
    """Dagster marks each new database with its latest migration, for which it would read all of them every time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", functools.cache(ScriptDirectory.from_config))
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real S3 server, one for all tests of this process."""
    with serving(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def key_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Pickles are signed with a key of the tests, here and in other processes: the user's own is never touched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.delenv(VARIABLE, raising=False)
        yield

"""Resources that each worker opens for itself: once, when they are asked for, and closed at the end."""

import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from workflow_assets import Experiment, Hooks, per_worker, step
from workflow_assets.errors import DeclarationError
from workflow_assets.resources import Resources
from workflow_assets.traits import Retries


@step
def asked(ctx, replicate) -> int:
    ctx.resources["db"].execute("select 1")
    return int(replicate)


@step
def unasked(replicate: int) -> int:
    return replicate


class Connections:
    """A factory that notes who opens and closes; sqlite refuses other threads than the one that opened."""

    def __init__(self):
        self.opened = []
        self.closed = []

    def __call__(self):
        connection = sqlite3.connect(":memory:")
        self.opened.append(threading.get_ident())
        yield connection
        connection.close()
        self.closed.append(threading.get_ident())

    def factory(self):
        def connect():
            yield from self()

        return per_worker(connect)


def test_a_serial_run_opens_once_and_closes_at_the_end():
    connections = Connections()
    Experiment("study", [asked], replicates=5).run(resources={"db": connections.factory()})
    assert connections.opened == connections.closed == [threading.get_ident()]


def test_what_no_step_asks_for_is_not_opened():
    connections = Connections()
    Experiment("study", [unasked], replicates=2).run(resources={"db": connections.factory()})
    assert connections.opened == []


def test_each_thread_opens_and_closes_its_own():
    connections = Connections()
    meet = threading.Barrier(2)

    @step
    def together(ctx, replicate: int) -> int:
        ctx.resources["db"].execute("select 1")
        meet.wait(20)
        return replicate

    result = Experiment("study", [together], replicates=4).run(
        backend="threads", workers=2, resources={"db": connections.factory()}
    )
    assert not result.failures
    assert len(set(connections.opened)) == len(connections.opened) == 2
    assert sorted(connections.opened) == sorted(connections.closed)


def test_coroutines_share_one_beside_those_of_plain_functions():
    connections = Connections()

    @step
    async def waited(ctx, replicate: int) -> int:
        ctx.resources["db"].execute("select 1")
        return replicate

    @step
    def plain(waited: int, ctx) -> int:
        ctx.resources["db"].execute("select 1")
        return waited

    result = Experiment("study", [waited, plain], replicates=4).run(
        backend="asyncio", workers=2, resources={"db": connections.factory()}
    )
    assert not result.failures, result.failures[0].traceback
    assert len(connections.opened) == len(set(connections.opened)) <= 3
    assert sorted(connections.opened) == sorted(connections.closed)


def test_each_process_opens_and_closes_its_own(tmp_path):
    def connect():
        (tmp_path / f"opened {os.getpid()}").touch(exist_ok=False)
        yield sqlite3.connect(":memory:")
        (tmp_path / f"closed {os.getpid()}").touch(exist_ok=False)

    result = Experiment("study", [asked], replicates=4).run(
        backend="processes", workers=1, resources={"db": per_worker(connect)}
    )
    assert not result.failures
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == 2
    assert f"opened {os.getpid()}" not in names


def test_a_cancelled_process_closes_what_it_opened(tmp_path):
    def connect():
        try:
            yield sqlite3.connect(":memory:")
        finally:
            (tmp_path / "closed").touch()

    @step
    def stuck(ctx, replicate: int, folder: str = str(tmp_path)) -> int:
        import pathlib
        import time

        ctx.resources["db"].execute("select 1")
        if replicate:
            pathlib.Path(folder, "stuck").touch()
            time.sleep(100)
        return replicate

    def cancel(event):
        while not (tmp_path / "stuck").exists():
            threading.Event().wait(0.02)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Experiment("study", [stuck], replicates=2).run(
            backend="processes",
            workers=1,
            resources={"db": per_worker(connect)},
            hooks=Hooks(after_cell=cancel),
        )
    assert (tmp_path / "closed").exists()


def test_workers_of_an_executor_close_at_the_end_of_the_run(tmp_path):
    def connect():
        (tmp_path / f"opened {threading.get_ident()}").touch(exist_ok=False)
        yield sqlite3.connect(":memory:")
        (tmp_path / f"opened {threading.get_ident()}").rename(tmp_path / f"closed {threading.get_ident()}")

    with ThreadPoolExecutor(2) as executor:
        result = Experiment("study", [asked], replicates=4).run(
            backend=executor, workers=2, resources={"db": per_worker(connect)}
        )
        assert not result.failures
        assert {path.name.split()[0] for path in tmp_path.iterdir()} == {"closed"}


def test_a_factory_that_raises_fails_the_cell_and_says_which():
    def connect():
        raise ConnectionRefusedError("nobody listens")

    result = Experiment("study", [asked], replicates=2).run(resources={"db": per_worker(connect)})
    assert len(result.failures) == 2
    message = "the resource 'db' could not be opened: ConnectionRefusedError: nobody listens"
    assert result.failures[0].message == message


def test_a_factory_that_raises_may_be_tried_again():
    tries = []

    def connect():
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionRefusedError("nobody listens")
        return sqlite3.connect(":memory:")

    @step(retries=Retries(1, wait=0.0, on=(ConnectionError,)))
    def patient(ctx) -> int:
        ctx.resources["db"].execute("select 1")
        return 1

    result = Experiment("study", [patient]).run(resources={"db": per_worker(connect)})
    assert not result.failures
    assert len(tries) == 2


def test_an_unknown_resource_names_those_that_there_are():
    result = Experiment("study", [asked]).run(resources={"bd": 1})
    assert "there is no resource 'db': there is only 'bd'" in result.failures[0].message


def test_resources_are_a_mapping_that_opens_what_is_taken_out():
    resources = Resources({"one": 1, "two": per_worker(lambda: 2)})
    assert "two" in resources
    assert list(resources) == ["one", "two"]
    assert resources.get("three") is None
    assert resources["two"] == 2


class Closable:
    def __init__(self):
        self.said = []

    def close(self):
        self.said.append("close")


class Entered(Closable):
    def __enter__(self):
        self.said.append("enter")
        return self

    def __exit__(self, *_):
        self.said.append("exit")


@pytest.mark.parametrize(("kind", "said"), [(Closable, ["close"]), (Entered, ["enter", "exit", "close"])])
def test_objects_are_closed_the_way_they_know(kind, said):
    resources = Resources({"it": per_worker(kind)})
    it = resources["it"]
    resources.close()
    assert it.said == said


def test_context_managers_are_entered_and_left():
    said = []

    @contextmanager
    def managed():
        said.append("enter")
        yield "value"
        said.append("exit")

    resources = Resources({"it": per_worker(managed)})
    assert resources["it"] == "value"
    resources.close()
    assert said == ["enter", "exit"]


def test_what_cannot_be_closed_is_logged_and_the_others_are_closed(caplog):
    class Broken(Closable):
        def close(self):
            raise OSError("no route")

    resources = Resources({"fine": per_worker(Closable), "broken": per_worker(Broken)})
    fine, _ = resources["fine"], resources["broken"]
    resources.close()
    assert fine.said == ["close"]
    assert "the resource 'broken' could not be closed: OSError: no route" in caplog.text


async def connect_later():
    return None


@pytest.mark.parametrize("factory", [3, connect_later])
def test_what_opens_nothing_is_refused(factory):
    with pytest.raises(DeclarationError, match="no function without arguments"):
        per_worker(factory)

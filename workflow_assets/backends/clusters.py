"""Dask clusters: on this machine, for one run, or at an address."""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from workflow_assets.backends import messages
from workflow_assets.backends.base import Capabilities, Ended, PoolBrokenError, WorkerLostError, cores
from workflow_assets.backends.payloads import keep_main_out, let_main_in, pack
from workflow_assets.errors import DeclarationError, excerpt
from workflow_assets.store.base import Store
from workflow_assets.store.signatures import OWN, sign
from workflow_assets.tasks import Setup, Task

logger = logging.getLogger("workflow_assets")
_DASK = logging.getLogger("distributed")

_NANNY = "Dask Worker process (from Nanny)"
"""What Dask calls the processes of its workers."""

_ANSWER = 10.0
"""Seconds within which a scheduler has to answer."""

_GLANCE = 2.0
"""Seconds between two looks at which workers there are."""

_UNHEARD = 3
"""How often a task may be lost of which no worker has told that it began: it waited there, or that died at once."""


@dataclass(frozen=True)
class Dask:
    """Runs cells on a Dask cluster: one on this machine that lasts as long as the run, or one at an address.

    At an address, what steps need in their ``resources=`` are resources of the workers, declared where these are
    started: ``dask worker --resources "gpu=1"``. Workers read and write the store themselves: it is a bucket, or a
    folder that all machines share. What Python code of steps prints and logs arrives in this process.

    Args:
        address: of the scheduler, such as ``"tcp://10.0.0.5:8786"``, or a `distributed.Client` or cluster; by default a
            cluster of processes with one thread each is started here.
        workers: how many cells at a time; by default one for each processor, or for each thread of the cluster.
        security: a `distributed.Security`, where the scheduler asks for it.
        patience: the seconds to wait for a worker where there is none, or none that has what a step needs any more.
    """

    address: Any = None
    workers: int | None = None
    security: Any = None
    patience: float = 60.0
    name = "dask"

    @property
    def capabilities(self) -> Capabilities:
        """What it can do: the scheduler of a cluster at an address keeps to what its workers have."""
        return Capabilities(counts=self.address is not None)

    def limits(self) -> str:
        """Say what it cannot do."""
        ends = "Dask cannot end a single call, so that steps with a timeout are refused"
        if self.address is None:
            return ends
        return (
            f"{ends}, and cancelling a run on a cluster that stays ends only Python code in the middle of it"
        )

    def open(self, setup: Setup) -> DaskPool:
        """Start a cluster, or connect to the one that there is.

        Raises `DeclarationError` where Dask is not installed, for steps, sources and resources that cannot be sent,
        where no scheduler answers or no worker comes, and for a store that the workers cannot use.
        """
        try:
            import distributed
        except ModuleNotFoundError as error:
            fault = "the backend 'dask' needs distributed: pip install 'workflow_assets[dask]'"
            raise DeclarationError("run", [fault]) from error
        payload = pack(setup)
        with ExitStack() as stack:
            if self.address is None:
                cluster = _Local(self.workers or cores())
                stack.callback(cluster.close)
                client = cluster.client
            else:
                cluster = None
                client = self._connected(distributed)
            stack.callback(client.close, _ANSWER)
            pool = DaskPool(client, setup, payload, self, cluster)
            stack.pop_all()
        return pool

    def _connected(self, distributed: Any) -> Any:
        """Give a client of our own: what a run leaves is gone with it, and the caller's stays as it is."""
        given, security = self.address, self.security
        address = given
        if not isinstance(given, str):
            scheduler = getattr(given, "scheduler", None)
            address = getattr(given, "scheduler_address", None) or getattr(scheduler, "address", None)
            security = security or getattr(given, "security", None)
        if not isinstance(address, str):
            expected = (
                "the address of a scheduler, such as 'tcp://10.0.0.5:8786', a Client or a cluster of Dask"
            )
            raise DeclarationError("run", [f"Dask(address={excerpt(given)}): expected {expected}"])
        try:
            return distributed.Client(address, timeout=_ANSWER, security=security, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            fault = (
                f"no Dask scheduler answers at {address}: {error}. Is it running, and reachable from here?"
            )
            raise DeclarationError("run", [fault]) from error


# Nobody would look at what is measured, for which each step is halted fifty to a hundred times a second.
_QUIET = {
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.worker.profile.enabled": False,
}


class _Local:
    """A cluster on this machine that only this process talks to."""

    def __init__(self, workers: int) -> None:
        import dask
        import distributed

        start: Any = distributed.LocalCluster
        connect: Any = distributed.Client
        self._folder = tempfile.TemporaryDirectory(prefix="workflow_assets-", ignore_cleanup_errors=True)
        keep_main_out(_NANNY)
        self._level = _DASK.level
        _DASK.setLevel(logging.CRITICAL)  # what it tells of its workers, the run tells in its own words
        with dask.config.set(_QUIET):
            self._cluster = start(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
                memory_limit=None,  # else workers are paused or killed that use more than their share
                local_directory=self._folder.name,
                scheduler_kwargs={
                    "allowed_failures": 0,  # the run decides what is done again
                    "dashboard_address": "127.0.0.1:0",  # it has none; this keeps its monitor off the usual port
                },
            )
            self.client = connect(self._cluster, set_as_default=False)

    def kill(self) -> None:
        """End the workers, and what their steps have started."""
        for nanny in self._cluster.workers.values():
            nanny.close_gracefully()  # which starts no other worker
            if nanny.pid is not None:
                with suppress(ProcessLookupError, PermissionError):
                    # A worker that has not got so far as to lead a group of its own is in ours.
                    own = os.getpgid(nanny.pid) == nanny.pid
                    (os.killpg if own else os.kill)(nanny.pid, signal.SIGKILL)

    def close(self) -> None:
        """Stop it."""
        self._cluster.close(_ANSWER)
        let_main_in(_NANNY)
        _DASK.setLevel(self._level)
        self._folder.cleanup()


class DaskPool:
    """The workers of a cluster, which do tasks."""

    handover = 0.005

    def __init__(
        self, client: Any, setup: Setup, payload: bytes, backend: Dask, cluster: _Local | None
    ) -> None:
        from workflow_assets.backends import guests

        self._client = client
        self._cluster = cluster
        self._guests = guests
        guests.draw_apart()
        self._patience = backend.patience
        self._most = backend.workers if cluster is None else None
        self._token = uuid.uuid4().hex
        self._flying: dict[int, tuple[Any, Mapping[str, float]]] = {}
        self._submitted = 0
        self._begun: set[int] = set()
        self._lost: Counter[int] = Counter()
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._has: list[Mapping[str, float]] = []
        self._looked = self._lacked = 0.0
        self.workers = self.ahead = 1
        if cluster is None:
            self._wait_for_workers()
            self._check(setup)
        self._look()
        client.subscribe_topic(guests.TOPIC, self._heard)
        guest = guests.Guest(self._token, payload, messages.levels(), owned=cluster is not None)
        client.register_plugin(guest, guests.plugin_name(self._token))

    # -- who is there -------------------------------------------------------------------------------------------------

    def _wait_for_workers(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=self._patience)
        except TimeoutError as error:
            fault = f"the Dask cluster has no worker, and none came within {self._patience:g} s"
            raise DeclarationError("run", [fault]) from error

    def _check(self, setup: Setup) -> None:
        """Refuse what would wait for ever, and a store that workers cannot use: one worker of each machine is asked."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        faults = []
        for step in dict.fromkeys(step.node.step for step in setup.plan.steps):
            needs = step.resources
            if not any(_suffices(worker["resources"], needs) for worker in workers.values()):
                faults.append(_lack(f"step {step.name!r}", needs))
        by_host = {worker["host"]: address for address, worker in workers.items()}
        with setup.store.claim() as claim:
            claim.add([self._token])
            try:
                told = self._client.run(
                    self._guests.look_around, setup.store, self._token, workers=[*by_host.values()]
                )
            except Exception as error:
                fault = f"the workers of the Dask cluster cannot load workflow_assets: {error}"
                raise DeclarationError("run", [fault]) from error
        for host, address in by_host.items():
            faults += _faults(host, told[address], setup.store, self._token)
        if faults:
            raise DeclarationError("run", faults)

    def _look(self) -> None:
        """Take note of which workers there are; they may come and go.

        Raises `PoolBrokenError` where what was handed over waits for a worker that does not come.
        """
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        self._looked = time.monotonic()
        self._has = [worker["resources"] for worker in workers]
        there = sum(worker["nthreads"] for worker in workers)
        self.workers = max(1, there if self._most is None else min(there, self._most))
        self.ahead = self.workers if self._most is None else 0
        if self._can(needs for _, needs in self._flying.values()):
            self._lacked = 0.0
        elif not self._lacked:
            self._lacked = self._looked
        elif self._looked - self._lacked > self._patience:
            raise PoolBrokenError(
                f"no worker of the Dask cluster has had what is needed for {self._patience:g} s"
            )

    def _can(self, needed: Iterable[Mapping[str, float]]) -> bool:
        return all(any(_suffices(has, needs) for has in self._has) for needs in needed)

    # -- tasks --------------------------------------------------------------------------------------------------------

    def submit(self, task: Task, needs: Mapping[str, float]) -> None:
        """Have a task done by a worker that has what it needs.

        Raises `DeclarationError` where no worker has all of it, and `PoolBrokenError` where the scheduler is gone.
        """
        task = task._replace(again=True)  # Dask may begin it again by itself, and then finds what is stored
        needs = needs if self._cluster is None else {}  # there, the run counts
        if not self._can([needs]):
            self._look()
            if not self._can([needs]) and self._has:
                raise DeclarationError(
                    "run", [_lack("a cell, with the steps that are computed for it,", needs)]
                )
        self._hand_over(task, needs)

    def _hand_over(self, task: Task, needs: Mapping[str, float]) -> None:
        self._submitted += 1
        key = f"workflow_assets-{self._token}-{self._submitted}"
        future = self._client.submit(
            *(self._guests.perform, self._token, task), key=key, pure=False, resources=dict(needs) or None
        )
        self._flying[task.number] = future, needs
        future.add_done_callback(lambda future: self._outbox.put((task, future)))

    def wait(self, seconds: float) -> Iterable[Ended]:
        """Wait until some task has ended, or for so many seconds; print and log what workers have.

        Raises `PoolBrokenError` where the scheduler is gone, or has lost the tasks.
        """
        if self._client.status != "running":
            raise PoolBrokenError("the connection to the Dask scheduler is lost")
        if time.monotonic() - self._looked > _GLANCE:
            self._look()
        end = time.monotonic() + seconds
        ended: list[Ended] = []
        try:
            while True:
                left = 0 if ended else max(0.0, end - time.monotonic())
                ended += self._told(self._outbox.get(timeout=left))
        except queue.Empty:
            pass
        return ended

    def _heard(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, message = event
        if message["token"] == self._token:
            self._outbox.put(message)

    def _told(self, one: Any) -> list[Ended]:
        """Take what comes from a worker."""
        if isinstance(one, tuple):
            return self._ended(*one)
        if one["kind"] == "begun":
            self._begun.add(one["said"])
        elif one["kind"] == "log":
            messages.handle(pickle.loads(one["said"]))  # noqa: S301 - from our own worker, as are the results
        else:
            stream = getattr(sys, one["kind"])
            stream.write(one["said"])
            stream.flush()
        return []

    def _ended(self, task: Task, future: Any) -> list[Ended]:
        from distributed import KilledWorker

        outcome: Any
        try:
            outcome = future.exception() if future.status == "error" else future.result(_ANSWER)
        except TimeoutError:  # its worker has died, and another does it again
            future.add_done_callback(lambda future: self._outbox.put((task, future)))
            return []
        except CancelledError as error:
            raise PoolBrokenError(f"the Dask scheduler has lost what it was doing: {error}") from error
        if isinstance(outcome, KilledWorker):
            self._lost[task.number] += 1
            if task.number not in self._begun and self._lost[task.number] < _UNHEARD:
                self._hand_over(task, self._flying[task.number][1])
                return []
            outcome = WorkerLostError(f"a worker of the Dask cluster died: {outcome.last_worker.address}")
        del self._flying[task.number]
        return [Ended(task, outcome)]

    def close(self, *, kill: bool) -> None:
        """Stop what is being done, and clear up in the workers; a cluster that stays is left as it was."""
        client, connected = self._client, self._client.status == "running"
        if kill and self._cluster is not None:
            self._cluster.kill()
        elif connected:
            with suppress(Exception):  # a worker or the scheduler may go at any time
                client.cancel([future for future, _ in self._flying.values()])
                client.unregister_worker_plugin(self._guests.plugin_name(self._token))
        with suppress(queue.Empty):
            while True:
                one = self._outbox.get_nowait()
                if not isinstance(one, tuple):
                    self._told(one)
        self._flying.clear()
        with suppress(Exception):
            client.close(_ANSWER if connected else 0)
        if self._cluster is not None:
            self._cluster.close()


def _suffices(has: Mapping[str, float], needs: Mapping[str, float]) -> bool:
    return all(has.get(name, 0.0) >= amount for name, amount in needs.items())


def _lack(what: str, needs: Mapping[str, float]) -> str:
    needed = ", ".join(f"{amount:g} of {name!r}" for name, amount in needs.items())
    options = " ".join(f"{name}={amount:g}" for name, amount in needs.items())
    return (
        f"{what} needs {needed}, and no worker of the Dask cluster has that: start one with "
        f'dask worker --resources "{options}"'
    )


def _faults(host: str, told: Any, store: Store, token: str) -> Iterable[str]:
    """Say what is wrong with a machine of a cluster."""
    ours = sys.version_info[:2]
    if told.python != ours:
        yield (
            f"the Dask workers on {host} have Python {'.'.join(map(str, told.python))}, and this is "
            f"{'.'.join(map(str, ours))}: functions cannot be sent from one to the other"
        )
    if told.fault:
        yield (
            f"the Dask workers on {host} cannot use the store of the run ({told.fault}): use a bucket, or a folder "
            "that all machines share; a store in memory is reached from its own machine only"
        )
    elif store.pickles == OWN and told.signature != sign(token, "", ()):
        yield (
            f"the Dask workers on {host} sign pickles with another key than this process: set WORKFLOW_ASSETS_KEY to "
            "the same on all machines"
        )

"""Dagster's web server, daemon and code server as a user starts them: one command, in a folder of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARK = "BROWSER_TEST_SERVER"
"""The environment variable that all processes of a server inherit: by it they are found, and ended, one by one."""

ATTEMPTS = 3
PATIENCE = 90.0
FOREIGN = ("DAGSTER_", "DG_", "WORKFLOW_ASSETS_", MARK)


class ServerError(Exception):
    """The server did not come up, or did not do what it was asked; what it logged is told."""


@dataclass(frozen=True)
class Server:
    """A running `dagster dev` or `dg dev`."""

    url: str
    folder: Path
    log: Path

    def ask(self, query: str, **variables: Any) -> Any:
        """Send a GraphQL query; give its data."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        if answer.get("errors"):
            raise ServerError(f"{answer['errors']}\n{self.told()}")
        return answer["data"]

    def launch(self, location: str, job: str, config: dict[str, Any] | None = None) -> str:
        """Launch a job, as the launchpad does; give the run's id."""
        launched = self.ask(
            """mutation ($selector: JobOrPipelineSelector!, $config: RunConfigData) {
                 launchRun(executionParams: {selector: $selector, mode: "default", runConfigData: $config}) {
                   __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
            selector={
                "repositoryLocationName": location,
                "repositoryName": "__repository__",
                "jobName": job,
            },
            config=config or {},
        )["launchRun"]
        if "run" not in launched:
            raise ServerError(f"job {job!r} was not launched: {launched}\n{self.told()}")
        return str(launched["run"]["runId"])

    def terminate(self, run: str) -> None:
        """Cancel a run, as the UI does."""
        ended = self.ask(
            "mutation ($id: String!) { terminateRun(runId: $id) { __typename } }",
            id=run,
        )["terminateRun"]
        if ended["__typename"] != "TerminateRunSuccess":
            raise ServerError(f"run {run} was not terminated: {ended}\n{self.told()}")

    def status(self, run: str) -> str:
        """Give a run's status."""
        found = self.ask("query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", id=run)
        return str(found["runOrError"]["status"])

    def materialised(self, *path: str) -> set[str | None]:
        """Give the partitions that an asset's materialisations are of."""
        found = self.ask(
            """query ($path: [String!]!) { assetOrError(assetKey: {path: $path}) {
                 ... on Asset { assetMaterializations { partition } } } }""",
            path=list(path),
        )["assetOrError"]
        return {event["partition"] for event in found.get("assetMaterializations", [])}

    def told(self) -> str:
        """Give the end of the server's log."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""


@contextmanager
def serve(command: Sequence[str | os.PathLike[str]], folder: Path, **variables: str) -> Iterator[Server]:
    """Run `dagster dev` or `dg dev` in a folder, with environment variables; nothing of it is left afterwards."""
    for attempt in range(1, ATTEMPTS + 1):
        port = free_port()
        mark = uuid.uuid4().hex
        log = folder.with_name(f"{folder.name}-{attempt}.log")
        home = folder.with_name(f"{folder.name}-home")  # Dagster writes to ~/.dagster
        home.mkdir(exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        environment.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # Matplotlib's list of fonts
        environment |= {MARK: mark, "HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "1", **variables}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(port)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = Server(f"http://127.0.0.1:{port}", folder, log)
        try:
            if _is_up(server, process):
                yield server
                return
        finally:
            _stop(process, mark)
        # It ended by itself: somebody else may have taken the port in the meantime.
    raise ServerError(
        f"{' '.join(map(str, command))} did not come up in {ATTEMPTS} attempts:\n{server.told()}"
    )


def happens(event: Callable[[], bool], patience: float) -> bool:
    """Wait for an event; False if it does not happen in time."""
    end = time.monotonic() + patience
    while not event():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def free_port() -> int:
    """Give a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_up(server: Server, process: subprocess.Popen[bytes]) -> bool:
    """Wait for our own server, not for another's on the port; False if it ended."""

    def up() -> bool:
        return process.poll() is not None or (
            f"Serving dagster-webserver on {server.url} " in server.told() and _answers(server)
        )

    if not happens(up, PATIENCE):
        raise ServerError(f"the server was not up after {PATIENCE:.0f} s:\n{server.told()}")
    return process.poll() is None


def _answers(server: Server) -> bool:
    try:
        found = server.ask(
            """{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError {
                 __typename ... on PythonError { message } } } } } }"""
        )
    except OSError:
        return False
    for entry in found["workspaceOrError"]["locationEntries"]:
        if (entry["locationOrLoadError"] or {}).get("__typename") == "PythonError":
            raise ServerError(f"location {entry['name']!r}: {entry['locationOrLoadError']['message']}")
    return True


def _stop(process: subprocess.Popen[bytes], mark: str) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=8)

    def gone() -> bool:
        remaining = _processes(mark)
        for identifier in remaining:
            with suppress(ProcessLookupError):
                os.kill(identifier, signal.SIGKILL)
        return not remaining

    if not happens(gone, 20):
        raise ServerError(f"processes of the server remain: {_processes(mark)}")
    process.wait()


def _processes(mark: str) -> list[int]:
    """Give the processes whose environment bears a mark."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue  # it ended, or is not ours
            if f"{MARK}={mark}".encode() in environment:
                found.append(int(entry.name))
    return found

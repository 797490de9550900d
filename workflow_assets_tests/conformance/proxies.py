"""A bad connection to a good server: requests and answers are passed on, or not, as a test says."""

import collections
import re
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO
from urllib.parse import urlsplit

BUSY = b"HTTP/1.1 503 Slow Down\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

FAULTS = ("busy", "request cut", "answer lost", "answer cut", "no answer")


class Proxy:
    """Fails each request that it is told to, a number of times; the next one passes.

    `fault` is one of `FAULTS`, `only` says which requests are meant ("PUT /bucket/name?query"), `times` how often each
    of them fails.
    """

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target)
        self.url = ""
        self.seen: collections.Counter[str] = collections.Counter()
        self.met = threading.Event()
        self._lock = threading.Lock()
        self.fail("", 0)

    def fail(self, fault: str, times: int, only: str = "") -> None:
        """Begin to fail requests, or to pass them all."""
        self.fault, self.times, self.only = fault, times, only
        self.seen.clear()
        self.met.clear()

    def handle(self, client: socket.socket) -> None:
        """Pass one request on, and its answer back."""
        file = client.makefile("rb")
        head, size, expects = _head(file)
        if not head:
            return
        if expects:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        fault = self._fault(" ".join(head.decode().split()[:2]))
        if fault == "request cut":
            file.read(size // 2)
            return
        request = head + b"Connection: close\r\n\r\n" + file.read(size)
        if fault == "busy":
            client.sendall(BUSY)
        elif fault == "no answer":
            self.met.set()
            client.recv(1)  # until the other side gives up
        else:
            answer = self._ask(request)
            if fault == "answer cut":
                answer = answer[: -max(3, len(answer.partition(b"\r\n\r\n")[2]) // 2)]
            if fault != "answer lost":
                client.sendall(answer)

    def _fault(self, request: str) -> str:
        if not self.fault or not re.search(self.only, request):
            return ""
        with self._lock:
            self.seen[request] += 1
            return self.fault if self.seen[request] <= self.times else ""

    def _ask(self, request: bytes) -> bytes:
        with socket.create_connection((self.target.hostname, self.target.port)) as server:
            server.sendall(request)
            return b"".join(iter(lambda: server.recv(1 << 16), b""))


def _head(file: BinaryIO) -> tuple[bytes, int, bool]:
    """Read the head of a request; give what is to be passed on, the size of the body, and whether leave is asked."""
    lines, size, expects = [file.readline()], 0, False
    while (line := file.readline()).strip():
        name, _, value = line.lower().partition(b":")
        if name == b"expect":
            expects = True
        elif name != b"connection":
            lines.append(line)
        if name == b"content-length":
            size = int(value)
    return b"".join(lines) if line else b"", size, expects


@contextmanager
def passing(target: str) -> Iterator[Proxy]:
    """Run a proxy before a server."""
    proxy = Proxy(target)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                proxy.handle(self.request)

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 64

    with Listener(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        proxy.url = f"http://127.0.0.1:{running.server_address[1]}"
        try:
            yield proxy
        finally:
            running.shutdown()
            thread.join()

"""Many small objects of a bucket, asked for at once.

A general client takes about two milliseconds of processor time for each request, which is a minute for 20,000 records.
Here a request is signed by hand, in 10 microseconds, and takes a third of a millisecond. What does not answer plainly
is left out: the caller asks again for that, with the general client, its patience and its words for what went wrong.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import hmac
import urllib.parse
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_NO_BODY = hashlib.sha256(b"").hexdigest()


class Answer(NamedTuple):
    """What a server says of an object: whether it is there, how many bytes it has, and, if asked for, these."""

    found: bool
    size: int = 0
    data: bytes = b""


@dataclass(frozen=True)
class Signer:
    """Signs requests without a body, as AWS Signature Version 4 wants it.

    Source: Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header", single chunk.
    """

    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    def headers(self, method: str, url: str, now: datetime.datetime) -> dict[str, str]:
        """Give the headers that a request needs; `url` is quoted already, and has no query."""
        parts = urllib.parse.urlsplit(url)
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": parts.netloc, "x-amz-content-sha256": _NO_BODY, "x-amz-date": stamp}
        if self.token:
            headers["x-amz-security-token"] = self.token
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = f"{method}\n{parts.path}\n\n{lines}\n{names}\n{_NO_BODY}"
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{self.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope},SignedHeaders={names},Signature={signature}"
        )
        return headers


def ask(
    base: str, names: Iterable[str], signer: Signer | None, *, bodies: bool, at_once: int
) -> dict[str, Answer]:
    """Ask a server for objects, several at once; give its answers by name, without those that were not plain.

    Args:
        base: the URL that a quoted name is appended to.
        names: the objects' names, of letters that need no quoting.
        signer: signs the requests; without it they are anonymous.
        bodies: ask for the bytes too, not only how many there are.
        at_once: how many requests may be under way.
    """
    work = _ask(base, list(names), signer, "GET" if bodies else "HEAD", at_once)
    with ThreadPoolExecutor(1) as thread:  # the caller's own may have a loop already
        return thread.submit(asyncio.run, work).result()


async def _ask(
    base: str, names: list[str], signer: Signer | None, method: str, at_once: int
) -> dict[str, Answer]:
    import aiohttp

    answers: dict[str, Answer] = {}
    waiting = iter(names)
    troubles = (aiohttp.ClientError, OSError, asyncio.TimeoutError)

    async def work(session: Any) -> None:
        for name in waiting:
            url = f"{base}{name}"
            headers: Mapping[str, str] = {}
            if signer is not None:
                headers = signer.headers(method, url, datetime.datetime.now(datetime.UTC))
            try:
                async with session.request(method, url, headers=headers, allow_redirects=False) as response:
                    data = await response.read()
                    if response.status == 200:
                        answers[name] = Answer(True, int(response.headers["content-length"]), data)
                    elif response.status == 404 and (method == "HEAD" or b"NoSuchKey" in data):
                        answers[name] = Answer(False)
                    else:
                        return  # nor will it have time for the next
            except (*troubles, LookupError, ValueError):
                return

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=at_once),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=30),
        trust_env=True,
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
    ) as session:
        await asyncio.gather(*(work(session) for _ in range(min(at_once, len(names)))))
    return answers

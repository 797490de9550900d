"""A bucket of any service that speaks S3: one request at a time, as often as it takes, and errors in words."""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import itertools
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote
from xml.etree import ElementTree

from workflow_assets.errors import StoreError
from workflow_assets.store.formats import Buffer, total

AT_ONCE = 32
"""How many requests for small objects are under way at a time."""

_PART = 16 << 20
"""Objects above this size are sent in parts of it; a service takes 10,000 parts of at least 5 MiB."""

_PARTS_AT_ONCE = 4

_CONNECT_TIMEOUT = 10.0
_READ_TIMEOUT = 60.0
_LONGEST_WAIT = 5.0
"""How many seconds lie between two attempts at most."""

_TRANSIENT = frozenset(
    {"SlowDown", "InternalError", "RequestTimeout", "ServiceUnavailable", "Throttling", "ThrottlingException"}
    | {"ConditionalRequestConflict", "OperationAborted", "IncompleteBody", "BadDigest", "TooManyRequests"}
)

S = TypeVar("S")
T = TypeVar("T")


class MissingError(Exception):
    """There is no such object."""


class StandingError(Exception):
    """There is such an object already."""


class Entry(NamedTuple):
    """What a list says of an object: the tag is another whenever the bytes are, the age in seconds by its own clock."""

    name: str
    size: int
    tag: str
    age: float


class Bucket:
    """The objects of a bucket whose names begin with a prefix, which is left out of the names here.

    Args:
        name: the bucket's.
        prefix: what the names of all objects begin with: nothing, or a path that ends with "/".
        endpoint_url: the service, if it is not Amazon's; else `AWS_ENDPOINT_URL` names it.
        options: `key`, `secret`, `token`, `profile`, `region` or `anon`.
        attempts: how often to try what a busy service or a bad connection fails.
    """

    def __init__(
        self, name: str, prefix: str, endpoint_url: str | None, options: Mapping[str, Any], attempts: int
    ) -> None:
        self.name = name
        self.prefix = prefix
        self.endpoint_url = endpoint_url
        self.options = options
        self.attempts = attempts
        self._client: tuple[int, Any] = (0, None)
        self._opening = (0, threading.Lock())
        self._numbers = itertools.count()

    def get(self, name: str) -> tuple[bytearray, str]:
        """Give an object's bytes and tag; raise `MissingError` where there is none."""
        got: tuple[bytearray, str] = self._call("get_object", name, finish=_body)
        return got

    def size(self, name: str) -> int:
        """Give an object's size; raise `MissingError` where there is none."""
        size: int = self._call("head_object", name, finish=_size)
        return size

    def put(self, name: str, data: bytes, *, only_if_new: bool = False) -> str:
        """Write an object whole; give its tag. Raise `StandingError` if it is to be new and is not."""
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if only_if_new else {}
        return _tag(self._call("put_object", name, Body=data, **condition))

    def put_pieces(self, name: str, pieces: Sequence[Buffer]) -> None:
        """Write an object whole, in several requests if it is large."""
        size = total(pieces)
        if size <= _PART:
            self.put(name, b"".join(pieces))
        else:
            self._put_parts(name, pieces, size)

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects, those that are there."""

        def delete(name: str) -> None:
            with contextlib.suppress(MissingError):
                self._call("delete_object", name)

        self.map(delete, names)

    def entries(self, start: str, *, delimiter: str = "") -> Iterator[Entry]:
        """Give the objects whose names begin with a start; with a delimiter, those that have none after it."""
        more: dict[str, Any] = {}
        while True:
            page = self._call("list_objects_v2", start, finish=_page, Delimiter=delimiter, **more)
            for name, *rest in page["Entries"]:
                yield Entry(name[len(self.prefix) :], *rest)
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def map(self, function: Callable[[S], T], items: Iterable[S], at_once: int = AT_ONCE) -> list[T]:
        """Do something for each item, several at once; after a failure, no more is begun."""
        items = list(items)
        if len(items) < 2:
            return [function(item) for item in items]
        with ThreadPoolExecutor(min(at_once, len(items))) as pool:
            try:
                return list(pool.map(function, items))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def unique(self) -> str:
        """Give a name that nobody else gives."""
        return f"{os.urandom(6).hex()}-{next(self._numbers):x}"

    # -- requests -----------------------------------------------------------------------------------------------

    def _put_parts(self, name: str, pieces: Iterable[Buffer], size: int) -> None:
        """Send an object in parts; it is there when all are, and after a failure none is left."""
        views = (memoryview(piece).cast("B") for piece in pieces)
        upload = self._call("create_multipart_upload", name)["UploadId"]

        def send(numbered: tuple[int, Iterable[memoryview]]) -> dict[str, Any]:
            number, part = numbered
            sent = self._call("upload_part", name, UploadId=upload, PartNumber=number, Body=b"".join(part))
            return {"PartNumber": number, "ETag": sent["ETag"]}

        try:
            parts, waiting = [], deque[Future[dict[str, Any]]]()
            with ThreadPoolExecutor(_PARTS_AT_ONCE) as pool:
                for part in enumerate(_parts(views, max(_PART, -(-size // 10_000))), start=1):
                    waiting.append(pool.submit(send, part))
                    if len(waiting) > _PARTS_AT_ONCE:  # no more of them in memory
                        parts.append(waiting.popleft().result())
                parts += [one.result() for one in waiting]
            try:
                self._call(
                    "complete_multipart_upload", name, UploadId=upload, MultipartUpload={"Parts": parts}
                )
            except MissingError:  # completed at an attempt whose answer was lost; or aborted by somebody
                if self.size(name) != size:
                    raise
        except BaseException as error:
            with contextlib.suppress(StoreError, MissingError):  # what went wrong before says more
                self._call("abort_multipart_upload", name, UploadId=upload)
            if isinstance(error, MissingError):
                raise self._error("an upload was aborted by somebody else", "", 0) from None
            raise

    def _call(
        self, operation: str, name: str, *, finish: Callable[[Any], Any] | None = None, **parameters: Any
    ) -> Any:
        """Do one request, as often as it takes; a `StoreError` says why it could not be done."""
        from botocore import exceptions

        key = "Prefix" if operation == "list_objects_v2" else "Key"
        call = getattr(self.connected(), operation)
        for attempt in itertools.count(1):
            try:
                answer = call(Bucket=self.name, **{key: f"{self.prefix}{name}"}, **parameters)
                return answer if finish is None else finish(answer)
            except exceptions.ClientError as error:
                code = str(error.response.get("Error", {}).get("Code", ""))
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                if status == 412:
                    raise StandingError from None
                if status == 404 and code != "NoSuchBucket":
                    raise MissingError from None
                if (status < 500 and status != 429 and code not in _TRANSIENT) or status == 501:
                    raise self._error(f"{code or status}", code, status) from error
                reason = f"{status} {code}".strip()
            except _passing(exceptions) as error:
                reason = type(error).__name__
                if attempt == self.attempts:
                    raise self._error(reason, reason, 0, attempt) from error
            except exceptions.BotoCoreError as error:
                raise self._error(type(error).__name__, type(error).__name__, 0) from error
            if attempt == self.attempts:
                raise self._error(reason, "busy", 0, attempt)
            longest = min(_LONGEST_WAIT, 0.1 * 2.0**attempt)
            time.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311 - so that many do not come back at once
        raise AssertionError

    def connected(self) -> Any:
        """Give this process's client: a connection cannot be shared with the process that this one was forked from."""
        process = os.getpid()
        if self._client[0] != process:
            if self._opening[0] != process:
                self._opening = (process, threading.Lock())
            with self._opening[1]:
                if self._client[0] != process:
                    self._client = (process, self._connect())
        return self._client[1]

    def _connect(self) -> Any:
        import botocore.session
        from botocore import UNSIGNED
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        given = self.options
        settings: dict[str, Any] = {"signature_version": UNSIGNED} if given.get("anon") else {}
        try:
            session = botocore.session.Session(profile=given.get("profile"))
            region = given.get("region") or session.get_config_variable("region") or "us-east-1"
            client = session.create_client(
                "s3",
                region_name=region,
                endpoint_url=self.endpoint_url,
                aws_access_key_id=given.get("key"),
                aws_secret_access_key=given.get("secret"),
                aws_session_token=given.get("token"),
                config=Config(
                    retries={"total_max_attempts": 1},  # ours wait, and say what they waited for
                    max_pool_connections=AT_ONCE,
                    connect_timeout=_CONNECT_TIMEOUT,
                    read_timeout=_READ_TIMEOUT,
                    request_checksum_calculation="when_required",  # not every service knows the newer ones
                    response_checksum_validation="when_required",
                    **settings,
                ),
            )
            client.meta.events.register_first("before-parse.s3.ListObjectsV2", _read_page)
            return client
        except (BotoCoreError, ValueError) as error:
            raise self._error(type(error).__name__, type(error).__name__, 0) from error

    def _error(self, reason: str, kind: str, status: int, attempts: int = 1) -> StoreError:
        tried = f" after {attempts} attempts" if attempts > 1 else ""
        where = self.endpoint_url or "the endpoint of your AWS settings"
        cure = _CURES.get(kind) or (_CURES["AccessDenied"] if status in {401, 403} else _CURE)
        return StoreError(
            f"the bucket {self.name!r} at {where} cannot be used{tried}: {reason}. {cure.format(self.name)}"
        )


_CURE = "Check the bucket's name, the endpoint and the region"
_DENIED = "Check the credentials, and that they may list, read, write and delete in the bucket {!r}"
_UNREACHED = "Check the endpoint's URL and the network; what is stored already is not computed again"
_CURES = {
    "NoSuchBucket": "Create the bucket {!r}, or give the store another",
    "AccessDenied": _DENIED,
    "NoCredentialsError": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, or give `options`",
    "PartialCredentialsError": "Give both the key and the secret",
    "ProfileNotFound": "Name a profile that is in ~/.aws/config",
    "NotImplemented": "The service lacks what a store needs: conditional writes and uploads in parts",
    "EndpointConnectionError": _UNREACHED,
    "ConnectTimeoutError": _UNREACHED,
    "SSLError": "Check the endpoint's certificate; AWS_CA_BUNDLE names the authorities to trust",
    "busy": "The service is too busy or broken: run again later; what is stored already is not computed again",
}


def _passing(exceptions: Any) -> tuple[type[Exception], ...]:
    """Give the errors of a connection that may be better the next time."""
    from botocore.parsers import ResponseParserError

    return (
        exceptions.ConnectionError,
        exceptions.HTTPClientError,
        exceptions.IncompleteReadError,
        ResponseParserError,
        _TornError,
        OSError,
    )


class _TornError(Exception):
    """A body ended before its time."""


def _size(answer: Any) -> int:
    if "ContentLength" not in answer:
        raise _TornError
    return int(answer["ContentLength"])


def _read_page(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Read the entries of a list: botocore takes five times as long, most of it for the times in them."""
    if response_dict["status_code"] != 200:
        return
    try:
        page = ElementTree.fromstring(response_dict["body"])  # noqa: S314 - as botocore does, with the same parser
    except ElementTree.ParseError:
        return  # it says so
    if not page.tag.endswith("ListBucketResult"):
        return
    space = page.tag.removesuffix("ListBucketResult")
    quoted = page.findtext(f"{space}EncodingType") == "url"
    date = response_dict["headers"].get("date")
    now = email.utils.parsedate_to_datetime(date).timestamp() if date else 0.0
    entries = []
    for entry in page.findall(f"{space}Contents"):
        name = entry.findtext(f"{space}Key") or ""
        size, tag = entry.findtext(f"{space}Size") or 0, entry.findtext(f"{space}ETag") or ""
        changed = datetime.datetime.fromisoformat(
            entry.findtext(f"{space}LastModified") or "1970-01-01T00:00:00Z"
        )
        entries.append(
            (
                unquote(name) if quoted else name,
                int(size),
                tag.strip('"'),
                max(0.0, now - changed.timestamp()),
            )
        )
    page[:] = [other for other in page if other.tag != f"{space}Contents"]
    customized_response_dict["Entries"] = entries
    response_dict["body"] = ElementTree.tostring(page)


def _page(answer: Any) -> Any:
    if "Entries" not in answer:  # a list of nothing would be an answer too
        raise _TornError
    return answer


def _tag(answer: Mapping[str, Any]) -> str:
    return str(answer.get("ETag", "")).strip('"')


def _body(answer: Any) -> tuple[bytearray, str]:
    """Read all of a body into memory that is allocated once."""
    size = _size(answer)
    data = bytearray(size)
    view = memoryview(data)
    stream = answer["Body"]
    done = 0
    while done < size and (piece := stream.read(min(1 << 20, size - done))):
        view[done : done + len(piece)] = piece
        done += len(piece)
    if done < size:
        raise _TornError
    stream.close()
    view.release()
    return data, _tag(answer)


def _parts(views: Iterable[memoryview], size: int) -> Iterator[list[memoryview]]:
    """Cut pieces into parts of a size, without copying them."""
    part: list[memoryview] = []
    room = size
    for view in views:
        start = 0
        while start < len(view):
            part.append(view[start : start + room])
            start += len(part[-1])
            room -= len(part[-1])
            if not room:
                yield part
                part, room = [], size
    if part:
        yield part

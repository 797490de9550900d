"""The store in a bucket, of any service that speaks S3.

::

    <prefix>/records/ab/<key>.json              as in a folder: see `FileStore`
    <prefix>/objects/ab/<key>.<digest>.<ext>
    <prefix>/references/<asset>/<number>-….jsonl

A record is written on condition that there is none (``If-None-Match: *``), so that of two writers one wins. Large
objects are sent in parts, which become an object when the last has arrived: who is killed before leaves parts that
nobody can read. Give the bucket a rule that deletes incomplete uploads after a few days.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from workflow_assets.errors import CorruptDatumError, StoreError, did_you_mean
from workflow_assets.store.base import Asset, Record, Store
from workflow_assets.store.codecs import Buffer
from workflow_assets.store.downloads import Signer, ask
from workflow_assets.store.records import (
    LONGEST_JOURNAL,
    Held,
    checked,
    folder_name,
    is_journal,
    is_name,
    journal_from_bytes,
    journal_name,
    journal_number,
    journal_to_bytes,
    record_from_bytes,
    record_to_bytes,
)

_PART = 16 << 20
"""Objects above this size are sent in parts of it; a service takes 10,000 parts of at least 5 MiB."""

_PARTS_AT_ONCE = 4
_AT_ONCE = 32
"""How many requests for small objects are under way at a time."""

_PLACE = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/+(.*?))?/*")
_OPTIONS = ("key", "secret", "token", "profile", "region", "anon")
_TRANSIENT = frozenset(
    {"SlowDown", "InternalError", "RequestTimeout", "ServiceUnavailable", "Throttling", "ThrottlingException"}
    | {"ConditionalRequestConflict", "OperationAborted", "IncompleteBody", "BadDigest", "TooManyRequests"}
)

T = TypeVar("T")


class _MissingError(Exception):
    """There is no such object."""


class _StandingError(Exception):
    """There is such an object already."""


class _Hidden(dict[str, Any]):
    """Options that may be secret, and do not show."""

    def __repr__(self) -> str:
        return "{...}"


class S3Store(Store):
    """A store in a bucket, safe for several processes and machines at once.

    Credentials are found where every S3 client looks for them: the environment, `~/.aws`, the machine's role.

    >>> S3Store("s3://results/study", endpoint_url="http://127.0.0.1:9000")
    S3Store('s3://results/study', endpoint_url='http://127.0.0.1:9000')

    Args:
        place: the bucket, which must exist, and where in it: `s3://bucket/prefix`.
        endpoint_url: the service, if it is not Amazon's; else `AWS_ENDPOINT_URL` names it.
        options: `key`, `secret`, `token`, `profile`, `region` or `anon`, as s3fs calls them; they are shown nowhere.
        pickles: whether values without a format of their own may be pickled, and pickles loaded. Loading a pickle
            executes what it says: allow it only for a bucket that nobody else can write to.
        attempts: how often to try what a busy service or a bad connection fails, waiting longer each time.

    Raises `StoreError` for a place that is none, and an option that there is not.
    """

    def __init__(
        self,
        place: str,
        *,
        endpoint_url: str | None = None,
        options: Mapping[str, Any] | None = None,
        pickles: bool = False,
        attempts: int = 8,
    ) -> None:
        super().__init__(pickles=pickles)
        matched = _PLACE.fullmatch(place)
        if matched is None or not {".", ".."}.isdisjoint((matched[2] or "").split("/")):
            raise StoreError(
                f"{place!r} is no place in a bucket: expected 's3://bucket' or 's3://bucket/prefix'"
            )
        if endpoint_url is not None and not re.fullmatch(r"https?://[^@\s?#]+", endpoint_url):
            raise StoreError(
                "the endpoint's URL is not one: expected http://host:port or https://host, and credentials in "
                "`options` or the environment"
            )
        for name in options or ():
            if name not in _OPTIONS:
                raise StoreError(f"an S3 store has no option {name!r}: {did_you_mean(name, _OPTIONS)}")
        if attempts < 1:
            raise StoreError(f"attempts is {attempts}: expected at least one")
        self.bucket: str = matched[1]
        self.prefix = f"{matched[2]}/" if matched[2] else ""
        self.endpoint_url = endpoint_url
        self.attempts = attempts
        self._options = _Hidden(options or {})
        self._client: tuple[int, Any] = (0, None)
        self._opening = (0, threading.Lock())
        self._numbers = itertools.count()
        self._journals: dict[str, dict[str, Held]] = {}

    def __repr__(self) -> str:
        endpoint = f", endpoint_url={self.endpoint_url!r}" if self.endpoint_url else ""
        return f"S3Store({self._place!r}{endpoint})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._place, self.endpoint_url, self._options, self.pickles, self.attempts)

    @property
    def _place(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    # -- datums -------------------------------------------------------------------------------------------------

    def check_writable(self) -> None:
        """Raise `StoreError` if the bucket cannot be written, or its service knows no conditions."""
        name = f"objects/.{self._unique()}"
        self._put(name, b"")
        try:
            self._put(name, b"", only_if_new=True)
        except _StandingError:
            return
        finally:
            self._delete([name])
        raise StoreError(
            f"the service of {self!r} ignores 'If-None-Match: *', so that two writers would overwrite each other: use "
            "one that knows conditional writes, such as Amazon S3, MinIO, SeaweedFS or Ceph in their present versions"
        )

    def find(self, key: str) -> Record | None:
        """Give the record of a datum, or None if it is not stored, or not whole."""
        try:
            record = record_from_bytes(key, bytes(self._get(_record_name(key))))
            if record is None or record.location is None:
                return record
            size = self._call("head_object", _object_name(record.location), finish=_size)
        except _MissingError:
            return None
        return record if size == record.size else None

    def find_all(self, keys: Iterable[str]) -> dict[str, Record]:
        """Give the records of those datums that are stored and whole, by key, asking for many at once."""
        names = {_record_name(key): key for key in keys}
        found: dict[str, Record] = {}
        large: dict[str, Record] = {}
        answers = self._ask(names, bodies=True)
        for name in answers.keys() & names.keys():
            if (record := record_from_bytes(key := names.pop(name), answers[name].data)) is not None:
                if record.location is None:
                    found[key] = record
                else:
                    large[_object_name(record.location)] = record
        sizes = self._ask(large, bodies=False)
        for name, record in large.items():
            if name not in sizes:
                names[name] = record.key
            elif sizes[name] == (True, record.size, b""):
                found[record.key] = record
        with ThreadPoolExecutor(_AT_ONCE) as pool:  # what did not answer plainly
            for record in filter(None, pool.map(self.find, names.values())):
                found[record.key] = record
        return found

    def keys(self) -> Iterator[str]:
        """Give the key of every record in the bucket, in any order."""
        for name in self._list("records/"):
            folder, _, last = name.partition("/")
            if last.endswith(".json") and is_name(key := last[:-5]) and folder == key[:2]:
                yield key

    def _write_record(self, record: Record, replace: bool) -> Record:
        name, data = _record_name(record.key), record_to_bytes(record)
        try:
            self._put(name, data, only_if_new=not replace)
        except _StandingError:
            standing = self.find(record.key)
            if standing is not None:
                return standing
            self._put(name, data)  # a damaged one stood in the way
        return record

    def _write_object(self, name: str, pieces: Iterable[Buffer]) -> None:
        views = [memoryview(piece).cast("B") for piece in pieces]
        size = sum(map(len, views))
        if size <= _PART:
            self._put(_object_name(name), b"".join(views))
        else:
            self._put_parts(_object_name(name), views, max(_PART, -(-size // 10_000)))

    def _read_object(self, name: str) -> Buffer:
        try:
            return self._get(_object_name(name))
        except _MissingError:
            raise CorruptDatumError(
                f"the object {name} is gone from {self!r}; run again to compute it anew"
            ) from None

    # -- references ---------------------------------------------------------------------------------------------

    def refer(self, asset: Asset, keys: Mapping[str, str]) -> None:
        """Append to the journal of an asset which datum each partition holds now."""
        if not keys:
            return
        folder = _journal_folder(asset)
        names = self._journal(folder)
        number = max(map(journal_number, names), default=0) + 1
        held = {partition: (number, key) for partition, key in keys.items()}
        self._put(folder + journal_name(number, self._unique()), journal_to_bytes(held))
        if len(names) >= LONGEST_JOURNAL:
            # All that the files say goes into one, and only then are they deleted; lines keep their numbers, so that
            # a file which somebody else adds meanwhile wins or loses as it would have.
            held, names = self._held(folder)
            number = max(map(journal_number, names), default=0)  # so that numbers never fall back
            self._put(folder + journal_name(number, self._unique()), journal_to_bytes(held))
            self._delete([folder + name for name in names])

    def references(self, asset: Asset) -> dict[str, str]:
        """Give, for each partition of an asset, the key of the datum that it holds."""
        held, _ = self._held(_journal_folder(asset))
        return {partition: key for partition, (_, key) in held.items()}

    def _journal(self, folder: str) -> list[str]:
        return [name for name in self._list(folder, "/") if is_journal(name)]

    def _held(self, folder: str) -> tuple[Held, list[str]]:
        """Read a journal; give what it says, and the names of its files, each of which is read once."""
        for patience in range(1000, -1, -1):
            names = self._journal(folder)
            known = self._journals.get(folder, {})
            try:
                with ThreadPoolExecutor(_AT_ONCE) as pool:
                    new = [name for name in names if name not in known]
                    lines = dict(
                        zip(new, pool.map(lambda name: self._lines(folder + name), new), strict=True)
                    )
                break
            except _MissingError:  # merged meanwhile, into a file that we do not know of
                if not patience:
                    raise StoreError(
                        f"the references {folder} of {self!r} change faster than they can be read"
                    ) from None
        files = {name: known[name] if name in known else lines[name] for name in names}
        self._journals[folder] = files
        held: Held = {}
        for one in files.values():
            for partition, noted in one.items():
                if partition not in held or held[partition] < noted:
                    held[partition] = noted
        return held, names

    def _lines(self, name: str) -> Held:
        held: Held = {}
        journal_from_bytes(self._get(name), held)
        return held

    # -- requests -----------------------------------------------------------------------------------------------

    def _get(self, name: str) -> Buffer:
        data: bytearray = self._call("get_object", name, finish=_body)
        return data

    def _put(self, name: str, data: bytes, *, only_if_new: bool = False) -> None:
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if only_if_new else {}
        self._call("put_object", name, Body=data, **condition)

    def _put_parts(self, name: str, views: list[memoryview], size: int) -> None:
        """Send an object in parts; it is there when all are, and after a failure none is left."""
        upload = self._call("create_multipart_upload", name)["UploadId"]
        try:
            with ThreadPoolExecutor(_PARTS_AT_ONCE) as pool:

                def send(numbered: tuple[int, list[memoryview]]) -> dict[str, Any]:
                    number, part = numbered
                    sent = self._call(
                        "upload_part", name, UploadId=upload, PartNumber=number, Body=b"".join(part)
                    )
                    return {"PartNumber": number, "ETag": sent["ETag"]}

                try:
                    parts = list(pool.map(send, enumerate(_parts(views, size), start=1)))
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
            try:
                self._call(
                    "complete_multipart_upload", name, UploadId=upload, MultipartUpload={"Parts": parts}
                )
            except (
                _MissingError
            ):  # completed at an earlier attempt, whose answer was lost; or aborted by somebody
                if self._call("head_object", name, finish=_size) != sum(map(len, views)):
                    raise
        except BaseException as error:
            with contextlib.suppress(StoreError, _MissingError):  # what went wrong before says more
                self._call("abort_multipart_upload", name, UploadId=upload)
            if isinstance(error, _MissingError):
                raise self._error("an upload was aborted by somebody else", "", 0) from None
            raise

    def _delete(self, names: Iterable[str]) -> None:
        """Delete objects, if that is allowed: none of them is missed or in the way."""
        for name in names:
            try:
                self._call("delete_object", name)
            except (StoreError, _MissingError):
                return

    def _list(self, folder: str, delimiter: str = "") -> Iterator[str]:
        """Give the names that begin with a folder's, without it."""
        start = len(self.prefix) + len(folder)
        more: dict[str, Any] = {}
        while True:
            page = self._call("list_objects_v2", folder, Delimiter=delimiter, **more)
            for entry in page.get("Contents", ()):
                yield entry["Key"][start:]
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _ask(self, names: Iterable[str], *, bodies: bool) -> dict[str, Any]:
        """Ask for small objects, many at once, and give what was answered plainly."""
        names = list(names)
        if len(names) < 2:
            return {}
        client = self._connected()
        signer = None
        credentials = client._request_signer._credentials  # noqa: SLF001 - as refreshed; no other way leads there
        if credentials is not None:
            frozen = credentials.get_frozen_credentials()
            signer = Signer(client.meta.region_name, frozen.access_key, frozen.secret_key, frozen.token)
        url = client.generate_presigned_url("get_object", {"Bucket": self.bucket, "Key": f"{self.prefix}x"})
        return ask(url.partition("?")[0][:-1], names, signer, bodies=bodies, at_once=_AT_ONCE)

    def _call(
        self, operation: str, name: str, *, finish: Callable[[Any], Any] | None = None, **parameters: Any
    ) -> Any:
        """Do one request, as often as it takes; a `StoreError` says why it could not be done."""
        from botocore import exceptions

        key = "Prefix" if operation == "list_objects_v2" else "Key"
        call = getattr(self._connected(), operation)
        for attempt in itertools.count(1):
            try:
                answer = call(Bucket=self.bucket, **{key: f"{self.prefix}{name}"}, **parameters)
                return answer if finish is None else finish(answer)
            except exceptions.ClientError as error:
                code = str(error.response.get("Error", {}).get("Code", ""))
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                if status == 412:
                    raise _StandingError from None
                if status == 404 and code != "NoSuchBucket":
                    raise _MissingError from None
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
            longest = min(5.0, 0.1 * 2.0**attempt)
            time.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311 - so that many do not come back at once
        raise AssertionError

    def _connected(self) -> Any:
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

        given = self._options
        settings: dict[str, Any] = {"signature_version": UNSIGNED} if given.get("anon") else {}
        try:
            session = botocore.session.Session(profile=given.get("profile"))
            region = given.get("region") or session.get_config_variable("region") or "us-east-1"
            return session.create_client(
                "s3",
                region_name=region,
                endpoint_url=self.endpoint_url,
                aws_access_key_id=given.get("key"),
                aws_secret_access_key=given.get("secret"),
                aws_session_token=given.get("token"),
                config=Config(
                    retries={"total_max_attempts": 1},  # ours wait, and say what they waited for
                    max_pool_connections=_AT_ONCE,
                    connect_timeout=10,
                    read_timeout=60,
                    request_checksum_calculation="when_required",  # not every service knows the newer ones
                    response_checksum_validation="when_required",
                    **settings,
                ),
            )
        except (BotoCoreError, ValueError) as error:
            raise self._error(type(error).__name__, type(error).__name__, 0) from error

    def _unique(self) -> str:
        return f"{os.urandom(6).hex()}-{next(self._numbers):x}"

    def _error(self, reason: str, kind: str, status: int, attempts: int = 1) -> StoreError:
        tried = f" after {attempts} attempts" if attempts > 1 else ""
        where = self.endpoint_url or "the endpoint of your AWS settings"
        cure = _CURES.get(kind) or (_CURES["AccessDenied"] if status in {401, 403} else _CURE)
        return StoreError(
            f"the bucket {self.bucket!r} at {where} cannot be used{tried}: {reason}. {cure.format(self.bucket)}"
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


def _body(answer: Any) -> bytearray:
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
    return data


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


def _record_name(key: str) -> str:
    return f"records/{checked(key)[:2]}/{key}.json"


def _object_name(name: str) -> str:
    return f"objects/{checked(name)[:2]}/{name}"


def _journal_folder(asset: Asset) -> str:
    return "/".join(("references", *map(folder_name, asset), ""))


def _reopen(
    place: str, endpoint_url: str | None, options: Mapping[str, Any], pickles: bool, attempts: int
) -> S3Store:
    return S3Store(place, endpoint_url=endpoint_url, options=options, pickles=pickles, attempts=attempts)

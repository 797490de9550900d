"""What can go wrong with a bucket is said in one error, which never shows a credential."""

import pickle
import socketserver
import threading

import numpy as np
import pytest

from workflow_assets.errors import StoreError
from workflow_assets.store import buckets
from workflow_assets.store.buckets import Bucket
from workflow_assets.store.records import Record, content_digest, record_to_bytes
from workflow_assets.store.s3 import S3Store
from workflow_assets_tests.conformance.buckets import BUCKET, OPTIONS, READER, Server, unique_place


def test_a_missing_bucket_is_named(server: Server) -> None:
    store = S3Store("s3://not-there", endpoint_url=server.url, options=OPTIONS)
    for use in (lambda: store.find("a1"), store.check_writable, lambda: list(store.keys())):
        with pytest.raises(StoreError, match=r"'not-there' at http.*NoSuchBucket. Create the bucket"):
            use()


def test_who_may_only_read_is_told_so_before_anything_is_computed(server: Server) -> None:
    place = unique_place()
    server.open(place).put("a1", 0.5)
    store = S3Store(place, endpoint_url=server.url, options=READER)
    assert store.load("a1") == 0.5
    with pytest.raises(StoreError, match=r"AccessDenied. Check the credentials") as caught:
        store.check_writable()
    assert READER["secret"] not in str(caught.value)


def test_an_endpoint_that_nobody_listens_at_is_an_error_after_some_attempts() -> None:
    store = S3Store(f"s3://{BUCKET}", endpoint_url="http://127.0.0.1:9", options=OPTIONS, attempts=2)
    with pytest.raises(
        StoreError, match=r"127.0.0.1:9 cannot be used after 2 attempts: EndpointConnectionError"
    ):
        store.find("a1")


def test_credentials_are_shown_nowhere(server: Server) -> None:
    store = S3Store(unique_place(), endpoint_url=server.url, options=OPTIONS)
    assert OPTIONS["secret"] not in repr(store) + repr(vars(store)) + repr(vars(store._bucket))
    sent = pickle.loads(pickle.dumps(store))
    assert repr(sent) == repr(store)
    assert sent.put("a1", 1).key == "a1"


def test_an_object_of_several_parts_is_whole_or_not_there(server: Server, monkeypatch) -> None:
    monkeypatch.setattr(buckets, "_PART", 5 << 20)
    store = server.open(unique_place())
    value = np.random.default_rng(0).random(2_000_000)
    assert (store.load(store.put("a1", value)) == value).all()
    real = Bucket._call

    def cut(self, operation, name, **parameters):
        if parameters.get("PartNumber") == 2:
            raise StoreError("cut")
        return real(self, operation, name, **parameters)

    monkeypatch.setattr(Bucket, "_call", cut)
    with pytest.raises(StoreError, match="cut"):
        store.put("a2", value)
    assert store.find("a2") is None
    uploads = server.client.list_multipart_uploads(Bucket=BUCKET, Prefix=store._bucket.prefix)
    assert not uploads.get("Uploads")


@pytest.mark.parametrize("place", ["", "bucket", "s3://", "s3://ab", "s3://bucket/../x", "s3://UPPER"])
def test_what_is_no_place_in_a_bucket_is_refused(place: str) -> None:
    with pytest.raises(StoreError, match="is no place in a bucket"):
        S3Store(place)


@pytest.fixture
def faulty():
    """A server that answers only what `answers` holds, one after the other, and then the last one for ever."""
    answers: list[bytes] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answers.pop(0) if len(answers) > 1 else answers[0])

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}", answers
        running.shutdown()
        thread.join()


RECORD = record_to_bytes(Record("a1", "json", content_digest([b"1"]), 1, b"1"))
GOOD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(RECORD), RECORD)
BUSY = b"HTTP/1.1 503 Slow Down\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("bad", [BUSY, GOOD[:-9], GOOD[:12], b""], ids=["busy", "cut", "cut early", "closed"])
def test_what_passes_is_tried_again_and_what_does_not_is_an_error(faulty, bad: bytes, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    url, answers = faulty
    store = S3Store(f"s3://{BUCKET}", endpoint_url=url, options=OPTIONS, attempts=4)
    answers[:] = [bad, bad, GOOD]
    found = store.find("a1")
    assert found is not None
    assert found.inline == b"1"
    answers[:] = [bad]
    with pytest.raises(StoreError, match="cannot be used after 4 attempts"):
        store.find("a1")


LIST = b"""<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">%b<Contents>
<Size>7</Size><ETag>"x"</ETag><Key>records/a1/%b.json</Key></Contents><Owner><ID>x</ID></Owner></ListBucketResult>"""


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize("body", [b"<html><body/></html>", b"", b"{}", LIST[:-30] % (b"", b"a1")])
def test_what_is_no_list_is_not_taken_for_an_empty_one(faulty, body: bytes, monkeypatch) -> None:
    """As the page of a hotel's network, which would make every datum be computed again."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    url, answers = faulty
    store = S3Store(f"s3://{BUCKET}", endpoint_url=url, options=OPTIONS, attempts=3)
    answers[:] = [answer(body)]
    with pytest.raises(StoreError, match="cannot be used after 3 attempts"):
        list(store.keys())


@pytest.mark.parametrize("encoding", [b"<EncodingType>url</EncodingType>", b""])
def test_names_in_a_list_are_read_as_they_are_encoded(faulty, encoding: bytes) -> None:
    url, answers = faulty
    store = S3Store(f"s3://{BUCKET}", endpoint_url=url, options=OPTIONS)
    answers[:] = [answer(LIST % (encoding, b"a1%2Db" if encoding else b"a1&#45;b"))]
    assert list(store.keys()) == ["a1-b"]
    assert list(store._bucket.entries("")) == [("records/a1/a1-b.json", 7, "x", 0.0)]

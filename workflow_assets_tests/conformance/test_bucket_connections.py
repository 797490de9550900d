"""Over a bad connection every request is made again, with longer and longer waits, and in the end there is an error."""

import functools
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from workflow_assets.errors import StoreError
from workflow_assets.store import buckets, s3
from workflow_assets.store.s3 import S3Store
from workflow_assets_tests.conformance.buckets import BUCKET, OPTIONS, Server, unique_place
from workflow_assets_tests.conformance.proxies import FAULTS, Proxy, passing

LARGE = np.arange(1000.0)
SEVERAL_PARTS = np.random.default_rng(0).random(1_400_000)

USES: dict[str, tuple[str, Callable[[S3Store], Any]]] = {
    "put": ("PUT .*records", lambda store: store.put("b1", 0.5).inline),
    "put an object": ("PUT .*objects", lambda store: store.put("b2", LARGE).size),
    "put parts": ("partNumber|uploads|uploadId", lambda store: store.put("b3", SEVERAL_PARTS).size),
    "find": ("GET|HEAD", lambda store: store.find("a1")),
    "load": ("GET .*objects", lambda store: store.load("a0").sum()),
    "find few": ("GET|HEAD", lambda store: sorted(store.find_all(["a0", "a1", "a9"]))),
    "find many": ("GET|HEAD", lambda store: sorted(store.find_all(f"a{number}" for number in range(9)))),
    "list": ("GET", lambda store: sorted(store.keys())),
    "refer": ("GET|PUT", lambda store: store.refer(("a",), {"": "a1"})),
    "references": ("GET", lambda store: store.references(("x",))),
}

SLOW = {"put parts": "partNumber=2", "find few": "HEAD", "find many": "packs"}


@pytest.fixture
def proxy(server: Server, monkeypatch) -> Iterator[Proxy]:
    """A bad connection, over which nobody waits long."""
    monkeypatch.setattr(buckets, "_LONGEST_WAIT", 0.001)
    monkeypatch.setattr(buckets, "_PART", 5 << 20)
    monkeypatch.setattr(s3, "_MANY", 4)
    with passing(server.url) as running:
        yield running


def fill(server: Server) -> str:
    """Store some datums, of which some have objects, and most are in a pack; give the place."""
    place = unique_place()
    store = server.open(place)
    for number in range(7):
        store.put(f"a{number}", LARGE if number % 3 == 0 else number)
    store._copies.flush(1)
    store.put("a7", 7)
    store.refer(("x",), {"": "a1"})
    return place


def open_over(proxy: Proxy, place: str, attempts: int) -> S3Store:
    return S3Store(place, endpoint_url=proxy.url, options=OPTIONS, attempts=attempts)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_fails_and_then_passes_is_as_if_it_had_not_failed(
    server: Server, proxy: Proxy, fault: str, monkeypatch
) -> None:
    """Whichever request it was: each one fails twice."""
    if fault == "no answer":
        monkeypatch.setattr(buckets, "_READ_TIMEOUT", 0.5)
    place = fill(server)
    store, direct = open_over(proxy, place, 8), server.open(place)
    expected = {
        name: use(direct) for name, (_, use) in USES.items() if name.startswith(("find", "lo", "ref"))
    }
    for name, (requests, use) in USES.items():
        if fault == "no answer":  # each costs half a second, so that few are meant
            proxy.fail(fault, 1, SLOW.get(name, requests))
        else:
            proxy.fail(fault, 2, requests)
        given = use(store)
        assert proxy.seen
        if name in expected:
            assert given == expected[name], name
    proxy.fail("", 0)
    assert sorted(direct.keys()) == sorted([*(f"a{number}" for number in range(8)), "b1", "b2", "b3"])
    assert direct.load("b1") == 0.5
    assert (direct.load("b2") == LARGE).all()
    assert (direct.load("b3") == SEVERAL_PARTS).all()
    assert direct.references(("a",)) == {"": "a1"}


@pytest.mark.parametrize("fault", ["busy", "request cut", "answer cut"])
def test_what_never_passes_is_an_error_that_says_where_and_how_often(
    server: Server, proxy: Proxy, fault: str
) -> None:
    """For each kind of request; and what was there is still there."""
    place = fill(server)
    store = open_over(proxy, place, 3)
    for name, (requests, use) in USES.items():
        if fault == "answer cut" and name in {"put", "put an object"}:
            continue  # there is nothing in the answer that could be missed
        proxy.fail(fault, 1000, requests)
        with pytest.raises(
            StoreError, match=f"'{BUCKET}' at {proxy.url} cannot be used after 3 attempts: "
        ) as caught:
            use(store)
        assert OPTIONS["secret"] not in str(caught.value)
        assert max(proxy.seen.values()) == 3
    assert sorted(server.open(place).find_all(f"a{number}" for number in range(9))) == [
        f"a{n}" for n in range(8)
    ]


def test_the_waits_between_attempts_grow_up_to_a_bound(proxy: Proxy, monkeypatch) -> None:
    """So that a busy service is left alone."""
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    monkeypatch.setattr(buckets, "_LONGEST_WAIT", 1.0)
    proxy.fail("busy", 1000)
    with pytest.raises(StoreError, match="after 6 attempts: 503"):
        open_over(proxy, f"s3://{BUCKET}", 6).find("a1")
    assert [
        longest / 2 <= wait <= longest for wait, longest in zip(waits, (0.2, 0.4, 0.8, 1, 1), strict=True)
    ] == ([True] * 5)


def test_a_clock_that_is_wrong_changes_nothing(server: Server, monkeypatch) -> None:
    """What stands is decided by the service, and no time is written or compared; only signing asks for one."""
    store = server.open(unique_place())
    for shift in (0, -600, 600):  # services refuse signatures that are off by a quarter of an hour
        with monkeypatch.context() as patched:
            shifted = functools.partial(_now, shift)
            patched.setattr("botocore.auth.get_current_datetime", shifted)
            patched.setattr("time.time", lambda shift=shift: 1e9 + shift)
            assert store.put("a1", shift).provenance == {}
            store.refer(("a",), {"": f"k{shift}"})
            assert store.references(("a",)) == {"": f"k{shift}"}
            assert store.load("a1") == 0


def _now(shift: int, remove_tzinfo: bool = True) -> Any:
    import datetime

    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=shift)
    return now.replace(tzinfo=None) if remove_tzinfo else now


WRITER = f"""
import sys
import numpy as np
from workflow_assets.store import buckets
from workflow_assets.store.s3 import S3Store

buckets._PART = 5 << 20
store = S3Store(sys.argv[1], endpoint_url=sys.argv[2], options={OPTIONS!r})
store.put("a1", np.arange(1_400_000.0))
"""


def test_who_is_killed_while_sending_parts_leaves_nothing(server: Server, proxy: Proxy) -> None:
    """And the next one stores the datum."""
    place = unique_place()
    proxy.fail("no answer", 1000, "partNumber=2")
    child = subprocess.Popen([sys.executable, "-c", WRITER, place, proxy.url])
    try:
        assert proxy.met.wait(60)
    finally:
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    store = server.open(place)
    assert store.find("a1") is None
    assert not list(store.keys())
    assert not list(store._bucket.entries(""))
    value = np.arange(1_400_000.0)
    assert (store.load(store.put("a1", value)) == value).all()

"""How long a store in a bucket takes to plan: to find 20,000 datums of 100,000, and to list the keys of all.

Every tenth datum is an object of 2.6 KB, the others are inside their records, of 680 bytes each; runs have left packs.
Each figure is the median of five, with the least and the greatest, and each is measured in a fresh process: the first
connection and the making of the client are in it, imports are not. Beside it stands the most memory that the process
has held, and what it held before.

Without a place, the server of the tests is started on this machine, and filled, which takes some minutes. A place that
is filled already is used as it is; credentials come from the environment.

``--quick`` shows in seconds that everything works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workflow_assets.store.codecs import encode
from workflow_assets.store.s3 import S3Store

ROUNDS = 5
PROVENANCE = {
    "step": "score",
    "code": "a" * 64,
    "inputs": {"model": "b" * 64, "data": "c" * 64},
    "seconds": 0.25,
    "commit": "d" * 40,
    "host": "worker-1",
    "started": "2025-01-01T00:00:00+00:00",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("place", nargs="?", help="s3://bucket/prefix of an empty place, or one filled before")
    parser.add_argument("--endpoint", help="the service, if it is not Amazon's")
    parser.add_argument("--quick", action="store_true", help="show that everything works")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    stored = 2_000 if given.quick else 100_000
    if given.measure:
        measure(S3Store(given.place, endpoint_url=given.endpoint), given.measure, stored)
        return
    with served(given.place, given.endpoint) as (place, endpoint):
        fill(place, endpoint, stored)
        print(
            f"{'of ' + format(stored, ','):>24} {'median':>8} {'least':>8} {'greatest':>8}   {'memory':>16}"
        )
        for what in ("find_all", "find_all of none", "keys"):
            report(what, place, endpoint, given.quick)


def report(what: str, place: str, endpoint: str, quick: bool) -> None:
    command = [sys.executable, __file__, place, "--endpoint", endpoint, "--measure", what]
    command += ["--quick"] * quick
    figures = [json.loads(subprocess.check_output(command)) for _ in range(ROUNDS)]
    seconds = sorted(figure["seconds"] for figure in figures)
    memory = max(figure["after"] for figure in figures)
    print(
        f"{what:>24} {statistics.median(seconds):7.2f}s {seconds[0]:7.2f}s {seconds[-1]:7.2f}s   "
        f"{memory:5} MB, {figures[0]['before']:4} before"
    )


def measure(store: S3Store, what: str, stored: int) -> None:
    """Do one thing in this process, and print what it took."""
    import botocore.session  # noqa: F401 - an import is not what is measured

    keys = [key_of(number if what == "find_all" else -number - 1) for number in range(0, stored, 5)]
    before, start = memory(), time.perf_counter()
    if what == "keys":
        count, expected = len(list(store.keys())), stored
    else:
        count, expected = len(store.find_all(keys)), len(keys) if what == "find_all" else 0
    seconds = time.perf_counter() - start
    if count != expected:
        raise SystemExit(f"{what} gave {count} of {expected}")
    print(json.dumps({"seconds": seconds, "before": before, "after": memory()}))


def memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


@contextmanager
def served(place: str | None, endpoint: str | None) -> Iterator[tuple[str, str]]:
    """Give a place, on a server that is started for it if none was named."""
    if place is not None:
        yield place, endpoint or ""
        return
    from workflow_assets_tests.conformance.buckets import BUCKET, OPTIONS, serving

    os.environ |= {"AWS_ACCESS_KEY_ID": OPTIONS["key"], "AWS_SECRET_ACCESS_KEY": OPTIONS["secret"]}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        yield f"s3://{BUCKET}/benchmark", server.url


def fill(place: str, endpoint: str, stored: int) -> None:
    """Store what is not stored yet, as the processes of a run do."""
    if next(S3Store(place, endpoint_url=endpoint).keys(), None) is not None:
        return
    start = time.perf_counter()
    parts = [(place, endpoint, first, min(first + 5000, stored)) for first in range(0, stored, 5000)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(fill_part, parts))
    print(f"filled in {time.perf_counter() - start:.0f} s")


def fill_part(part: tuple[str, str, int, int]) -> None:
    place, endpoint, first, last = part
    store = S3Store(place, endpoint_url=endpoint)

    def put(number: int) -> None:
        value: Any = key_of(number) * 41 if number % 10 == 0 else number / 7
        encoded = encode(value, pickles=False)
        store.put_encoded(key_of(number), encoded, metrics={"accuracy": number / 7}, provenance=PROVENANCE)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(first, last)))
    store.refer(("benchmark",), {str(first): key_of(first)})


def key_of(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


if __name__ == "__main__":
    main()

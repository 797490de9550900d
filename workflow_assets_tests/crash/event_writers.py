"""Starts processes that write to the embedded event log: copies of this one, which has imported all that they need."""

from __future__ import annotations

import os
import sys

from workflow_assets.orchestration.event_logs import EmbeddedEventLog
from workflow_assets_tests.orchestration.happenings import materialised

BATCH = 20


def write(folder: str, run: str, batches: int) -> None:
    """Write batches of a run's materialisations."""
    log = EmbeddedEventLog(folder)
    for batch in range(batches):
        numbers = range(batch * BATCH, (batch + 1) * BATCH)
        log.store_event_batch([materialised(run, number, partition=f"{number}|{run}") for number in numbers])
    log.dispose()


def main() -> None:
    """Start a writer for each line that names a folder, a run and batches; tell its id. An empty line awaits them."""
    writers: list[int] = []
    for line in sys.stdin:
        if not line.strip():
            print(*[os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]) for writer in writers], flush=True)
            writers.clear()
            continue
        folder, run, batches = line.split()
        writer = os.fork()
        if not writer:
            write(folder, run, int(batches))
            sys.exit()
        writers.append(writer)
        print(writer, flush=True)


if __name__ == "__main__":
    main()

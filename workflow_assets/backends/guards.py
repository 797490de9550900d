"""Guards: shells that outlive a run which is killed, to end what its workers have started and to clear up after it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from contextlib import suppress

# What it is told last counts. It is told nothing more when the run's process is gone, however that ended.
_SCRIPT = """
trap '' HUP INT TERM
groups=
while read -r line; do groups=$line; done
for group in $groups; do kill -9 "-$group"; done
rm -rf -- "$1"
"""


class Guard:
    """Kills groups of processes and deletes a folder, unless `close` is called.

    The kernel ends the workers of a run that is killed, before they could end the programs that their steps have
    started: those are in the group of the worker.

    Args:
        folder: what is deleted, in any case.
    """

    def __init__(self, folder: str) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "workflow_assets guard", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # whoever kills the run by its group, or closes its terminal, does not mean us
        )

    def watch(self, groups: Iterable[int]) -> None:
        """Say which groups there are now."""
        assert self._shell.stdin is not None
        with suppress(BrokenPipeError):
            self._shell.stdin.write(f"{' '.join(map(str, groups))}\n".encode())
            self._shell.stdin.flush()

    def close(self) -> None:
        """End it: nothing is left to be killed."""
        self.watch([])
        assert self._shell.stdin is not None
        with suppress(BrokenPipeError):
            self._shell.stdin.close()
        self._shell.wait()

"""Guards: shells that outlive a run which is killed, to end what its workers have started and to clear up after it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress

# What it is told last counts. It is told nothing more when the run's process is gone, however that ended.
_SCRIPT = """
trap '' HUP INT TERM
groups=
while read -r line; do groups=$line; done
[ "$groups" = over ] && exit
for group in $groups; do kill -9 "-$group"; done
rm -rf -- "$@"
"""


class Guard:
    """Kills groups of processes and deletes folders, unless `close` is called.

    The kernel ends the workers of a run that is killed, before they could end the programs that their steps have
    started: those are in the group of the worker.

    Args:
        folders: of the run's own.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "workflow_assets guard", *folders],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # whoever kills the run by its group, or closes its terminal, does not mean us
        )
        assert self._shell.stdin is not None
        self._pipe = self._shell.stdin

    def watch(self, groups: Iterable[int]) -> None:
        """Say which groups there are now."""
        self._tell(" ".join(map(str, groups)))

    def close(self) -> None:
        """End it: the run clears up itself."""
        self._tell("over")
        self._pipe.close()
        self._shell.wait()

    def _tell(self, line: str) -> None:
        with suppress(BrokenPipeError):
            self._pipe.write(f"{line}\n".encode())

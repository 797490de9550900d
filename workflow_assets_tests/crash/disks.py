"""Disks that are full, and folders that cannot be written: real ones, where the tests may mount them."""

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _mounted(*arguments: str) -> bool:
    if os.geteuid() != 0:
        return False
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Give a folder that is a disk of its own, of so many kilobytes."""
    folder.mkdir()
    if not _mounted("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)):
        pytest.skip("only who may mount a file system can have a full one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """Make a folder, and all in it, read-only for everybody."""
    if os.geteuid() != 0:
        folders = [path for path in [folder, *folder.rglob("*")] if path.is_dir()]
        for path in folders:
            path.chmod(stat.S_IRUSR | stat.S_IXUSR)
        try:
            yield folder
        finally:
            for path in folders:
                path.chmod(stat.S_IRWXU)
        return
    if not _mounted("--bind", str(folder), str(folder)):
        pytest.skip("root writes anywhere, and may not mount a folder read-only here")
    try:
        if not _mounted("-o", "remount,bind,ro", str(folder)):
            pytest.skip("root writes anywhere, and may not mount a folder read-only here")
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)

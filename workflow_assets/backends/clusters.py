"""Dask clusters: on this machine, or at an address."""

from __future__ import annotations

from dataclasses import dataclass

from workflow_assets.backends.base import Capabilities, Pool
from workflow_assets.tasks import Setup


@dataclass(frozen=True)
class Dask:
    """Runs cells on a Dask cluster."""

    address: str | None = None
    workers: int | None = None
    name = "dask"
    capabilities = Capabilities(counts=True)

    def limits(self) -> str:
        """Say what it cannot do."""
        return ""

    def open(self, setup: Setup) -> Pool:
        """Connect."""
        raise NotImplementedError

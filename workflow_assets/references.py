"""References: which datum each partition of an asset holds, noted while a run goes on."""

from __future__ import annotations

import time

from workflow_assets.store.base import Asset, Store

AT_ONCE = 2_000
"""How many cells may pass before their references are written down."""

PATIENCE = 30.0
"""Seconds that may: until then, what a killed run has computed is garbage to a collector."""


class References:
    """Notes which datum each partition holds, and writes down what changed, many at a time."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.held: dict[Asset, dict[str, str]] = {}
        self.pending: dict[Asset, dict[str, str]] = {}
        self.cells = 0
        self.written = time.monotonic()

    def note(self, asset: Asset, partition: str, key: str) -> None:
        """Note the datum that a partition of an asset holds, or with "" one that has none."""
        if asset not in self.held:
            self.held[asset] = self.store.references(asset)
        if self.held[asset].get(partition) != key:
            self.held[asset][partition] = key
            self.pending.setdefault(asset, {})[partition] = key

    def cell_done(self) -> None:
        """Write down what is pending, now and then."""
        self.cells += 1
        if self.cells % AT_ONCE == 0 or time.monotonic() - self.written > PATIENCE:
            self.write()

    def write(self) -> None:
        """Write down what is pending."""
        pending, self.pending = self.pending, {}
        self.written = time.monotonic()
        for asset, keys in pending.items():
            self.store.refer(asset, keys)

"""Faults of a declaration: all are told together, each of them once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator


class Faults:
    """Collects sentences. What has a key is told once, whatever words it is told in.

    >>> faults = Faults()
    >>> faults.add("it has no steps")
    >>> faults.add("'C' is too large", "C", "value")
    >>> faults.add("treatment 'weak': 'C' is too large", "C", "value")
    >>> list(faults)
    ['it has no steps', "'C' is too large"]
    """

    def __init__(self, faults: Iterable[str] = ()) -> None:
        self._told: dict[Hashable, str] = {}
        self.extend(faults)

    def add(self, text: str, *key: Hashable) -> None:
        """Note a fault, unless the same one is known."""
        self._told.setdefault(key or text, text)

    def extend(self, texts: Iterable[str]) -> None:
        """Note several faults."""
        for text in texts:
            self.add(text)

    def __iter__(self) -> Iterator[str]:
        return iter(self._told.values())

    def __len__(self) -> int:
        return len(self._told)

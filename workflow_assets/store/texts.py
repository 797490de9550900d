"""Long texts as ``.txt`` and bytes as ``.bin``: nothing but the text or the bytes themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workflow_assets.store.formats import LONG, Buffer


class TextCodec:
    """Texts of more than 2 KB in UTF-8; shorter ones, and halves of characters, are JSON."""

    name = "text"
    extension = "txt"

    def accepts(self, value: Any) -> bool:
        """Tell whether it is a long text."""
        return type(value) is str and len(value) > LONG

    def encode(self, value: Any) -> Sequence[Buffer] | None:
        """Give the text in UTF-8; None for one with half a character."""
        try:
            return (value.encode(),)
        except UnicodeEncodeError:
            return None

    def decode(self, data: Buffer) -> Any:
        """Give the text."""
        return str(data, "utf-8")

    def copy(self, value: Any) -> Any:
        """Give the text itself, which nobody can change."""
        return value


class BytesCodec:
    """Bytes of more than 2 KB as they are; shorter ones are JSON."""

    extension = "bin"

    def __init__(self, kind: type[bytes | bytearray]) -> None:
        self.name = kind.__name__
        self._kind = kind

    def accepts(self, value: Any) -> bool:
        """Tell whether they are bytes of that kind, and many."""
        return type(value) is self._kind and len(value) > LONG

    def encode(self, value: Any) -> Sequence[Buffer] | None:
        """Give the bytes themselves."""
        return (value,)

    def decode(self, data: Buffer) -> Any:
        """Give the bytes."""
        return self._kind(data)

    def copy(self, value: Any) -> Any:
        """Give the bytes themselves where nobody can change them."""
        return value if self._kind is bytes else None

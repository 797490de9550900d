"""What a store knows of a datum, and how that is written: as a line of JSON, with a digest of the line."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import xxhash

from workflow_assets.errors import CodecError, StoreError
from workflow_assets.store.codecs import Buffer, installed_version
from workflow_assets.store.trees import Reader, Writer, from_json, plain_to_json, to_json

_NOTHING: Mapping[str, Any] = {}


class Record(NamedTuple):
    """What is known of a datum: where its bytes are, what they should be, and what was recorded when it was made.

    `inline` holds the bytes of a small value, `location` names the object that holds those of a large one.
    `provenance` says how the value came to be; `metrics` are replayed whenever the datum is used again. `signature`
    tells whose pickle it is, if it is one.
    """

    key: str
    codec: str
    digest: str
    size: int
    inline: bytes | None = None
    location: str | None = None
    metrics: Mapping[str, Any] = _NOTHING
    records: tuple[tuple[str, Any, Mapping[str, Any]], ...] = ()
    provenance: Mapping[str, Any] = _NOTHING
    signature: str = ""

    @property
    def current(self) -> bool:
        """Whether its pickles, if any, were made by the library versions that would read them now."""
        libraries = self.provenance.get("libraries")
        return not libraries or all(_is_current(name, version) for name, version in libraries.items())

    @property
    def seconds(self) -> float:
        """How long the step took when the datum was made."""
        return float(self.provenance.get("seconds", 0.0))


def _is_current(library: str, version: str) -> bool:
    installed = installed_version(library)
    # What follows a "+" tells builds of one version apart, and not every library tells it everywhere.
    return installed is None or installed.partition("+")[0] == version.partition("+")[0]


def content_digest(pieces: Iterable[Buffer]) -> str:
    """Give the integrity digest of bytes: it finds flipped bits, it does not resist an adversary."""
    if isinstance(pieces, tuple) and len(pieces) == 1:
        return xxhash.xxh3_128_hexdigest(pieces[0])
    state = xxhash.xxh3_128()
    for piece in pieces:
        state.update(piece)
    return state.hexdigest()


_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


def checked(name: str) -> str:
    """Give the name of a datum or object; raise `StoreError` for one that could lead elsewhere.

    >>> checked("3f2a")
    '3f2a'
    """
    if not is_name(name):
        raise StoreError(
            f"{name!r} is no name of a datum or object: expected up to 200 letters and digits of ASCII, with '.', '_' "
            "and '-' between them"
        )
    return name


def is_name(name: str) -> bool:
    """Whether something can be the name of a datum or object, and lead nowhere else."""
    return _NAME.fullmatch(name) is not None


# -- records ----------------------------------------------------------------------------------------------------------


def record_to_bytes(record: Record) -> bytes:
    """Give the file that holds a record; raise `CodecError` where what was recorded is no plain value."""
    # Names need no quoting.
    head = f'{{"key":"{record.key}","codec":"{record.codec}","digest":"{record.digest}","size":{record.size}'
    if record.location is not None:
        head += f',"location":"{record.location}"'
    elif record.inline is not None and record.codec != "json":
        head += f',"inline":"{record.inline.hex()}"'
    if record.signature:
        head += f',"signature":"{record.signature}"'
    content: dict[str, Any] = {"metrics": record.metrics}
    if record.records:
        content["records"] = [list(one) for one in record.records]
    content["provenance"] = record.provenance
    text = f"{head},{(plain_to_json(content) or _marked(record.key, content))[1:]}"
    if record.inline is not None and record.codec == "json":
        text = f'{text[:-1]},"value":{record.inline.decode()}}}'  # as it is, for other tools to read
    data = text[:-1].encode()
    return data + _sealed(data)


_BEFORE, _AFTER = b',"checksum":"', b'"}'
_SEAL = len(_BEFORE) + 32 + len(_AFTER)


def _sealed(data: Buffer) -> bytes:
    """Give what follows the bytes of a line: their checksum, as the last member."""
    return b"%b%b%b\n" % (_BEFORE, xxhash.xxh3_128_hexdigest(data).encode(), _AFTER)


def is_sealed(line: bytes) -> bool:
    """Whether a line, without its end, was written to its end: it has a checksum, right or wrong."""
    return line.endswith(_AFTER) and line.startswith(_BEFORE, len(line) - _SEAL)


def _marked(key: str, content: dict[str, Any]) -> str:
    """Give the text of a record whose metrics JSON has no words for, such as NaN."""

    def refuse(value: Any, place: str) -> Any:
        raise CodecError(
            f"{place} of the datum {key} is a {type(value).__qualname__}: what is recorded beside a value is numbers "
            "and text"
        )

    return to_json(Writer(refuse).write(content))


def record_from_bytes(key: str, data: bytes) -> Record | None:
    """Read a record; None if these are not the bytes that were written under the key."""
    text = data[: -_SEAL - 1]
    if data[-_SEAL - 1 :] != _sealed(text):
        return None
    try:
        content = from_json(text + b"}")
        location = content.get("location")
        if content["key"] != key or not (location is None or _belongs(location, key)):
            return None
        inline = bytes.fromhex(content["inline"]) if "inline" in content else None
        if "value" in content:
            inline = text[-content["size"] :]
        read = Reader().read if b'"$' in text else _same
        return Record(
            key,
            content["codec"],
            content["digest"],
            content["size"],
            inline,
            location,
            read(content["metrics"]),
            _tagged_metrics(read(content.get("records", ()))),
            read(content["provenance"]),
            content.get("signature", ""),
        )
    except (LookupError, TypeError, ValueError, CodecError):  # a digest, but of something else
        return None


def _belongs(location: str, key: str) -> bool:
    """Whether this is the name of an object of the datum: no path, and not what another datum holds."""
    return is_name(location) and location.startswith(f"{key}.")


def _same(tree: Any) -> Any:
    return tree


def _tagged_metrics(content: Any) -> tuple[tuple[str, Any, Mapping[str, Any]], ...]:
    return tuple((name, value, tags) for name, value, tags in content)


# -- journals of references -------------------------------------------------------------------------------------------

Held = dict[str, list[tuple[int, str]]]
"""For each partition, which data it held: the number under which it was noted, and the key, "" for none."""


def latest(held: Held) -> dict[str, str]:
    """Give the key of the datum that each partition holds: the highest number wins.

    >>> latest({"a": [(2, "k2"), (1, "k1")], "b": [(1, "k1"), (2, "")]})
    {'a': 'k2'}
    """
    return {partition: key for partition, notes in held.items() if (key := max(notes)[1])}


def versions(notes: Iterable[tuple[int, str]]) -> list[str]:
    """Give the keys that a partition has held, each once, the present one last.

    >>> versions([(1, "k1"), (3, "k1"), (2, "k2")])
    ['k2', 'k1']
    """
    keys: dict[str, None] = {}
    for _, key in sorted(notes):
        if key:
            keys.pop(key, None)
            keys[key] = None
    return list(keys)


def trimmed(held: Held, count: int) -> Held:
    """Give the journal of the last versions of each partition."""
    kept: Held = {}
    for partition, notes in held.items():
        last = versions(notes)[-count:]
        newest = max(notes)
        kept[partition] = sorted({max(note for note in notes if note[1] == key) for key in last} | {newest})
    return kept


LONGEST_JOURNAL = 64
"""How many files a journal may have before they are merged."""

_JOURNAL = re.compile(r"\d{8,}-[0-9a-f-]+\.jsonl")


def journal_name(number: int, writer: str) -> str:
    """Name a file of a journal; `writer` tells two of one number apart.

    >>> journal_name(7, "c0ffee-1")
    '00000007-c0ffee-1.jsonl'
    """
    return f"{number:08d}-{writer}.jsonl"


def journal_number(name: str) -> int:
    """Give the number that a file of a journal was written under."""
    return int(name.partition("-")[0])


def is_journal(name: str) -> bool:
    """Whether this is the name of a file of a journal."""
    return _JOURNAL.fullmatch(name) is not None


def folder_name(part: str) -> str:
    """Quote a part of an asset's name, so that it is one name in any folder, and no other part's."""
    # "." is quoted too, so that no part can mean the folder above.
    quoted = urllib.parse.quote(part, safe="", errors="surrogatepass").replace(".", "%2E")
    if len(quoted) > 200:
        return f"{quoted[:160]}.{xxhash.xxh3_128_hexdigest(part.encode(errors='surrogatepass'))}"
    return quoted or "%"


def journal_to_bytes(held: Held) -> bytes:
    """Give the lines of a journal: partition, key of a datum that it held, number, digest of these."""
    lines = []
    for partition, notes in held.items():
        for number, key in notes:
            text = json.dumps([partition, key, number])
            lines.append(f'{text[:-1]}, "{xxhash.xxh32_hexdigest(text.encode())}"]\n')
    return "".join(lines).encode()


def journal_from_bytes(data: Buffer, held: Held) -> None:
    """Add what a journal says to what is known; a line that is torn or damaged says nothing."""
    data = bytes(data)
    try:
        lines = from_json(b"[%b]" % data.strip().replace(b"\n", b","))
    except ValueError:
        lines = [line for text in data.split(b"\n") if (line := _parsed(text)) is not None]
    for line in lines:
        if isinstance(line, list) and len(line) == 4:
            *content, digest = line
            if digest == xxhash.xxh32_hexdigest(json.dumps(content).encode()):
                partition, key, number = content
                notes = held.setdefault(partition, [])
                if (number, key) not in notes:
                    notes.append((number, key))


def _parsed(text: bytes) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return None

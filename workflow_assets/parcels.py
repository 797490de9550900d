"""Parcels: several files as one zip archive, whose manifest has the digest of each; safe to read whoever wrote it.

Nothing is unpacked to disk and nothing is executed: files are bytes, of bounded size, by their names.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from workflow_assets.errors import BundleError, excerpt, listing
from workflow_assets.findings import read_strict, strict_json

MANIFEST = "manifest.json"
FORMAT, SCHEMA = "workflow_assets bundle", 1

MOST_BYTES = 1 << 30
"""Of all files together, however well they are compressed."""
MOST_FILES = 5_000

_UNREADABLE = (EOFError, NotImplementedError, OSError, ValueError, struct.error)
"""What reading an archive may raise besides, whose directory is damaged."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first time that a zip archive can tell: the same files are the same archive whenever it is written."""


class Parcel(NamedTuple):
    """The files of an archive, by name, and the digest of all of them: that of the manifest."""

    files: Mapping[str, bytes]
    digest: str


def write_parcel(path: str | os.PathLike[str], files: Mapping[str, bytes]) -> Path:
    """Write files and their manifest as an archive, whole or not at all; the same files give the same bytes.

    (With the same zlib: the digest of the manifest depends on the files only.)
    """
    told = {name: {"sha256": _sha256(files[name]), "bytes": len(files[name])} for name in sorted(files)}
    manifest = {"format": FORMAT, "schema": SCHEMA, "files": told}
    whole = {**files, MANIFEST: (json.dumps(manifest, indent=1) + "\n").encode()}
    if len(whole) > MOST_FILES or sum(map(len, whole.values())) > MOST_BYTES:
        raise BundleError(f"{os.fspath(path)!r} would hold {_size(whole)}: {_LIMITS}; bundle fewer cells")
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(draft, "w") as archive:
            for name in sorted(whole):
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.create_system = 3  # one system's name everywhere
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, whole[name])
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


_LIMITS = f"at most {MOST_FILES:,} files of {MOST_BYTES:,} bytes together are read"


def read_parcel(path: str | os.PathLike[str]) -> Parcel:
    """Read an archive whose every file is what its manifest says.

    Raises `BundleError` that names what is damaged, missing, too many, too large or of an unknown version, and
    `OSError` where there is no such file.
    """
    named = repr(os.fspath(path))
    if Path(path).stat().st_size > MOST_BYTES:
        raise BundleError(f"{named} is too large: {_LIMITS}")
    data = Path(path).read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = _members(archive, named)
    except BundleError:
        raise
    except (*_UNREADABLE, zipfile.BadZipFile, zlib.error) as error:
        raise BundleError(f"{named} is no whole zip archive ({error}): copy or write it again") from None
    if MANIFEST not in files:
        raise BundleError(
            f"{named} is no bundle: it has no {MANIFEST}; give what result.bundle() has written"
        )
    manifest = read_json(MANIFEST, files[MANIFEST])
    try:
        _check(manifest, {name: data for name, data in files.items() if name != MANIFEST})
    except BundleError as error:
        raise BundleError(f"{named}: {error}") from None
    return Parcel({name: data for name, data in files.items() if name != MANIFEST}, _sha256(files[MANIFEST]))


def read_json(name: str, data: bytes) -> Any:
    """Read a file as strict JSON; raise `BundleError` for what is none."""
    try:
        return read_strict(data.decode())
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name} is damaged: it is no valid JSON ({error})") from None


def to_json(value: Any, indent: int | None = 1) -> bytes:
    """Write a value as strict JSON, by default to be read by people too."""
    return (strict_json(value, indent) + "\n").encode()


def _members(archive: zipfile.ZipFile, named: str) -> dict[str, bytes]:
    entries = archive.infolist()
    if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise BundleError(f"{named} is too large: {_LIMITS}")
    files: dict[str, bytes] = {}
    for entry in entries:
        name = entry.filename
        if name in files:
            raise BundleError(f"{named} holds {excerpt(name)} twice")
        if (
            not name
            or name.startswith("/")
            or "\\" in name
            or ":" in name
            or {"", ".", ".."} & {*name.split("/")}
        ):
            raise BundleError(f"{named} holds {excerpt(name)}, which is no plain name of a file")
        if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleError(
                f"{named} holds {excerpt(name)} encrypted, or compressed in a way that bundles are not"
            )
        with archive.open(entry) as file:
            # Asked for all that is there, it would inflate more than the entry says that it holds.
            files[name] = file.read(entry.file_size + 1)
    return files


def _check(manifest: Any, files: Mapping[str, bytes]) -> None:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{MANIFEST} is not that of a bundle: expected the format {FORMAT!r}")
    if manifest.get("schema") != SCHEMA:
        raise BundleError(
            f"the bundle has the schema {excerpt(manifest.get('schema'))}, and this version of workflow_assets reads "
            f"{SCHEMA}: read it with the version that wrote it"
        )
    told = manifest.get("files")
    if not isinstance(told, dict):
        raise BundleError(f"{MANIFEST} is damaged: it names no files")
    if missing := [name for name in told if name not in files]:
        raise BundleError(f"the bundle is incomplete: {listing(missing)} is missing")
    if more := [name for name in files if name not in told]:
        raise BundleError(f"the bundle holds {listing(more)}, which its manifest does not name")
    changed = [
        name for name, data in files.items() if told[name] != {"sha256": _sha256(data), "bytes": len(data)}
    ]
    if changed:
        raise BundleError(f"{listing(changed)} is not what was written: the digest differs")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _size(files: Mapping[str, bytes]) -> str:
    return f"{len(files):,} files of {sum(map(len, files.values())):,} bytes"

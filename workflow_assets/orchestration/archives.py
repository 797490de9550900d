"""Archives: results written as bundles into a folder, by the run that made them."""

import os
from pathlib import Path
from typing import Any

import dagster as dg

from workflow_assets.errors import excerpt
from workflow_assets.parcels import read_parcel
from workflow_assets.results import Result


def folder_fault(folder: Any) -> str | None:
    """Say why archives cannot be written there; None where nothing is wrong that can be seen beforehand."""
    if not isinstance(folder, str | os.PathLike) or not os.fspath(folder):
        return f"bundles = {excerpt(folder)}: expected a folder, such as 'archives'"
    if "://" in os.fspath(folder):
        return (
            f"bundles = {excerpt(os.fspath(folder))}: expected a folder; archives are not written to buckets"
        )
    return None


def archive_metadata(result: Result, folder: str | os.PathLike[str]) -> tuple[dict[str, Any], list[str]]:
    """Write results as a bundle, and give the metadata that tell of it, and why it could not be written.

    The results are stored by then, whatever happens here.
    """
    try:
        if fault := folder_fault(folder):
            raise ValueError(fault)
        path, digest = _write(result, Path(folder).expanduser().absolute())
    except Exception as error:  # noqa: BLE001 - whatever it is, the results stand
        reason = f"the bundle was not written to {os.fspath(folder)!r} ({type(error).__name__}: {error})"
        return {"bundle": reason}, [f"The results are stored; {reason}"]
    return {"bundle": dg.MetadataValue.path(str(path)), "bundle digest": digest}, []


def _write(result: Result, folder: Path) -> tuple[Path, str]:
    """Write the bundle under a name that has its digest, so that none takes the place of another."""
    name = result.declaration.name
    folder.mkdir(parents=True, exist_ok=True)
    draft = result.bundle(folder / f".{name}.{os.getpid()}.zip")
    try:
        digest = read_parcel(draft).digest
        path = folder / f"{name}-{digest[:16]}.zip"
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path, digest

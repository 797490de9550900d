"""Members: what a code location holds, experiments and workflows, declared in Python or read from documents."""

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from workflow_assets.declarations import Declaration
from workflow_assets.documents import from_document
from workflow_assets.errors import DeclarationError, DocumentError, excerpt
from workflow_assets.experiments import Experiment
from workflow_assets.orchestration.pools import pool_of
from workflow_assets.registries import Registry
from workflow_assets.sources import AssetSource, Given, Source
from workflow_assets.workflows import SingleRun, Workflow

logger = logging.getLogger("workflow_assets")

ENDINGS = (".json", ".yaml", ".yml")
"""Which files of a folder are documents."""

DOCUMENTS = "documents"
READABLE = "readable"

Member = Experiment | Workflow
Sources = dict[tuple[str, ...], tuple[Source[Any], Declaration]]


class Members:
    """The experiments and workflows of a code location, of which no two get into each other's way."""

    def __init__(self) -> None:
        self.declarations: dict[str, Declaration] = {}
        self.experiments: list[Experiment] = []
        self.workflows: list[Workflow] = []
        self._sources: Sources = {}

    def add(self, member: Any) -> list[str]:
        """Take a member, unless there are faults; give these."""
        if not isinstance(member, Experiment | Workflow):
            kind = type(member).__qualname__
            return [f"{excerpt(member)} is a {kind}, not an experiment and no workflow either"]
        kind = _kind(member)
        if member.name in self.declarations:
            other = "workflow" if isinstance(self.declarations[member.name], SingleRun) else "experiment"
            both = f"two {kind}s are" if other == kind else "an experiment and a workflow are both"
            return [f"{both} called {member.name!r}"]
        declaration = member if isinstance(member, Experiment) else SingleRun.of(member)
        found: Sources = {}
        faults = []
        for source in declaration.sources.values():
            if isinstance(source, AssetSource):
                continue
            known, reader = self._sources.get(source.asset, (source, declaration))
            found[source.asset] = known, reader
            if known is not source:
                faults.append(
                    f"experiments {reader.name!r} and {member.name!r} read different sources called {source.name!r}; "
                    "they would be one asset: rename one of them"
                )
        if not faults:
            self._sources |= found
            self.declarations[member.name] = declaration
            if isinstance(member, Experiment):
                self.experiments.append(member)
            else:
                self.workflows.append(member)
        return faults

    @property
    def sources(self) -> Sources:
        """The sources by the keys of their assets, but for inputs of workflows that are members themselves."""
        own = {workflow.name for workflow in self.workflows}
        return {
            asset: found
            for asset, found in self._sources.items()
            if not (isinstance(found[0], Given) and found[0].owner in own)
        }


def _kind(member: Member) -> str:
    return "experiment" if isinstance(member, Experiment) else "workflow"


@dataclass(frozen=True)
class BadDocument:
    """A document that could not be read, and why: the place of each fault, and a sentence."""

    file: Path
    faults: tuple[tuple[str, str], ...] = field(repr=False)

    def __str__(self) -> str:
        return "\n".join([f"{self.file} is left out:", *(f"  {path}: {text}" for path, text in self.faults)])

    def table(self) -> dg.MetadataValue[str]:
        """Give the faults as a table for Dagster's UI."""
        rows = [f"| `{path}` | {text.replace('|', '/')} |" for path, text in self.faults]
        return dg.MetadataValue.md("\n".join(["| place | fault |", "| --- | --- |", *rows]))


def files_of(documents: str | Path) -> list[Path]:
    """Give the documents in a folder, or the one that a file is.

    Raises `DeclarationError` where there is neither.
    """
    place = Path(documents)
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DeclarationError(
            "to_dagster", [f"documents = {str(place)!r} is no folder: make it, or name another"]
        )
    return sorted(file for file in place.iterdir() if file.suffix in ENDINGS and file.is_file())


def read_documents(
    files: Iterable[Path], registry: Registry, members: Members, pool: str | None = None
) -> Iterator[BadDocument]:
    """Add what documents declare to the members; give those that cannot be, and say so in the log."""
    for file in files:
        if faults := _added(file, registry, members, pool):
            bad = BadDocument(file, tuple(faults))
            logger.error("%s", bad)
            yield bad


def _added(file: Path, registry: Registry, members: Members, pool: str | None) -> list[tuple[str, str]]:
    """Read one document; whatever is wrong with it costs it alone."""
    try:
        member = from_document(file, registry)
        declaration = member if isinstance(member, Experiment) else SingleRun.of(member)
        faults = pool_of(declaration, pool)[1] or members.add(member)
    except DocumentError as error:
        return list(error.faults)
    except DeclarationError as error:
        faults = list(error.faults)
    except Exception as error:  # noqa: BLE001 - also a fault of our own must not take the others down
        faults = [f"{type(error).__qualname__}: {error}"]
    return [("$", fault) for fault in faults]


def document_assets(bad: BadDocument, registry: Registry) -> dg.AssetsDefinition:
    """Compile a document that could not be read: an asset that says why, and whose check fails.

    Materialising it reads the file again, and tells what is wrong now.
    """
    name = re.sub(r"\W", "_", bad.file.name, flags=re.ASCII)
    key = dg.AssetKey([DOCUMENTS, name])
    faults = "\n".join(f"- `{path}`: {text}" for path, text in bad.faults)
    spec = dg.AssetSpec(
        key,
        skippable=True,
        description=f"**The document {bad.file.name} could not be read**, so that what it declares is missing:\n\n"
        f"{faults}\n\nMend it, and reload the code location.",
        kinds={"document", "broken"},
        group_name=DOCUMENTS,
        metadata={"file": dg.MetadataValue.path(str(bad.file)), "faults": bad.table()},
    )
    check = dg.AssetCheckSpec(READABLE, asset=key, description="Whether the document can be read.")

    @dg.multi_asset(specs=[spec], check_specs=[check], name=f"{DOCUMENTS}__{name}")
    def read_again() -> Iterator[dg.AssetCheckResult]:
        faults = tuple(_added(bad.file, registry, Members(), None)) if bad.file.exists() else ()
        now = BadDocument(bad.file, faults or bad.faults)
        told = {"faults": now.table()} if faults else {}
        yield dg.AssetCheckResult(passed=not faults, asset_key=key, check_name=READABLE, metadata=told)
        if faults:
            raise dg.Failure(str(now), metadata=told, allow_retries=False)

    return read_again

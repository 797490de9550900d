"""Dossiers: all that is known of a result, as files from which its verdicts can be judged again without its code."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from workflow_assets.arms import Arm, FindArm
from workflow_assets.declarations import Declaration
from workflow_assets.errors import BundleError, WorkflowAssetsError, excerpt
from workflow_assets.fingerprint import Fingerprint, fingerprint
from workflow_assets.judgements import judge
from workflow_assets.ledgers import Entry, Ledger
from workflow_assets.looks import Look
from workflow_assets.parcels import Parcel, read_json, to_json, write_parcel
from workflow_assets.provenance import run_key
from workflow_assets.reports import Report
from workflow_assets.store.base import MemoryStore, Store
from workflow_assets.studies import Asking, Study, study_dict
from workflow_assets.verdicts import Verdict

README = """{name}: what an experiment came to, and all that its verdicts rest on.

Judge every hypothesis again from the values in this archive, offline and without the experiment's code:

    python -m workflow_assets.bundles THIS_ARCHIVE.zip

(Needs the Python package workflow_assets, and no network. provenance.json tells the versions that judged it first.)

  cells.json            the values of every metric in every cell: what is judged
  results.csv           the same as a table for other programs; a missing value is empty
  study.json            hypotheses, families, treatments, replicates, seed
  verdicts.json         what was said about each hypothesis, with its flags
  preregistration.json  of a confirmation: what was declared before its data existed
  ledger.json           every run, look, override and audit that the experiment's store knows of
  provenance.json       versions, git commit, machines, and what each step was made of
  code/                 the code of every step, source and test of one's own, as their fingerprints have it
  report.html           the report, for a browser
  report.json           the report, for workflow_assets.Report.from_json
  manifest.json         the sha256 of every file

The digest of the manifest, which the command prints, tells this bundle from any other: publish it beside the results.
"""


class Cell(NamedTuple):
    """One cell: its metrics, or that it failed."""

    treatment: str
    replicate: str
    seed: int
    failed: bool
    metrics: Mapping[str, Any]


class Cells(NamedTuple):
    """All cells, a column for each thing that is known of them; a value that is missing is None."""

    treatment: Sequence[str]
    replicate: Sequence[str]
    seed: Sequence[int]
    failed: Sequence[bool]
    metrics: Mapping[str, Sequence[Any]]

    @classmethod
    def of(cls, cells: Sequence[Cell], metrics: Iterable[str]) -> Self:
        """Turn rows into columns."""
        return cls(
            treatment=[cell.treatment for cell in cells],
            replicate=[cell.replicate for cell in cells],
            seed=[cell.seed for cell in cells],
            failed=[cell.failed for cell in cells],
            metrics={name: [cell.metrics.get(name) for cell in cells] for name in metrics},
        )

    def check(self, study: Study) -> None:
        """Raise where these cannot be the cells of a study."""
        keys = set(study.replicates.keys)
        pairs = list(zip(self.treatment, self.replicate, strict=True))
        for treatment, replicate in pairs:
            if treatment not in study.treatments or replicate not in keys:
                raise ValueError(f"the study has no cell {excerpt(treatment)} × {excerpt(replicate)}")
        if len(set(pairs)) < len(pairs):
            raise ValueError("a cell is there twice")
        for name, kind in study.metrics.items():
            allowed = str if kind is str else int | float
            values = self.metrics[name]
            if len(values) != len(pairs) or not all(
                one is None or isinstance(one, allowed) for one in values
            ):
                raise ValueError(f"the values of {name!r} are not one {kind.__name__} for each cell")
        if not len(self.seed) == len(self.failed) == len(pairs):
            raise ValueError("columns differ in length")
        if not all(type(one) is int for one in self.seed) or not all(
            type(one) is bool for one in self.failed
        ):
            raise ValueError("seeds are whole numbers, and each cell has failed or not")

    def find(self, asking: Asking) -> FindArm:
        """Give what finds a metric's values under a treatment."""
        places: dict[str, list[int]] = {}
        for place, treatment in enumerate(self.treatment):
            places.setdefault(treatment, []).append(place)

        def arm(treatment: str, metric: str) -> Arm:
            column, here = self.metrics[metric], places.get(treatment, [])
            values = {self.replicate[place]: column[place] for place in here if column[place] is not None}
            failed = sum(self.failed[place] for place in here)
            return Arm(treatment, metric, values, len(asking.replicates), failed)

        return arm

    def csv(self) -> bytes:
        """Write a table: numbers with all their digits."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["treatment", "replicate", "status", "seed", *self.metrics])
        status = ["failed" if failed else "completed" for failed in self.failed]
        writer.writerows(
            zip(self.treatment, self.replicate, status, self.seed, *self.metrics.values(), strict=True)
        )
        return file.getvalue().encode("utf-8", "backslashreplace")

    def agrees(self, report: Report) -> bool:
        """Whether the table of a report, in which NaN is missing, has the same values."""
        table = {name: column["values"] for name, column in report.cells.items()}
        replicates = [f"{one:04d}" if isinstance(one, int) else one for one in table["replicate"]]
        return (
            list(self.treatment) == table["treatment"]
            and list(self.replicate) == replicates
            and all(
                [None if isinstance(one, float) and math.isnan(one) else one for one in values]
                == table.get(name)
                for name, values in self.metrics.items()
            )
        )


@dataclass(frozen=True)
class Dossier:
    """What judging again rests on, and what was said.

    `ledger` is None for results without a store, of which no ledger knows. `made` has for each step the key of each
    cell's datum and of the note on how it was made, `notes` those notes.
    """

    cells: Cells
    configuration: str
    ledger: Sequence[Entry] | None
    made: Mapping[str, Mapping[str, Sequence[str]]]
    notes: Mapping[str, Mapping[str, Any]]

    def judge(self, asking: Asking) -> dict[str, Verdict]:
        """Judge every hypothesis by the values, and flag what the ledger knows."""
        arm = self.cells.find(asking)
        verdicts = judge(asking, arm)
        if self.ledger is None:
            return verdicts
        store = MemoryStore()
        Ledger(store, asking.ledger_name).restore(self.ledger)
        keys: dict[str, dict[str, str]] = {}
        judged = {metric.partition(".")[0] for one in asking.hypotheses for metric in one.metrics}
        for slot in judged & self.made.keys() if asking.preregistration else ():
            keys[slot] = {cell: key for cell, (key, _) in self.made[slot].items()}
            for key, note in self.made[slot].values():
                store.put(key, None, provenance={"made": note})
        for key, said in self.notes.items():
            store.put(key, said)
        return Look(asking, store, self.configuration, arm, lambda: keys).seen(verdicts)


def write_bundle(
    path: str | os.PathLike[str],
    declaration: Declaration,
    cells: Sequence[Cell],
    report: Report,
    store: Store | None,
    configuration: str,
    keys: Mapping[str, Mapping[str, str]],
) -> Path:
    """Write all that is known of a result as one archive; the same result in the same store gives the same bytes.

    The report tells what is stored: nothing of it was computed now, and its time is that of the ledger's last entry.
    The verdicts are judged anew, by what the ledger knows now.
    """
    ledger = None if store is None else Ledger(store, declaration.ledger_name).entries()
    made, notes, runs = _made(store, keys)
    dossier = Dossier(Cells.of(cells, declaration.metrics), configuration, ledger, made, notes)
    verdicts = {name: verdict.as_dict() for name, verdict in dossier.judge(declaration).items()}
    still = dict(report.times)
    still["computed"] = {**still["computed"], "values": [False] * len(still["computed"]["values"])}
    report = dataclasses.replace(
        report,
        verdicts=verdicts,
        times=still,
        steps=[{**one, "computed": 0} for one in report.steps],
        made={**report.made, "time": ledger[-1].when if ledger else report.made["time"]},
    )
    from workflow_assets.pages import experiment_page

    files = {
        "README.txt": README.format(name=declaration.name).encode(),
        "study.json": to_json(study_dict(declaration)),
        "cells.json": to_json(dossier.cells._asdict(), None),
        "results.csv": dossier.cells.csv(),
        "verdicts.json": to_json(verdicts),
        "provenance.json": to_json(
            {
                "version": declaration.version(),
                "configuration": configuration,
                "judged": report.made,
                "runs": runs,
                "notes": notes,
                "made": made,
            }
        ),
        "ledger.json": to_json(None if ledger is None else [entry._asdict() for entry in ledger]),
        "report.json": report.to_json().encode(),
        "report.html": experiment_page(report).encode("utf-8", "backslashreplace"),
        **{f"code/{name}.txt": text for name, text in _code(declaration).items()},
    }
    if declaration.preregistration is not None:
        files["preregistration.json"] = to_json(declaration.preregistration.as_dict())
    return write_parcel(path, files)


class Opened(NamedTuple):
    """A bundle that was read: what was asked, what it rests on, what was said, and what does not fit together."""

    study: Study
    dossier: Dossier
    verdicts: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, str]
    contradictions: Sequence[str]


def open_bundle(parcel: Parcel) -> Opened:
    """Read what a bundle says.

    Raises `BundleError` naming a file that is missing, or whose content no result has.
    """
    files = parcel.files

    def held(name: str) -> Any:
        if name not in files:
            raise BundleError(f"the bundle is incomplete: {name!r} is missing")
        return read_json(name, files[name])

    with _reading("verdicts.json"):
        verdicts = held("verdicts.json")
        p_of = {name: one["p"] for name, one in verdicts.items()}
    with _reading("study.json"):
        declared = held("preregistration.json") if "preregistration.json" in files else None
        study = Study.from_dict(held("study.json"), declared, p_of)
    with _reading("cells.json"):
        cells = Cells(**held("cells.json"))
        cells.check(study)
    with _reading("ledger.json"):
        entries = held("ledger.json")
        ledger = None if entries is None else [Entry(**entry) for entry in entries]
    with _reading("provenance.json"):
        told = held("provenance.json")
        dossier = Dossier(cells, told["configuration"], ledger, told["made"], told["notes"])
        versions = dict(told["judged"]["versions"])
    with _reading("report.json"):
        held("report.json")
        report = Report.from_json(files["report.json"].decode())
        told = report.experiment
        same = (told["name"], told["seed"]) == (study.name, study.seed)
        same = same and list(report.treatments) == list(study.treatments)
        checks = {
            "report.json is of another study than study.json": same,
            "report.json has another table than cells.json": cells.agrees(report),
            "report.json has other verdicts than verdicts.json": report.verdicts == verdicts,
            "results.csv has another table than cells.json": files.get("results.csv") == cells.csv(),
        }
    return Opened(study, dossier, verdicts, versions, [told for told, holds in checks.items() if not holds])


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Say which file is wrong, whatever is wrong with it."""
    try:
        yield
    except BundleError:
        raise
    except (WorkflowAssetsError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise BundleError(f"{name} is damaged or was edited ({type(error).__name__}: {error})") from None


def _made(store: Store | None, keys: Mapping[str, Mapping[str, str]]) -> tuple[Any, Any, Any]:
    """Give for each datum its note, the notes, and those on the runs."""
    if store is None:
        return {}, {}, {}
    found = store.recorded([key for cells in keys.values() for key in cells.values()])
    made = {
        slot: {
            cell: [key, str(found[key].provenance.get("made", ""))]
            for cell, key in cells.items()
            if key in found and found[key].provenance.get("made")
        }
        for slot, cells in keys.items()
    }
    names = sorted({note for cells in made.values() for _, note in cells.values()})
    noted = store.find_all(names)
    notes = {key: store.load(noted[key]) for key in names if key in noted}
    runs = sorted({str(record.provenance["run"]) for record in found.values() if "run" in record.provenance})
    ran = store.find_all([run_key(run) for run in runs])
    return made, notes, {run: store.load(ran[run_key(run)]) for run in runs if run_key(run) in ran}


def _code(declaration: Declaration) -> dict[str, bytes]:
    """Give the texts of all code: of each step and source by its name, with a number where treatments swap it."""
    prints = declaration.fingerprints()
    members = [
        *((node.slot, node.step) for flow in declaration.workflows.values() for node in flow),
        *((name, one) for flow in declaration.workflows.values() for name, one in flow.sources.items()),
    ]
    read = [(name, prints[id(member)]) for name, member in members]
    read += [
        (f"test_of_{one.name}", fingerprint(one.test)) for one in declaration.hypotheses if callable(one.test)
    ]
    found: dict[str, Fingerprint] = {}
    count: dict[str, int] = {}
    for name, code in read:
        if any(
            code.digest == other.digest for slot, other in found.items() if slot.partition("-")[0] == name
        ):
            continue
        count[name] = count.get(name, 0) + 1
        found[name if count[name] == 1 else f"{name}-{count[name]}"] = code
    return {
        name: "\n\n".join(
            (f"# fingerprint {code.digest}", *(f"# {part}\n{text}" for part, text in code.texts.items()), "")
        ).encode("utf-8", "backslashreplace")
        for name, code in found.items()
    }

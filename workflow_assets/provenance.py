"""Provenance: from which code, parameters, data, seed and machine a datum came.

What many data share (the code of their step, the machine of their run) is noted once, as a datum of its own whose key
is the digest of what it says; the record of each datum names the notes.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from workflow_assets.acceptances import Acceptance, acceptances, original
from workflow_assets.canonical import digest
from workflow_assets.errors import UnknownNameError, did_you_mean
from workflow_assets.fingerprint import Fingerprint
from workflow_assets.store.base import Store
from workflow_assets.store.claims import Claim
from workflow_assets.store.codecs import installed_version

_PATIENCE = 5.0
"""Seconds that git may take to say what is checked out."""

_SHOWN = 20
"""Inputs that are named in print; a table may have one for each of thousands of partitions."""


class Maker(Protocol):
    """A planned step or source, as far as a note tells of it."""

    @property
    def made_by(self) -> Mapping[str, Any]:
        """What its declaration tells: step, function, parameters."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What its code is."""

    @property
    def function(self) -> Any:
        """What is called."""


class Origins:
    """Notes what the data of one run are made by, machine and code; each note is written once, before it is named."""

    def __init__(self, store: Store, run_id: str, claim: Claim) -> None:
        self.store = store
        self.run_id = run_id
        self.claim = claim
        self._notes: dict[Maker, str] = {}
        self._codes: dict[str, str] = {}

    def note(self, planned: Maker) -> str:
        """Give the key of the note on what makes a datum: function, code, parameters, libraries."""
        if planned not in self._notes:
            if not self._notes:
                self._note_run(planned)
            code = self._code(planned.fingerprint)
            said = {**planned.made_by, "code": code, "libraries": libraries(planned.fingerprint)}
            self._notes[planned] = self._write(said, {"code": code})
        return self._notes[planned]

    def listing(self, asset: str, keys: Mapping[str, str]) -> str:
        """Give one key that stands for what several partitions hold; its trace leads to each of them."""
        made = self.gathering(asset)
        key = digest("partitions", asset, *(text for item in keys.items() for text in item))
        self.claim.add([key])
        if self.store.find(key) is None:
            said = {"made": made, "inputs": dict(keys), "run": self.run_id}
            self.store.put(key, {"partitions": len(keys)}, provenance=said)
        return key

    def gathering(self, asset: str) -> str:
        """Give the key of the note on what no function has made, but all of its inputs together."""
        return self._write(
            {
                "step": asset,
                "function": "gathered",
                "parameters": {},
                "forms": {},
                "more": [],
                "libraries": {},
            }
        )

    def _code(self, code: Fingerprint) -> str:
        if code.digest not in self._codes:
            self._codes[code.digest] = self._write(
                {"digest": code.digest, "parts": dict(code.parts), "texts": dict(code.texts)}
            )
        return self._codes[code.digest]

    def _note_run(self, planned: Maker) -> None:
        self.claim.add([run_key(self.run_id)])
        if self.store.find(run_key(self.run_id)) is not None:
            return  # another worker of the run was first
        code = getattr(planned.function, "__code__", None)
        said = {"run": self.run_id, **machine(), "git": checkout(code.co_filename if code else "")}
        self.store.put(run_key(self.run_id), said)

    def _write(self, said: dict[str, Any], names: Mapping[str, str] | None = None) -> str:
        """Write a note, and beside it the keys of the notes that it names."""
        key = digest("note", json.dumps(said, sort_keys=True))
        self.claim.add([key])
        if self.store.find(key) is None:
            self.store.put(key, said, provenance=names)
        return key


def run_key(run_id: str) -> str:
    """Give the key of the note on a run; any text may be a run's name."""
    return digest("run", run_id)


def libraries(code: Fingerprint) -> dict[str, str]:
    """Give the version of Python, and of the installed packages that the files of some code import."""
    versions = {"python": platform.python_version()}
    for name in sorted(code.imports - sys.stdlib_module_names):
        version = installed_version(name)
        if version is not None:
            versions[name] = version
    return versions


def machine() -> dict[str, Any]:
    """Tell where this process runs, and since when the run does."""
    return {
        "host": platform.node(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "process": os.getpid(),
        "started": _moment(time.time()).isoformat(timespec="milliseconds"),
    }


def checkout(filename: str) -> dict[str, Any] | None:
    """Give the git commit of the checkout that a file belongs to, and whether tracked files differ from it."""
    folder = os.path.dirname(os.path.abspath(filename)) if os.path.isfile(filename) else os.getcwd()  # noqa: PTH100, PTH109, PTH113, PTH120
    asked = []
    try:
        for question in (
            ("rev-parse", "--verify", "HEAD"),
            ("status", "--porcelain", "--untracked-files=no"),
        ):
            asked.append(  # noqa: PERF401 - both run at once, and the first may be there although git is not
                subprocess.Popen(
                    ["git", "--no-optional-locks", "-C", folder, *question],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
        commit, status = (one.communicate(timeout=_PATIENCE)[0].strip() for one in asked)
    except (OSError, subprocess.SubprocessError):
        for one in asked:
            one.kill()
            one.communicate()
        return None
    return {"commit": commit, "dirty": bool(status)} if commit else None


def peak_memory() -> int:
    """Give the most bytes of memory that this process has used so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak_memory() -> None:
    """Have `recent_peak_memory` tell of what follows only, where the system allows that: on Linux.

    Only for processes of our own: what others want to know of theirs must stay what it is.
    """
    with suppress(OSError):
        descriptor = os.open("/proc/self/clear_refs", os.O_WRONLY)
        try:
            os.write(descriptor, b"5")
        finally:
            os.close(descriptor)


def recent_peak_memory() -> int:
    """Give the most bytes of memory that this process has used since the last reset, or else so far."""
    try:
        descriptor = os.open("/proc/self/status", os.O_RDONLY)
        try:
            status = os.read(descriptor, 1 << 14)
        finally:
            os.close(descriptor)
        # What `getrusage` tells of a process counts what its parent had used when it was started.
        return int(status.partition(b"VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError):
        return peak_memory()


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


@dataclass(frozen=True)
class Provenance:
    """How a datum came to be.

    `code` has the source of every function and class that the step reached, and the values of constants in short, as
    they were then; `parameters` the values in effect, as text; `inputs` the keys of what each parameter was handed.
    `seconds` is how long the step took, `peak_memory` the most bytes that its process had used until then; in a worker
    process, on Linux, while the step ran, and None for a step of less than a millisecond. `run` says where and when:
    host, system, start, git commit. `accepted` lists later changes of the code that somebody has declared to change no
    result.
    """

    key: str
    step: str
    function: str
    code: Mapping[str, str] = field(repr=False)
    code_digest: str
    code_parts: Mapping[str, str] = field(repr=False)
    parameters: Mapping[str, str]
    forms: Mapping[str, str] = field(repr=False)
    more: tuple[str, ...]
    inputs: Mapping[str, str]
    replicate: str | None
    seed: int | None
    libraries: Mapping[str, str]
    finished: datetime.datetime | None
    seconds: float
    peak_memory: int | None
    run: Mapping[str, Any]
    accepted: tuple[Acceptance, ...]
    store: Store = field(repr=False, compare=False)

    def input(self, name: str) -> Provenance:
        """Follow an input parameter to how the datum came to be that it was handed."""
        if name not in self.inputs:
            raise UnknownNameError(
                f"step {self.step!r} has no input {name!r}: {did_you_mean(name, self.inputs)}"
            )
        return trace(self.store, self.inputs[name])

    def value(self) -> Any:
        """Load the datum."""
        return self.store.load(self.key)

    def __str__(self) -> str:
        git = self.run.get("git")
        lines = [f"{self.step}: {self.function}", f"  key         {self.key}"]
        lines += [f"  parameter   {name} = {value}" for name, value in self.parameters.items()]
        lines += [f"  input       {name}: {key}" for name, key in list(self.inputs.items())[:_SHOWN]]
        if len(self.inputs) > _SHOWN:
            lines.append(f"  input       … and {len(self.inputs) - _SHOWN} more")
        if self.replicate is not None:
            lines.append(f"  replicate   {self.replicate}, seed {self.seed}")
        if self.libraries:
            told = ", ".join(f"{name} {version}" for name, version in self.libraries.items())
            lines.append(f"  libraries   {told}")
        if git:
            lines.append(f"  git         {git['commit']}{' with changes' if git['dirty'] else ''}")
        if self.run:
            lines.append(
                f"  run         {self.run['run']} on {self.run['host']}, started {self.run['started']}"
            )
        took = f"{self.seconds:.3g} s" + (
            f", at most {self.peak_memory / 2**20:.0f} MB" if self.peak_memory else ""
        )
        lines.append(f"  took        {took}")
        lines += [f"  accepted    {one}" for one in self.accepted]
        for name, text in self.code.items():
            lines += [f"  code        {name}", *(f"    {line}" for line in text.splitlines())]
        return "\n".join(lines)


def trace(store: Store, key: str) -> Provenance:
    """Tell how a datum came to be, from its key: code, parameters, inputs, seed, machine.

    That is known also where its bytes are damaged, or were deleted while its metrics were kept.

    Dagster's UI shows the key in the metadata of each materialisation, and as its data version.

    Raises `UnknownNameError` for a key under which nothing is stored, or for whose making the store has no note.
    """
    record = store.recorded([key]).get(key)
    if record is None:
        raise UnknownNameError(f"no datum is stored under {key!r}")
    noted = record.provenance
    made = _note(store, noted.get("made"))
    if made is None:
        raise UnknownNameError(f"the store has no note on how the datum {key!r} was made")
    code = _note(store, made.get("code")) or {"digest": "", "parts": {}, "texts": {}}
    accepted = acceptances(store)
    finished = noted.get("created")
    replicate = noted.get("replicate")
    return Provenance(
        key=key,
        step=made["step"],
        function=made["function"],
        code=code["texts"],
        code_digest=code["digest"],
        code_parts=code["parts"],
        parameters=made["parameters"],
        forms=made["forms"],
        more=tuple(made["more"]),
        inputs=noted.get("inputs", {}),
        replicate=None if replicate is None else str(replicate),
        seed=noted.get("seed"),
        libraries=made["libraries"],
        finished=None if finished is None else _moment(finished),
        seconds=record.seconds,
        peak_memory=noted.get("peak_memory"),
        run=_note(store, run_key(str(noted.get("run")))) or {},
        accepted=tuple(one for one in accepted.values() if original(one.now, accepted) == code["digest"]),
        store=store,
    )


def _note(store: Store, key: Any) -> Any:
    record = store.find(key) if isinstance(key, str) else None
    return None if record is None else store.load(record)

"""What can go wrong, and what to do about it.

Every error says what was given, what was expected, what to do, and which names come near::

    WorkflowAssetsError
    ├── DeclarationError       the declaration has faults; `faults` lists all of them
    ├── DocumentError          a document has faults, or cannot be written; `faults` has the place of each
    ├── ContractError          a value is not of the declared type
    ├── UnkeyableError         a value cannot be part of a compute key
    ├── GlobalRandomnessError  a step drew from a global random generator without saying so
    ├── ContextError           a step wrote to its frozen context, or recorded a metric it did not declare
    ├── ResourceError          a resource that each worker opens for itself could not be opened
    ├── UnknownNameError       a name that the experiment, store or result does not have
    │   └── UnknownResourceError  a step asks for a resource that the run was not given
    ├── CellsFailedError       some cells of a run failed; `failures` lists them
    ├── WorkflowFailedError    a step's value was asked for that failed, or follows from one that did
    ├── GateError              a gate does not accept a verdict; `exit_code` says which kind
    ├── ReportError            a saved report cannot be read
    ├── BundleError            an archive of results is damaged, incomplete, or of an unknown version
    ├── LimitError             a run is expected to take longer or write more than it may
    └── StoreError             the datum store cannot do what was asked
        ├── CodecError         no codec can encode or decode a value
        └── CorruptDatumError  stored bytes are not what was written

And one warning: `DocumentWarning`, where a step's code is not what a document was written with.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence


class WorkflowAssetsError(Exception):
    """Any error that this package raises on purpose."""


class DeclarationError(WorkflowAssetsError, ValueError):
    """A step, treatment, hypothesis or experiment is declared wrongly.

    `faults` holds every fault that was found, one sentence each, so that all can be mended in one go.
    """

    def __init__(self, subject: str, faults: Sequence[str]) -> None:
        self.subject = subject
        self.faults = tuple(faults)
        if len(self.faults) == 1:
            message = f"{subject}: {self.faults[0]}"
        else:
            lines = "".join(f"\n  {number}. {fault}" for number, fault in enumerate(self.faults, start=1))
            message = f"{subject} has {len(self.faults)} faults:{lines}"
        super().__init__(message)

    def __reduce__(self) -> tuple[type, tuple[str, tuple[str, ...]]]:
        return type(self), (self.subject, self.faults)


class DocumentError(WorkflowAssetsError, ValueError):
    """A document cannot be read, or something cannot be written as one.

    `faults` holds every fault that was found: its place, such as ``$.steps[2].arguments.threshold``, and a sentence.
    """

    SHOWN = 50

    def __init__(self, subject: str, faults: Sequence[tuple[str, str]]) -> None:
        self.subject = subject
        self.faults = tuple((str(path), str(sentence)) for path, sentence in faults)
        if len(self.faults) == 1:
            message = f"{subject}: {self.faults[0][0]}: {self.faults[0][1]}"
        else:
            lines = "".join(f"\n  {path}: {sentence}" for path, sentence in self.faults[: self.SHOWN])
            more = len(self.faults) - self.SHOWN
            message = f"{subject} has {len(self.faults)} faults:{lines}"
            message += f"\n  and {more} more, in `faults`" if more > 0 else ""
        super().__init__(message)

    def __reduce__(self) -> tuple[type, tuple[str, tuple[tuple[str, str], ...]]]:
        return type(self), (self.subject, self.faults)


class DocumentWarning(UserWarning):
    """A step's code is not what a document was written with."""


class ContractError(WorkflowAssetsError, TypeError):
    """A value is not of the type that was declared for it."""


class UnkeyableError(WorkflowAssetsError, TypeError):
    """A value has no canonical form, so that it cannot be part of a compute key."""


class GlobalRandomnessError(WorkflowAssetsError):
    """A step drew from a global random generator without declaring it."""


class ContextError(WorkflowAssetsError):
    """A step used its context in a way that would make results irreproducible."""


class ResourceError(WorkflowAssetsError):
    """A resource that each worker opens for itself could not be opened; its cause says why."""


class UnknownNameError(WorkflowAssetsError, LookupError):
    """A name was asked for that does not exist."""


class UnknownResourceError(UnknownNameError, KeyError):
    """A step asks for a resource that the run was not given.

    A key error, so that ``ctx.resources.get(name)`` is None.
    """

    __str__ = Exception.__str__  # that of a key error would quote the sentence


class CellsFailedError(WorkflowAssetsError):
    """Some cells of a run failed. The others finished, and their results are kept."""


class WorkflowFailedError(WorkflowAssetsError):
    """A step of a workflow has no value, since it failed or follows from one that did."""


class GateError(WorkflowAssetsError):
    """Gates do not accept the verdicts on their hypotheses.

    `decisions` has the verdict of each; `exit_code` is that of the gravest: 3 refuted, 4 undecidable, 5 inconclusive,
    6 supported where that is not accepted.
    """

    def __init__(self, message: str, decisions: Mapping[str, str], exit_code: int) -> None:
        self.decisions = dict(decisions)
        self.exit_code = exit_code
        super().__init__(message)

    def __reduce__(self) -> tuple[type, tuple[str, dict[str, str], int]]:
        return type(self), (str(self), self.decisions, self.exit_code)


class ReportError(WorkflowAssetsError, ValueError):
    """A saved report cannot be read: it is none, is damaged, or was written by a later version."""


class BundleError(WorkflowAssetsError, ValueError):
    """An archive of results is damaged, incomplete, too large or of an unknown version."""


class LimitError(WorkflowAssetsError):
    """A run is expected to take longer, or to write more, than it was allowed to. Nothing was computed."""


class StoreError(WorkflowAssetsError):
    """The datum store cannot do what was asked."""


class CodecError(StoreError, TypeError):
    """No codec can encode or decode a value."""


class CorruptDatumError(StoreError):
    """Stored bytes are not the bytes that were written."""


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Name the near matches of a misspelt name, or all candidates where none is near.

    >>> did_you_mean("modle.C", ["model.C", "split.test_size"])
    "did you mean 'model.C'?"
    >>> did_you_mean("zzz", ["a", "b"])
    "there are 'a' and 'b'"
    """
    known = list(dict.fromkeys(candidates))
    near = _near(name, known)
    if near:
        return f"did you mean {listing(near, 'or')}?"
    if not known:
        return "there are none"
    if len(known) == 1:
        return f"there is only {listing(known)}"
    if len(known) > 12:
        return f"there are {len(known)}, among them {listing(known[:8])}"
    return f"there are {listing(known)}"


def _near(name: str, known: Sequence[str]) -> list[str]:
    scores = {one: difflib.SequenceMatcher(None, name, one).ratio() for one in known}
    if "." not in name:  # a parameter without its step
        for one in known:
            scores[one] = max(
                scores[one], 0.95 * difflib.SequenceMatcher(None, name, one.rpartition(".")[2]).ratio()
            )
    best = max(scores.values(), default=0.0)
    near = [one for one in known if scores[one] >= max(0.6, best - 0.15)]
    return sorted(near, key=lambda one: -scores[one])[:3]


def listing(names: Iterable[str], conjunction: str = "and") -> str:
    """Join quoted names for a sentence.

    >>> listing(["a", "b", "c"], "or")
    "'a', 'b' or 'c'"
    """
    return joined([repr(str(name)) for name in names], conjunction)


def joined(parts: Sequence[str], conjunction: str = "and") -> str:
    """Join parts of a sentence as they are.

    >>> joined(["1 of a", "2 of b"])
    '1 of a and 2 of b'
    """
    *others, last = parts or [""]
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def excerpt(value: object, limit: int = 80) -> str:
    """Show a value in a message without flooding it.

    >>> excerpt("x" * 200, limit=10)
    "'xxxxxx..."
    """
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a value whose repr fails is still shown
        text = f"<{type(value).__qualname__} whose repr raised {type(error).__name__}>"
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 3]}..."

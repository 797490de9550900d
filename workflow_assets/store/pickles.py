"""What has no format of its own is pickled, where the store allows it."""

from __future__ import annotations

import functools
import io
import pickle
import re
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

from workflow_assets.errors import CodecError, excerpt
from workflow_assets.store.formats import Buffer

_STABLE = frozenset({"builtins", "numpy", "pandas"})
"""What reads its own older pickles, or fails loudly."""


def dump(value: Any, where: str) -> tuple[bytes, dict[str, str]]:
    """Pickle a value; give the bytes, and the versions of the libraries whose classes are in it.

    Raises `CodecError` that names the member which cannot be pickled.
    """
    file = io.BytesIO()
    pickler = _Pickler(file)
    try:
        pickler.dump(value)
    except Exception as error:
        raise CodecError(_complaint(value, where, error)) from error
    return file.getvalue(), {
        library: version for library in sorted(pickler.libraries - _STABLE) if (version := _version(library))
    }


def load(data: Buffer) -> Any:
    """Unpickle, which executes what the bytes say: the caller has asked the store's policy."""
    return pickle.loads(data)  # noqa: S301


def refusal(value: Any, where: str) -> CodecError:
    """Say that a value would have to be pickled, and that the store does not allow it."""
    return CodecError(
        f"{where} is a {type(value).__qualname__}, which only pickle could store, and this store does not allow "
        "pickles: return plain values, arrays, frames or dataclasses of them, give it a format with "
        "workflow_assets.register_codec(codec), where the codec has a name, an extension, and the methods accepts, "
        "encode, decode and copy, or open the store with pickles=True if nobody else can write to it"
    )


def not_allowed() -> CodecError:
    """Say that a stored pickle is not loaded, as no pickle is."""
    return CodecError(
        "the stored value is a pickle, and this store does not allow pickles to be loaded: open it with pickles=True "
        "if nobody else can write to it"
    )


def not_signed() -> CodecError:
    """Say that a stored pickle is not loaded, since it may be anybody's."""
    return CodecError(
        "the stored value is a pickle that is not signed with your key: another user or machine, or an earlier version "
        "of this package, has written it, and loading it would execute whatever it says. Run again with force=[...] to "
        "compute it yourself, give your machines the same WORKFLOW_ASSETS_KEY, or open the store with pickles=True if "
        "nobody else can write to it"
    )


def library_version(cls: type) -> tuple[str, str]:
    """Give the library that a class comes from and its version, or two empty strings."""
    library = cls.__module__.partition(".")[0]
    version = _version(library)
    return (library, version) if version else ("", "")


def installed_version(library: str) -> str | None:
    """Give the version of a library that unpickling would use, without loading it; None where nobody can tell."""
    if library in sys.modules:
        return _version(library) or None
    versions = _installed(library)
    return versions[0] if len(versions) == 1 else None


def _version(library: str) -> str:
    if library in sys.stdlib_module_names:
        return ""
    version = getattr(sys.modules.get(library), "__version__", "")
    return version if isinstance(version, str) else ""


@functools.cache
def _installed(library: str) -> tuple[str, ...]:
    """Give the versions of the installed packages that bring a library; reading about all packages takes a second."""
    from importlib import metadata, util

    if not library.isidentifier() or util.find_spec(library) is None:
        return ()
    try:
        return (metadata.version(library),)  # most are called like what they bring
    except metadata.PackageNotFoundError:
        pass
    brings = re.compile(rf"^{re.escape(library)}(?:[/,]|\.[^/,]*,)", re.MULTILINE)
    return tuple(
        {
            package.version
            for package in metadata.distributions()
            if library in (package.read_text("top_level.txt") or "").split()
            or brings.search(package.read_text("RECORD") or "")
        }
    )


class _Pickler(pickle.Pickler):
    """Pickles, and notes whose classes and functions are in it: those versions must be there to read it again."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.libraries: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        named = isinstance(value, type | types.FunctionType | types.BuiltinFunctionType)
        module = getattr(value if named else type(value), "__module__", None)
        if isinstance(module, str):
            self.libraries.add(module.partition(".")[0])
        return NotImplemented


def _complaint(value: Any, where: str, error: Exception) -> str:
    path, culprit, reason = _culprit(value, error)
    inside = f"its member {path} " if path else ""
    kind = type(culprit).__qualname__
    cure = {
        "generator": "Return a list of what it yields",
        "function": "Define the function at the top of a module, not inside another one",
    }.get(kind, "Return what it was made from")
    return (
        f"{where} cannot be stored: {inside or 'it '}is {excerpt(culprit)}, a {kind} has no codec, and pickle says: "
        f"{reason}. {cure}, or declare the step transient=True"
    )


def _culprit(value: Any, error: Exception) -> tuple[str, Any, Exception]:
    """Find the member that pickle stumbles over, as deep as there is one."""
    path = ""
    for _ in range(8):
        for name, member in _members(value):
            try:
                pickle.dumps(member, protocol=5)
            except Exception as reason:  # noqa: BLE001  # any class may refuse in its own way
                path, value, error = f"{path}{name}", member, reason
                break
        else:
            break
    return path, value, error


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", member) for key, member in list(value.items())[:1000])
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{place}]", member) for place, member in enumerate(list(value)[:1000]))
    elif not isinstance(value, type):
        yield from ((f".{name}", member) for name, member in getattr(value, "__dict__", {}).items())

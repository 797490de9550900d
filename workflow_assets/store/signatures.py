"""Signatures: which pickles are one's own, so that nobody else's is executed.

Whoever can write to a store can put a pickle there, and loading a pickle executes what it says. So what is stored is
signed with a key that lies outside every store, and a store with the policy "own" loads no pickle, and imports no
module for a value, without a signature by that key.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import hmac
import itertools
import os
import secrets
import stat
from collections.abc import Iterable
from typing import Any, Final, Literal

from workflow_assets.errors import StoreError
from workflow_assets.store.formats import Buffer

Policy = bool | Literal["own"]
"""What a store does with pickles: writes and loads them, or neither; or writes them, and loads those that are its
user's own."""

OWN: Final = "own"

VARIABLE = "WORKFLOW_ASSETS_KEY"
"""The environment variable that holds the key, where there is no file of the user's, or several machines share one."""

_SHORTEST = 32
_LONGEST = 4096
_DOMAIN = b"workflow_assets"
_CURE = (
    f"Set {VARIABLE} to at least {_SHORTEST} random characters, or open the store with pickles=True if nobody else can "
    "write to it"
)


def checked_policy(pickles: Any) -> Policy:
    """Give a policy; raise `StoreError` for what is none."""
    if pickles is True or pickles is False or (isinstance(pickles, str) and pickles == OWN):
        return pickles  # type: ignore[return-value]
    raise StoreError(
        f"pickles = {pickles!r} is no policy of a store: expected 'own' (only pickles that you have signed are "
        "loaded), True (all are, so that nobody else may write to the store) or False (none is written or loaded)"
    )


def sign(key: str, codec: str, parts: Iterable[Buffer]) -> str:
    """Give the signature of what loading a datum executes; the user's key is made if there is none.

    Raises `StoreError` where no key can be made, and for one that others may know.
    """
    path = _path()
    secret = _secret(path) or _made(path)
    return _signature(secret, key, codec, parts)


def is_own(signature: str, key: str, codec: str, parts: Iterable[Buffer]) -> bool:
    """Tell whether it was signed with the user's key; where there is none, or no signature, the parts are not read.

    Raises `StoreError` for a key that others may know.
    """
    if not isinstance(signature, str) or not signature.isascii() or not signature:
        return False
    secret = _secret(_path())
    return secret is not None and hmac.compare_digest(_signature(secret, key, codec, parts), signature)


def _signature(secret: bytes, key: str, codec: str, parts: Iterable[Buffer]) -> str:
    state = hashlib.blake2b(key=secret, digest_size=16, person=_DOMAIN)
    for part in itertools.chain((key.encode("utf-8", "surrogatepass"), codec.encode()), parts):
        state.update(
            len(part).to_bytes(8, "little")
        )  # so that no part can pass for the beginning of the next
        state.update(part)
    return state.hexdigest()


# -- the key ----------------------------------------------------------------------------------------------------------

_known: dict[str, bytes] = {}
"""The keys that were read, by path."""


def _path() -> str:
    """Name the file of the user's that holds the key; "" if the user has no home."""
    return _place(os.environ.get("XDG_CONFIG_HOME", ""), os.environ.get("HOME", ""))


@functools.lru_cache
def _place(folder: str, home: str) -> str:
    if not os.path.isabs(folder):
        folder = os.path.join(home or os.path.expanduser("~"), ".config")
    return os.path.join(folder, "workflow_assets", "key") if os.path.isabs(folder) else ""


def _secret(path: str) -> bytes | None:
    """Give the key of the environment, else that of the file; None if there is neither."""
    text = os.environ.get(VARIABLE)
    if text is not None:
        return _digest(os.fsencode(text), f"the environment variable {VARIABLE}", "set it to random ones")
    if path not in _known:
        found = _read(path)
        if found is None:
            return None
        _known[path] = found
    return _known[path]


def _digest(text: bytes, what: str, cure: str) -> bytes:
    """Give a key of the right size; the text of the file, put in the environment elsewhere, gives the same."""
    text = text.strip()
    if len(text) < _SHORTEST:
        raise StoreError(
            f"{what} holds a key of {len(text)} characters: expected at least {_SHORTEST}; {cure}"
        )
    return hashlib.blake2b(text, person=_DOMAIN).digest()


def _read(path: str) -> bytes | None:
    """Read a key file, if there is one; raise `StoreError` if others may know or have chosen what is in it."""
    cure = "delete it to have another made, with which no older pickle counts as yours"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        reason = (
            "is a link" if error.errno == errno.ELOOP else f"cannot be read ({error.strerror or str(error)})"
        )
        raise StoreError(f"the key file {path} {reason}: expected a file of yours; {cure}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"the key file {path} is no file: expected a file of yours; {cure}")
        if status.st_uid != os.geteuid():
            raise StoreError(
                f"the key file {path} belongs to another user, who can sign pickles with it: {cure}"
            )
        if status.st_mode & 0o077:
            raise StoreError(
                f"others may read or write the key file {path} (mode {stat.S_IMODE(status.st_mode):04o}), and so sign "
                f"pickles that you would execute: run chmod 600 on it if nobody has done so, else {cure}"
            )
        return _digest(os.read(descriptor, _LONGEST), f"the key file {path}", cure)
    finally:
        os.close(descriptor)


def _made(path: str) -> bytes:
    """Make a key file; of several processes that do, all are given the key of the first."""
    try:
        if not path:
            raise FileNotFoundError(errno.ENOENT, "you have no home folder", "~/.config/workflow_assets/key")
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        temporary = f"{path}.{secrets.token_hex(8)}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(f"{secrets.token_hex(32)}\n".encode())
                file.flush()
                os.fsync(descriptor)
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            os.unlink(temporary)
    except OSError as error:
        raise StoreError(
            f"pickles are signed with a key of yours, and {path or error.filename} cannot be made: "
            f"{error.strerror or error}. {_CURE}"
        ) from error
    secret = _secret(path)
    if secret is None:
        raise StoreError(f"the key file {path} was deleted as soon as it was made. {_CURE}")
    return secret

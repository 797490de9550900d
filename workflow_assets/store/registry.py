"""Which codecs there are: our own, and those that users register for types of theirs."""

from __future__ import annotations

import enum
import pickle
import re
import threading
from typing import Any

from workflow_assets.errors import CodecError, did_you_mean
from workflow_assets.store.arrays import ArrayCodec
from workflow_assets.store.classes import kind_of
from workflow_assets.store.contents import FileCodec
from workflow_assets.store.estimators import EstimatorCodec
from workflow_assets.store.formats import Codec
from workflow_assets.store.frames import FrameCodec
from workflow_assets.store.masks import MaskCodec
from workflow_assets.store.matrices import MatrixCodec
from workflow_assets.store.pictures import FigureCodec, ImageCodec
from workflow_assets.store.structures import StructureCodec
from workflow_assets.store.tables import TableCodec
from workflow_assets.store.texts import BytesCodec, TextCodec

_OURS: tuple[Codec, ...] = (
    ArrayCodec(),
    FrameCodec(),
    StructureCodec(),
    MaskCodec(),
    MatrixCodec(),
    TableCodec("DataFrame"),
    TableCodec("Series"),
    TextCodec(),
    BytesCodec(bytes),
    BytesCodec(bytearray),
    ImageCodec("png"),
    ImageCodec("tiff"),
    FigureCodec(),
    EstimatorCodec(),
    FileCodec(),
)
_RESERVED = frozenset({"json", "composite", "pickle", "lines", "items"})
_FILES = "file."
"""What the name of the codec of a file begins with; its ending follows."""
_METHODS = ("accepts", "encode", "decode", "copy")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")

_lock = threading.Lock()
_registered: tuple[Codec, ...] = ()
_known = _OURS
_by_name = {codec.name: codec for codec in _OURS}


def register_codec(codec: Codec) -> None:
    """Give a type of yours a format of its own: values of it are stored, and handed on, as the codec says.

    A registered codec is asked before our own formats, for whole values and for members of dataclasses, lists and
    dicts; not for plain numbers and texts, dicts, lists, tuples and sets. Register it where the module that defines the
    type is imported, so that every process knows it. Nothing but the codec's own `decode` runs on loading, also where
    the store does not allow pickles.

    Args:
        codec: an instance of a class at the top of a module, with the attributes `name` (lowercase letters, digits,
            "-" and "_") and `extension` (of its files), and the methods of `workflow_assets.store.formats.Codec`.

    Registering an equal codec again does nothing. Raises `CodecError` for one whose name another codec has, that lacks
    an attribute, or that cannot be pickled.
    """
    global _registered, _known, _by_name  # noqa: PLW0603  # each is replaced whole, so that readers need no lock
    who = type(codec).__qualname__
    missing = [method for method in _METHODS if not callable(getattr(codec, method, None))]
    if isinstance(codec, type) or missing:
        lacking = "is a class, not an instance" if isinstance(codec, type) else f"lacks {', '.join(missing)}"
        raise CodecError(
            f"the codec {getattr(codec, '__qualname__', who)} {lacking}: a codec has a name, an extension, and the "
            f"methods {', '.join(_METHODS)}"
        )
    for attribute in ("name", "extension"):
        text = getattr(codec, attribute, None)
        if not isinstance(text, str) or not _NAME.fullmatch(text):
            raise CodecError(
                f"the codec {who} has the {attribute} {text!r}: give it one of lowercase letters, digits, '-' and '_'"
            )
    try:
        state = pickle.dumps(codec)
    except Exception as error:
        raise CodecError(
            f"the codec {who} cannot be pickled, and so not be sent to other processes: {error}. Define its class at "
            "the top of a module"
        ) from error
    with _lock:
        taken = _by_name.get(codec.name)
        if taken is None and codec.name not in _RESERVED:
            _registered = (*_registered, codec)
            _known = (*_registered, *_OURS)
            _by_name = {**_by_name, codec.name: codec}
        elif taken is None or type(taken) is not type(codec) or pickle.dumps(taken) != state:
            raise CodecError(
                f"a codec called {codec.name!r} is there already: give the codec {who} another name, and keep "
                "it, since what is stored refers to it"
            )


def registered_codecs() -> tuple[Codec, ...]:
    """Give the codecs that users have registered, in the order in which they are asked."""
    return _registered


def known_codecs() -> tuple[Codec, ...]:
    """Give all codecs, in the order in which they are asked."""
    return _known


_LASTING = frozenset(
    {
        ("matplotlib", "Figure"),
        ("polars", "DataFrame"),
        ("polars", "Series"),
        ("PIL", "Image"),
        ("scipy", "sparray"),
        ("scipy", "spmatrix"),
    }
)
"""Types of other libraries that are stored in a format which all their versions read alike."""


def has_own_format(cls: Any) -> bool:
    """Tell whether values of a class are stored in a format that all versions of its library read alike.

    >>> import decimal, enum
    >>> has_own_format(enum.Enum), has_own_format(decimal.Context)
    (True, False)
    """
    if issubclass(cls, enum.Enum) or kind_of(cls) is not None:
        return True
    return any((base.__module__.partition(".")[0], base.__name__) in _LASTING for base in cls.__mro__)


def find_codec(name: str) -> Codec:
    """Give the codec of a name; raise `CodecError` that names near matches where there is none."""
    codec = _by_name.get(name)
    if codec is None and name.startswith(_FILES):
        return FileCodec(name.removeprefix(_FILES))
    if codec is None:
        raise CodecError(
            f"no codec is called {name!r}: if it is one of yours, first import the module that registers it; "
            f"{did_you_mean(name, _by_name)}"
        )
    return codec

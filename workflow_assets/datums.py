"""Data as things that can be looked at: what they are called, what is in them, where they came from."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from workflow_assets.canonical import digest
from workflow_assets.cards import datum_card
from workflow_assets.datum_documents import COMPOSITE, FORMAT, PENDING, REFERENCE, VALUE, checked, value_of
from workflow_assets.errors import CodecError, DeclarationError, StoreError, UnknownNameError, excerpt
from workflow_assets.layouts import clipped, for_terminal, one_line, size, terminal_width
from workflow_assets.lineages import call_text, lineage
from workflow_assets.names import LONGEST
from workflow_assets.previews import preview, stored_preview
from workflow_assets.provenance import Provenance, trace
from workflow_assets.recordings import Handed, Pending
from workflow_assets.scenes import Preview, Seen
from workflow_assets.store.base import INLINE, Record, Store
from workflow_assets.store.codecs import encode
from workflow_assets.store.trees import from_json
from workflow_assets.views import datum_box, datum_line

_DEEPEST = 50
_PARTS = 12
"""Parts of a composite that are shown."""


class Datum(Handed):
    """A value with a name, which can be looked at without being loaded, and handed to the steps of a workflow.

    Its kind is "value" (held here), "reference" (to what a store holds), "composite" (a list or dict of data, nested as
    may be) or "pending" (a step will give it). `load` gives the value, to each who asks an object of their own.

    >>> numbers = Datum.value([1, 2, 3], alias="Raw Numbers")
    >>> print(numbers.line)
    [value] "Raw Numbers" <list> = [1, 2, 3]
    >>> numbers.load() is numbers.load()
    False
    """

    def __init__(
        self,
        kind: str,
        alias: str,
        type: str,  # noqa: A002 - what it is
        content: Any = None,
        *,
        key: str = "",
        store: Store | None = None,
    ) -> None:
        if not isinstance(alias, str):
            raise DeclarationError("Datum", [f"alias = {excerpt(alias)}: expected a text"])
        self.kind = kind
        self.alias = alias
        self.type = type
        self.key = key
        self.store = store
        self._content = content

    # -- making -------------------------------------------------------------------------------------------------------

    @classmethod
    def value(cls, value: Any, *, alias: str = "", type: str = "") -> Datum:  # noqa: A002 - what it is
        """Hold a value as it is now: later changes of it are no changes of the datum.

        Raises `DeclarationError` for what cannot be copied, such as a generator.
        """
        if isinstance(value, Datum):
            return value
        return cls(VALUE, alias, type or _type_of(value), _copied(value, alias))

    @classmethod
    def of(cls, store: Store, key: str, *, alias: str = "", type: str = "") -> Datum:  # noqa: A002 - what it is
        """Refer to what a store holds under a key.

        Raises `UnknownNameError` if it holds nothing there.
        """
        record = store.find(key)
        if record is None:
            raise UnknownNameError(f"no datum is stored under {key!r}")
        return cls(REFERENCE, alias, type, record, key=key, store=store)

    @classmethod
    def composite(cls, parts: Any, *, alias: str = "") -> Datum:
        """Put data together in a list or a dict, nested as may be; what is no datum in it becomes one.

        Raises `DeclarationError` for anything else.
        """
        if not isinstance(parts, list | tuple | Mapping):
            raise DeclarationError(
                "Datum.composite", [f"{excerpt(parts)} is neither a list nor a dict of data: use Datum.value"]
            )
        if isinstance(parts, Mapping):
            if wrong := [name for name in parts if not isinstance(name, str)]:
                raise DeclarationError(
                    "Datum.composite", [f"a part is called {excerpt(wrong[0])}: name parts by texts"]
                )
            return cls(COMPOSITE, alias, "dict", {name: _part(one, name) for name, one in parts.items()})
        return cls(
            COMPOSITE, alias, "list", [_part(one, f"{alias or 'item'} {at}") for at, one in enumerate(parts)]
        )

    @classmethod
    def pending(cls, alias: str, *, type: str = "", why: str = "", key: str = "") -> Datum:  # noqa: A002 - what it is
        """Stand for a value that is not there yet, or never will be; `why` says why not."""
        return cls(PENDING, alias, type, why or "not computed yet", key=key)

    @classmethod
    def awaited(cls, pending: Pending, type: str = "") -> Datum:  # noqa: A002 - what it is
        """Stand for what a workflow will give."""
        return cls(PENDING, pending.name, type, pending)

    # -- the value ----------------------------------------------------------------------------------------------------

    def load(self) -> Any:
        """Give the value, an object of the caller's own; of a composite, all that it is made of.

        Raises `UnknownNameError` for a datum that is pending, and whatever its store raises.
        """
        if self.kind == VALUE:
            return copy.deepcopy(self._content)
        if self.kind == REFERENCE:
            return self._held.load(self._content)
        if self.kind == PENDING:
            raise UnknownNameError(f"datum {self.alias!r} has no value: {self.why}")
        loaded = {place: one.load() for place, one in self.members.items()}
        return loaded if isinstance(self._content, dict) else list(loaded.values())

    @property
    def why(self) -> str:
        """Why a datum that is pending has no value; "" for any other."""
        if self.kind != PENDING:
            return ""
        return self._content if isinstance(self._content, str) else "its workflow has to be run"

    @property
    def record(self) -> Record:
        """What the store knows of a reference.

        Raises `UnknownNameError` for any other kind.
        """
        if self.kind != REFERENCE:
            raise UnknownNameError(f"datum {self.alias!r} is a {self.kind}: only a reference has a record")
        record: Record = self._content
        return record

    @property
    def _held(self) -> Store:
        if self.store is None:
            raise UnknownNameError(f"datum {self.alias!r} is kept under {self.key!r}: say in which store")
        return self.store

    def __getitem__(self, place: Any) -> Datum:
        if self.kind != COMPOSITE:
            raise UnknownNameError(
                f"datum {self.alias!r} is a {self.kind}, and has no parts: load() its value"
            )
        try:
            part: Datum = self._content[place]
        except LookupError:
            raise UnknownNameError(f"datum {self.alias!r} has no part {excerpt(place)}") from None
        return part

    def __len__(self) -> int:
        return len(self._content) if self.kind == COMPOSITE else 1

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(
            f"datum {self.alias!r} is no collection: load() its value, or take its parts by their places"
        )

    # -- in a workflow ------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:  # type: ignore[override]
        """What an input is called that holds it: the alias, where need be with underscores."""
        words = re.sub(r"\W+", "_", self.alias, flags=re.ASCII).strip("_")[:LONGEST] or "datum"
        words = words if words == self.alias else words.lower()
        return f"_{words}" if words[0].isdigit() else words

    @property
    def parts(self) -> Any:
        """What it is made of: data in a list or dict; None for one that is whole."""
        if self.kind == COMPOSITE:
            return dict(self._content) if isinstance(self._content, dict) else list(self._content)
        if self.kind == PENDING:
            if isinstance(self._content, Pending):
                return self._content
            raise DeclarationError("Datum", [f"datum {self.alias!r} cannot be handed to a step: {self.why}"])
        return None

    @property
    def content(self) -> Any:
        """What an input holds: the value, or this reference."""
        return self if self.kind == REFERENCE else self._content

    def key_in(self, store: Any) -> str | None:
        """Give the key under which a store has it; None where it has not."""
        record = store.find(self.key) if self.kind == REFERENCE else None
        return None if record is None or not record.current else self.key

    def __copy__(self) -> Datum:
        return self  # it is never changed

    def __deepcopy__(self, _: object) -> Datum:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker finds what it needs in the store of the run: stores in memory cannot be sent.
        content = None if isinstance(self._content, Pending) else self._content
        return _again, (self.kind, self.alias, self.type, content, self.key)

    # -- where it came from -------------------------------------------------------------------------------------------

    @property
    def provenance(self) -> Provenance | None:
        """How it came to be, with parameters and code; None where no store has noted that."""
        if self.kind != REFERENCE or self.store is None:
            return None
        try:
            return trace(self.store, self.key)
        except UnknownNameError:
            return None

    @property
    def inputs(self) -> dict[str, Datum]:
        """What the step was handed that made it, by parameter."""
        made = self.provenance
        if made is None:
            return {}
        return {place: _found(self._held, key, place) for place, key in made.inputs.items()}

    def lineage(self) -> str:
        """Tell as a tree which step made it of which data, and what made these."""
        return for_terminal("\n".join(lineage(self, terminal_width())))

    @property
    def members(self) -> dict[str, Datum]:
        """What a composite is made of, by place; nothing for any other."""
        if self.kind != COMPOSITE:
            return {}
        if isinstance(self._content, dict):
            return dict(self._content)
        return {str(at): one for at, one in enumerate(self._content)}

    # -- looking ------------------------------------------------------------------------------------------------------

    @property
    def look(self) -> Preview:
        """What is seen of it: a line, and the first rows of a frame. What is large is not loaded."""
        if self.kind == PENDING:
            return Preview(f"({one_line(self.why)})", self.type)
        if self.kind == COMPOSITE:
            return _composite_look(self._content)
        if self.kind == VALUE:
            return preview(self._content)
        record = self.record
        if record.inline is not None and self.store is not None:
            try:
                return preview(self.store.load(record))
            except StoreError as error:
                return Preview(clipped(f"({type(error).__name__})", 50))
        data = None if self.store is None else self.store.glance(record)
        return stored_preview(record.codec, record.size, data)

    @property
    def preview(self) -> str:
        """What is seen of it in one line of about 50 characters."""
        return self.look.line

    @property
    def seen(self) -> Seen:
        """All that views show of it."""
        look = self.look
        facts = [("key", self.key)] if self.key else []
        if self.kind == REFERENCE:
            record = self.record
            facts.append(("stored as", f"{record.codec}, {size(record.size)}"))
            made = self.provenance
            if record.metrics:
                step = made.step if made is not None else self.alias
                named = {f"{step}.{name}" if name else step: one for name, one in record.metrics.items()}
                facts.append(("metrics", ", ".join(f"{name} = {one}" for name, one in named.items())))
            if made is not None and made.step:
                facts.append(("made by", call_text(made)))
        some = islice(self.members.items(), _PARTS)
        parts = tuple((one_line(place), one.seen) for place, one in some)
        return Seen(
            self.kind,
            self.alias,
            self.type or look.type,
            look,
            tuple(facts),
            parts,
            len(self.members) - len(parts),
        )

    @property
    def line(self) -> str:
        """Tell it in one line."""
        return datum_line(self.seen)

    def __repr__(self) -> str:
        return self.line

    def __str__(self) -> str:
        return for_terminal("\n".join(datum_box(self.seen, terminal_width())))

    def _repr_html_(self) -> str:
        return datum_card(self.seen)

    # -- documents ----------------------------------------------------------------------------------------------------

    def document(self, store: Store | None = None) -> dict[str, Any]:
        """Give it as plain JSON: a small value itself, all else as a reference to the store that holds it.

        What JSON has no word for, such as a tuple, a date or NaN, is written as ``{"$tuple": ...}``, so that nothing
        comes back as something else. With `store`, larger values are put there.

        Raises `CodecError` for a value that is neither small nor plain, where no store is given.
        """
        head = {"format": FORMAT, "kind": self.kind, "alias": self.alias, "type": self.type}
        if self.kind == COMPOSITE:
            if isinstance(self._content, dict):
                return {**head, "parts": {name: one.document(store) for name, one in self._content.items()}}
            return {**head, "parts": [one.document(store) for one in self._content]}
        if self.kind == REFERENCE:
            return {**head, "key": self.key}
        if self.kind == PENDING:
            return {**head, "key": self.key, "why": self.why}
        encoded = encode(
            self._content, pickles=False if store is None else store.pickles, place=f"datum {self.alias!r}"
        )
        if encoded.codec == "json" and encoded.size <= INLINE and encoded.active is None:
            return {**head, "value": from_json(encoded.bytes())}
        if store is None:
            raise CodecError(
                f"datum {self.alias!r} is {size(encoded.size)} of {encoded.codec}: a document holds plain values of up "
                f"to {INLINE} bytes. Give document(store) the store that shall hold it"
            )
        key = digest("content", "1", encoded.codec, then=encoded.pieces)
        store.put_encoded(key, encoded, metrics={}, provenance={})
        return {**head, "kind": REFERENCE, "key": key}

    @classmethod
    def read(cls, document: Any, store: Store | None = None) -> Datum:
        """Read a document, as a mapping or as JSON text; references are to `store`. Nothing in it is executed.

        Raises `DeclarationError` that names the place of each fault, and `UnknownNameError` for what is not stored.
        """
        return cls._of(checked(document), store)

    @classmethod
    def _of(cls, document: Mapping[str, Any], store: Store | None) -> Datum:
        kind, alias, told = document["kind"], document["alias"], document["type"]
        if kind == PENDING:
            return cls.pending(alias, type=told, why=document["why"], key=document["key"])
        if kind == VALUE:
            return cls(VALUE, alias, told, value_of(document["value"]))
        if kind == COMPOSITE:
            parts = document["parts"]
            if isinstance(parts, Mapping):
                read: Any = {name: cls._of(one, store) for name, one in parts.items()}
            else:
                read = [cls._of(one, store) for one in parts]
            return cls(COMPOSITE, alias, told, read)
        if store is None:
            raise DeclarationError(
                "datum",
                [
                    f"{alias!r} is kept under {document['key']!r}: say where, as in Datum.read(document, store)"
                ],
            )
        return cls.of(store, document["key"], alias=alias, type=told)


def _again(kind: str, alias: str, type: str, content: Any, key: str) -> Datum:  # noqa: A002 - what it is
    return Datum(kind, alias, type, content, key=key)


def _type_of(value: Any) -> str:
    return type(value).__qualname__


def _copied(value: Any, alias: str) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception as error:
        reason = f"cannot be copied ({type(error).__name__}), so that its readers would share it"
        raise DeclarationError(
            "Datum.value", [f"{alias or 'value'} = {excerpt(value)} {reason}: make it in a step or a source"]
        ) from error


def _part(one: Any, alias: str) -> Datum:
    if isinstance(one, Datum):
        return one
    if isinstance(one, Pending):
        return Datum.awaited(one)
    if _holds_data(one):
        return Datum.composite(one, alias=alias)
    return Datum.value(one, alias=alias)


def _holds_data(one: Any, deep: int = 0) -> bool:
    if deep > _DEEPEST:
        raise DeclarationError(
            "Datum.composite", [f"it is nested more than {_DEEPEST} levels deep, or holds itself"]
        )
    inner = one.values() if isinstance(one, Mapping) else one if isinstance(one, list | tuple) else ()
    return any(isinstance(item, Datum | Pending) or _holds_data(item, deep + 1) for item in inner)


def _composite_look(content: Any) -> Preview:
    kind, count = type(content).__name__, len(content)
    told = f"[{kind} of {count:,} data]"
    if isinstance(content, dict) and content:
        told = f"{told} {one_line(', '.join(list(content)[:12]))}"
    return Preview(clipped(told, 50), kind, length=None if isinstance(content, dict) else count)


def _found(store: Store, key: str, place: str) -> Datum:
    record = store.find(key)
    if record is None:
        return Datum.pending(place, why="it was deleted from the store, or is damaged", key=key)
    return Datum(REFERENCE, place, "", record, key=key, store=store)

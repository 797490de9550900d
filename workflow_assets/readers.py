"""Readers: what tells the parts of a document, every fault at its place."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from workflow_assets.errors import DeclarationError, DocumentError, DocumentWarning, excerpt
from workflow_assets.fingerprint import fingerprint
from workflow_assets.names import identifier_fault
from workflow_assets.notations import MOST_CHARACTERS, Places, Refused, at, plain
from workflow_assets.registries import Registry
from workflow_assets.steps import OVERRIDABLE, Step
from workflow_assets.texts import parse
from workflow_assets.traits import Retries
from workflow_assets.writings import VERSION

MOST_STEPS = 100_000
KINDS = ("workflow", "experiment")
HEAD = ("kind", "version", "name", "description", "ui")


def tree_of(told: Mapping[str, Any] | str | Path) -> Any:
    """Give what a text, a file or a mapping holds, unchecked.

    Raises `DocumentError` for a file that cannot be read, and for a text that is neither JSON nor YAML.
    """
    if isinstance(told, Path):
        try:
            if told.stat().st_size > 4 * MOST_CHARACTERS:
                raise DocumentError("document", [("$", f"the file {told} is larger than any document")])
            text = told.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise DocumentError("document", [("$", f"the file {told} cannot be read: {error}")]) from None
        suffix = told.suffix.lower()
        return parse(text, yaml=suffix in (".yaml", ".yml") if suffix in (".yaml", ".yml", ".json") else None)
    if isinstance(told, str):
        if "\n" not in told and told.endswith((".json", ".yaml", ".yml")):
            raise DocumentError("document", [("$", f"{excerpt(told)} is a text: for a file, give Path(...)")])
        return parse(told)
    return dict(told) if isinstance(told, Mapping) else told


def kind_of(tree: Any) -> str:
    """Tell what a document is of; "" where it does not say."""
    kind = tree.get("kind") if isinstance(tree, Mapping) else None
    return kind if kind in KINDS else ""


class Reader:
    """Reads the parts of one document, and notes what is wrong with them."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.known = frozenset(registry)
        self.places = Places()
        self.subject = "document"
        self._changed: list[tuple[str, str]] = []
        self._of_kind: dict[type, list[str]] = {}
        self._versions: dict[tuple[int, str | None], str] = {}
        self._used: dict[tuple[Any, Any], Step[..., Any]] = {}

    # -- what every part is made of -----------------------------------------------------------------------------------

    def add(self, path: str, sentence: str) -> None:
        """Note a fault."""
        self.places.add(path, sentence)

    def mapping(
        self, told: Any, path: str, known: Iterable[str] = (), needed: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Read a mapping; note keys that it should not have, and those that it lacks."""
        if type(told) is not dict:
            self.add(path, f"{excerpt(told)}: expected a mapping")
            return {}
        names = tuple(known)
        for key in told:
            if names and key not in names:
                self.add(at(path, key), f"the key {excerpt(key)} is unknown: {self.places.near(key, names)}")
        for key in needed:
            if key not in told:
                self.add(path, f"{key!r} is missing")
        return told

    def sequence(self, told: Any, path: str, most: int = MOST_STEPS) -> list[Any]:
        """Read a list."""
        if type(told) is not list:
            self.add(path, f"{excerpt(told)}: expected a list")
            return []
        if len(told) > most:
            self.add(path, f"it has {len(told):,} items: at most {most:,} are read")
            return []
        return told

    def text(self, told: Any, path: str, *, empty: bool = True) -> str:
        """Read a text."""
        if type(told) is str and (told or empty):
            return told
        self.add(path, f"{excerpt(told)}: expected a text")
        return ""

    def member(self, told: Any, path: str, kind: type) -> Any:
        """Give the registered step or source of a slug; None, with a fault, where there is none."""
        what = kind.__name__.lower()
        slug = self.text(told, path, empty=False)
        if not slug:
            return None
        if slug not in self.known:
            self.add(
                path,
                f"no {what} is registered under {excerpt(slug)}: {self.places.near(slug, self._slugs(kind))}",
            )
            return None
        found = self.registry[slug]
        if not isinstance(found, kind):
            self.add(path, f"{slug!r} is a {type(found).__name__.lower()}, not a {what}")
            return None
        return found

    def _slugs(self, kind: type) -> list[str]:
        """Give the slugs of all steps or sources, in the order of their registration."""
        if kind not in self._of_kind:
            self._of_kind[kind] = [slug for slug in self.registry if isinstance(self.registry[slug], kind)]
        return self._of_kind[kind]

    def identifier(self, told: Any, path: str) -> str:
        """Read a name that is one word."""
        name = self.text(told, path)
        fault = identifier_fault(name) if type(told) is str else None
        if fault:
            self.add(path, f"it {fault}")
        return "" if fault else name

    # -- the head and the foot ----------------------------------------------------------------------------------------

    def head(self, tree: Any, kind: str, keys: Iterable[str]) -> dict[str, Any]:
        """Check what a document says of itself, and give it as plain JSON; raise for what is no document at all."""
        subject = f"{kind} document"
        if not isinstance(tree, dict):
            given = tree.sentence if isinstance(tree, Refused) else excerpt(tree)
            raise DocumentError(subject, [("$", f"{given}: expected a mapping of kind, version, name, …")])
        told: dict[str, Any] = plain(tree, self.places)
        self.subject = subject
        if told.get("kind") != kind:
            self.add(*self._unlike(told, "kind", f"expected {kind!r}"))
        version = told.get("version")
        if type(version) is not int or version != VERSION:
            newer = type(version) is int and version > VERSION
            cure = "update workflow_assets to read it" if newer else f"expected {VERSION}"
            if "$.version" not in dict(self.places.faults):
                self.add(*self._unlike(told, "version", cure))
            self.places.refuse(subject)  # nothing is known of what other versions hold
        self.mapping(told, "$", (*HEAD, *keys), ("name", "steps"))
        self.text(told.get("description", ""), "$.description")
        return told

    def _unlike(self, told: Mapping[str, Any], key: str, expected: str) -> tuple[str, str]:
        """Tell what the head says, or that it does not."""
        if key not in told:
            return "$", f"{key!r} is missing: {expected}"
        return at("$", key), f"{key} = {excerpt(told[key])}: {expected}"

    def name(self, told: Mapping[str, Any], key: str = "name") -> str:
        """Read the document's name."""
        if key not in told:
            return "unnamed"
        return self.identifier(told[key], at("$", key)) or "unnamed"

    def close(self, pinned: bool) -> None:
        """Raise if there are faults; warn of code that has changed."""
        if pinned:
            for path, sentence in self._changed:
                self.add(path, sentence)
        self.places.refuse(self.subject)
        if self._changed:
            told = "".join(
                f"\n  {path}: {sentence}" for path, sentence in self._changed[: DocumentError.SHOWN]
            )
            warnings.warn(
                f"{self.subject}: it is read with other code than it was written with:{told}",
                DocumentWarning,
                stacklevel=4,
            )

    def use(self, entry: Mapping[str, Any], path: str) -> Step[..., Any] | None:
        """Read a step's slug, the version of its code and what is overridden."""
        slug, version = entry["step"], entry.get("code_version", "")
        as_registered = type(slug) is type(version) is str and not entry.keys() & {"execution", "each"}
        if as_registered and (slug, version) in self._used:
            return self._used[slug, version]
        step: Step[..., Any] | None = self.member(slug, at(path, "step"), Step)
        execution = self.mapping(entry.get("execution", {}), at(path, "execution"), OVERRIDABLE)
        version = self.text(version, at(path, "code_version"))
        if step is None:
            return None
        code = id(step.function), step.version
        if version and code not in self._versions:
            self._versions[code] = fingerprint(step.function, step.version).digest
        if version and version != self._versions[code]:
            now = self._versions[code]
            sentence = f"the code of {step.slug!r} is {now[:12]} now, and was {excerpt(version[:12])}"
            self._changed.append((at(path, "code_version"), sentence))
        elif as_registered:
            self._used[slug, version] = step
        made = step
        for trait, value in execution.items():
            if trait not in OVERRIDABLE:
                continue
            try:
                made = made.with_traits(
                    **{trait: self._trait(trait, value, at(at(path, "execution"), trait))}
                )
            except DeclarationError as error:
                for fault in error.faults:
                    self.add(*_of_trait(fault, value, at(at(path, "execution"), trait)))
        return self._each(made, entry["each"], at(path, "each")) if "each" in entry else made

    def _each(self, step: Step[..., Any], told: Any, path: str) -> Step[..., Any] | None:
        """Read which parameters are handed one item at a time; None where that is not known."""
        entry = self.mapping(told, path, ("of", "combine"), ("of",))
        of = at(path, "of")
        names = [
            self.text(one, at(of, place), empty=False)
            for place, one in enumerate(self.sequence(entry.get("of", []), of))
        ]
        if not names or not all(names):
            if entry.get("of") == []:
                self.add(of, "name a parameter whose items the step is called on")
            return None
        try:
            return step.each(*names, combine=cast("Any", entry.get("combine", "zip")))
        except DeclarationError as error:
            for fault in error.faults:
                named = next((n for n, one in enumerate(names) if f"on each {one!r}," in fault), None)
                word = "combine" if fault.startswith("combine") else "of"
                self.add(at(path, word) if named is None else at(of, named), fault)
            return None

    def _trait(self, trait: str, value: Any, path: str) -> Any:
        if trait == "retries" and type(value) is dict:
            self.mapping(value, path, ("times", "wait", "backoff", "longest"), ("times",))
            return Retries(
                **{"times": 0, **{key: one for key, one in value.items() if key in Retries.__annotations__}}
            )
        return value


def place_named(fault: str, told: Mapping[str, Any]) -> str:
    """Give the place of the claim, treatment or family that a fault names; "" where it names none."""
    claims = [one["name"] for one in told.get("hypotheses", [])]
    for words, key, names in (
        (("hypothesis", "hypotheses are called"), "hypotheses", claims),
        (("treatment",), "treatments", [*told.get("treatments", {})]),
        (("family",), "families", [*told.get("families", {})]),
    ):
        for place in reversed(range(len(names))):  # of two with one name, the second
            if any(f"{word} {excerpt(names[place])}" in fault for word in words):
                return at(f"$.{key}", place if names is claims else names[place])
    word = fault.partition(" ")[0]
    word = "design" if fault.startswith("the design") else "families" if "for the family" in fault else word
    return at("$", word) if word in told else ""


def place_among(fault: str, units: Iterable[str], path: str) -> str:
    """Give the place of the unit that a fault is about; "" where it is about none."""
    found = [(n, key) for n, key in enumerate(units) if fault.startswith(f"unit {excerpt(key)} ")]
    if not found:
        return ""
    place, key = found[-1]
    return at(path, key if isinstance(units, Mapping) else place)


def place_of(fault: str, entry: Mapping[str, Any], path: str) -> str:
    """Give the place of the key that a fault begins with, or of what it is in."""
    word = fault.partition(" ")[0]
    word = "levels" if word == "level" else word
    return at(path, word) if word in entry else path


def _of_trait(fault: str, value: Any, path: str) -> tuple[str, str]:
    """Tell what is wrong with a trait in the words of documents, and where."""
    head, _, told = fault.rpartition("): ")
    key = head.partition("=")[0].removeprefix("Retries(")
    if key in ("wait", "backoff", "longest"):
        return at(path, key), f"{key} = {excerpt(value[key])}: {told}"
    if fault.startswith("retries") and type(value) is dict:
        return at(path, "times"), fault
    fault = fault.replace("or Retries(...)", "or a mapping of times, wait, backoff and longest")
    return path, fault.replace("True or False", "true or false")

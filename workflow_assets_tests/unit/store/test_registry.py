"""Codecs of the users' own."""

import pickle
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import pytest

import workflow_assets
from workflow_assets import register_codec
from workflow_assets.errors import CodecError
from workflow_assets.store import registry
from workflow_assets.store.base import MemoryStore
from workflow_assets.store.codecs import decode, encode, extension, independent_copy


@dataclass
class Spectrum:
    name: str


class Ring(deque[int]):
    """No dataclass: only pickle could store it."""


class Codec:
    """What a user writes."""

    extension = "spc"

    def __init__(self, name: str = "spectrum", kind: type = Spectrum) -> None:
        self.name = name
        self.kind = kind

    def accepts(self, value: Any) -> bool:
        return type(value) is self.kind

    def encode(self, value: Any) -> Any:
        if self.kind is Ring:
            return (bytes(value),)
        return None if value.name == "odd" else (value.name.encode(),)

    def decode(self, data: Any) -> Any:
        return Ring(bytes(data)) if self.kind is Ring else Spectrum(bytes(data).decode())

    def copy(self, value: Any) -> Any:
        return None


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    for name in ("_registered", "_known", "_by_name"):
        monkeypatch.setattr(registry, name, getattr(registry, name))


def test_a_registered_codec_stores_its_type_as_a_whole_and_as_a_member():
    """Also a dataclass, which would else be JSON; and where the store allows no pickles."""
    register_codec(Codec())
    register_codec(Codec("ring", Ring))
    store = MemoryStore(pickles=False)
    value = {"a": [Spectrum("x"), Spectrum("odd")], "ring": Ring([1, 2])}
    encoded = encode(value, pickles=False)
    assert encoded.codec == "composite"
    assert b"a.0.spc" in encoded.bytes()
    assert independent_copy(encoded, pickles=False) == value == store.load(store.put("a1", value))
    assert store.put("a2", Spectrum("x")).codec == "spectrum"
    assert store.load("a2") == Spectrum("x")
    assert extension("spectrum") == "spc"
    assert (
        encode(Spectrum("odd"), pickles=False).codec == "json"
    )  # what it cannot hold, as if it were not there


def test_a_type_without_a_codec_is_told_how_to_get_one():
    """In the words of the public function."""
    with pytest.raises(
        CodecError, match=r"workflow_assets\.register_codec\(codec\), where the codec has a name"
    ):
        encode(Ring(), pickles=False)


def test_a_second_codec_of_one_name_is_refused():
    """Registering an equal one again, as a notebook does, changes nothing."""
    register_codec(Codec())
    register_codec(Codec())
    assert len(registry.registered_codecs()) == 1
    with pytest.raises(CodecError, match="a codec called 'spectrum' is there already"):
        register_codec(Codec(kind=Ring))
    for name in ("npy", "json", "pickle", "composite"):
        with pytest.raises(CodecError, match="is there already"):
            register_codec(Codec(name))


class Half:
    name = extension = "half"


class Unnamed(Codec):
    extension = "../x"


def local():
    class Local(Codec):
        """Not found by pickle."""

    return Local()


@pytest.mark.parametrize(
    ("codec", "message"),
    [
        (Half(), "the codec Half lacks accepts, encode, decode, copy"),
        (Codec, "the codec Codec is a class, not an instance"),
        (Unnamed(), r"has the extension '\.\./x'"),
        (Codec("A b"), "has the name 'A b'"),
        (local(), "cannot be pickled.*Define its class at the top of a module"),
    ],
)
def test_what_is_no_codec_is_refused(codec, message):
    """With what it lacks."""
    with pytest.raises(CodecError, match=message):
        register_codec(codec)
    assert registry.registered_codecs() == ()


def test_threads_may_register_at_once():
    """None is lost."""
    codecs = [Codec(f"codec-{number}") for number in range(50)]
    threads = [threading.Thread(target=register_codec, args=(codec,)) for codec in codecs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {codec.name for codec in registry.registered_codecs()} == {codec.name for codec in codecs}


def test_a_value_of_a_codec_that_is_not_registered_here_says_so():
    """With near names."""
    with pytest.raises(
        CodecError, match=r"no codec is called 'parket': if it is one of yours.*; did you mean 'parquet'"
    ):
        decode("parket", b"", pickles=True)


def test_every_codec_can_be_sent_to_another_process():
    """They are values."""
    for codec in registry.known_codecs():
        assert pickle.loads(pickle.dumps(codec)).name == codec.name
    assert workflow_assets.register_codec is registry.register_codec

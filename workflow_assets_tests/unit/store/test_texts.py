"""Long texts and bytes as files that hold nothing else."""

import io
import tarfile
from typing import Any

import pytest

from workflow_assets.errors import CodecError, CorruptDatumError
from workflow_assets.store.codecs import decode, encode, independent_copy
from workflow_assets.store.files import FileStore

LONG: dict[str, Any] = {
    "text": "größe\r\n\0\U0001f600" * 500,
    "bytes": bytes(range(256)) * 20,
    "bytearray": bytearray(range(256)) * 20,
}


@pytest.mark.parametrize("codec", LONG)
def test_long_values_are_their_own_bytes(codec, tmp_path):
    """A text is a .txt file in UTF-8, with its line ends; bytes are a .bin file."""
    value = LONG[codec]
    encoded = encode(value, pickles=False)
    assert encoded.codec == codec
    assert encoded.bytes() == (value.encode() if isinstance(value, str) else bytes(value))
    for again in (decode(codec, encoded.bytes(), pickles=False), independent_copy(encoded, pickles=False)):
        assert again == value
        assert type(again) is type(value)
    record = FileStore(tmp_path).put("a1", value)
    assert record.location is not None
    assert record.location.endswith(".txt" if codec == "text" else ".bin")
    assert FileStore(tmp_path).load("a1") == value


def test_a_flipped_byte_is_found(tmp_path):
    """A text has no structure that would show it; its digest does."""
    FileStore(tmp_path).put("a1", LONG["text"])
    (file,) = tmp_path.glob("objects/*/*.txt")
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.chmod(0o600)
    file.write_bytes(data)
    with pytest.raises(CorruptDatumError):
        FileStore(tmp_path).load("a1")


@pytest.mark.parametrize(
    "value", ["short", b"short", "\ud800" * 3000], ids=["text", "bytes", "half a character"]
)
def test_other_texts_are_json(value):
    """Short ones sit in the record; UTF-8 has no half of a character."""
    encoded = encode(value, pickles=False)
    assert encoded.codec == "json"
    assert decode("json", encoded.bytes(), pickles=False) == value


def test_long_bytes_in_a_composite_are_a_file_of_it():
    """Not text in its manifest; a bytearray is the consumer's own."""
    value = {"blob": LONG["bytes"], "mine": LONG["bytearray"], "short": b"x"}
    encoded = encode(value, pickles=False)
    with tarfile.open(fileobj=io.BytesIO(encoded.bytes())) as archive:
        assert archive.getnames() == ["manifest.json", "blob.bin", "mine.bin"]
    handed = independent_copy(encoded, pickles=False)
    assert handed == value == decode("composite", encoded.bytes(), pickles=False)
    handed["mine"][0] = 7
    assert independent_copy(encoded, pickles=False) == value


def test_what_is_no_utf_8_is_refused():
    """Instead of being read as something else."""
    with pytest.raises(CodecError, match="cannot be decoded"):
        decode("text", b"\xff\xfe", pickles=False)

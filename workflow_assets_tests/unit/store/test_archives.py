"""Archives of members."""

import io
import json
import tarfile

import pytest

from workflow_assets.errors import CodecError
from workflow_assets.store.archives import pack, unpack
from workflow_assets.store.codecs import decode


def packed(members):
    return b"".join(pack({"tree": 1}, {name: ("npy", parts) for name, parts in members.items()}))


def test_members_are_found_by_name():
    """In the pieces that were given, put together."""
    data = packed({"a": [b"12", b"3"], "b": [], "c": [b"x" * 600]})
    head, tree, codecs, member = unpack(data)
    assert (data[: len(head)], tree) == (head, {"tree": 1})
    assert codecs == {"a": "npy", "b": "npy", "c": "npy"}
    assert {name: (codec, bytes(part)) for name in "abc" for codec, part in [member(name)]} == {
        "a": ("npy", b"123"),
        "b": ("npy", b""),
        "c": ("npy", b"x" * 600),
    }


def test_members_lie_where_arrays_like_to_be():
    """At multiples of 512 bytes of the archive."""
    data = packed({"a": [b"first"], "b": [b"2" * 513], "c": [b"third"]})
    for mark in (b"first", b"2" * 513, b"third"):
        assert data.index(mark) % 512 == 0


def test_a_member_is_read_without_copying():
    """It is a part of the buffer, and can be written to where that can."""
    data = bytearray(packed({"a": [b"123"]}))
    _, part = unpack(data).member("a")
    assert not part.readonly
    part[0] = ord("9")
    assert b"923" in data


def test_what_the_archive_claims_and_does_not_have_is_refused():
    """A member of 10 GB, one before the beginning, one beyond the end."""
    for start, size in ((512, 10_000_000_000), (-512, 3), (512, -3), (99_999, 3)):
        manifest = json.dumps({"members": {"a": ["npy", start, size]}, "value": {"$member": "a"}}).encode()
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as archive:
            for name, content in (("manifest.json", manifest), ("a", b"123")):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        with pytest.raises(CodecError, match=r"the stored archive claims .* for a, and has"):
            decode("composite", data.getvalue(), pickles=True)


@pytest.mark.parametrize("data", [b"", b"PK\3\4" + bytes(600), bytes(512), packed({"a": [b"1"]})[:520]])
def test_what_is_no_archive_of_ours_is_refused(data):
    """With an error of our own."""
    with pytest.raises(CodecError):
        decode("composite", data, pickles=True)


def test_a_member_that_is_not_there_is_refused():
    """The tree names it, the list of members does not."""
    data = b"".join(pack({"$member": "b"}, {"a": ("npy", [b"1"])}))
    with pytest.raises(CodecError, match="KeyError: 'b'"):
        decode("composite", data, pickles=True)

"""Whose pickles are loaded: the key, who has it, and what is signed with it."""

import collections
import dataclasses
import enum
import importlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workflow_assets.errors import CodecError, StoreError
from workflow_assets.store import signatures
from workflow_assets.store.base import MemoryStore
from workflow_assets.store.codecs import decode, encode
from workflow_assets.store.files import FileStore
from workflow_assets.store.s3 import S3Store
from workflow_assets.store.signatures import VARIABLE, is_own, sign
from workflow_assets_tests.conformance.sameness import assert_same
from workflow_assets_tests.conformance.stores import Bomb

ROOT = Path(__file__).parents[3]
COUNTED = collections.Counter("aab")
SHARED = "0123456789abcdef0123456789abcdef"


@dataclasses.dataclass
class Point:
    x: int


class Colour(enum.Enum):
    RED = 1


class User:
    """Whoever has a home of his own, and so a key of his own."""

    def __init__(self, home, monkeypatch):
        self.home, self._monkeypatch = home, monkeypatch
        self.key = home / "workflow_assets" / "key"

    def enters(self):
        self._monkeypatch.setenv("XDG_CONFIG_HOME", str(self.home))

    def write_key(self, text, mode=0o600):
        self.key.parent.mkdir(parents=True)
        self.key.write_text(text)
        self.key.chmod(mode)


@pytest.fixture
def user(tmp_path, monkeypatch):
    """The one who runs the test, with no key yet."""
    me = User(tmp_path / "mine", monkeypatch)
    me.enters()
    return me


@pytest.fixture
def other(tmp_path, monkeypatch):
    """Somebody else, who has not entered."""
    return User(tmp_path / "another's", monkeypatch)


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "store")


def process(home, script, *arguments):
    """Start a process of the user who has a home."""
    environment = {**os.environ, "XDG_CONFIG_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finished(child, sent=""):
    out, complaint = child.communicate(sent, timeout=60)
    assert child.returncode == 0, complaint
    return out


# -- whose pickles are loaded -----------------------------------------------------------------------------------------

WRITES = """
import sys
from workflow_assets.store.files import FileStore
class Bomb:
    def __reduce__(self):
        import os
        return os.mkdir, (sys.argv[2],)
FileStore(sys.argv[1]).put("a1", Bomb())
"""
READS = """
import sys
from workflow_assets.store.files import FileStore
store = FileStore(sys.argv[1])
print(store.load("a1"), store.load("a2"))
"""


def test_another_users_pickles_are_not_executed_and_ones_own_are(user, other, store, tmp_path):
    """Whoever wrote them in another process, with the same policy."""
    trap = tmp_path / "executed"
    finished(process(other.home, WRITES, store.folder, trap))
    with pytest.raises(CodecError, match="not signed with your key") as refusal:
        store.load("a1")
    for word in ("force=", VARIABLE, "pickles=True"):
        assert word in str(refusal.value)
    assert not trap.exists()
    finished(process(user.home, WRITES, tmp_path / "own", trap))
    FileStore(tmp_path / "own").load("a1")
    assert trap.exists()


def test_another_process_of_the_same_user_loads_what_is_pickled_and_imports_what_it_names(
    user, store, tmp_path
):
    """Also the module of a class, which is not loaded there."""
    (tmp_path / "things.py").write_text("class Kind: pass\nimport enum\nclass Sort(enum.Enum):\n    A = 1\n")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    writes = f"{script}import things\n{READS.partition('print')[0]}"
    finished(
        process(
            user.home,
            f"{writes}store.put('a1', things.Sort.A); store.put('a2', [things.Sort.A, 1j])",
            store.folder,
        )
    )
    store.put("a3", COUNTED)
    reads = f"{script}{READS}print('things' in sys.modules, store.load('a3'))"
    told = finished(process(user.home, reads, store.folder))
    assert told == "Sort.A [<Sort.A: 1>, 1j]\nTrue Counter({'a': 2, 'b': 1})\n"


@pytest.mark.parametrize(
    "wrap", [lambda value: value, lambda value: [np.arange(3), value]], ids=["whole", "member"]
)
def test_no_module_is_imported_for_what_somebody_else_has_written(
    user, other, store, wrap, tmp_path, monkeypatch
):
    """The error says which to import, if it is trusted."""
    (tmp_path / "a_foreign_module.py").write_text("import enum\nclass Sort(enum.Enum):\n    A = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    other.enters()
    expected = wrap(importlib.import_module("a_foreign_module").Sort.A)
    store.put("a1", expected)
    user.enters()
    monkeypatch.delitem(sys.modules, "a_foreign_module")
    with pytest.raises(CodecError, match="import a_foreign_module first"):
        store.load("a1")
    assert "a_foreign_module" not in sys.modules
    other.enters()
    assert str(store.load("a1")) == str(expected)
    monkeypatch.delitem(sys.modules, "a_foreign_module")


def test_machines_share_a_key_in_the_environment(user, other, store, monkeypatch):
    """Which comes before a file; without it, what one has written is not the other's own."""
    monkeypatch.setenv(VARIABLE, SHARED)
    store.put("a1", COUNTED)
    other.enters()
    assert store.load("a1") == COUNTED
    assert not user.key.exists()
    assert not other.key.exists()
    for different in (SHARED[::-1], None):
        if different is None:
            monkeypatch.delenv(VARIABLE)
        else:
            monkeypatch.setenv(VARIABLE, different)
        with pytest.raises(CodecError, match="not signed with your key"):
            store.load("a1")


def test_what_a_key_file_holds_can_be_another_machines_environment(user, other, store, monkeypatch):
    """So that a key which is there already can be shared."""
    store.put("a1", COUNTED)
    other.enters()
    monkeypatch.setenv(VARIABLE, user.key.read_text().strip())
    assert store.load("a1") == COUNTED


def test_a_store_takes_its_policy_to_other_processes_and_never_the_key(user):
    """Who opens it there has a key of his own."""
    sign("a1", "pickle", (b"",))
    secret = user.key.read_bytes().strip()
    for store in (FileStore("store"), S3Store("s3://bucket"), FileStore("store", pickles=False)):
        sent = pickle.dumps(store)
        assert pickle.loads(sent).pickles == store.pickles
        assert secret not in sent
        assert secret not in str(vars(store)).encode()


def test_the_default_is_to_load_ones_own_except_in_memory():
    """Nobody else writes to memory."""
    assert (FileStore("a").pickles, S3Store("s3://bucket").pickles, MemoryStore().pickles) == (
        "own",
        "own",
        True,
    )


# -- what is signed ---------------------------------------------------------------------------------------------------


NEEDED = {
    "a number": (lambda: 1.5, 0),
    "plain values": (lambda: {"a": (1, b"2")}, 0),
    "an array": (lambda: np.arange(3), 0),
    "arrays": (lambda: [np.arange(3)], 0),
    "lines": (lambda: map(int, "123"), 0),
    "items": (lambda: map(np.arange, (1, 2)), 0),
    "nothing yielded": (lambda: map(int, ""), 0),
    "a dataclass": (lambda: Point(1), 1),
    "an enum as a key": (lambda: {Colour.RED: 1}, 1),
    "a dataclass beside an array": (lambda: [Point(1), np.arange(3)], 1),
    "lines of dataclasses": (lambda: map(Point, (1, 2)), 1),
    "items with dataclasses": (lambda: ({"p": Point(n), "a": np.arange(n)} for n in range(2)), 1),
}
PICKLED = {
    "a pickle": (lambda: COUNTED, 1),
    "a pickle in a list": (lambda: [COUNTED], 2),
    "pickles beside an array": (lambda: [COUNTED, np.arange(3), collections.deque()], 3),
}


@pytest.mark.parametrize("case", [*NEEDED, *PICKLED])
def test_pickles_and_what_names_classes_are_signed(user, case):
    """And nothing else: arrays beside them are not."""
    make, parts = {**NEEDED, **PICKLED}[case]
    encoded = encode(make(), pickles=True)
    assert len(encoded.active or ()) == parts
    assert encoded.pickled == (case in PICKLED)
    record = MemoryStore(pickles="own").put_encoded("a1", encoded, metrics={}, provenance={})
    assert (record.signature != "") == (parts > 0)


def test_each_part_is_signed_for_itself(user):
    """No bytes can move from one to the next, and none be left out."""
    parts = [[b"xy"], [b"x", b"y"], [b"", b"xy"], [b"xy", b""], []]
    said = [("a1", "pickle", one) for one in parts]
    said += [("a1p", "ickle", [b"xy"]), ("a1", "json", [b"xy"]), ("a2", "pickle", [b"xy"])]
    signed = [sign(*one) for one in said]
    assert len(set(signed)) == len(said)
    assert [is_own(signature, *one) for signature, one in zip(signed, said, strict=True)] == [True] * len(
        said
    )
    assert not is_own(signed[0], *said[1])


@pytest.mark.parametrize("signature", ["", "x", "é" * 32, None, 5, [1], "0" * 32])
def test_what_is_no_signature_holds_for_nothing(user, signature):
    """Whatever a record says."""
    sign("a1", "pickle", (b"",))
    assert is_own(signature, "a1", "pickle", (b"",)) is False


@pytest.mark.parametrize(
    "value", [COUNTED, [COUNTED, [COUNTED]], Point(1)], ids=["pickle", "members", "class"]
)
def test_what_is_checked_is_what_is_loaded(value, tmp_path):
    """Others cannot change a mapped file in between: it was copied."""
    encoded = encode(value, pickles=True)
    data = bytearray(encoded.bytes())
    bomb = pickle.dumps(Bomb(tmp_path / "executed"))

    def is_signed(parts):
        assert b"".join(parts) == b"".join(encoded.active or ())
        data[:] = (bomb + bytes(len(data)))[: len(data)]
        return True

    loaded = decode(encoded.codec, memoryview(data), pickles=False, imports=False, is_signed=is_signed)
    assert_same(loaded, value)
    assert not (tmp_path / "executed").exists()


def test_items_that_are_checked_are_those_that_are_loaded(user):
    """They are read one by one, from a copy."""
    encoded = encode(map(Point, range(3)), pickles=True)
    data = bytearray(encoded.bytes())
    items = decode(
        "lines", memoryview(data), pickles=False, is_signed=lambda parts: b"".join(parts) == encoded.bytes()
    )
    data[:] = b"0" * len(data)
    assert list(items) == [Point(0), Point(1), Point(2)]


# -- the key ----------------------------------------------------------------------------------------------------------


def test_who_never_pickles_has_no_key(user, store):
    """Neither by storing other values nor by being refused a pickle."""
    store.put("a1", [1.5, {"a": np.arange(1000)}])
    store.load("a1")
    record = FileStore(store.folder, pickles=True).put("a2", COUNTED)
    for one in (record, record._replace(signature="0" * 32)):
        with pytest.raises(CodecError, match="not signed with your key"):
            store.load(one)
    assert not user.home.exists()


def test_a_key_is_the_users_alone(user):
    """32 random bytes in a file that nobody else may read."""
    before = os.umask(0)
    try:
        sign("a1", "pickle", (b"",))
    finally:
        os.umask(before)
    assert user.key.stat().st_mode & 0o777 == 0o600
    assert user.key.parent.stat().st_mode & 0o777 == 0o700
    assert len(bytes.fromhex(user.key.read_text())) == 32
    assert list(user.key.parent.iterdir()) == [user.key]


MAKES = """
import sys
from workflow_assets.store.signatures import sign
print("ready", flush=True)
sys.stdin.readline()
print(sign("a1", "pickle", (b"x",)))
"""


def test_processes_that_make_a_key_at_the_same_time_end_up_with_one(user):
    """All sign alike, and leave nothing else behind."""
    children = [process(user.home, MAKES) for _ in range(8)]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    signed = {finished(child) for child in children}
    assert signed == {sign("a1", "pickle", (b"x",)) + "\n"}
    assert list(user.key.parent.iterdir()) == [user.key]


def test_of_two_keys_the_first_is_the_one(user, monkeypatch):
    """Who comes second takes it."""
    link = os.link

    def second(source, target):
        Path(target).write_text(SHARED)
        Path(target).chmod(0o600)
        link(source, target)

    monkeypatch.setattr(os, "link", second)
    signed = sign("a1", "pickle", (b"x",))
    assert user.key.read_text() == SHARED
    monkeypatch.setenv(VARIABLE, SHARED)
    assert sign("a1", "pickle", (b"x",)) == signed


def linked(user):
    user.write_key(SHARED)
    user.key.rename(user.key.with_name("elsewhere"))
    user.key.symlink_to("elsewhere")


def piped(user):
    user.key.parent.mkdir(parents=True)
    os.mkfifo(user.key, 0o600)


UNSAFE = {
    "readable": (
        lambda user: user.write_key(SHARED, 0o644),
        r"others may read or write .* \(mode 0644\).*chmod 600",
    ),
    "of a group": (lambda user: user.write_key(SHARED, 0o640), "others may read or write"),
    "writable": (lambda user: user.write_key(SHARED, 0o602), "others may read or write"),
    "link": (linked, "is a link"),
    "folder": (lambda user: user.key.mkdir(0o700, parents=True), "is no file"),
    "pipe": (piped, "is no file"),
    "empty": (lambda user: user.write_key(""), "a key of 0 characters: expected at least 32"),
    "short": (lambda user: user.write_key("x" * 31 + "\n"), "a key of 31 characters"),
}


@pytest.mark.parametrize(("make", "reason"), UNSAFE.values(), ids=UNSAFE)
def test_a_key_that_others_may_know_is_refused(user, store, make, reason):
    """For writing and for loading, with the file's name and what to do."""
    make(user)
    for use in (lambda: store.put("a1", COUNTED), lambda: is_own("0" * 32, "a1", "pickle", ())):
        with pytest.raises(StoreError, match=reason) as refusal:
            use()
        assert str(user.key) in str(refusal.value)
        assert "delete it" in str(refusal.value)
    assert store.find("a1") is None


def test_a_key_of_another_user_is_refused(user, store, monkeypatch):
    """Who put it there can sign."""
    user.write_key(SHARED)
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(StoreError, match="belongs to another user"):
        store.put("a1", COUNTED)


def test_a_short_key_in_the_environment_is_refused(user, store, monkeypatch):
    """Also an empty one, as of a secret that was not passed on; it is not shown."""
    for text in ("", "hunter2", "x" * 31):
        monkeypatch.setenv(VARIABLE, text)
        with pytest.raises(StoreError, match=f"{VARIABLE} holds a key of {len(text)} characters") as refusal:
            store.put("a1", COUNTED)
        assert "hunter2" not in str(refusal.value)


def no_folder(user, monkeypatch):
    user.home.write_text("no folder")


def no_home(user, monkeypatch):
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    signatures._place.cache_clear()


@pytest.mark.parametrize("leave", [no_folder, no_home])
def test_without_a_home_the_error_says_what_to_do(user, store, leave, monkeypatch):
    """Values that only name classes are stored all the same; with a key in the environment, so are pickles."""
    leave(user, monkeypatch)
    with pytest.raises(
        StoreError, match=rf"cannot be made: .* Set {VARIABLE} .* or open the store with pickles=True"
    ):
        store.put("a1", COUNTED)
    assert store.find("a1") is None
    assert store.put("a2", Point(1)).signature == ""
    assert store.load("a2") == Point(1)
    monkeypatch.setenv(VARIABLE, SHARED)
    store.put("a1", COUNTED)
    assert store.load("a1") == COUNTED
    signatures._place.cache_clear()


def test_a_key_that_is_deleted_at_once_is_an_error(user, store, monkeypatch):
    """Instead of a signature that nobody can check."""
    monkeypatch.setattr(os, "link", lambda source, target: None)
    with pytest.raises(StoreError, match="was deleted as soon as it was made"):
        store.put("a1", COUNTED)


def test_the_home_is_where_the_key_is_by_default(user, monkeypatch):
    """A relative XDG_CONFIG_HOME is none, as its specification says."""
    monkeypatch.setenv("HOME", str(user.home))
    for folder in ("relative", ""):
        monkeypatch.setenv("XDG_CONFIG_HOME", folder)
        sign("a1", "pickle", (b"",))
    assert (user.home / ".config" / "workflow_assets" / "key").is_file()
    assert not Path("relative").exists()

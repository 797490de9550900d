"""Dataclasses, models, named tuples and enum members: taken apart, and put together as they were."""

import dataclasses
import enum
import functools
import gc
import json
import pickle
import subprocess
import sys
import textwrap
import threading
from dataclasses import InitVar, dataclass, field
from typing import Any, Generic, NamedTuple, Self, TypeVar

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel, computed_field

from workflow_assets.errors import CodecError
from workflow_assets.store.codecs import decode, encode, independent_copy
from workflow_assets_tests.conformance.sameness import assert_same

T = TypeVar("T")


@dataclass
class Plain:
    x: float
    y: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Frozen:
    x: float
    train: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"a": [1.0, 2.0]}))


@dataclass(slots=True)
class Slotted:
    x: int
    __hidden: int = 7


@dataclass(frozen=True)
class FrozenBase:
    w: str = "base"


@dataclass(frozen=True, slots=True)
class FrozenSlotted(FrozenBase):
    x: int = 0
    z: tuple[int, ...] = (1, 2)


@dataclass
class Initialised:
    x: int
    scale: InitVar[int] = 2
    product: int = field(init=False)
    unset: int = field(init=False)

    def __post_init__(self, scale: int) -> None:
        self.product = self.x * scale


@dataclass
class Child(Plain):
    z: str = "child"

    @functools.cached_property
    def total(self) -> float:
        return self.x + sum(self.y)


@dataclass
class Box(Generic[T]):
    content: T


@dataclass
class Counting:
    """Its constructor has an effect, which reading must not repeat."""

    x: int
    made = 0

    def __post_init__(self) -> None:
        type(self).made += 1


@dataclass
class PicklesItself:
    x: int

    def __reduce__(self) -> Any:
        return type(self), (self.x + 1,)


@dataclass
class Interned:
    x: int

    def __new__(cls, x: int = 0) -> Self:
        return super().__new__(cls)


class Single(NamedTuple):
    x: int


class Point(NamedTuple):
    x: float
    at: np.ndarray


class Labelled(Single):
    """Has room for attributes."""


class Model(BaseModel):
    x: float = Field(alias="ex", default=1.0)
    items: dict[str, int] = {}


class Open(BaseModel):
    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)
    x: int
    table: Any = None
    _calls: int = PrivateAttr(default=0)


class FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True)
    x: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return 2 * self.x


class Rows(RootModel[list[int]]):
    pass


class Envelope(BaseModel, Generic[T]):
    content: T


class Colour(enum.Enum):
    RED = (1, 2)
    CRIMSON = RED
    BLUE = "b"


class Level(enum.IntEnum):
    LOW = 1


class Kind(enum.StrEnum):
    TEST = "test"


class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Bits(enum.IntFlag):
    ONE = 1
    TWO = 2


def later(value: Any, **attributes: Any) -> Any:
    for name, item in attributes.items():
        setattr(value, name, item)
    return value


def private(value: Open) -> Open:
    value._calls = 3
    return value


VALUES = {
    "a plain dataclass": Plain(1.5, [1]),
    "a frozen one with a frame": Frozen(0.1),
    "one with slots, one of them private": Slotted(3),
    "a frozen child with slots": FrozenSlotted(x=3),
    "one with InitVar, and a field that was never set": Initialised(3, 5),
    "a child": Child(1.0),
    "one with attributes that are no fields": later(Plain(1.0), note="later", extra=np.arange(3)),
    "one with a field deleted": Initialised(1),
    "a generic one": Box(1),
    "a generic one that knows its parameter": Box[int](1),
    "a nested one": Box(Box([Plain(1.0), (Frozen(2.0),)])),
    "a named tuple": Point(0.5, np.arange(4)),
    "a model with an alias": Model(ex=2.0),
    "a model with nothing set": Model(),
    "a model with extra and private attributes": private(
        Open.model_validate({"x": 1, "table": pd.DataFrame({"a": [1]}), "more": [1, 2]})
    ),
    "a frozen model": FrozenModel(x=2),
    "a root model": Rows([1, 2]),
    "a generic model": Envelope[int](content=3),
    "enum members": [Colour.RED, Colour.CRIMSON, Colour.BLUE, Level.LOW, Kind.TEST],
    "flags": [Access.READ, Access.READ | Access.WRITE, Access(0), ~Access.READ, Bits.ONE | Bits.TWO, Bits(8)],
    "enum members as keys": {Colour.RED: 1, Level.LOW: 2, Kind.TEST: 3, Access.READ | Access.WRITE: 4},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_that_is_its_fields_comes_back_as_it_was(value):
    """Same class, same fields and attributes in the same order, none added; cold as warm."""
    encoded = encode(value, pickles=True)
    warm = decode(encoded.codec, encoded.bytes(), pickles=True)
    assert_same(warm, value)
    assert_same(independent_copy(encoded, pickles=True), warm, layout=True)


@pytest.mark.parametrize(
    "value",
    [value for name, value in VALUES.items() if "parameter" not in name],
    ids=lambda value: type(value).__name__,
)
def test_such_a_value_needs_no_pickle(value):
    """It can be kept in a store that allows none."""
    encoded = encode(value, pickles=False)
    assert_same(decode(encoded.codec, encoded.bytes(), pickles=False, imports=False), value)


def test_reading_calls_no_constructor():
    """A dataclass is put together from its fields, as unpickling does."""
    encoded = encode(Counting(1), pickles=False)
    made = Counting.made
    assert decode(encoded.codec, encoded.bytes(), pickles=False) == Counting(1)
    assert Counting.made == made + 1


@pytest.mark.parametrize("value", [PicklesItself(1), Interned(1)], ids=["reduce", "new"])
def test_a_class_that_says_how_it_is_made_is_pickled(value):
    """What a class does in its own way is not second-guessed."""
    assert encode(value, pickles=True).codec == "pickle"
    with pytest.raises(CodecError, match="which only pickle could store"):
        encode(value, pickles=False)


def test_a_named_tuple_with_attributes_of_its_own_is_pickled():
    """Its items are not all that it holds."""
    value = later(Labelled(1), note="later")
    encoded = encode(value, pickles=True)
    assert encoded.codec == "pickle"
    assert decode("pickle", encoded.bytes(), pickles=True).note == "later"


def test_a_class_defined_in_a_function_is_found_again_in_this_process():
    """As long as somebody holds the class."""

    @dataclass
    class Local:
        x: int

    class Mood(enum.Enum):
        GOOD = 1

    value = [Local(3), Mood.GOOD]
    encoded = encode(value, pickles=False)
    assert_same(decode(encoded.codec, encoded.bytes(), pickles=False), value)


def test_a_class_of_a_function_is_not_kept_alive():
    """What was stored does not hold its class for ever, and says so when it is gone."""

    def stored():
        Gone = dataclasses.make_dataclass("Gone", ["x"])
        Gone.__qualname__ = "stored.<locals>.Gone"
        return encode(Gone(1), pickles=False)

    encoded = stored()
    from workflow_assets.store import classes

    classes.kind_of.cache_clear()
    classes._slots.cache_clear()
    gc.collect()
    with pytest.raises(
        CodecError, match=r"stored\.<locals>\.Gone, and no such class can be had: it was defined inside"
    ):
        decode(encoded.codec, encoded.bytes(), pickles=False)


def test_a_class_that_was_defined_again_is_the_new_one(monkeypatch):
    """As when a notebook's cell is run twice: what is read is an instance of the class that code sees now."""
    module = sys.modules[__name__]
    first, second = (dataclasses.make_dataclass("Redefined", ["x"]) for _ in range(2))
    first.__module__ = second.__module__ = __name__
    monkeypatch.setattr(module, "Redefined", first, raising=False)
    encoded = encode(first(1), pickles=True)
    monkeypatch.setattr(module, "Redefined", second)
    assert type(decode(encoded.codec, encoded.bytes(), pickles=True)) is second
    with pytest.raises(CodecError, match="not the same object"):
        encode(first(1), pickles=True)


def test_a_class_of_the_main_module_is_found_by_a_later_run_of_it(tmp_path):
    """A script, or a notebook, may define what its steps return."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            from dataclasses import dataclass
            from workflow_assets import FileStore

            @dataclass
            class Split:
                x: float

            store = FileStore(sys.argv[1])
            if store.find("a1") is None:
                store.put("a1", Split(0.5))
            else:
                print(store.load("a1"))
            """
        )
    )
    for _ in range(2):
        command = [sys.executable, str(script), str(tmp_path / "store")]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "Split(x=0.5)\n"


@pytest.mark.parametrize(
    "name", ["os:system", "builtins:eval", "subprocess:Popen", "pickle:Unpickler", "nowhere:X", ":", ""]
)
def test_only_classes_that_are_their_fields_are_put_together(name):
    """A tree that names anything else is refused."""
    tree = json.dumps({"$object": [name, {"args": ["true"]}]})
    with pytest.raises(CodecError, match=r"no such class can be had|cannot be imported"):
        decode("json", tree.encode(), pickles=True)


def test_a_module_is_imported_only_where_the_store_allows_it(tmp_path, monkeypatch):
    """Importing a module executes it."""
    (tmp_path / "intruder.py").write_text("raise SystemExit('executed')")
    monkeypatch.syspath_prepend(tmp_path)
    tree = b'{"$object": ["intruder:Anything", {}]}'
    with pytest.raises(CodecError, match="no such class can be had"):
        decode("json", tree, pickles=False, imports=False)
    with pytest.raises(SystemExit):
        decode("json", tree, pickles=True)


def test_a_field_for_which_a_class_has_no_room_is_refused():
    """A value is put together only as its class could have made it."""
    tree = json.dumps({"$object": [f"{__name__}:Slotted", {"x": 1, "note": 2}]})
    with pytest.raises(CodecError, match="cannot be decoded"):
        decode("json", tree.encode(), pickles=False)


def test_a_class_stays_what_it_is():
    """Nothing that is stored replaces the class, or a method."""
    fields = {"x": 1.0, "y": [], "z": "", "__class__": 1, "total": 2}
    tree = json.dumps({"$object": [f"{__name__}:Child", fields]})
    value = decode("json", tree.encode(), pickles=False)
    assert type(value) is Child


def test_a_lock_in_a_dataclass_is_named_by_its_place():
    """The message says which member cannot be stored, and what to do."""
    with pytest.raises(
        CodecError, match=r"content\.0\.content in the result of 'a' cannot be stored.*'_thread\.lock'"
    ):
        encode(Box([Box(threading.Lock())]), pickles=True, place="the result of 'a'")


def test_values_that_pickle_would_keep_are_kept_as_pickle_does():
    """The state that is written is the state that pickle writes."""
    for name, value in VALUES.items():
        if name != "one with slots, one of them private":
            assert_same(pickle.loads(pickle.dumps(value)), value)

"""Data can be looked at, loaded, handed to steps, traced, and written down exactly."""

import datetime
import json
import math
import pickle
import threading
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workflow_assets import Datum, FileStore, MemoryStore, Workflow, step
from workflow_assets.errors import CodecError, DeclarationError, UnknownNameError


@step
def evens(numbers: list[int], most: int = 100) -> list[int]:
    """Keeps only even numbers."""
    return [one for one in numbers if one % 2 == 0][:most]


@step
def total(evens: list[int]) -> int:
    return sum(evens)


@step
def count(parts: list[list[int]]) -> int:
    return sum(map(len, parts))


@step
def boom(x: int) -> int:
    raise ValueError("bang")


def value(held: Any, **told: str) -> Any:
    """Give a datum, as what a type checker takes for any argument of a step."""
    return Datum.value(held, **told)


@pytest.fixture
def ran():
    return Workflow("sums", [evens, total], inputs={"numbers": [1, 2, 3, 4]}).run()


# -- looking ----------------------------------------------------------------------------------------------------------


def test_each_kind_is_told_in_one_line(ran):
    reference = ran.datum("evens")
    assert repr(Datum.value(42, alias="The Answer")) == '[value] "The Answer" <int> = 42'
    assert repr(ran.datum("numbers")) == '[value] "numbers" <list> = [1, 2, 3, 4]'
    assert repr(reference) == '[reference] "evens" <list[int]> = [2, 4]'
    assert repr(Datum.composite([reference, 1], alias="both")) == '[composite] "both" <list> [list of 2 data]'
    assert repr(Datum.pending("later", type="int")) == '[pending] "later" <int> (not computed yet)'


class FarStore(MemoryStore):
    """A store from which each read takes its time."""

    at_once = 8


def test_of_what_is_far_kind_and_size_are_told():
    store = FarStore()
    store.put("k", np.zeros(10_000))
    assert Datum.of(store, "k").preview == "array, 80.1 kB"


@pytest.mark.parametrize("kind", ["memory", "files"])
def test_looking_at_a_large_reference_decodes_nothing(monkeypatch, tmp_path, kind):
    store = MemoryStore() if kind == "memory" else FileStore(tmp_path)
    store.put("a1", pd.DataFrame({"a": range(10_000), "b": 0.5}))
    datum = Datum.of(store, "a1", alias="big")

    def load(record):
        raise AssertionError("it was loaded")

    monkeypatch.setattr(store, "load", load)
    assert datum.preview == "10,000 × 2: a, b"
    assert datum.look.rows[0] == ("0", "0.5")
    assert "a  b" in str(datum)


def test_a_box_shows_key_type_and_maker(ran):
    told = str(ran.datum("total"))
    for part in (ran.record("total").key, "reference", "int", "total()", "total = 6"):
        assert part in told


def test_a_failed_step_is_a_datum_that_says_why():
    with Workflow("w") as w:
        boom(boom(1))
    result = w.run()
    assert result.datum("boom").preview == "(failed: step 'boom': ValueError: bang)"
    assert result.datum("boom_2").preview == "(skipped: step 'boom': ValueError: bang)"
    with pytest.raises(UnknownNameError, match="has no value: failed: step 'boom'"):
        result.datum("boom").load()
    with pytest.raises(UnknownNameError, match="did you mean 'boom"):
        result.datum("bom")


def test_lineage_names_steps_parameters_and_data(ran):
    assert ran.datum("total").lineage().splitlines() == [
        "total(): 6",
        "╰─ evens(most=100): [2, 4]",
        "   ╰─ numbers: [1, 2, 3, 4]",
    ]
    made = ran.datum("total").provenance
    assert made is not None
    assert "return sum(evens)" in "".join(made.code.values())
    assert ran.datum("total").inputs["evens"].load() == [2, 4]
    assert Datum.value(1).lineage() == "datum: 1"


def test_a_lineage_tells_what_was_told_already_once():
    @step
    def double(x: int, y: int) -> int:
        return x + y

    with Workflow("w") as w:
        one: Any = double(1, y=1)
        for _ in range(10):
            one = double(one, one)
    told = w.run().datum("double_11").lineage().splitlines()
    assert len(told) == 21, "and not two to the tenth"
    assert sum("(see above)" in line for line in told) == 9


# -- values -----------------------------------------------------------------------------------------------------------


def test_each_reader_is_given_an_object_of_their_own(ran):
    values: list[Any] = [1, [2]]
    held = Datum.value(values)
    values[1].append(3)
    for datum in (held, ran.datum("evens"), Datum.composite({"a": held, "b": [ran.datum("evens")]})):
        first, second = datum.load(), datum.load()
        assert first == second
        assert first is not second
    assert held.load() == [1, [2]]
    held.load()[1].append(4)
    assert held.load() == [1, [2]]


def test_a_composite_is_read_recursively(ran):
    datum = Datum.composite({"a": [ran.datum("evens"), Datum.composite([1, 2])], "b": "x"})
    assert datum.load() == {"a": [[2, 4], [1, 2]], "b": "x"}
    assert datum["a"][0].load() == [2, 4]
    with pytest.raises(UnknownNameError, match="has no part 'c'"):
        datum["c"]


def test_what_cannot_be_copied_or_combined_is_refused():
    holds_itself: list[object] = []
    holds_itself.append(holds_itself)
    for make, what in (
        (lambda: Datum.value(threading.Lock()), "cannot be copied"),
        (lambda: Datum.composite("text"), "neither a list nor a dict"),
        (lambda: Datum.composite({1: 2}), "name parts by texts"),
        (lambda: Datum.composite(holds_itself), "holds itself"),
        (lambda: Datum.value(1, alias=2), "expected a text"),  # type: ignore[arg-type]
    ):
        with pytest.raises(DeclarationError, match=what):
            make()
    with pytest.raises(UnknownNameError, match="no datum is stored under 'nope'"):
        Datum.of(MemoryStore(), "nope")


# -- in workflows -----------------------------------------------------------------------------------------------------


def test_a_value_becomes_an_input_of_its_alias():
    raw = value([1, 2, 3, 4], alias="Raw Numbers")
    with Workflow("w") as w:
        count([evens(raw), raw])
    assert list(w.inputs) == ["raw_numbers"]
    assert w.run()["count"] == 6
    assert w.run(raw_numbers=value([2]))["count"] == 2


def test_two_values_of_one_alias_and_names_of_steps_are_kept_apart():
    with Workflow("w") as w:
        total(evens(value([2], alias="evens"), most=value(1, alias="1st <b>")))
        total(value([2], alias="evens"))
        total(value([3], alias="evens"))
    assert list(w.inputs) == ["evens_2", "_1st_b", "evens_3", "evens_4"]
    result = w.run()
    assert [result[name] for name in ("total", "total_2", "total_3")] == [2, 2, 3]


def test_a_reference_is_read_from_the_store_and_keeps_its_lineage(ran):
    with Workflow("more") as more:
        total(ran.datum("evens"))
    result = more.run(ran.store)
    assert result["total"] == 6
    assert result.datum("total").inputs["evens"].key == ran.record("evens").key
    assert "evens(most=100)" in result.datum("total").lineage()
    elsewhere = more.run()
    assert elsewhere["total"] == 6
    assert "evens(most=100)" not in elsewhere.datum("total").lineage(), "another store knows the content only"


def test_forcing_a_reference_computes_what_follows_and_leaves_it_as_it_is(ran):
    with Workflow("more") as more:
        total(ran.datum("evens"))
    more.run(ran.store)
    before = ran.store.find(ran.record("evens").key)
    result = more.run(ran.store, force=["evens"])
    assert result.computed == {"total"}
    assert ran.store.find(ran.record("evens").key) == before


def test_composites_and_pending_data_are_wired_part_by_part(ran):
    with Workflow("w") as w:
        first = evens(w.input("numbers", [1, 2, 4]))
        several: Any = Datum.composite([first, ran.datum("evens"), value([7], alias="seven")])
        count(several)
        awaited: Any = w.datum("evens")
        total(awaited)
    assert set(w.wired.nodes["count"].inputs.values()) == {"evens", "evens_2", "seven"}
    result = w.run()
    assert (result["count"], result["total"]) == (5, 6)


def test_a_datum_is_an_input_by_name_too(ran):
    one = Workflow("w", [total], inputs={"evens": ran.datum("evens")})
    assert one.run()["total"] == 6
    assert one == Workflow("w", [total], inputs={"evens": ran.datum("evens")})
    assert one != Workflow("w", [total], inputs={"evens": [2, 4]})


def test_a_datum_that_will_never_be_is_not_handed_on():
    never: Any = Datum.pending("x", why="never computed")
    with Workflow("w", [total], inputs={"evens": [1]}), pytest.raises(DeclarationError, match="never"):
        total(never)


def test_a_reference_can_be_sent_to_another_process(ran):
    sent = pickle.loads(pickle.dumps(ran.datum("evens")))
    assert (sent.key, sent.alias) == (ran.datum("evens").key, "evens")
    with pytest.raises(UnknownNameError, match="say in which store"):
        sent.load()


# -- documents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"a": [1, 2.5, "x", True, None]},
        (1, (2,)),
        {1, 2},
        {1: "x"},
        b"bytes",
        -math.inf,
        datetime.date(2020, 1, 2),
        datetime.datetime(2020, 1, 2, 3, 4, tzinfo=datetime.UTC),
        "267e3c31-a59f-4635-895f-1ad0b84e8683",
        ["267e3c31-a59f-4635-895f-1ad0b84e8683"],
        uuid.UUID("267e3c31-a59f-4635-895f-1ad0b84e8683"),
        "2020-01-02",
        "\ud800",
        {"$tuple": [1]},
        {"format": "1", "kind": "value"},
        10**400,
    ],
    ids=repr,
)
def test_a_value_comes_back_from_json_exactly(value):
    text = json.dumps(Datum.value(value, alias="a").document(), allow_nan=False)
    again = Datum.read(text)
    assert again.load() == value
    assert type(again.load()) is type(value)
    assert json.dumps(again.document()) == text


def test_nan_comes_back_as_nan():
    document = Datum.value(math.nan).document()
    assert math.isnan(Datum.read(json.dumps(document, allow_nan=False)).load())


def test_what_is_large_or_no_plain_value_goes_to_a_store(ran):
    for value in (np.arange(3), "x" * 10_000):
        datum = Datum.value(value, alias="a")
        with pytest.raises(CodecError, match="a document holds plain values of up to 2048 bytes"):
            datum.document()
        document = datum.document(ran.store)
        assert document["kind"] == "reference"
        assert np.array_equal(Datum.read(document, ran.store).load(), value)
    with pytest.raises(DeclarationError, match="say where"):
        Datum.read(document)


def test_composites_references_and_pending_data_come_back(ran):
    datum = Datum.composite(
        {"a": [ran.datum("evens"), 1], "b": Datum.pending("c", why="not yet")}, alias="all"
    )
    document = datum.document()
    again = Datum.read(json.dumps(document), ran.store)
    assert again.document() == document
    assert again["a"].load() == [[2, 4], 1]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"format": "2"}, r"\$.format: '2'; this version reads '1'"),
        ({"kind": "valu"}, "did you mean 'value'"),
        ({"kind": ["value"]}, r"\$.kind"),
        ({"alias": 1}, r"\$.alias: 1 is no text"),
        ({"more": 1}, r"\$.'more'"),
        ({"value": {"$enum": ["os:X", "Y"]}}, "names a class"),
        ({"value": {"$object": ["subprocess:Popen", {}]}}, "names a class"),
        ({"value": {"$unknown": 1}}, "unknown mark"),
        ({"value": {"$date": "no date"}}, r"\$.value"),
        ({"value": {"$member": "x"}}, "unknown mark"),
    ],
    ids=str,
)
def test_a_fault_in_a_document_is_named_at_its_place(change, what):
    document = {**Datum.value(1, alias="a").document(), **change}
    with pytest.raises(DeclarationError, match=what):
        Datum.read(document)
    inside = {**Datum.composite([]).document(), "parts": [Datum.value(0).document(), document]}
    with pytest.raises(DeclarationError, match=r"\$.parts\[1\]"):
        Datum.read(inside)


def test_all_faults_are_named_at_once():
    document = {**Datum.composite([1, 2]).document(), "alias": 3}
    del document["parts"][1]["value"]
    with pytest.raises(DeclarationError) as raised:
        Datum.read(document)
    assert len(raised.value.faults) == 2


@pytest.mark.parametrize("text", ["", "[]", "null", '{"format"', "[" * 100_000, b"\xff\xfe"])
def test_what_is_no_document_is_refused(text):
    with pytest.raises(DeclarationError):
        Datum.read(text)


def test_a_document_that_is_nested_too_deeply_is_refused():
    document = Datum.value(1).document()
    for _ in range(60):
        document = {**Datum.composite([]).document(), "parts": [document]}
    with pytest.raises(DeclarationError, match="more than 50 levels"):
        Datum.read(document)

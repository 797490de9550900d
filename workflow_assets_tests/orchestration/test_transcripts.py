"""The text of an event is Dagster's, to the letter."""

from __future__ import annotations

import math
import random

import dagster as dg
import pytest
from dagster._core.events import AssetMaterializationPlannedData, StepMaterializationData
from dagster._serdes import deserialize_value, serialize_value

from workflow_assets.orchestration import transcripts
from workflow_assets.orchestration.transcripts import Transcripts
from workflow_assets_tests.orchestration.happenings import ASSETS, Happenings, entry, happened

TEXTS = [
    "",
    "a",
    '"quoted" \\ and\nbroken',
    "„ä“ \U0001f331",
    '"timestamp": 1.0, ',
    '"partition": null',
    "\x00",
]
NUMBERS = [0, -1, 2**70, 0.1, 1e-300, math.inf, -math.inf, math.nan]


def made(chance: random.Random, labels: list[str]) -> dg.EventLogEntry:
    """A materialisation with any values."""
    told = dg.AssetMaterialization(
        chance.choice(ASSETS),
        description=chance.choice([None, "told"]),
        partition=chance.choice([None, *TEXTS]),
        metadata={label: chance.choice([*TEXTS, *NUMBERS]) for label in labels},
        tags=chance.choice([None, {}, {"b": "2", "a": chance.choice(["1", "x"])}]),
    )
    event = happened(dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(told))
    if chance.random() < 0.5:
        event = event._replace(logging_tags={"run_id": "r"}, message=chance.choice(TEXTS))
    return entry("run", event, chance.choice([1.0, 1e9 + chance.random()]), chance.choice(["", "note"]))


def planned(chance: random.Random) -> dg.EventLogEntry:
    data = AssetMaterializationPlannedData(chance.choice(ASSETS), chance.choice([None, *TEXTS]))
    return entry("run", happened(dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, data), chance.random())


def test_any_event_has_the_text_that_dagsters_serialiser_gives() -> None:
    chance = random.Random(5)
    writer = Transcripts()
    happenings = Happenings(chance, ["run", "other"])
    for _ in range(400):
        labels = chance.sample(TEXTS, chance.randint(0, 3))
        for event in (made(chance, labels), planned(chance), happenings.draw()):
            assert writer.write(event) == serialize_value(event)


@pytest.mark.parametrize(
    "odd", [dg.MetadataValue.md("*a*"), dg.TextMetadataValue(None), dg.MetadataValue.json({"a": 1})]
)
def test_values_of_other_types_are_left_to_dagster(odd) -> None:
    told = dg.AssetMaterialization(ASSETS[0], metadata={"plain": 1, "odd": odd})
    event = entry(
        "run", happened(dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(told)), 1.0
    )
    assert Transcripts().write(event) == serialize_value(event)


def test_the_serialiser_is_asked_once_for_all_partitions_of_a_step(monkeypatch) -> None:
    asked = []

    def ask(event: dg.EventLogEntry) -> str:
        asked.append(event)
        return serialize_value(event)

    monkeypatch.setattr(transcripts, "serialize_value", ask)
    writer = Transcripts()
    for number in range(50):
        told = dg.AssetMaterialization(ASSETS[0], partition=str(number), metadata={"number": number})
        data = StepMaterializationData(told)
        event = entry("run", happened(dg.DagsterEventType.ASSET_MATERIALIZATION, data), 1.0 + number)
        assert deserialize_value(writer.write(event), dg.EventLogEntry) == event
    assert len(asked) == 1


def test_a_serialiser_that_writes_otherwise_is_asked_for_every_event(monkeypatch) -> None:
    """As another version of Dagster may: then what it writes is what is stored."""
    monkeypatch.setattr(
        transcripts, "serialize_value", lambda event: serialize_value(event).replace(": ", ":")
    )
    writer = Transcripts()
    for number in range(3):
        told = dg.AssetMaterialization(ASSETS[0], partition=str(number))
        event = entry(
            "run", happened(dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(told)), 1.0
        )
        assert writer.write(event) == serialize_value(event).replace(": ", ":")


def test_no_more_kinds_are_remembered_than_a_run_has(monkeypatch) -> None:
    monkeypatch.setattr(transcripts, "MOST_FRAMES", 3)
    writer = Transcripts()
    for number in range(20):
        told = dg.AssetMaterialization(["asset", str(number)])
        event = entry(
            "run", happened(dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(told)), 1.0
        )
        assert writer.write(event) == serialize_value(event)
    assert len(writer._frames) <= 3

"""Laws of documents: they come back as they were, and what is wrong with one is told at its place."""

import copy
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_assets import Experiment, Workflow, document_schema, from_document
from workflow_assets.documents import to_json, to_yaml
from workflow_assets.errors import DocumentError
from workflow_assets.notations import at
from workflow_assets_tests.properties.workflows import REGISTRY, experiments, workflows

WRITERS = {"json": to_json, "yaml": to_yaml}


@pytest.mark.parametrize("notation", WRITERS)
@given(workflow=workflows())
def test_a_workflow_comes_back_equal_and_gives_equal_results(notation: str, workflow: Workflow) -> None:
    document = workflow.document()
    again = from_document(WRITERS[notation](document), REGISTRY)
    assert again == workflow
    assert json.dumps(again.document()) == json.dumps(document)
    assert isinstance(again, Workflow)
    ours, theirs = workflow.run(), again.run()
    assert ours.states == theirs.states
    assert {name: ours[name] for name in ours} == {name: theirs[name] for name in theirs}


@pytest.mark.parametrize("notation", WRITERS)
@given(experiment=experiments())
def test_an_experiment_comes_back_with_the_same_version(notation: str, experiment: Experiment) -> None:
    """The version is a digest of all that the results depend on, of treatments, replicates and claims."""
    document = experiment.document()
    again = from_document(WRITERS[notation](document), REGISTRY)
    assert isinstance(again, Experiment)
    assert again.version() == experiment.version()
    assert json.dumps(again.document()) == json.dumps(document)


@given(made=workflows() | experiments())
def test_what_is_accepted_validates_against_the_schema(made: Workflow | Experiment) -> None:
    document = made.document()
    jsonschema.validate(document, document_schema(document["kind"]))


Path = tuple[str | int, ...]

FREE = ("ui", "value", "tags", "families", "code_version")
"""What a front end may write as it likes, or where another value is no fault."""

NAMED = ("inputs", "sources", "arguments", "treatments", "parameters", "dict")
"""Mappings whose keys are names."""


def places(tree: Any, path: Path = ()) -> list[Path]:
    """Give where things stand that a document's format decides."""
    found = [path]
    if path and path[-1] in FREE:
        return []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def shown(path: Path) -> str:
    text = "$"
    for key in path:
        text = at(text, key)
    return text


def mutated(tree: Any, path: Path, change: Any) -> Any:
    made = copy.deepcopy(tree)
    *way, last = path
    holder = made
    for key in way:
        holder = holder[key]
    change(holder, last)
    return made


def value_at(tree: Any, path: Path) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def refused(document: Any, path: Path) -> None:
    """A document is refused, and a fault stands where it was changed, or inside or just around that."""
    with pytest.raises(DocumentError) as caught:
        from_document(document, REGISTRY)
    place, around = shown(path), shown(path[:-1])
    told = [fault for fault, _ in caught.value.faults]
    assert any(one.startswith(place) or one == around for one in told), told


DOCUMENTS = (workflows() | experiments()).map(lambda one: one.document())
WRONG = {str: 7, int: "x", float: "x", bool: "x", list: "x", dict: ["x"]}


@given(document=DOCUMENTS, data=st.data())
def test_a_wrong_type_is_told_at_its_place(document: Any, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([one for one in places(document) if one]))
    wrong = WRONG.get(type(value_at(document, path)), 7.5)
    refused(mutated(document, path, lambda holder, key: holder.__setitem__(key, wrong)), path)


@given(document=DOCUMENTS, data=st.data())
def test_an_unknown_key_is_told_at_its_place(document: Any, data: st.DataObject) -> None:
    fixed = [
        path
        for path in places(document)
        if isinstance(value_at(document, path), dict) and not (path and path[-1] in NAMED)
    ]
    path = (*data.draw(st.sampled_from(fixed)), "colour")
    refused(mutated(document, path, lambda holder, key: holder.__setitem__(key, 1)), path)


NEEDED = {"kind", "version", "name", "steps", "id", "step", "metric", "treatment", "from"}


@given(document=DOCUMENTS, data=st.data())
def test_a_removed_key_is_told_around_its_place(document: Any, data: st.DataObject) -> None:
    paths = [
        path
        for path in places(document)
        if path and path[-1] in NEEDED and not (path[-1] in ("steps", "treatment") and "treatments" in path)
    ]
    path = data.draw(st.sampled_from(paths))
    refused(mutated(document, path, lambda holder, key: holder.__delitem__(key)), path)


@given(document=DOCUMENTS, data=st.data())
def test_a_dangling_reference_or_unknown_slug_is_told_at_its_place(
    document: Any, data: st.DataObject
) -> None:
    paths = [path for path in places(document) if path and path[-1] in ("from", "step")]
    path = data.draw(st.sampled_from(paths))
    refused(mutated(document, path, lambda holder, key: holder.__setitem__(key, "nobody")), path)


@given(document=workflows().map(lambda one: one.document()), data=st.data())
def test_a_circle_is_told_at_one_of_its_references(document: Any, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(document["steps"]) - 1))
    steps = document["steps"]
    first = {"id": "circle", "step": "plus", "arguments": {"a": {"from": "back"}}}
    back = {"id": "back", "step": "plus", "arguments": {"a": {"from": "circle"}}}
    made = {**document, "steps": [*steps[:place], first, *steps[place:], back]}
    with pytest.raises(DocumentError) as caught:
        from_document(made, REGISTRY)
    ((path, sentence),) = caught.value.faults
    assert path in (f"$.steps[{place}].arguments.a", f"$.steps[{len(steps) + 1}].arguments.a")
    assert "in a circle" in sentence


@given(document=DOCUMENTS, data=st.data(), of=st.sampled_from([list, dict]))
def test_deep_nesting_is_told_at_its_place(document: Any, data: st.DataObject, of: type) -> None:
    deep: Any = 1
    for _ in range(data.draw(st.sampled_from([70, 900, 3_000]))):
        deep = [deep] if of is list else {"inner": deep}
    path = data.draw(st.sampled_from([("ui",), *(one for one in places(document) if one)]))
    made = {**document} if path == ("ui",) else document
    copied = mutated({**made, "ui": None}, path, lambda holder, key: holder.__setitem__(key, deep))
    refused(copied, path)

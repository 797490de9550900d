"""Laws of documents: they come back as they were, and what is wrong with one is told at its place."""

import copy
import json
from typing import Any

import jsonschema
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_assets import Experiment, Workflow, document_schema, from_document, to_document, to_script
from workflow_assets.documents import to_json, to_yaml
from workflow_assets.errors import DocumentError
from workflow_assets.notations import at
from workflow_assets.store.sequences import Items
from workflow_assets_tests.properties.mutations import mutations
from workflow_assets_tests.properties.workflows import REGISTRY, by_name, experiments, workflows

VALIDATORS = {
    kind: jsonschema.Draft202012Validator(document_schema(kind)) for kind in ("workflow", "experiment")
}

WRITERS = {"json": to_json, "yaml": to_yaml}


HEAVY = settings(max_examples=max(10, settings().max_examples // 3))
"""Laws whose examples run workflows, or read many documents."""


@pytest.mark.parametrize("notation", WRITERS)
@given(workflow=workflows(given=False))
@HEAVY
def test_a_workflow_comes_back_equal_and_gives_equal_results(notation: str, workflow: Workflow) -> None:
    """So does it as a script, which fails where the workflow does."""
    document = workflow.document()
    again = from_document(WRITERS[notation](document), REGISTRY)
    assert again == workflow
    assert json.dumps(again.document()) == json.dumps(document)
    assert isinstance(again, Workflow)
    inputs: dict[str, Any] = {name: 3 for name, one in workflow.inputs.items() if one.is_empty}
    ours, theirs = workflow.run(**inputs), again.run(**inputs)
    assert ours.states == theirs.states
    completed = [name for name, state in ours.states.items() if state == "completed"]
    assert {name: shown_value(ours[name]) for name in completed} == {
        name: shown_value(theirs[name]) for name in completed
    }
    space: dict[str, Any] = {"__name__": "script"}
    exec(to_script(again), space)
    if len(completed) < len(ours.states):
        with pytest.raises(ValueError, match="cannot be taken together"):
            space["run"](**inputs)
    else:
        given = space["run"](**inputs)
        assert {name: shown_value(ours[name]) for name in ours} == {
            name: shown_value(value) for name, value in given.items()
        }


def shown_value(value: Any) -> str:
    """Tell values apart, a frame from others too, but not what a step yielded from the list of it."""
    if isinstance(value, pd.DataFrame):
        return f"frame {value.to_dict('records')}"
    return repr(list(value) if isinstance(value, Items) else value)


@given(told=by_name())
def test_a_workflow_by_name_is_that_by_call(told: tuple[Workflow, Workflow]) -> None:
    named, called = told
    assert named == called
    assert from_document(named.document(), REGISTRY) == called


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
    VALIDATORS[document["kind"]].validate(document)


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


@given(document=DOCUMENTS, data=st.data())
@HEAVY
@pytest.mark.filterwarnings("ignore::workflow_assets.errors.DocumentWarning")
def test_one_change_is_told_where_it_is_or_leaves_a_document(document: Any, data: st.DataObject) -> None:
    """Whatever the change, nothing but a `DocumentError` is raised; what is accepted validates, and comes back.

    A fault stands at the change, inside or around it, or names what it left without its counterpart.
    """
    for _ in range(5):
        changed, path, names = data.draw(mutations(document))
        faults: tuple[tuple[str, str], ...] = ()
        try:
            made = from_document(changed, REGISTRY)
        except DocumentError as error:
            faults = error.faults
        if faults:
            assert any(is_about(fault, path, names) for fault in faults), (path, faults)
            continue
        VALIDATORS[changed["kind"]].validate(changed)
        written = to_document(made)
        assert json.dumps(to_document(from_document(to_yaml(written), REGISTRY))) == json.dumps(written)


def is_about(fault: tuple[str, str], path: Path, names: set[str]) -> bool:
    told, sentence = fault
    place, around = shown(path), shown(path[:-1])
    near = told.startswith(place) or told == around or (told != "$" and place.startswith(told))
    return near or any(name in sentence or name in told for name in names)

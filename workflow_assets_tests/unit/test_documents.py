"""Documents: what they hold, what is refused when one is written, and what when one is read."""

import datetime
import enum
import json
from pathlib import Path
from typing import Annotated, Any

import pytest

from workflow_assets import (
    Experiment,
    Hypothesis,
    Registry,
    Retries,
    Treatment,
    Workflow,
    factorial,
    from_document,
    source,
    step,
    to_document,
)
from workflow_assets.documents import to_json, to_yaml
from workflow_assets.errors import DeclarationError, DocumentError, DocumentWarning
from workflow_assets.notations import DEEPEST
from workflow_assets_tests import fuzz

REGISTRY = Registry()


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@REGISTRY.add
@step
def fetch(url: str, limit: int = 3) -> list[int]:
    return list(range(limit))


@REGISTRY.add
@step
def clean(fetch: list[int], threshold: float = 0.5) -> list[int]:
    return [one for one in fetch if one > threshold]


@REGISTRY.add
@step
def score(clean: list[int]) -> float:
    return float(sum(clean))


@REGISTRY.add
@step
def painted(
    colour: Colour = Colour.RED,
    day: datetime.date = datetime.date(2026, 1, 1),
    sizes: tuple[float, ...] = (),
    anything: Any = None,
) -> str:
    return f"{colour} {day} {sizes}"


@REGISTRY.add
@source(version="1")
def shop() -> list[int]:
    return [1, 2, 3]


@REGISTRY.add
@step
def counted(shop: list[int]) -> int:
    return len(shop)


def counted_too(fetch: list[int], threshold: float = 0.5) -> int:
    return len(fetch)


def line() -> Workflow:
    return Workflow("line", [fetch, clean, score], inputs={"url": "https://example.org"})


def faults_of(told: Any, **options: Any) -> dict[str, str]:
    with pytest.raises(DocumentError) as caught:
        from_document(told, REGISTRY, **options)
    return dict(caught.value.faults)


def test_a_document_reads_as_it_is_meant():
    """Names, slugs, wires and values, and nothing that is a default."""
    workflow = Workflow("line", [fetch, clean], inputs={"url": "u"}, parameters={"clean.threshold": 1})
    document = to_document(workflow)
    for one in document["steps"]:
        assert len(one.pop("code_version")) == 40
    assert document == {
        "kind": "workflow",
        "version": 1,
        "name": "line",
        "inputs": {"url": {"value": "u"}},
        "steps": [
            {"id": "fetch", "step": "fetch", "arguments": {"url": {"from": "url"}}},
            {
                "id": "clean",
                "step": "clean",
                "arguments": {"fetch": {"from": "fetch"}, "threshold": {"value": 1.0}},
            },
        ],
    }


@pytest.mark.parametrize(("suffix", "write"), [(".json", to_json), (".yaml", to_yaml), (".yml", to_yaml)])
def test_a_document_is_read_from_a_file(tmp_path, suffix, write):
    path = tmp_path / f"line{suffix}"
    path.write_text(write(line().document()), encoding="utf-8")
    assert Workflow.from_document(path, REGISTRY) == line()


def test_a_file_that_is_not_there_is_a_fault(tmp_path):
    assert "cannot be read" in faults_of(tmp_path / "none.json")["$"]


def test_a_text_is_never_the_name_of_a_file(tmp_path):
    path = tmp_path / "line.json"
    path.write_text(to_json(line().document()), encoding="utf-8")
    assert "for a file, give Path(...)" in faults_of(str(path))["$"]


def test_all_faults_are_told_at_once_with_near_names():
    document = line().document()
    document["colour"] = 1
    document["steps"][0]["step"] = "fetsh"
    document["steps"][1]["arguments"] = {"fetch": {"from": "fetch"}, "treshold": {"value": 1}}
    document["steps"][2]["arguments"]["clean"] = {"from": "cleen"}
    assert faults_of(document) == {
        "$.colour": "the key 'colour' is unknown: there are 'kind', 'version', 'name', 'description', 'ui', 'inputs', "
        "'sources', 'steps' and 'groups'",
        "$.steps[0].step": "no step is registered under 'fetsh': did you mean 'fetch'?",
        "$.steps[1].arguments.treshold": "'clean' has no parameter 'treshold': did you mean 'threshold'?",
        "$.steps[2].arguments.clean.from": "no step, input or source is called 'cleen': did you mean 'clean'?",
    }


@pytest.mark.parametrize(
    ("change", "path", "sentence"),
    [
        (lambda d: d["steps"][1]["arguments"].clear(), "$.steps[1].arguments", "'fetch' is missing"),
        (
            lambda d: d["steps"][1]["arguments"].update(threshold={"value": "high"}),
            "$.steps[1].arguments.threshold",
            "expected float, got str 'high'",
        ),
        (lambda d: d["steps"][2].update(id="clean"), "$.steps[2].id", "is the id of $.steps[1] already"),
        (lambda d: d["steps"][2].update(id="rng"), "$.steps[2].id", "the engine gives"),
        (lambda d: d["steps"][2].update(id="results"), "$.steps[2].id", "that of the table"),
        (lambda d: d["steps"][2].update(step="shop"), "$.steps[2].step", "'shop' is a source, not a step"),
        (lambda d: d.update(version=2), "$.version", "update workflow_assets"),
        (lambda d: d.update(version=True), "$.version", "expected 1"),
        (lambda d: d.update(kind="workflw"), "$.kind", "did you mean 'workflow'?"),
        (lambda d: d.update(name="a b"), "$.name", "is not an identifier"),
        (lambda d: d.update(steps=[]), "$.steps", "it has no steps"),
        (lambda d: d["inputs"]["url"].update(value=7), "$.inputs.url.value", "fetch.url takes another type"),
        (lambda d: d["inputs"]["url"].update(type="strr"), "$.inputs.url.type", "did you mean 'str'?"),
        (lambda d: d["inputs"]["url"].update(type="int"), "$.inputs.url.value", "expected int"),
        (
            lambda d: d["steps"][0]["arguments"].update(url={"from": "url", "value": 1}),
            "$.steps[0].arguments.url",
            "it has 2",
        ),
        (
            lambda d: d["steps"][1].update(execution={"retrys": 1}),
            "$.steps[1].execution.retrys",
            "did you mean 'retries'?",
        ),
        (
            lambda d: d["steps"][1].update(execution={"timeout": -1}),
            "$.steps[1].execution.timeout",
            "more than 0",
        ),
        (
            lambda d: d["steps"][0]["arguments"].update(url={"from": "score"}),
            "$.steps[0].arguments.url",
            "step 'score' gives float, but fetch.url takes str",
        ),
        (lambda d: d.update(sources={"shop": "fetch"}), "$.sources.shop", "'fetch' is a step, not a source"),
        (lambda d: d.update(sources={"store": "shop"}), "$.sources.store", "is called 'shop'"),
        (
            lambda d: d["steps"][1].update(execution={"retries": {"times": 1, "wait": "x"}}),
            "$.steps[1].execution.retries.wait",
            "wait = 'x': expected a number",
        ),
        (
            lambda d: d["steps"][1].update(execution={"retries": "x"}),
            "$.steps[1].execution.retries",
            "or a mapping of times, wait, backoff and longest",
        ),
        (lambda d: d["steps"][1].update(execution={"memo": 1}), "$.steps[1].execution.memo", "true or false"),
        (lambda d: d["steps"][1].update(step="zzz"), "$.steps[1].step", "there are 'fetch', 'clean', "),
        (lambda d: d["inputs"]["url"].update(value="\ud800"), "$.inputs.url.value", "it has half of a"),
        (
            lambda d: (
                d["steps"][1]["arguments"].update(fetch={"from": "url"})
                or d["inputs"]["url"].update(type="str")
            ),
            "$.steps[1].arguments.fetch",
            "input 'url' gives str, but clean.fetch takes list[int]",
        ),
        (lambda d: d.update(groups={"clean": ["score"]}), "$.groups.clean", "two things are called 'clean'"),
        (lambda d: d.update(groups={"url": ["score"]}), "$.groups.url", "two things are called 'url'"),
        (lambda d: d.update(groups={"some": []}), "$.groups.some", "it has no steps"),
        (lambda d: d.update(groups={"some": ["score", "score"]}), "$.groups.some[1]", "name each step once"),
        (lambda d: d.pop("version"), "$", "'version' is missing: expected 1"),
        (lambda d: d["steps"][2].update(each={"of": ["cleen"]}), "$.steps[2].each.of[0]", "'cleen'"),
        (lambda d: d["steps"][2].update(each={"of": ["clean"] * 2}), "$.steps[2].each.of", "twice"),
        (
            lambda d: d["steps"][2].update(each={"of": ["clean"], "combine": "zap"}),
            "$.steps[2].each.combine",
            "did you mean 'zip'",
        ),
    ],
)
def test_a_fault_is_told_at_its_place(change, path, sentence):
    document = line().document()
    change(document)
    assert sentence in faults_of(document)[path]


def test_a_circle_is_told_with_its_steps():
    document = line().document()
    document["steps"][0]["arguments"]["url"] = {"from": "clean"}
    ((path, sentence),) = faults_of(document).items()
    assert path in ("$.steps[0].arguments.url", "$.steps[1].arguments.fetch")
    assert "in a circle" in sentence
    assert "clean" in sentence


def test_names_wire_nothing_in_a_document():
    """A step that bears the name of a parameter with a default is another matter."""
    workflow = Workflow("line", [fetch, clean], inputs={"url": "u"})
    document = workflow.document()
    document["steps"].append({"id": "limit", "step": "score", "arguments": {"clean": {"from": "clean"}}})
    made = Workflow.from_document(document, REGISTRY)
    assert made.run()["clean"] == [1, 2]
    assert Workflow.from_document(made.document(), REGISTRY) == made


# -- what is written ---------------------------------------------------------------------------------------------------


def test_a_declared_type_writes_what_json_does_not_have():
    workflow = Workflow(
        "w",
        [painted],
        parameters={
            "painted.colour": Colour.BLUE,
            "painted.day": datetime.date(2026, 2, 3),
            "painted.sizes": (1, 2.5),
        },
    )
    document = workflow.document()
    values = {name: one["value"] for name, one in document["steps"][0]["arguments"].items()}
    assert values == {"colour": "blue", "day": "2026-02-03", "sizes": [1.0, 2.5]}
    assert from_document(to_yaml(document), REGISTRY) == workflow


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ((1, 2), "is a tuple, which JSON does not have: write a list"),
        ({1}, "is a set"),
        (datetime.date(2026, 1, 1), "is a date"),
        (float("nan"), "nan is no JSON"),
        (float("inf"), "inf is no JSON"),
        ([1, {"deep": b"x"}], "is a bytes"),
        ({1: 2}, "keys are texts"),
        (10**101, "more than 100 digits"),
        ("\ud800", "surrogate"),
        (len, "builtin_function_or_method"),
    ],
)
def test_what_json_does_not_have_is_refused_with_its_place(value, sentence):
    workflow = Workflow("w", [painted], parameters={"painted.anything": value})
    with pytest.raises(DocumentError, match="cannot be written") as caught:
        workflow.document()
    ((path, told),) = caught.value.faults
    assert path.startswith("$.steps[0].arguments.anything.value")
    assert sentence in told


def test_an_input_of_a_type_that_has_no_name_is_refused():
    with Workflow("w") as workflow:
        score(workflow.input("clean", type=Annotated[list[int], "with a mark"]))
    with pytest.raises(DocumentError, match="annotate a step's parameter") as caught:
        workflow.document()
    assert caught.value.faults[0][0] == "$.inputs.clean.type"


def test_traits_of_one_use_come_back():
    with Workflow("w") as workflow:
        fetch.with_traits(retries=Retries(3, wait=0.5), timeout=7, resources={"memory": "1 KiB"})("u")
    assert workflow.document()["steps"][0]["execution"] == {
        "retries": {"times": 3, "wait": 0.5, "backoff": 2.0, "longest": 60.0},
        "timeout": 7.0,
        "resources": {"memory": 1024.0},
    }
    again = Workflow.from_document(to_json(workflow.document()), REGISTRY)
    used = again.wired.nodes["fetch"].step
    assert (used.retries, used.timeout, used.resources) == (Retries(3, wait=0.5), 7.0, {"memory": 1024.0})
    assert again.document() == workflow.document()


def test_only_traits_can_be_overridden():
    with pytest.raises(DeclarationError, match="did you mean 'retries'"):
        fetch.with_traits(retrys=1)


def test_exceptions_are_not_named_in_documents():
    with Workflow("w") as workflow:
        fetch.with_traits(retries=Retries(3, on=(OSError,)))("u")
    with pytest.raises(DocumentError, match="exceptions cannot be named"):
        workflow.document()


def test_the_bag_of_a_front_end_comes_back_untouched():
    document = line().document()
    document["ui"] = {"zoom": 1.5, "é": [None, {"": "x"}]}
    document["steps"][1]["ui"] = [1, 2]
    for text in (to_json(document), to_yaml(document)):
        made = Workflow.from_document(text, REGISTRY)
        assert made.document() == document
        assert made.replaced("score", score).document() == document


# -- code versions -----------------------------------------------------------------------------------------------------


def test_other_code_is_a_warning_and_a_fault_where_it_is_pinned():
    document = line().document()
    document["steps"][0]["code_version"] = "before"
    with pytest.warns(DocumentWarning, match=r"\$.steps\[0\].code_version: the code of 'fetch' is"):
        assert from_document(document, REGISTRY) == line()
    assert "was 'before'" in faults_of(document, pinned=True)["$.steps[0].code_version"]


def test_a_document_without_code_versions_is_read():
    document = line().document()
    for one in document["steps"]:
        del one["code_version"]
    assert from_document(document, REGISTRY, pinned=True) == line()


# -- experiments -------------------------------------------------------------------------------------------------------


def study(**changes: Any) -> Experiment:
    fields: dict[str, Any] = {
        "treatments": {"strict": {"clean.threshold": 1.5}},
        "replicates": 2,
        "hypotheses": [Hypothesis("less", metric="score", treatment="strict", alternative="less")],
        "parameters": {"fetch.url": "u"},
    }
    return Experiment("study", [fetch, clean, score], **{**fields, **changes})


def test_an_experiment_by_name_comes_back_with_its_results():
    experiment = study()
    again = Experiment.from_document(to_yaml(experiment.document()), REGISTRY)
    assert again.version() == experiment.version()
    ours, theirs = experiment.run(), again.run()
    assert ours.table["score"].tolist() == theirs.table["score"].tolist()


def test_a_design_comes_back_with_its_factors():
    design = factorial({"clean.threshold": [0.5, 1.5], "fetch.limit": [3, 4]}) | {"u2": {"fetch.url": "v"}}
    experiment = study(treatments=design, hypotheses=[])
    again = Experiment.from_document(to_json(experiment.document()), REGISTRY)
    assert again.version() == experiment.version()
    assert again.design is not None
    assert (again.design.factors, again.design.settings) == (design.factors, design.settings)
    assert again.document() == experiment.document()


def test_sources_are_named_by_their_slugs():
    experiment = Experiment("study", [counted])
    document = experiment.document()
    assert document["sources"] == {"shop": "shop"}
    again = Experiment.from_document(document, REGISTRY)
    assert again.run().table["counted"].tolist() == [3]


def test_a_swapped_step_keeps_what_was_set():
    @step
    def cleaner(fetch: list[int], threshold: float = 9.0) -> list[int]:
        return [one for one in fetch if one >= threshold]

    registry = Registry()
    for one in (fetch, clean, score, cleaner):
        registry.add(one)
    swapped = {"other": Treatment(steps={"clean": cleaner})}
    experiment = study(
        treatments=swapped, hypotheses=[], parameters={"fetch.url": "u", "clean.threshold": 0.5}
    )
    again = Experiment.from_document(experiment.document(), registry)
    assert again.version() == experiment.version()
    assert again.workflows["other"].nodes["clean"].settings["threshold"] == 0.5


def test_a_treatment_may_set_what_a_step_takes_item_by_item():
    """The parameter is annotated with what one item is, and is set to many."""
    registry = Registry()

    @registry.add
    @step
    def doubled(number: int, factor: int = 2) -> int:
        return number * factor

    workflow = Workflow("w", [doubled.each()], parameters={"doubled.number": [1, 2]})
    experiment = Experiment("study", workflow, {"more": {"doubled.number": [3, 4, 5]}})
    document = experiment.document()
    assert document["treatments"]["more"]["parameters"] == {"doubled.number": [3, 4, 5]}
    again = Experiment.from_document(document, registry)
    assert again.version() == experiment.version()
    assert again.workflows["more"].nodes["doubled"].settings["number"] == [3, 4, 5]


def test_sources_and_inputs_come_back_in_whatever_order():
    """An experiment's document has inputs ahead of sources; no result depends on that."""
    with Workflow("w") as workflow:
        counted(shop)  # type: ignore[arg-type]
        fetch(workflow.input("url", "u"))
    experiment = Experiment("study", workflow)
    assert Experiment.from_document(experiment.document(), REGISTRY).version() == experiment.version()


def test_a_claim_comes_back_whatever_its_margin_is_written_as():
    claims = [
        Hypothesis("one", metric="score", treatment="strict", margin=0),
        Hypothesis("two", metric={"score": ("less", 0), "counted": ("greater", -0.0)}, treatment="strict"),
    ]
    experiment = Experiment(
        "study",
        [fetch, clean, score, counted],
        {"strict": {"clean.threshold": 1.5}},
        2,
        claims,
        parameters={"fetch.url": "u"},
    )
    assert Experiment.from_document(experiment.document(), REGISTRY).version() == experiment.version()


def test_what_is_wrong_with_all_of_a_claim_is_told_once():
    document = study().document()
    document["hypotheses"][0] |= {"metric": {"score": "less", "clean": "less"}, "alpha": 2}
    del document["hypotheses"][0]["alternative"]
    document["steps"][1]["step"] = "counted_too"
    registry = Registry()
    for one in (fetch, clean, score, step(slug="counted_too")(counted_too)):
        registry.add(one)
    with pytest.raises(DocumentError) as caught:
        from_document(document, registry)
    told = [path for path, sentence in caught.value.faults if "alpha" in sentence]
    assert told == ["$.hypotheses[0].alpha"]


def test_a_level_of_a_factor_is_told_at_its_place():
    document = study(treatments=factorial({"clean.threshold": [0.5, 1.5]}), hypotheses=[]).document()
    document["design"]["factors"]["clean.threshold"]["levels"]["1.5"] = "high"
    path = "$.design.factors['clean.threshold'].levels['1.5']"
    assert faults_of(document) == {path: "clean.threshold: expected float, got str 'high'"}


def test_a_list_for_a_tuple_is_no_fault_but_what_is_in_it():
    with Workflow("w") as workflow:
        painted(sizes=(1.0, 2.0))
    document = workflow.document()
    document["steps"][0]["arguments"]["sizes"]["value"][1] = "large"
    ((path, sentence),) = faults_of(document).items()
    assert path == "$.steps[0].arguments.sizes"
    assert sentence == "painted.sizes: 1: input should be a valid number, got 'large'"


def test_what_is_called_on_nothing_known_is_told_once():
    """Its arguments may be right: it is not known what they are the items of."""
    document = study(hypotheses=[]).document()
    document["treatments"]["strict"]["steps"] = {"clean": {"step": "clean", "each": {"of": ["nothing"]}}}
    assert [*faults_of(document)] == ["$.treatments.strict.steps.clean.each.of[0]"]


def test_a_test_that_is_a_function_is_refused():
    def own(x, y, alternative="greater"):
        return 0.5

    claim = Hypothesis("better", metric="score", treatment="strict", test=own)
    with pytest.raises(DocumentError, match="own is a function, which no document holds") as caught:
        study(hypotheses=[claim]).document()
    assert caught.value.faults[0][0] == "$.hypotheses[0].test"


@pytest.mark.parametrize(
    ("change", "path", "sentence"),
    [
        (
            lambda d: d["treatments"]["strict"].update(parametrs={}),
            "$.treatments.strict.parametrs",
            "parameters",
        ),
        (
            lambda d: d["treatments"]["strict"]["parameters"].update({"clean.treshold": 1}),
            "$.treatments.strict.parameters['clean.treshold']",
            "did you mean 'clean.threshold'",
        ),
        (
            lambda d: d["treatments"]["strict"]["parameters"].update({"clean.threshold": "x"}),
            "$.treatments.strict.parameters['clean.threshold']",
            "expected float",
        ),
        (
            lambda d: d["treatments"]["strict"].update(steps={"claen": {"step": "clean"}}),
            "$.treatments.strict.steps.claen",
            "did you mean 'clean'",
        ),
        (lambda d: d["treatments"]["strict"].update(tuned="x"), "$.treatments.strict.tuned", "tuned = 'x'"),
        (
            lambda d: d["hypotheses"][0].update(metric="scor"),
            "$.hypotheses[0].metric",
            "did you mean 'score'",
        ),
        (lambda d: d["hypotheses"][0].update(treatment="strikt"), "$.hypotheses[0].treatment", "'strict'"),
        (lambda d: d["hypotheses"][0].update(alpha=2), "$.hypotheses[0].alpha", "alpha = 2"),
        (lambda d: d["hypotheses"][0].update(test="t"), "$.hypotheses[0].test", "test = 't'"),
        (lambda d: d.update(replicates=0), "$.replicates", "at least 1"),
        (lambda d: d.update(replicates=["a", "a"]), "$.replicates[1]", "more than once"),
        (lambda d: d.update(replicates={"units": {"a": ["P"]}}), "$.replicates", "levels are not named"),
        (lambda d: d["hypotheses"][0].update(margin="x"), "$.hypotheses[0].margin", "'x': expected a number"),
        (lambda d: d.update(replicates=["a", 7]), "$.replicates[1]", "expected a text"),
        (lambda d: d.update(replicates=["a", "b|c"]), "$.replicates[1]", "contains '|'"),
        (
            lambda d: d.update(
                replicates={"units": {"a": ["P"], "b": []}, "levels": ["plate"], "unit": "plate"}
            ),
            "$.replicates.units.b",
            "expected a name for each",
        ),
        (
            lambda d: d.update(replicates={"units": {"a": ["P"]}, "levels": ["plate"], "unit": "plte"}),
            "$.replicates.unit",
            "did you mean 'plate'",
        ),
        (
            lambda d: d["hypotheses"].append(d["hypotheses"][0]),
            "$.hypotheses[1]",
            "two hypotheses are called",
        ),
        (lambda d: d.update(families={"x": "holm"}), "$.families", "no hypothesis names"),
        (lambda d: d.update(seed=-1), "$.seed", "0 or more"),
        (lambda d: d.update(owners="me"), "$.owners", "expected a list"),
        (lambda d: d.update(tags={"a": 1}), "$.tags.a", "expected a text"),
    ],
)
def test_a_fault_of_an_experiment_is_told_at_its_place(change, path, sentence):
    document = study().document()
    change(document)
    told = faults_of(document)
    assert path in told, told
    assert sentence in told[path]


# -- bounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"kind": "workflow", "kind": "workflow"}', "stands here more than once"),
        ("kind: workflow\nkind: workflow\n", "stands here more than once"),
        ('{"kind": "workflow", "version": NaN}', "NaN is no JSON"),
        ("kind: workflow\nversion: .nan\n", ".nan is no JSON"),
        ('{"kind": "workflow", "version": 1e999}', "too large for a number"),
        ('{"kind": "workflow", "version": ' + "9" * 5000 + "}", "5000 digits"),
        ("kind: workflow\nversion: " + "9" * 5000, "5000 digits"),
        ("kind: workflow\nversion: !!python/object/apply:os.getcwd []\n", "tag"),
        ("kind: workflow\nversion: !!int 1\n", "tag"),
        ("kind: workflow\n1: x\n", "keys are texts"),
        ("kind: workflow\nui: &a [*a]\n", "stands inside what it repeats"),
        ("kind: workflow\nui: *a\n", "no anchor"),
        ("kind: workflow\n---\nkind: workflow\n", "a second document"),
        ('{"kind": "workflow",', "line 1, column"),
        ("kind: [", "line"),
        ("[" * 100_000, "nested more than"),
        ("- " * 200, f"nested more than {DEEPEST}"),
        ("", "empty"),
        ("# nothing", "empty"),
        ("just a text", "kind = 'just a text'"),
    ],
)
def test_what_no_document_holds_is_refused(text, sentence):
    assert any(sentence in told for told in faults_of(text).values())


def test_aliases_cannot_explode():
    lines = ["kind: workflow", "ui:", "  a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "more than 4,000,000 values" in faults_of("\n".join(lines))["$"]


def test_an_alias_repeats_what_it_names():
    document = to_yaml({**line().document(), "ui": None}).replace("ui: null", "ui: [&a {x: 1}, *a]")
    made = from_document(document, REGISTRY)
    assert isinstance(made, Workflow)
    assert made.ui == [{"x": 1}, {"x": 1}]


def test_yaml_is_read_as_json_would_be():
    """Words that older versions take for booleans, and dates, are texts."""
    document = {
        **line().document(),
        "ui": ["yes", "on", "2026-01-01", "1_000", "12:30", "1e3", "null", "0x1F"],
    }
    made = from_document(to_yaml(document), REGISTRY)
    assert isinstance(made, Workflow)
    assert made.ui == document["ui"]


def test_many_dangling_references_are_told_in_no_time():
    """Suggesting names for each would compare all with all."""
    first = {"id": "s", "step": "fetch", "arguments": {"url": {"value": "u"}}}
    steps = [
        {"id": f"s{n}", "step": "score", "arguments": {"clean": {"from": f"t{n}"}}} for n in range(2_000)
    ]
    with pytest.raises(DocumentError) as caught:
        from_document({"kind": "workflow", "version": 1, "name": "w", "steps": [first, *steps]}, REGISTRY)
    assert len(caught.value.faults) == 2_000
    assert "and 1950 more" in str(caught.value)


def test_damaged_documents_neither_crash_nor_execute_anything():
    """A search of some seconds; `make fuzz` takes ten minutes."""
    counts = fuzz.search(seed=1, documents=300)
    assert counts["accepted"] > 5
    assert counts["refused"] > 100


def test_the_error_is_pickled_with_its_faults():
    import pickle

    error = DocumentError("document", [("$.a", "wrong"), ("$.b", "wrong too")])
    again = pickle.loads(pickle.dumps(error))
    assert (again.faults, str(again)) == (error.faults, str(error))


def test_a_document_is_json(tmp_path: Path) -> None:
    document = study().document()
    assert json.loads(to_json(document)) == document


def test_groups_that_cross_are_a_fault():
    registry = Registry()

    @registry.add
    @step
    def made(number: int = 1) -> int:
        return number

    steps: list[dict[str, Any]] = [{"id": name, "step": "made", "arguments": {}} for name in ("a", "b", "c")]
    told = {"kind": "workflow", "version": 1, "name": "w", "steps": steps}
    nested = from_document({**told, "groups": {"one": ["a", "b"], "two": ["a"], "three": ["c"]}}, registry)
    assert isinstance(nested, Workflow)
    with pytest.raises(DocumentError, match=r"\$\.groups\.two: it shares 'b' with 'one'"):
        from_document({**told, "groups": {"one": ["a", "b"], "two": ["b", "c"]}}, registry)


def test_a_list_of_steps_is_no_registry() -> None:
    with pytest.raises(DocumentError, match=r"give Registry\(\[step, \.\.\.\]\)"):
        from_document("kind: workflow", [])  # type: ignore[arg-type]


def test_items_that_json_has_no_word_for_are_written_by_their_type():
    registry = Registry()

    @registry.add
    @step
    def spanned(pair: tuple[int, int]) -> int:
        return pair[1] - pair[0]

    with Workflow("spans") as workflow:
        workflow.add(spanned.each("pair"), [(1, 3), (2, 2)])
    told = workflow.document()
    assert told["steps"][0]["arguments"] == {"pair": {"value": [[1, 3], [2, 2]]}}
    again = from_document(told, registry)
    assert isinstance(again, Workflow)
    assert again == workflow
    assert again.run()["spanned"] == [2, 0]

"""Registries: slugs that mean one thing, what is told of a step, and the steps of installed packages."""

import json
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, TypedDict

import numpy as np
import pandas as pd
import pydantic
import pytest

from workflow_assets import Array, Metrics, Registry, Source, source, step
from workflow_assets.errors import DeclarationError, UnknownNameError
from workflow_assets.registries import entry, signature, step_schema


class Parts(TypedDict):
    train: list[int]
    test: list[int]


class Options(pydantic.BaseModel):
    depth: int = 2


Image = Annotated[np.ndarray, Array(dtype="uint16", ndim=2)]


@step(
    slug="text.clean",
    category="transform",
    mode="each",
    resources={"memory": "2 KiB"},
    tags={"team": "lab"},
    metadata={"licence": "MIT", "seen": [1, {"two": None}]},
)
def clean(text: str, how: Literal["lower", "upper"] = "lower") -> str:
    """Put a text into one case.

    Nothing else is changed.
    """
    return getattr(text, how)()


@step
def split(numbers: list[int], rng: np.random.Generator, share: float = 0.5) -> Parts:
    return {"train": numbers, "test": numbers}


@step
def brighten(image: Image, options: Options = Options(), by=1.5) -> Image:  # noqa: B008 - as users write it
    return image


@step
def join(frame: pd.DataFrame, on: str = "id", missing: float = float("nan")) -> pd.DataFrame:
    return frame


class Score(Metrics):
    accuracy: float


@step(category="analyse", retries=3, timeout=60)
def score(numbers: list[int]) -> Score:
    return Score(accuracy=1.0)


@source(version="1")
def customers() -> list[int]:
    """Whoever bought something."""
    return [1, 2]


def _far(x: int) -> int:
    return x


_far.__module__ = "somebody.elses"
far = step(slug="far")(_far)

ALL = (clean, split, brighten, join, score, customers)


# -- what a step declares ---------------------------------------------------------------------------------------------


def test_a_step_says_what_kind_of_work_it_does_and_how_it_is_handed_its_inputs() -> None:
    assert (clean.category, clean.mode) == ("transform", "each")
    assert (split.category, split.mode) == (None, "whole")
    assert clean.metadata == {"licence": "MIT", "seen": [1, {"two": None}]}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"category": "transfrom"}, "category = 'transfrom': did you mean 'transform'?"),
        ({"category": 3}, "category = 3: there are 'extract', 'transform', 'analyse' and 'load'"),
        ({"mode": "eech"}, "mode = 'eech': did you mean 'each'?"),
        ({"mode": None}, "mode = None: there are 'whole', 'each' and 'stream'"),
        ({"metadata": ["gpu"]}, "metadata = ['gpu']: expected a mapping"),
        ({"metadata": {"when": (1, 2)}}, "metadata['when'] = (1, 2) is [1, 2] in JSON"),
        ({"metadata": {"worst": float("nan")}}, "metadata['worst'] = nan is nothing that JSON holds"),
        ({"metadata": {"who": object}}, "metadata['who'] = <class 'object'> is nothing that JSON holds"),
        ({"metadata": {1: "one"}}, "metadata name 1: expected a text"),
    ],
)
def test_what_no_step_can_declare_is_refused_with_near_matches(given, told) -> None:
    with pytest.raises(DeclarationError) as caught:
        step(**given)(lambda_named)
    assert told in str(caught.value)


def lambda_named(x: int = 1) -> int:
    return x


def test_a_step_without_parameters_cannot_be_mapped_over_items() -> None:
    with pytest.raises(DeclarationError, match="takes nothing of which there could be items"):

        @step(mode="each")
        def nothing(rng) -> int:
            return 1


def test_metadata_does_not_change_with_what_was_given() -> None:
    told = {"cites": ["a"]}
    one = step(metadata=told)(lambda_named)
    told["cites"].append("b")
    assert one.metadata == {"cites": ["a"]}
    with pytest.raises(TypeError):
        one.metadata["cites"] = []  # type: ignore[index]


# -- slugs ------------------------------------------------------------------------------------------------------------


def test_a_slug_means_one_function() -> None:
    registry = Registry(ALL)
    other = step(slug="text.clean")(lambda_named)
    with pytest.raises(DeclarationError, match=r"slug 'text.clean' of .*lambda_named is .*clean's"):
        registry.add(other)
    assert registry["text.clean"] is clean


def test_the_same_function_again_replaces_itself() -> None:
    registry = Registry([clean])
    again = step(slug="text.clean", category="load")(clean.function)
    assert registry.add(again) is again
    assert registry["text.clean"] is again


def test_a_source_does_not_replace_a_step_of_the_same_function() -> None:
    registry = Registry([step(lambda_named)])
    with pytest.raises(DeclarationError, match="slug 'lambda_named'"):
        registry.add(Source(lambda: 1, name="lambda_named", slug="lambda_named"))


def test_all_faults_of_several_members_are_told_together() -> None:
    with pytest.raises(DeclarationError) as caught:
        Registry([clean, step(slug="text.clean")(lambda_named), 3])
    assert len(caught.value.faults) == 2


def test_an_unknown_slug_is_told_with_near_matches() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'text.clean'\?"):
        Registry(ALL)["text.claen"]


def test_a_module_gives_what_it_defines_or_what_it_names_in_all() -> None:
    module = types.ModuleType(__name__)
    vars(module).update(clean=clean, split=split, np=np, other=far)
    assert set(Registry([module])) == {"text.clean", "split"}
    module.__all__ = ["clean", "other"]  # type: ignore[attr-defined]
    assert set(Registry([module])) == {"text.clean", "far"}


# -- telling ----------------------------------------------------------------------------------------------------------


def test_the_catalogue_is_json_and_tells_contracts() -> None:
    told = json.loads(json.dumps(Registry(ALL).catalogue(), allow_nan=False))
    entries = {one["slug"]: one for one in told["entries"]}
    assert list(entries) == sorted(one.slug for one in ALL)
    one = entries["text.clean"]
    assert one["name"] == "clean"
    assert one["description"].startswith("Put a text into one case.\n\nNothing")
    assert (one["category"], one["mode"], one["resources"]) == ("transform", "each", {"memory": 2048.0})
    assert one["metadata"] == {"licence": "MIT", "seen": [1, {"two": None}]}
    assert one["inputs"]["how"] == {
        "type": "Literal['lower', 'upper']",
        "schema": {"enum": ["lower", "upper"], "type": "string"},
        "required": False,
        "default": "'lower'",
    }
    assert entries["split"]["given"] == ["rng"]
    assert "rng" not in entries["split"]["inputs"]
    assert entries["split"]["output"]["outputs"] == ["train", "test"]
    assert entries["score"]["metrics"] == {"accuracy": "float"}
    assert (entries["score"]["retries"], entries["score"]["timeout"]) == (3, 60.0)
    assert entries["customers"] == {
        "kind": "source",
        "slug": "customers",
        "name": "customers",
        "description": "Whoever bought something.",
        "function": entries["customers"]["function"],
        "version": "1",
        "category": "extract",
        "output": {"type": "list[int]", "schema": {"items": {"type": "integer"}, "type": "array"}},
        "tags": {},
        "owners": [],
    }


def test_the_schema_of_parameters_has_those_that_json_can_hold() -> None:
    schema = step_schema(brighten)
    assert schema["properties"]["options"]["$ref"] == "#/$defs/Options"
    assert schema["properties"]["options"]["default"] == {"depth": 2}
    assert schema["$defs"]["Options"]["properties"]["depth"]["type"] == "integer"
    assert schema["properties"]["by"] == {"default": 1.5}, "a parameter without a type takes anything"
    assert schema["properties"]["image"] == {"description": "Of a type that JSON does not have: wire it."}
    assert schema["additionalProperties"] is False
    assert entry(brighten)["inputs"]["image"]["schema"] is None
    assert "uint16" in entry(brighten)["inputs"]["image"]["type"]


def test_a_default_that_json_cannot_hold_is_left_out_of_the_schema() -> None:
    schema = step_schema(join)
    assert schema["properties"]["on"] == {"type": "string", "default": "id"}
    assert schema["properties"]["missing"] == {"type": "number"}


def test_two_classes_of_one_name_keep_their_own_schemas() -> None:
    def made(field: str) -> type:
        return type("Options", (pydantic.BaseModel,), {field: 1, "__annotations__": {field: int}})

    def both(one, two) -> int:
        return 1

    both.__annotations__ |= {"one": made("a"), "two": made("b")}
    schema = step_schema(step(both))
    fields = {
        name: set(schema["$defs"][part["$ref"].rpartition("/")[2]]["properties"])
        for name, part in schema["properties"].items()
    }
    assert fields == {"one": {"a"}, "two": {"b"}}


def test_the_listing_is_for_readers() -> None:
    assert str(Registry([clean, score, customers, split])) == (
        "analyse:\n"
        "  score(numbers: list[int]) -> Score\n"
        "      tried again 3 times; at most 60 s\n"
        "\n"
        "sources:\n"
        "  customers() -> list[int]\n"
        "      Whoever bought something.\n"
        "\n"
        "steps:\n"
        "  split(numbers: list[int], share: float = 0.5) -> Parts\n"
        "      is given 'rng'\n"
        "\n"
        "transform:\n"
        "  text.clean(text: str, how: Literal['lower', 'upper'] = 'lower') -> str\n"
        "      Put a text into one case.\n"
        "      works on each; needs memory 2048; licence = 'MIT'; seen = [1, {'two': None}]"
    )
    assert str(Registry()) == "no steps or sources"
    assert signature(customers) == "customers() -> list[int]"


def test_declaring_with_a_registry_loads_no_pydantic() -> None:
    code = (
        "from workflow_assets import Registry, step\nimport sys\n"
        "@step\ndef one(x): return x\n"
        "assert Registry([one], installed=True)['one'] is one\n"
        "print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# -- installed packages -----------------------------------------------------------------------------------------------

LAB = """
from workflow_assets import Registry, source, step

@step(category="transform", version="1")
def wash(text: str) -> str:
    "Take away what is around a text."
    return text.strip()

@step(version="1")
def rinse(text: str) -> str:
    return text

@source(version="1")
def samples() -> list[str]:
    return [" a "]

more = Registry([rinse])
"""


def install(folder: Path, name: str, code: str, points: dict[str, str]) -> None:
    """Install a package of one module as pip does: its code, and beside it what it says of itself."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-2.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.1\n")
    lines = "\n".join(f"{point} = {value}" for point, value in points.items())
    (info / "entry_points.txt").write_text(f"[workflow_assets.steps]\n{lines}\n")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("points", "slugs"),
    [
        ({"wash": "lab_one:wash"}, {"wash"}),
        ({"data": "lab_one:samples"}, {"samples"}),
        ({"more": "lab_one:more"}, {"rinse"}),
        ({"all": "lab_one"}, {"wash", "rinse", "samples"}),
    ],
    ids=["a step", "a source", "a registry", "a module"],
)
def test_an_installed_package_adds_steps(packages, points, slugs) -> None:
    install(packages, "lab_one", LAB, points)
    registry = Registry([clean], installed=True)
    assert set(registry) == {"text.clean", *slugs}
    assert registry.not_loaded == ()


def test_packages_are_loaded_when_a_slug_is_asked_for_that_is_not_there(packages) -> None:
    install(packages, "lab_two", LAB, {"all": "lab_two"})
    registry = Registry([clean], installed=True)
    assert registry["text.clean"] is clean
    assert "lab_two" not in sys.modules
    assert registry["wash"](" a ") == "a"
    loaded = registry["wash"]
    del sys.modules["lab_two"]
    assert registry["wash"] is loaded
    assert "lab_two" not in sys.modules, "it was loaded once"


def test_without_being_told_no_package_is_loaded(packages) -> None:
    install(packages, "lab_three", LAB, {"all": "lab_three"})
    with pytest.raises(UnknownNameError):
        Registry([clean])["wash"]
    assert "lab_three" not in sys.modules


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import not_there_at_all", "No module named 'not_there_at_all'"),
        ("broken = 3", "is 3: expected a step, a source, a registry, or a module"),
        ("x = 1", "no attribute 'broken'"),
        (
            "from workflow_assets import step\n@step(slug='wash')\ndef broken(x): return x",
            "slug 'wash' of lab_broken:broken is lab_four:wash's",
        ),
    ],
    ids=["raises", "exits", "misses a module", "no step", "no such name", "a slug that is taken"],
)
def test_a_package_that_fails_is_told_by_name_and_does_not_take_others_down(
    packages, caplog, code, reason
) -> None:
    install(packages, "lab_four", LAB, {"all": "lab_four"})
    install(packages, "lab_broken", code, {"broken": "lab_broken:broken"})
    registry = Registry(installed=True)
    assert {"wash", "rinse", "samples"} <= set(registry)
    (failed,) = registry.not_loaded
    assert (failed.entry_point, failed.package) == ("broken", "lab_broken 2.1")
    assert reason in failed.reason
    assert reason in caplog.text
    assert f"not loaded:\n  {failed}" in str(registry)
    assert registry.catalogue()["not_loaded"][0]["entry_point"] == "broken"
    with pytest.raises(UnknownNameError, match=r"entry point 'broken' of lab_broken 2\.1"):
        registry["brokn"]


def test_a_module_without_steps_is_told(packages) -> None:
    install(packages, "lab_empty", "from lab_full import wash", {"all": "lab_empty"})
    (packages / "lab_full.py").write_text(LAB)
    registry = Registry(installed=True)
    assert "wash" not in registry, "it is another module's"
    assert "has no steps or sources" in registry.not_loaded[0].reason


def test_the_command_lists_what_packages_bring(packages) -> None:
    install(packages, "lab_five", LAB, {"all": "lab_five", "lost": "lab_nowhere"})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(packages), *sys.path])}
    run = [sys.executable, "-W", "error", "-m", "workflow_assets.registries"]
    listed = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert listed.returncode == 1, "one was not loaded"
    assert "  wash(text: str) -> str\n      Take away what is around a text.\n" in listed.stdout
    assert "entry point 'lost' of lab_five 2.1: lab_nowhere cannot be imported" in listed.stdout
    told = subprocess.run([*run, "--json", "lab_five"], env=environment, capture_output=True, check=True)
    slugs = [one["slug"] for one in json.loads(told.stdout)["entries"]]
    assert slugs == ["rinse", "samples", "wash"]

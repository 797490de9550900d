"""Why a datum would be computed again, down to the function, the value or the input that has changed."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workflow_assets import Experiment, FileStore, MemoryStore
from workflow_assets.errors import UnknownNameError

STUDY = '''
from workflow_assets import source, step

FACTOR = 2.0

@source(version="1")
def numbers() -> list[float]:
    return [1.0, 2.0]

def helper(value):
    """Scale."""
    return value * FACTOR

@step
def draw(numbers: list[float], rng, width: float = 1.0) -> float:
    return helper(rng.normal(0.0, width)) + numbers[0]

@step
def score(draw: float, weight: float = 1.0) -> float:
    return draw * weight
'''

Load = Callable[..., Any]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load the study as a module of the user's, with some of its text replaced."""

    def load(*edits: tuple[str, str]) -> Any:
        text = STUDY
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "study.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location("study", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "study", module)
        spec.loader.exec_module(module)
        return module

    return load


def declare(module: Any, **changes: Any) -> Experiment:
    given = {"treatments": {"heavy": {"score.weight": 3.0}}, "replicates": 2, "seed": 5, **changes}
    return Experiment("study", [module.draw, module.score], **given)


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "store")


def test_what_was_never_run_is_new_and_what_was_run_is_stored(load, store):
    study = declare(load())
    assert str(study.explain(store, "score")) == "score of baseline × 0000 was never computed"
    study.run(store)
    assert str(study.explain(store, "score", "heavy", 1)) == "score of heavy × 0001 is stored"


def test_a_changed_helper_is_named_with_its_lines(load, store):
    declare(load()).run(store)
    told = declare(load(("value * FACTOR", "value * FACTOR + 1"))).explain(store, "draw")
    assert [(one.kind, one.name) for one in told.changes] == [("code", "study:helper")]
    assert str(told).splitlines() == [
        "draw of baseline × 0000 must be computed again",
        "  code: study:helper has changed",
        '           """Scale."""',
        "      -    return value * FACTOR",
        "      +    return value * FACTOR + 1",
    ]


def test_a_changed_constant_shows_both_values(load, store):
    declare(load()).run(store)
    (change,) = declare(load(("FACTOR = 2.0", "FACTOR = 2.5"))).explain(store, "draw").changes
    assert (change.kind, change.name, change.before, change.now) == ("code", "study:FACTOR", "2.0", "2.5")


def test_a_comment_changes_nothing(load, store):
    declare(load()).run(store)
    assert declare(load(('"""Scale."""', "# scales"))).explain(store, "draw").state == "stored"


def test_a_changed_parameter_shows_both_values(load, store):
    study = load()
    declare(study).run(store)
    (change,) = declare(study, parameters={"draw.width": 2}).explain(store, "draw").changes
    assert str(change) == "parameter: width 1.0 → 2.0"


def test_a_change_above_is_followed_to_its_cause(load, store):
    study = load()
    declare(study).run(store)
    told = declare(study, parameters={"draw.width": 2}).explain(store, "score", "heavy")
    assert str(told).splitlines() == [
        "score of heavy × 0000 must be computed again",
        "  input: draw is another datum",
        "    draw of heavy × 0000 must be computed again",
        "      parameter: width 1.0 → 2.0",
    ]


def test_a_new_version_of_a_source_is_followed_to_the_source(load, store):
    declare(load()).run(store)
    told = declare(load(('version="1"', 'version="2"'))).explain(store, "score")
    assert "source numbers must be computed again" in str(told)
    assert "parameter: version 1 → 2" in str(told)


def test_another_seed_is_told(load, store):
    study = load()
    declare(study).run(store)
    (change,) = declare(study, seed=6).explain(store, "draw").changes
    assert (change.kind, change.name) == ("seed", "of replicate 0000")
    assert change.before != change.now


def test_a_swapped_function_is_told(load, store):
    study = load()
    declare(study).run(store)
    other = load(("def helper", "def unused"), ("helper(rng", "float(rng"))
    swapped = declare(study)
    assert swapped.explain(store, "draw").state == "stored"
    changes = declare(other).explain(store, "draw").changes
    assert {(one.name, one.before is None, one.now is None) for one in changes} >= {
        ("study:draw", False, False),
        ("study:helper", False, True),
    }


def test_a_damaged_datum_is_told_apart(load, tmp_path):
    store = FileStore(tmp_path / "store")
    study = declare(load())
    study.run(store)
    key = study.explain(store, "score").key
    path = tmp_path / "store" / "records.jsonl"
    text = path.read_text()
    start = text.index(f'"key":"{key}"')
    path.write_text(f"{text[: start + 100]}?{text[start + 101 :]}")
    assert "cannot be used any more" in str(study.explain(store, "score"))


def test_unknown_names_are_told_with_near_matches(load, store):
    study = declare(load())
    with pytest.raises(UnknownNameError, match="no step 'scor': did you mean 'score'"):
        study.explain(store, "scor")
    with pytest.raises(UnknownNameError, match="no treatment 'heavvy': did you mean 'heavy'"):
        study.explain(store, "score", "heavvy")
    with pytest.raises(UnknownNameError, match="no replicate '7'"):
        study.explain(store, "score", "heavy", 7)


def test_an_accepted_change_computes_nothing_and_is_told_with_the_provenance(load, store):
    declare(load()).run(store)
    changed = declare(load(("return value * FACTOR", "return FACTOR * value")))
    (acceptance,) = changed.accept(store, "draw", why="multiplication commutes", who="Ada")
    assert changed.plan(store).data.to_compute == 0
    assert changed.explain(store, "score", "heavy", 1).state == "stored"
    result = changed.run(store)
    assert result.trace("heavy", 1, "draw").accepted == (acceptance,)
    told = f"accepted    a change of draw was accepted by Ada on {acceptance.when}: multiplication commutes"
    assert told in str(result.trace("heavy", 1, "draw"))
    assert result.trace("heavy", 1, "score").accepted == ()
    assert declare(load()).plan(store).data.to_compute == 0  # the code as it was, too


def test_acceptances_are_followed_back_to_the_first_code(load, store):
    declare(load()).run(store)
    first = declare(load(("return value * FACTOR", "return FACTOR * value")))
    first.accept(store, "draw", why="the order does not matter")
    second = declare(load(("return value * FACTOR", "scaled = FACTOR * value\n    return scaled")))
    assert second.plan(store).data.to_compute > 0
    second.accept(store, "draw", why="a name for it")
    assert second.plan(store).data.to_compute == 0
    assert len(second.run(store).trace("baseline", 0, "draw").accepted) == 2


def test_what_cannot_be_accepted_is_told(load, store):
    study = declare(load())
    with pytest.raises(UnknownNameError, match="nothing is stored"):
        study.accept(store, "draw", why="none")
    study.run(store)
    with pytest.raises(UnknownNameError, match="there is no change to accept"):
        study.accept(store, "draw", why="none")
    with pytest.raises(UnknownNameError, match="no step or source 'drow': did you mean 'draw'"):
        study.accept(store, "drow", why="none")
    changed = declare(load(("return value * FACTOR", "return FACTOR * value")))
    with pytest.raises(ValueError, match="say why"):
        changed.accept(store, "draw", why=" ")
    assert changed.explain(store, "draw").state == "changed"

"""Reading what is stored again, and computing it again."""

import itertools
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workflow_assets import Experiment, FileStore, MemoryStore, step, verify
from workflow_assets.errors import CorruptDatumError, UnknownNameError
from workflow_assets.store.base import Store

LARGE = 1000


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "store")


@step
def drawn(rng: np.random.Generator, size: int = LARGE) -> np.ndarray:
    return rng.normal(size=size)


@step
def total(drawn: np.ndarray) -> float:
    return float(drawn.sum())


@step
def counted(drawn: np.ndarray) -> Any:
    return Counter((drawn > 0).tolist())


@step
def positive(counted: Any) -> int:
    return int(counted[True])


def study(*more: Any) -> Experiment:
    return Experiment("study", [drawn, total, *more], {"more": {"drawn.size": 2 * LARGE}}, replicates=4)


def damage(store: Store, name: str) -> None:
    """Flip a byte of an object, behind the store's back."""
    if isinstance(store, MemoryStore):
        data = bytearray(store._objects[name])
        data[-1] ^= 1
        store._objects[name] = bytes(data)
        return
    assert isinstance(store, FileStore)
    path = store.folder / "objects" / name[:2] / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_data_that_are_whole_are_counted(store):
    study().run(store)
    checked = verify(store)
    assert (checked.data, checked.damaged) == (len(list(store.keys())), ())
    assert checked.bytes > 4 * 3 * LARGE * 8
    assert str(checked).endswith("data with 0.1 MB were read again: all are whole")


def test_a_damaged_datum_is_named_with_its_step_and_computed_again(store):
    """Also where nobody would have read it: that it has the right size is not enough."""
    first = study().run(store)
    key = first.trace("more", 2, "drawn").key
    name = store.recorded([key])[key].location
    assert name
    damage(store, name)
    checked = verify(store)
    (found,) = checked.damaged
    assert (found.key, found.step) == (key, "drawn")
    assert "do not have the digest they were written with" in str(checked)
    assert study().plan(store).data.to_compute == 1
    assert study().run(store).table.equals(first.table)
    assert verify(store).damaged == ()


def test_what_turns_out_to_be_damaged_is_computed_by_the_next_run(store):
    """As the error says that it would be."""
    result = study().run(store)
    key = result.trace("baseline", 0, "drawn").key
    damage(store, store.recorded([key])[key].location or "")
    opened = FileStore(store.folder) if isinstance(store, FileStore) else store
    with pytest.raises(CorruptDatumError, match="Run again to compute it anew"):
        opened.load(key)
    study().run(opened)
    assert opened.load(key).size == LARGE


def test_a_damaged_record_is_named(tmp_path):
    store = FileStore(tmp_path)
    store.put("a1", 1)
    path = tmp_path / "records.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"value":1', b'"value":2'))
    (found,) = verify(FileStore(tmp_path)).damaged
    assert str(found) == "a datum a1: its record is damaged"


def test_a_part_is_drawn(store):
    """As large as is asked for, and the same for the same generator."""
    for number in range(400):
        store.put(f"k{number}", number)
    parts = [verify(store, fraction=0.25, rng=random.Random(7)).data for _ in range(2)]
    assert parts[0] == parts[1]
    assert 60 < parts[0] < 140
    for fraction in (0, -1, 1.5):
        with pytest.raises(ValueError, match="expected more than 0 and at most 1"):
            verify(store, fraction=fraction)


def assert_only_noted(store, before):
    """All data are as they were, and the only new one is the ledger's note of the audit."""
    after = store.recorded(store.keys())
    (new,) = after.keys() - before.keys()
    assert {key: after[key] for key in before} == before
    assert store.load(new)["kind"] == "audit"


def test_steps_that_are_not_deterministic_are_found(store):
    """Though what draws from the replicate's stream is."""
    calls = itertools.count()

    @step(version="1")
    def counted(total: float) -> float:
        return total + next(calls)

    experiment = study(counted)
    experiment.run(store)
    before = store.recorded(store.keys())
    audit = experiment.audit(store, sample=1000)
    assert audit.computed == {"drawn": 8, "total": 8, "counted": 8}
    assert audit.suspects == ("counted",)
    assert not audit.deterministic
    assert len(audit.differences) == 8
    assert "counted: 8 computed again, 8 different" in str(audit)
    assert "counted of more × 0003: " in str(audit)
    assert_only_noted(store, before)


def test_an_audit_computes_so_many_and_of_those_steps(store):
    """Drawn by the generator; what is not stored is not computed."""
    experiment = study()
    experiment.run(store)
    assert sum(experiment.audit(store, sample=5).computed.values()) == 5
    assert experiment.audit(store, sample=100, steps=["total"]).computed == {"total": 8}
    draws = [str(experiment.audit(store, sample=3, rng=random.Random(seed))) for seed in (1, 1)]
    assert draws[0] == draws[1]
    nothing = experiment.audit(MemoryStore())
    assert nothing.computed == {"drawn": 0, "total": 0}
    assert str(nothing) == "drawn: none computed again\ntotal: none computed again"
    with pytest.raises(UnknownNameError, match="no stored step 'totl': did you mean 'total'"):
        experiment.audit(store, steps=["totl"])
    with pytest.raises(ValueError, match="compute at least 1 datum again"):
        experiment.audit(store, sample=0)


def test_a_step_that_fails_now_is_told(store):
    """With what it raised."""
    broken: list[bool] = []

    @step(version="1")
    def fragile(total: float) -> float:
        if broken:
            raise OSError("the service is gone")
        return total

    experiment = study(fragile)
    experiment.run(store)
    broken.append(True)
    audit = experiment.audit(store, steps=["fragile"])
    assert audit.suspects == ("fragile",)
    assert "it fails now: step 'fragile': OSError: the service is gone" in str(audit)


def test_an_audit_reads_ones_own_pickles_and_computes_the_others_again(tmp_path):
    """As a run does; the store is left as it is."""
    experiment = study(counted, positive)
    for pickles in ("own", True):
        store = FileStore(tmp_path / str(pickles), pickles=pickles)
        experiment.run(store)
        careful = FileStore(store.folder)
        before = careful.find_all(careful.keys())
        assert experiment.audit(careful, steps=["positive"]).deterministic
        assert_only_noted(careful, before)

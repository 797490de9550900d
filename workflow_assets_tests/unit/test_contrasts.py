"""Contrasts say which means and verdicts have moved between results."""

from pathlib import Path

import numpy as np
import pytest

from workflow_assets import Experiment, Hypothesis, Report, Result, compare_results, step


def study(gain: float, *, seed: int = 0, replicates: int = 20, extra: bool = False) -> Result:
    @step
    def measure(rng: np.random.Generator, bonus: float = 0.0) -> float:
        return float(rng.normal() + gain * bonus)

    treatments = {"more": {"measure.bonus": 2.0}, **({"new": {"measure.bonus": 1.0}} if extra else {})}
    claim = Hypothesis("helps", "measure", "more", paired=False)
    return Experiment("study", [measure], treatments, replicates, [claim], seed=seed).run()


def test_what_moved_is_told_and_what_did_not_is_not() -> None:
    contrast = compare_results([study(1.0), study(-1.0)], names=["before", "after"])
    assert {one.treatment: one.moved for one in contrast.moves} == {"baseline": False, "more": True}
    moved = next(one for one in contrast.moves if one.moved)
    assert moved.paired
    assert moved.difference == pytest.approx(-4.0)
    assert contrast.verdict_rows()[1][0][-1] == "decision"
    assert contrast.move_rows()[1][0][0] == "more", "what moved comes first"
    assert [row[-1] for row in contrast.move_rows()[1]] == ["▼ lower", "no"]
    assert contrast.summary() == "1 of 1 decisions changed; 1 of 2 means moved from before"
    assert contrast.summary() in contrast.markdown()


def test_a_hypothesis_that_is_new_is_not_told_as_unchanged() -> None:
    @step
    def constant(rng: np.random.Generator) -> float:
        return float(rng.normal())

    without = Experiment("study", [constant], replicates=3).run()
    contrast = compare_results([without, study(1.0)], names=["before", "after"])
    row = contrast.verdict_rows()[1][0]
    assert row[:2] == ["helps", "–"]
    assert row[2].startswith("✔ supported +")
    assert row[3] == "none, asked in after only"


def test_other_seeds_are_compared_as_two_samples() -> None:
    contrast = compare_results([study(1.0), study(1.0, seed=1)])
    assert not any(one.paired for one in contrast.moves)
    assert contrast.names == ("study 1", "study 2")
    assert all(one.low is not None and one.high is not None and one.low < one.high for one in contrast.moves)


def test_one_replicate_has_no_interval_and_has_not_moved() -> None:
    contrast = compare_results([study(1.0, replicates=1), study(-1.0, replicates=1)])
    assert [one.low for one in contrast.moves] == [None, None]
    assert not any(one.moved for one in contrast.moves)


def test_saved_reports_make_the_same_page_and_markdown(tmp_path: Path) -> None:
    results = [study(1.0), study(0.0, extra=True)]
    saved = [Report.load(one.report().save(tmp_path / f"{place}.json")) for place, one in enumerate(results)]
    contrasts = [compare_results(one) for one in (results, saved)]
    pages = [one.html(tmp_path / "contrast.html").read_text(encoding="utf-8") for one in contrasts]
    assert pages[0] == pages[1]
    assert "treatment new is not in study 1" in pages[0]
    assert contrasts[0].markdown() == contrasts[1].markdown()


def test_fewer_than_two_and_names_that_do_not_fit_are_refused() -> None:
    one = study(1.0, replicates=2)
    with pytest.raises(ValueError, match="give two or more"):
        compare_results([one])
    with pytest.raises(ValueError, match="give 2 different names"):
        compare_results([one, one], names=["a", "a"])
    with pytest.raises(ValueError, match="neither a Result nor a Report"):
        compare_results([one, "results.json"])  # type: ignore[list-item]

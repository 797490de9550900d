"""Whatever is flagged and whatever is overridden, a verdict that was not clean stays so, and its decision stands."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_assets import Experiment, Hypothesis, MemoryStore, Treatment, step
from workflow_assets.flags import CODES


@step(version="1")
def score(replicate: int, rng, scale: float = 1.0, failing: int = 0) -> float:
    if replicate < failing:
        raise RuntimeError("out of luck")
    return float(scale * rng.normal())


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_an_override_never_turns_a_flagged_verdict_clean(data: st.DataObject) -> None:
    def declare(overrides: dict[str, str]) -> Experiment:
        claim = Hypothesis("better", "score", "more", overrides=overrides)
        change: dict[str, Any] = {"score.scale": 2.0, "score.failing": failing}
        return Experiment("study", [score], {"more": Treatment(change, tuned=tuned)}, count, [claim])

    count, failing = data.draw(st.integers(3, 12)), data.draw(st.integers(0, 3))
    tuned = data.draw(st.sampled_from([None, 0, 50]))
    store = MemoryStore()
    confirms = data.draw(st.booleans())

    def judged(experiment: Experiment) -> Any:
        return experiment.confirm("better", count, store=store) if confirms else experiment.run(store)

    before = judged(declare({})).verdict("better")
    stated = dict.fromkeys(data.draw(st.sets(st.sampled_from(sorted(CODES)))), "it does not matter")
    result = judged(declare(stated))
    for code in (
        data.draw(st.sets(st.sampled_from(sorted({flag.code for flag in before.flags}))))
        if before.flags
        else ()
    ):
        result.override(code, reason="nor does this", who="somebody")
    after = result.verdict("better")
    assert [(one.code, one.message) for one in after.flags] == [
        (one.code, one.message) for one in before.flags
    ]
    assert (after.clean, after.decision, after.confirmed) == (before.clean, before.decision, before.confirmed)
    assert after.clean == (not after.flags)

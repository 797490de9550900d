"""Claims about several metrics: all of their parts must hold."""

import json

import numpy as np
import pytest

from workflow_assets import Experiment, FileStore, Hypothesis, Metrics, step
from workflow_assets.bundles import recompute
from workflow_assets.errors import DeclarationError
from workflow_assets.preregistrations import claim_of, family_of


class Fit(Metrics):
    seconds: float
    accuracy: float
    converged: bool


@step
def fit(rng: np.random.Generator, size: int = 20, damage: float = 0.0, lost: bool = False) -> Fit:
    noise = rng.normal(size=2) * np.array([0.1, 0.01]) * (1 + 0.1 * rng.normal() * size)
    accuracy = np.nan if lost else 0.9 + noise[1] - damage
    return Fit(seconds=size / 10 + noise[0], accuracy=accuracy, converged=bool(rng.random() < 0.5))


TREATMENTS: dict[str, dict[str, object]] = {
    "small": {"fit.size": 10},
    "rough": {"fit.size": 10, "fit.damage": 0.2},
    "broken": {"fit.size": 10, "fit.lost": True},
}
BOTH = {"fit.seconds": "less", "fit.accuracy": ("greater", -0.05)}


def study(*hypotheses, replicates=20, **options):
    return Experiment("study", [fit], TREATMENTS, replicates, hypotheses, **options)


def test_a_claim_about_several_metrics_holds_if_every_part_does():
    """Its p is the largest of those of the parts, which are judged as if each were claimed by itself."""
    alone = [
        Hypothesis("faster", "fit.seconds", "small", alternative="less", family="one"),
        Hypothesis("as_good", "fit.accuracy", "small", margin=-0.05, family="two"),
    ]
    verdicts = study(Hypothesis("worth_it", BOTH, "small"), *alone).run().verdicts
    whole = verdicts["worth_it"]
    assert whole.decision == "supported"
    assert whole.p == max(verdicts["faster"].p, verdicts["as_good"].p)
    for part, one in zip(whole.parts, (verdicts["faster"], verdicts["as_good"]), strict=True):
        assert (part.p, part.test, part.interval) == (one.p, one.test, one.interval)
    assert "fit.seconds: supported" in str(whole)
    assert "fit.accuracy: supported" in str(whole)


def test_one_part_that_is_refuted_refutes_the_claim():
    """What is slower is not faster and as good, however good it is."""
    whole = study(Hypothesis("worth_it", BOTH, "rough")).run().verdict("worth_it")
    assert whole.decision == "refuted"
    assert [part.decision for part in whole.parts] == ["supported", "refuted"]


def test_one_part_that_is_not_shown_leaves_the_claim_open():
    """Half of what is claimed is not all of it."""
    claim = Hypothesis("better", {"fit.seconds": "less", "fit.accuracy": "two-sided"}, "small")
    whole = study(claim).run().verdict("better")
    assert whole.decision == "inconclusive"
    assert [part.decision for part in whole.parts] == ["supported", "inconclusive"]


def test_one_part_that_cannot_be_judged_is_named():
    """The reason says which metric it is about, and what is known of the others stays."""
    whole = study(Hypothesis("worth_it", BOTH, "broken")).run().verdict("worth_it")
    assert whole.decision == "undecidable"
    assert whole.reason.startswith("fit.accuracy: 0 replicates have values")
    assert whole.parts[0].decision == "supported"
    assert "dropped_cells" in {flag.code for flag in whole.flags}


def test_it_counts_once_in_its_family():
    """Parts are not claims of their own: nobody pays for them."""
    claims = [
        Hypothesis("worth_it", BOTH, "small"),
        Hypothesis("faster", "fit.seconds", "rough", alternative="less"),
    ]
    verdict = study(*claims, families={"": "bonferroni"}).run().verdict("worth_it")
    assert verdict.p_adjusted == 2 * verdict.p


@pytest.mark.parametrize(
    ("metric", "options", "message"),
    [
        ({"fit.seconds": "less"}, {}, "expected two or more, or the name of one"),
        ({**BOTH, "fit.seconds": "lesser"}, {}, r"metric\['fit.seconds'\]: .* = 'lesser': did you mean 'less'"),
        ({**BOTH, "fit.seconds": ("less",)}, {}, r"metric\['fit.seconds'\] = \('less',\): expected a direction"),
        ({**BOTH, "fit.seconds": ("equivalent", 0)}, {}, "a claim of equivalence says how large"),
        ({**BOTH, "fit.seconds": ("less", "1")}, {}, "expected a finite number"),
        (BOTH, {"alternative": "less"}, "alternative = 'less': each metric has its own: leave it out"),
        (BOTH, {"margin": 1.0}, "margin = 1.0: each metric has its own"),
        (BOTH, {"test": "mcnemar"}, "knows no margin"),
        (BOTH, {"treatment": ["small", "rough"]}, "several treatments is about one metric"),
        (["fit.seconds", "fit.accuracy"], {}, "expected a metric's name, .* or several with their directions"),
    ],
)  # fmt: skip
def test_refused(metric, options, message):
    """What cannot be claimed is an error that names the metric."""
    with pytest.raises(DeclarationError, match=message):
        Hypothesis(**{"name": "h", "metric": metric, "treatment": "small", **options})


@pytest.mark.parametrize(
    ("metric", "families", "message"),
    [
        ({**BOTH, "fit.secs": "less"}, None, "is about 'fit.secs', which no step declares: did you mean 'fit.seconds'"),
        (BOTH, {"": "dunnett"}, "needs one metric for all"),
    ],
)  # fmt: skip
def test_refused_before_anything_runs(metric, families, message):
    """A misspelt metric among several is as wrong as one alone."""
    with pytest.raises(DeclarationError, match=message):
        study(Hypothesis("h", metric, "small"), families=families)


def test_it_goes_wherever_claims_go(tmp_path):
    """Reports, archives and preregistrations tell its parts; nothing is lost on the way."""
    experiment = study(Hypothesis("worth_it", BOTH, "small"), Hypothesis("rough_too", BOTH, "rough"))
    result = experiment.run(FileStore(tmp_path / "store"))
    assert "fit.accuracy" in result.report().html(tmp_path / "report.html").read_text()
    told = json.loads(json.dumps(result.verdict("worth_it").as_dict()))
    assert [part["metric"] for part in told["parts"]] == ["fit.seconds", "fit.accuracy"]
    assert recompute(result.bundle(tmp_path / "study.zip")).exit_code == 0
    assert result.ranking("fit.seconds", by="p", best="min")
    confirmed = experiment.confirm("worth_it", 12, store=FileStore(tmp_path / "store"))
    assert confirmed.verdict("worth_it").preregistration
    assert confirmed.verdict("worth_it").supported


def test_what_it_claims_is_what_it_says():
    """The order of metrics changes no claim, a margin does."""
    one = Hypothesis("worth_it", BOTH, "small")
    turned = Hypothesis("worth_it", dict(reversed(BOTH.items())), "small")
    wider = Hypothesis("worth_it", {**BOTH, "fit.accuracy": ("greater", -0.1)}, "small")
    assert one == turned
    assert family_of(one) == family_of(turned) == family_of(wider)
    assert claim_of(one) != claim_of(wider)
    assert hash(one) == hash(turned)


def test_it_is_not_calibrated_as_a_whole():
    """Its parts are, each by a claim of its own."""
    result = study(Hypothesis("worth_it", BOTH, "small")).run()
    with pytest.raises(ValueError, match="is about 2 metrics: calibrate a claim about each"):
        result.calibrate("worth_it")

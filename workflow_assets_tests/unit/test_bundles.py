"""A bundle holds what its verdicts rest on: they are judged again from it, and whatever does not fit is named."""

import hashlib
import io
import itertools
import json
import math
import os
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workflow_assets import (
    Experiment,
    FileStore,
    Hypothesis,
    MemoryStore,
    Metrics,
    Report,
    pages,
    parcels,
    provenance,
    resamples,
    step,
    units,
)
from workflow_assets.bundles import AGREE, DAMAGED, DIFFER, NOT_ALL, Recomputation, main, recompute
from workflow_assets.errors import BundleError
from workflow_assets.parcels import MANIFEST, read_parcel, write_parcel
from workflow_assets.results import Result
from workflow_assets.stats.methods import METHODS, OMNIBUS
from workflow_assets.stats.quantiles import Quantile
from workflow_assets.treatments import Treatment


class Scores(Metrics):
    score: float
    good: bool
    odd: float | None


@step
def made(rng: np.random.Generator, replicate: str, dose: float = 0.0, fails: bool = False) -> Scores:
    if fails and replicate.endswith("3"):
        raise RuntimeError("no luck")
    drawn = float(dose * (1.0 + 0.2 * rng.normal()) + rng.normal())
    return Scores(score=drawn, good=drawn > 0, odd={"2": math.nan, "4": None}.get(replicate[-1], drawn))


@step
def plain(rng: np.random.Generator, dose: float = 0.0) -> float:
    return float(dose * (1.0 + 0.2 * rng.normal()) + rng.normal())


DOSES = {"low": 0.2, "middle": 0.8, "high": 2.0}


def own(x: Any, y: Any, alternative: str) -> float:
    return 0.004 if np.mean(x - y) > 0 else 1.0


class Shifted:
    """A test of one's own with an effect of its own."""

    def __call__(self, x: Any, y: Any, alternative: str) -> float:
        return 0.03

    def effect(self, x: Any, y: Any, **options: Any) -> Any:
        from workflow_assets.stats.effects import mean_difference

        return mean_difference(2 * np.asarray(x), y, paired=True)


def every_claim() -> tuple[list[Hypothesis], dict[str, str]]:
    """One hypothesis for each test that there is, each direction, and each family."""
    claims = [
        Hypothesis(
            f"by_{name}", "made.good" if method.shares else "made.score", "high",
            against=0.5 if name == "binomial" else "baseline", test=name, paired=method.paired is not False,
            family="tests",
        )
        for name, method in METHODS.items() if "test_fraction" not in method.takes - method.optional
    ]  # fmt: skip
    claims += [
        Hypothesis(
            f"any_{name}", "made.good" if method.shares else "made.score", list(DOSES), test=name,
            paired=bool(method.paired), family="any",
        )
        for name, method in OMNIBUS.items()
    ]  # fmt: skip
    claims += [
        Hypothesis(
            f"{side}_{paired}".replace("-", "_"), "made.score", "low",
            alternative=side, paired=paired, margin=0.1,
        )
        for side in ("greater", "less", "two-sided", "equivalent") for paired in (True, False)
    ]  # fmt: skip
    claims += [Hypothesis(f"joint_{dose}", "made.score", dose, family="joint") for dose in DOSES]
    claims += [
        Hypothesis("quantile", "made.score", "high", test=Quantile(0.75), overrides={"low_n": "a pilot"}),
        Hypothesis("missing", "made.odd", "high"),
        Hypothesis("failed", "made.score", "failing"),
        Hypothesis("number", "made.score", "high", against=1.0),
        Hypothesis("constant", "made.score", "same", alternative="two-sided"),
    ]
    return claims, {"joint": "dunnett", "tests": "bonferroni", "any": "benjamini_hochberg", "": "hochberg"}


def treatments() -> dict[str, Any]:
    given: dict[str, Any] = {name: {"made.dose": dose} for name, dose in DOSES.items()}
    given["low"] = Treatment({"made.dose": DOSES["low"]}, tuned=3)
    return {**given, "failing": {"made.dose": 2.0, "made.fails": True}, "same": {"made.dose": 1e-300}}


def small(*claims: Hypothesis, seed: int = 0, replicates: Any = 8) -> Experiment:
    given = claims or (Hypothesis("works", "plain", "high"),)
    return Experiment("study", [plain], {"high": {"plain.dose": 2.0}}, replicates, given, seed=seed)


@pytest.fixture(autouse=True)
def no_page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no plots, which take longer than all else, but where the page is looked at."""
    if "draws" not in request.node.name:
        monkeypatch.setattr(pages, "experiment_page", lambda _: "<html>")


@pytest.fixture(scope="module")
def everything() -> Result:
    claims, families = every_claim()
    replicates = [f"unit_{index}" for index in range(12)]
    return Experiment("every", [made], treatments(), replicates, claims, families=families).run(MemoryStore())


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return small().run(MemoryStore()).bundle(tmp_path / "study.zip")


def states(told: Recomputation) -> set[str]:
    return {check.outcome for check in told.checks}


def edited(path: Path, edit: Callable[[dict[str, bytes]], None], mended: bool = True) -> Path:
    """Write the archive again with other files; with a manifest that fits them, if mended."""
    files = dict(read_parcel(path).files)
    edit(files)
    if mended:
        return write_parcel(path.with_name("edited.zip"), files)
    manifest = zipfile.ZipFile(path).read(MANIFEST)
    return zipped(path.with_name("edited.zip"), {**files, MANIFEST: manifest})


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def changed(name: str, change: Callable[[Any], None]) -> Callable[[dict[str, bytes]], None]:
    def edit(files: dict[str, bytes]) -> None:
        held = json.loads(files[name])
        change(held)
        files[name] = json.dumps(held).encode()

    return edit


# -- what is judged again --------------------------------------------------------------------------------------------


def test_every_kind_of_hypothesis_is_judged_again_and_agrees(everything: Result, tmp_path: Path) -> None:
    told = recompute(everything.bundle(tmp_path / "every.zip"))
    assert [line for check in told.checks for line in check.differences] == []
    assert [check.hypothesis for check in told.checks] == list(everything.verdicts)
    assert (told.exit_code, told.contradictions, told.versions) == (AGREE, [], [])
    assert {verdict.decision for verdict in everything.verdicts.values()} >= {
        "supported",
        "inconclusive",
        "refuted",
    }
    assert {flag.code for verdict in everything.verdicts.values() for flag in verdict.flags} >= {
        "dropped_cells", "unequal_budgets",
    }  # fmt: skip


def test_units_and_resplits_are_judged_again_as_such(tmp_path: Path) -> None:
    sites = [f"P{plate}/s{site}" for plate in range(6) for site in range(2)]
    nested = units(sites, levels=("plate", "site"), unit="plate")
    for number, replicates in enumerate((resamples(8, test_fraction=0.3), nested)):
        result = small(replicates=replicates).run(MemoryStore())
        told = recompute(result.bundle(tmp_path / f"{number}.zip"))
        assert told.exit_code == AGREE, str(told)
    assert "aggregated to 6 plates" in result.verdict("works").note


def test_a_test_of_ones_own_is_told_as_not_recomputed(tmp_path: Path, capsys: Any) -> None:
    claims = (
        Hypothesis("mine", "plain", "high", test=own),
        Hypothesis("with_effect", "plain", "high", test=Shifted()),
        Hypothesis("fails", "plain", "high", test=lambda x, y, alternative: 1 / 0),
        Hypothesis("works", "plain", "high"),
    )
    path = small(*claims).run(MemoryStore()).bundle(tmp_path / "study.zip")
    assert main([str(path)]) == NOT_ALL
    said = capsys.readouterr().out
    assert said.count("not recomputed: a test of one's own") == 3
    assert "1 agree, 0 differ, 3 not recomputed" in said
    assert b"np.mean(x - y)" in read_parcel(path).files["code/test_of_mine.txt"]

    def supported(verdicts: Any) -> None:
        verdicts["mine"]["p_adjusted"] = 0.001

    def again(files: dict[str, bytes]) -> None:
        changed("verdicts.json", supported)(files)

    assert main([str(edited(path, again))]) == DIFFER, "its p is given, and what follows from it is not"
    assert "p_adjusted: 0.001 in the archive, 0.012 judged again" in capsys.readouterr().out


def test_a_confirmation_with_spent_alpha_stays_spent(tmp_path: Path) -> None:
    store = MemoryStore()
    small().run(store)
    first = small().confirm("works", 8, store=store)
    second = small(seed=1).confirm("works", 8, store=store)
    assert not second.verdict("works").supported
    second.override("spent_alpha", reason="we know", who="us")
    for number, result in enumerate((first, second)):
        told = recompute(path := result.bundle(tmp_path / f"{number}.zip"))
        assert told.exit_code == AGREE, str(told)
    verdict = json.loads(read_parcel(path).files["verdicts.json"])["works"]
    codes = {flag["code"]: flag["reason"] for flag in verdict["flags"]}
    assert codes.keys() >= {"spent_alpha", "unaudited_environment"}
    assert codes["spent_alpha"] == "we know"

    def cleaned(verdicts: Any) -> None:
        verdicts["works"].update(decision="supported", p_adjusted=verdicts["works"]["p"], flags=[])

    told = recompute(edited(path, changed("verdicts.json", cleaned)))
    assert told.exit_code == DIFFER
    fields = {line.partition(":")[0].partition("[")[0] for line in told.checks[0].differences}
    assert fields == {"decision", "p_adjusted", "flags"}


def test_packages_of_several_versions_are_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = itertools.count()
    monkeypatch.setattr(provenance, "libraries", lambda _: {"numpy": str(next(versions))})
    path = small().confirm("works", 8, store=MemoryStore()).bundle(tmp_path / "study.zip")
    told = recompute(path)
    assert told.exit_code == AGREE, str(told)
    assert b"different versions of 'numpy'" in read_parcel(path).files["verdicts.json"]

    def same(told: Any) -> None:
        for note in told["notes"].values():
            note["libraries"] = {"numpy": "1"}

    assert recompute(edited(path, changed("provenance.json", same))).exit_code == DIFFER


def test_what_differs_is_told_as_json(bundle: Path, capsys: Any) -> None:
    def other(verdicts: Any) -> None:
        verdicts["works"]["p"] = 0.5

    assert main(["--json", str(edited(bundle, changed("verdicts.json", other)))]) == DIFFER
    told = json.loads(capsys.readouterr().out)
    assert told["exit_code"] == DIFFER
    assert told["checks"][0]["differences"][0].startswith("p: 0.5 in the archive, ")


def test_what_the_ledger_learns_later_is_in_a_later_bundle(tmp_path: Path) -> None:
    """Another seed was tried after the verdict was first read."""
    store = MemoryStore()
    result = small().run(store)
    assert result.verdict("works").clean
    other = Hypothesis("works", "plain", "high")
    weak = Experiment("study", [plain], {"high": {"plain.dose": -2.0}}, 8, [other], seed=5).run(store)
    assert weak.verdicts
    told = recompute(path := result.bundle(tmp_path / "study.zip"))
    assert told.exit_code == AGREE
    verdict = json.loads(read_parcel(path).files["verdicts.json"])["works"]
    assert [flag["code"] for flag in verdict["flags"]] == ["selected_seed"]


# -- what it holds ---------------------------------------------------------------------------------------------------


def test_the_same_results_are_the_same_bytes(tmp_path: Path) -> None:
    """Whatever was computed, and whatever the archive is called."""
    store = FileStore(tmp_path / "store")
    cold, warm = (small().run(store).bundle(tmp_path / name) for name in ("cold.zip", "warm.zip"))
    assert cold.read_bytes() == warm.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"cold.zip", "store", "warm.zip"}


@pytest.mark.slow
def test_the_same_results_are_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    """Also from another result of the same store, which computed nothing, in another process."""
    script = tmp_path / "study.py"
    script.write_text(
        "import numpy as np\n"
        "from workflow_assets import Experiment, FileStore, Hypothesis, pages, step\n"
        "pages.experiment_page = lambda _: '<html>'\n"
        "@step\n"
        "def plain(rng: np.random.Generator, dose: float = 0.0) -> float:\n"
        "    return float(dose + rng.normal())\n"
        "claims = [Hypothesis('works', 'plain', 'high'), Hypothesis('any', 'plain', ['high', 'low'])]\n"
        "treatments = {'high': {'plain.dose': 2.0}, 'low': {'plain.dose': 1.0}}\n"
        "result = Experiment('study', [plain], treatments, 4, claims).run(FileStore('store'))\n"
        "result.bundle('study.zip')\n"
    )
    written = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, script.name], cwd=tmp_path, env=environment, check=True, timeout=100)
        written.append((tmp_path / "study.zip").read_bytes())
    assert written[0] == written[1]
    assert [path.name for path in tmp_path.glob("*study.zip*")] == ["study.zip"]


def test_the_files_tell_what_was_measured(everything: Result, tmp_path: Path) -> None:
    files = read_parcel(everything.bundle(tmp_path / "every.zip")).files
    table = pd.read_csv(io.BytesIO(files["results.csv"]), float_precision="round_trip")
    for name in ("made.score", "made.odd"):
        assert table[name].equals(everything.table[name])
    assert (table["status"] == everything.table["status"]).all()
    assert Report.from_json(files["report.json"].decode()).table.equals(everything.table)
    told = json.loads(files["provenance.json"])
    assert {run["host"] for run in told["runs"].values()}
    assert told["judged"]["versions"].keys() >= {"python", "numpy", "scipy"}
    assert told["configuration"] == everything.configuration
    assert b"raise RuntimeError" in files["code/made.txt"]
    assert b"python -m workflow_assets.bundles" in files["README.txt"]


def test_the_page_draws_what_the_archive_says(bundle: Path, tmp_path: Path) -> None:
    page = read_parcel(bundle).files["report.html"]
    assert b"works" in page
    assert b"image/svg+xml" in page


def test_results_without_a_store_or_hypotheses_are_bundled(tmp_path: Path) -> None:
    ran = small().run(FileStore(tmp_path / "store"))
    apart = Result(ran.declaration, ran.outcomes)
    assert recompute(apart.bundle(tmp_path / "apart.zip")).exit_code == AGREE
    nothing = Experiment("study", [plain]).run(MemoryStore())
    assert recompute(nothing.bundle(tmp_path / "nothing.zip")).exit_code == AGREE


# -- what does not fit -----------------------------------------------------------------------------------------------


def test_a_changed_number_with_a_mended_manifest_gives_another_verdict(bundle: Path, capsys: Any) -> None:
    def change(cells: Any) -> None:
        cells["metrics"]["plain"][0] += 1.0

    path = edited(bundle, changed("cells.json", change))
    assert recompute(path).digest != recompute(bundle).digest
    assert main([str(path)]) == DIFFER
    said = capsys.readouterr().out
    assert "DIFFERS" in said
    assert "works" in said
    assert "report.json has another table than cells.json" in said
    assert "results.csv has another table than cells.json" in said


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda files: files.update({"results.csv": files["results.csv"].replace(b"completed", b"failed")}),
            "results.csv has another table",
        ),
        (
            changed("report.json", lambda told: told["verdicts"]["works"].update(decision="refuted")),
            "report.json has other verdicts",
        ),
        (changed("study.json", lambda told: told.update(seed=1)), "report.json is of another study than study.json"),
        (changed("verdicts.json", lambda told: told.pop("works")), "the archive has no verdict on it"),
        (changed("verdicts.json", lambda told: told.update(more=told["works"])), "no hypothesis is called that"),
        (
            changed("verdicts.json", lambda told: told["works"].update(text="works: \x1b[2J")),
            "works: ",
        ),
        (changed("study.json", lambda told: told["hypotheses"][0].update(margin=9.0)), "margin: 0.0 in the archive"),
    ],
)  # fmt: skip
def test_whatever_differs_is_named(bundle: Path, edit: Any, message: str, capsys: Any) -> None:
    assert main([str(edited(bundle, edit))]) == DIFFER
    said = capsys.readouterr().out
    assert message in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda files: files.pop("cells.json"), "'cells.json' is missing"),
        (lambda files: files.update({"cells.json": b"{"}), "cells.json is damaged: it is no valid JSON"),
        (lambda files: files.update({"cells.json": b'{"a": 1, "a": 2}'}), "names something twice"),
        (lambda files: files.update({"cells.json": b"[" * 100_000}), "cells.json is damaged"),
        (
            changed("cells.json", lambda told: told["metrics"]["plain"].pop()),
            "cells.json is damaged or was edited",
        ),
        (
            changed("cells.json", lambda told: told["treatment"].__setitem__(0, "none")),
            "no cell 'none' × '0000'",
        ),
        (
            changed("study.json", lambda told: told["hypotheses"][0].update(test="magic")),
            "study.json .* 'magic'",
        ),
        (
            changed("study.json", lambda told: told["hypotheses"][0].update(metric="plan")),
            "unknown metric 'plan'",
        ),
        (
            changed("study.json", lambda told: told.update(families={"": "x"})),
            "study.json .* adjusted by 'x'",
        ),
        (
            changed("study.json", lambda told: told["replicates"].update(count=10**12)),
            "study.json .* at most",
        ),
        (changed("study.json", lambda told: told.update(name="\x1b[2J")), "study.json .* its name"),
        (changed("report.json", lambda told: told.update(schema=2)), "report.json .* schema 2"),
        (changed("ledger.json", lambda told: told.append({"kind": "look"})), "ledger.json is damaged"),
        (
            changed("ledger.json", lambda told: told[-1]["told"].clear()),
            "cannot be judged: its files do not fit",
        ),
    ],
)
def test_a_bundle_that_no_result_wrote_is_refused(bundle: Path, edit: Any, message: str, capsys: Any) -> None:
    path = edited(bundle, edit)
    with pytest.raises(BundleError, match=message):
        recompute(path)
    assert main([str(path)]) == DAMAGED
    assert "BundleError" in capsys.readouterr().err


def test_a_manifest_that_does_not_fit_is_refused(bundle: Path, tmp_path: Path) -> None:
    for edit, message in (
        (lambda files: files.pop("cells.json"), "incomplete: 'cells.json' is missing"),
        (lambda files: files.update(more=b""), "holds 'more', which its manifest does not name"),
        (lambda files: files.update({"cells.json": b"{}"}), "'cells.json' is not what was written"),
    ):
        with pytest.raises(BundleError, match=message):
            recompute(edited(bundle, edit, mended=False))
    manifest = json.loads(zipfile.ZipFile(bundle).read(MANIFEST))
    for change, message in (
        ({"schema": 2}, "the schema 2, and this version .* reads 1"),
        ({"format": "other"}, "expected the format"),
        ({"files": []}, "it names no files"),
    ):
        files = {MANIFEST: json.dumps({**manifest, **change}).encode()}
        with pytest.raises(BundleError, match=message):
            recompute(zipped(tmp_path / "other.zip", files))
    with pytest.raises(BundleError, match=r"is no bundle: it has no manifest\.json"):
        recompute(zipped(tmp_path / "other.zip", {"a": b""}))


def test_whatever_byte_is_flipped_it_is_refused_or_changes_nothing(bundle: Path, tmp_path: Path) -> None:
    whole, known = bundle.read_bytes(), read_parcel(bundle)
    draw, path = random.Random(7), tmp_path / "flipped.zip"
    refused = 0
    for place in (*draw.sample(range(len(whole)), 150), *range(len(whole) - 100, len(whole))):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :])
        try:
            assert read_parcel(path) == known
        except BundleError:
            refused += 1
    assert refused > 100
    for cut in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(BundleError, match="no whole zip archive"):
            read_parcel(path)
    assert main([str(tmp_path / "nowhere.zip")]) == DAMAGED


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "C:out", "a\\out", "./out", "out/"])
def test_names_that_lead_outside_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="no plain name of a file"):
        read_parcel(zipped(tmp_path / "bad.zip", {name: b""}))


def test_what_is_too_large_is_refused_before_it_is_inflated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcels, "MOST_BYTES", 100_000)
    bomb = zipped(tmp_path / "bomb.zip", {"zeros": bytes(200_000)})
    with pytest.raises(BundleError, match="is too large"):
        read_parcel(bomb)
    data = bytearray(bomb.read_bytes())
    central = data.rindex(b"PK\1\2")
    for place in (22, central + 24):  # both headers say that it is small
        data[place : place + 4] = struct.pack("<I", 10)
    bomb.write_bytes(data)
    with pytest.raises(BundleError):
        read_parcel(bomb)
    with pytest.raises(BundleError, match=r"would hold 2 files .* bundle fewer cells"):
        write_parcel(tmp_path / "large.zip", {"zeros": bytes(200_000)})
    assert [path.name for path in tmp_path.iterdir()] == ["bomb.zip"]
    with pytest.raises(BundleError, match="in a way that bundles are not"):
        read_parcel(zipped(tmp_path / "other.zip", {"zeros": b"0"}, zipfile.ZIP_BZIP2))


def test_the_manifest_has_the_digest_of_every_file(bundle: Path) -> None:
    archive = zipfile.ZipFile(bundle)
    told = json.loads(archive.read(MANIFEST))["files"]
    assert told.keys() == {*archive.namelist()} - {MANIFEST}
    assert all(hashlib.sha256(archive.read(name)).hexdigest() == one["sha256"] for name, one in told.items())

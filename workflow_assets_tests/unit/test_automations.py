"""Schedules and watches are plain data, and say what is wrong with them where they are declared."""

from __future__ import annotations

import dataclasses
import pickle

import pytest
from dagster._utils.schedules import is_valid_cron_schedule

from workflow_assets import Experiment, Hypothesis, Schedule, Until, Watch, source, step
from workflow_assets.automations import cron_fault
from workflow_assets.errors import DeclarationError, UnknownNameError


@source(version="1")
def customers() -> int:
    return 3


@step
def counted(customers: int) -> int:
    return customers


@step
def noise(rng, shift: float = 0.0) -> float:
    return rng.normal() + shift


STUDY = Experiment("study", [counted])
MORE = Hypothesis("more", "noise", "shifted", test="sequential_t")
WAITING = Experiment("waiting", [noise], {"shifted": {"noise.shift": 1.0}}, 40, [MORE])


def test_an_experiment_gives_its_schedules_and_watches_as_plain_data():
    schedule = STUDY.schedule("0 3 * * *", timezone="Europe/Berlin")
    assert schedule == Schedule("study", "0 3 * * *", "Europe/Berlin", "study_schedule", True)
    watch = STUDY.watch("customers", every=300, name="news", running=False)
    assert watch == Watch("study", "customers", 300, "news", False)
    assert watch.name == "news"
    rule = Until(n_max=40)
    until = WAITING.schedule("0 3 * * *", until=rule, hypotheses="more")
    assert (until.until, until.hypotheses, until.peek) == (rule, ("more",), False)
    for one in (schedule, watch, until):
        assert pickle.loads(pickle.dumps(one)) == one
        with pytest.raises(dataclasses.FrozenInstanceError):
            one.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    "cron",
    [
        "* * * * *",
        "0 3 * * *",
        "*/15 8-18 1,15 jan-mar MON-fri",
        "5/10 0 * * 7",
        "0 0 L * *",
        "0 0 * * fri#2",
        "0 0 * * L5",
        "@daily",
    ],
)
def test_what_a_cron_expression_may_be_is_taken_here_and_by_dagster(cron):
    assert is_valid_cron_schedule(cron), "not taken by Dagster: what is the use of it here?"
    assert cron_fault(cron) is None


@pytest.mark.parametrize(
    ("cron", "fault"),
    [
        ("0 3 * *", "expected five fields, such as '0 3 * * *' for 3 o'clock each night; these are 4"),
        ("0 0 3 * * *", "expected five fields, such as '0 3 * * *' for 3 o'clock each night; these are 6"),
        ("60 3 * * *", "'60' is no minute: expected 0 to 59"),
        ("0 24 * * *", "'24' is no hour: expected 0 to 23"),
        ("0 3 0 * *", "'0' is no day of the month: expected 1 to 31"),
        ("0 3 * sept *", "'sept' is no month: expected 1 to 12, or jan to dec"),
        ("0 3 * * sunday", "'sunday' is no day of the week: expected 0 to 7, or sun to sat"),
        ("*/0 * * * *", "'*/0' goes on by 0: expected 1 or more after the '/'"),
        ("3:00 * * * *", "'3:00' is no minute: expected a number, a range such as 1-5, '*' or '*/2'"),
        ("@dayly", "did you mean '@daily'?"),
        ("", "expected five fields, such as '0 3 * * *' for 3 o'clock each night; these are 0"),
        (3, "expected a text of five fields, such as '0 3 * * *' for 3 o'clock each night"),
    ],
)
def test_a_cron_expression_that_is_none_is_told_where_it_is_declared(cron, fault):
    assert not isinstance(cron, str) or not is_valid_cron_schedule(cron), "why not, if Dagster takes it?"
    with pytest.raises(DeclarationError) as caught:
        STUDY.schedule(cron)
    assert caught.value.subject == "the schedule of experiment 'study'"
    assert caught.value.faults == (f"cron = {cron!r}: {fault}",)


def test_an_unknown_time_zone_is_told_with_its_near_matches():
    with pytest.raises(DeclarationError, match=r"no such time zone; did you mean .*'Europe/Berlin'"):
        STUDY.schedule("0 3 * * *", timezone="Europe/Berln")
    for timezone in ("../UTC", "", "Europe", None, "Mars/\0"):
        with pytest.raises(DeclarationError, match="timezone = "):
            STUDY.schedule("0 3 * * *", timezone=timezone)  # type: ignore[arg-type]


def test_all_faults_of_a_schedule_are_told_together():
    with pytest.raises(DeclarationError) as caught:
        STUDY.schedule("0 3", timezone="Nowhere/Land", name="at night", running="yes")  # type: ignore[arg-type]
    assert [fault.split()[0] for fault in caught.value.faults] == ["its", "running", "cron", "timezone"]


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "60", float("nan")])
def test_a_time_between_looks_that_is_none_is_told(every):
    with pytest.raises(DeclarationError, match=r"every = .*expected a whole number of seconds, 1 or more"):
        STUDY.watch("customers", every=every)


def test_only_a_source_of_the_experiment_can_be_watched():
    with pytest.raises(
        UnknownNameError, match="reads no source 'customer' to watch: did you mean 'customers'"
    ):
        STUDY.watch("customer")
    with pytest.raises(UnknownNameError, match=r"reads no source \['customers'\]"):
        STUDY.watch(["customers"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (
            {"until": Until(n_max=50)},
            "n_max = 50, but 40 replicates are declared: declare more, or say n_max=40",
        ),
        (
            {"until": Until(n_max=40), "hypotheses": "mor"},
            "no hypothesis 'mor' to wait for: did you mean 'more'",
        ),
        ({"until": 40}, "until = 40: expected a rule"),
        ({"hypotheses": "more"}, "hypotheses and peek say how a rule waits: give it as until="),
        ({"peek": True}, "hypotheses and peek say how a rule waits: give it as until="),
    ],
)
def test_a_rule_by_which_a_schedule_cannot_top_up_is_told_where_it_is_declared(given, fault):
    with pytest.raises(DeclarationError, match=fault) as caught:
        WAITING.schedule("0 3 * * *", **given)
    assert caught.value.subject == "the schedule of experiment 'waiting'"
    with pytest.raises(DeclarationError, match="experiment 'study' has no hypotheses to wait for"):
        STUDY.schedule("0 3 * * *", until=Until(n_max=40))

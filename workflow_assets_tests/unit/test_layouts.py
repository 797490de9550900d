"""Text fits into a terminal, and moves no cursor, whatever is told in it."""

import pytest

from workflow_assets.layouts import (
    boxed,
    breadth,
    clipped,
    for_terminal,
    one_line,
    span,
    table,
    visible,
    wrapped,
)


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_table_is_as_wide_as_it_may_be_and_loses_no_short_word(width):
    rows = [[1, "a long sentence of many short words", "completed"], [22, "日本語" * 20, "x" * 300]]
    lines = table(["#", "what", "status"], rows, width)
    assert max(map(breadth, lines)) <= width
    assert width == 20 or any("completed" in line for line in lines)


def test_a_narrow_table_breaks_between_words():
    lines = table(["name", "text"], [["a", "one two three four five six"]], 20)
    assert [line.strip() for line in lines[2:]] == ["a     one two three", "four five six"]


def test_a_box_closes_on_every_line():
    lines = boxed("日本", [["short"], ["x" * 200, "é"]], 30)
    assert {breadth(line) for line in lines} == {30}
    assert {line[0] + line[-1] for line in lines} == {"╭╮", "││", "├┤", "╰╯"}


def test_control_characters_are_spelt_out():
    assert one_line("a\x1b[31m\x00b\u202ec\ud800") == "a\\x1b[31m\\x00b\\u202ec\\ud800"
    assert visible("a\tb\r\nc\x07") == "a   b\nc\\x07"
    assert clipped("日本語", 5) == "日本…"


def test_a_terminal_without_our_marks_is_given_its_own():
    assert for_terminal("a ──▶ b ╰─▶ é …", "ascii") == "a --> b +-> \\xe9 ~"
    assert for_terminal("a ──▶ b", "utf-8") == "a ──▶ b"
    assert for_terminal("a ──▶ b", "no such encoding") == "a ──▶ b"


def test_a_text_without_a_place_to_break_is_broken_anyway():
    assert wrapped("x" * 25, 10, lines=2) == ["x" * 10, "x" * 9 + "…"]


def test_times_are_told_in_few_characters():
    told = [span(seconds) for seconds in (None, 0, 0.0002, 0.0123, 0.5, 12.345, 3_700)]
    assert told == ["", "0 s", "<1 ms", "12 ms", "500 ms", "12.3 s", "1 h 1 min"]

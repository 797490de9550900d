"""Plots have room for their labels."""

import pytest

from workflow_assets.plots.base import drawing, height_of, lines_of, printed, rows, sheet


@pytest.mark.parametrize("form", ["png", "svg"])
def test_long_labels_are_inside_of_the_picture(form: str) -> None:
    with drawing():
        figure = sheet(3)
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1])
        rows(axes, ["a label that is as long as a label may be\nand has a second line of it"] * 2)
        printed(figure, "title", form)  # type: ignore[arg-type]
        width = figure.bbox.width
        for label in axes.get_yticklabels():
            box = label.get_window_extent()
            assert 0 <= box.x0 < box.x1 <= width


def test_a_row_has_room_for_the_lines_of_its_label() -> None:
    assert height_of(40, lines=3) - height_of(39, lines=3) == pytest.approx(0.45)
    assert height_of(40) - height_of(39) < height_of(5) - height_of(4), "many rows are closer"
    assert lines_of(["a", "b\nc"]) == 2
    assert lines_of([]) == 1

"""The picture of a layer study: readable, nothing over another, and the error of a generator said at its tap."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text

from ctinv.layer_picture import draw
from ctinv.report import STAMP, layer_page


def texts(figure: Figure) -> list[Text]:
    """Every text that is drawn."""
    figure.set_dpi(100)
    figure.canvas.draw()
    found = list(figure.texts)
    for axes in [part for whole in figure.axes for part in (whole, *whole.child_axes)]:
        found += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            low, high = min(low, high), max(low, high)
            shown = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            found += [label for tick in shown for label in (tick.label1, tick.label2) if label.get_visible()]
        legend = axes.get_legend()
        found += list(legend.get_texts()) if legend else []
    return [text for text in found if text.get_text().strip()]


def test_no_text_lies_over_another_or_outside(page: dict[str, Any]) -> None:
    figure = draw(page, stamp=STAMP)
    shown = texts(figure)
    # Rotated labels of ticks are wider boxes than letters: only their height is theirs alone.
    boxes = [(one.get_text(), one.get_window_extent()) for one in shown if one.get_rotation() in (0.0, 90.0)]
    width, height = figure.get_size_inches() * 100
    assert len(boxes) > 40
    for text, box in boxes:
        assert 0 <= box.x0 < box.x1 <= width, text
        assert 0 <= box.y0 < box.y1 <= height, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        across, down = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 1 or down <= 1, f"{one!r} lies over {other!r}"
    assert min(one.get_fontsize() for one in shown) >= 9


def test_generator_error_is_said_with_its_number_at_its_tap(page: dict[str, Any]) -> None:
    left = draw(page, stamp=STAMP).axes[0]
    said = {round(text.get_position()[0]): text.get_text().replace("\n", " ") for text in left.texts}
    if page["generator"] is None:
        assert said == {}
        return
    for place, tap in enumerate(page["taps"]):
        none = tap["tap"] == "conv2"
        assert said[place] == ("no such generator for this tap" if none else "generator error ×5.3")


def test_what_is_drawn_are_the_figures_of_the_page(page: dict[str, Any]) -> None:
    figure = draw(page, stamp=STAMP)
    left, middle, matrix = figure.axes[:3]
    lines = {line.get_label(): line.get_ydata() for line in left.get_lines()}
    allowed = [tap["allowed"]["hu"] for tap in page["taps"]]
    np.testing.assert_allclose(lines["allowed: the tier's limit used up"], allowed)
    fixed = {line.get_label(): line.get_ydata() for line in middle.get_lines()}
    assert len(fixed) == 6
    expected = [100 * (1 - tap["dimension"][1]["free_share"]) for tap in page["taps"]]
    np.testing.assert_allclose(fixed["ε 5 % of the noise response"], expected)
    cells = {text.get_position(): text.get_text() for text in matrix.texts}
    assert cells[(0, 0)] == "0.5"
    assert cells[(1, 0)] == "1.5"  # column, row
    assert (0, 1) not in cells  # an earlier tap is not asked
    count = len(page["taps"])
    assert len(matrix.patches) == sum(
        value is not None and value > 1 for line in page["nested"]["ratio"] for value in line
    )
    assert len(cells) == count * (count + 1) // 2


def test_files_are_written_whole(page: dict[str, Any], tmp_path: Path) -> None:
    layer_page(page, tmp_path / "out" / "layers.json", picture=tmp_path / "out" / "layers.png")
    assert json.loads((tmp_path / "out" / "layers.json").read_text()) == {"use": STAMP, **page}
    assert (tmp_path / "out" / "layers.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["layers.json", "layers.png"]

"""The live plot: values go into the curves that are there, and what is shown can be saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.gui


@pytest.fixture
def plot(qtbot: Any) -> Any:
    from napari_ctinv.sections._plot import Plot

    plot = Plot("step", "loss", log="y")
    qtbot.addWidget(plot)
    return plot


def test_new_values_go_into_the_curve_that_is_there(plot: Any) -> None:
    plot.set_lines({"training": ([0, 1, 2], [4.0, 2.0, 1.0]), "validation": ([0, 2], [5.0, 3.0])})
    curves = dict(plot._curves)
    plot.set_lines({"training": ([0, 1, 2, 3], [4.0, 2.0, 1.0, 0.5])})
    assert plot._curves == {"training": curves["training"]}
    assert list(plot.lines) == ["training"]
    x, y = curves["training"].getData()
    assert x.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(y, np.log10([4, 2, 1, 0.5]))


def test_a_logarithm_leaves_out_what_it_does_not_know(plot: Any) -> None:
    plot.set_lines({"loss": ([0, 1, 2], [1.0, 0.0, -3.0])})
    assert np.isnan(plot._curves["loss"].getData()[1]).tolist() == [False, True, True]
    plot.set_marks({"none": 0.0, "goal": 0.1})
    assert {name: item.value() for name, item in plot._marks.items()} == {"goal": pytest.approx(-1)}
    plot.set_marks({})
    assert plot._marks == {}


def test_the_csv_holds_every_curve_over_all_x(plot: Any) -> None:
    plot.set_line("a", [0, 1], [1.5, np.nan])
    plot.set_line("b, c", [1, 2], [3.0, 4.0])
    plot.set_line("bins", [0, 1, 2], [7, 8], steps=True)
    assert plot.csv().splitlines() == ['step,a,"b, c",bins', "0,1.5,,7", "1,,3,8", "2,,4,"]


def test_axes_colours_and_legend_follow(plot: Any) -> None:
    plot.set_line("f(x) < x", [0, 1], [1.0, 2.0])
    plot.set_axes("frequency, 1/mm", "NPS, HU² mm²")
    assert plot.canvas.getAxis("bottom").labelText == "frequency, 1/mm"
    assert "f(x)&nbsp;&lt;&nbsp;x" in plot._legend.text()
    dark = plot.colour_of("f(x) < x")
    plot.set_theme("light")
    assert plot.colour_of("f(x) < x") != dark

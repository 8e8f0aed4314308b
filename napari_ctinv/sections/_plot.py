"""Plot: named curves over one axis, drawn live with pyqtgraph in the colours of the viewer's theme."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike, NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from napari_ctinv.sections._bind import listen

if TYPE_CHECKING:
    from qtpy.QtGui import QWheelEvent

Values = NDArray[np.float64]

HEIGHT = 190
_FEW = 40  # points up to which each one is marked
# Okabe and Ito's colours, told apart also by those who do not tell red from green
_ON_DARK = ("#56b4e9", "#e69f00", "#2bc08a", "#e58bbf", "#f0e442", "#ff7043")
_ON_LIGHT = ("#0072b2", "#d55e00", "#00805c", "#b0508a", "#7a6a00", "#444444")


class _Axis(pg.AxisItem):
    """Ticks at 1, 2, 5, 10 … on a short logarithmic axis, and at powers of ten alone on a long one."""

    def logTickValues(self, minVal: float, maxVal: float, size: float, stdTicks: Any) -> list[Any]:
        powers = range(int(np.floor(minVal)), int(np.ceil(maxVal)) + 1)
        ticks = [power + float(np.log10(factor)) for power in powers for factor in range(1, 10)]
        return [(1.0, [tick for tick in ticks if minVal <= tick <= maxVal])]

    def logTickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        decades = max(values, default=0.0) - min(values, default=0.0)
        named = "123456789" if decades < 0.5 else ("125" if decades < 2.2 else "1")
        return [f"{10**value:.4g}" if f"{10**value:e}"[0] in named else "" for value in _exact(values)]


def _exact(values: Sequence[float]) -> list[float]:
    """Rounded, so that ten is not written 9.99."""
    return [float(np.log10(float(f"{10**value:.3g}"))) for value in values]


class _Canvas(pg.PlotWidget):
    """A plot on which the wheel scrolls the dock, as everywhere else in it."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class Plot(QWidget):
    """Named curves with axes, a legend below, and a button that saves what is shown as CSV.

    New values go into the curves that are there, so a plot can follow a run live.

    Args:
        across: Text of the horizontal axis, with its unit.
        up: Text of the vertical axis, with its unit.
        title: A few words above.
        log: Which axes are logarithmic: ``""``, ``"x"``, ``"y"`` or ``"xy"``; what is not positive is left out there.
        theme: Name of napari's theme.
    """

    def __init__(self, across: str, up: str, *, title: str = "", log: str = "", theme: str = "dark") -> None:
        super().__init__()
        self.across, self.up, self.log = across, up, log
        self._lines: dict[str, tuple[Values, Values]] = {}
        self._curves: dict[str, Any] = {}
        self._marks: dict[str, Any] = {}
        self._loose: set[str] = set()
        self._title = QLabel(title)
        self._title.setVisible(bool(title))
        self._title.setWordWrap(True)
        self._legend = QLabel()
        self._legend.setWordWrap(True)
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self.canvas = _Canvas(axisItems={side: _Axis(side) for side in ("bottom", "left")})
        self.canvas.setMinimumHeight(HEIGHT)
        self.canvas.setMaximumHeight(HEIGHT)
        self.canvas.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.canvas.setMouseEnabled(x=False, y=False)
        self.canvas.setMenuEnabled(False)
        self.canvas.hideButtons()
        self.canvas.setLogMode(x="x" in log, y="y" in log)
        self._arrange()
        self.set_theme(theme)

    def _arrange(self) -> None:
        self.save_button = QToolButton()
        self.save_button.setText("CSV…")
        self.save_button.setToolTip("Save the numbers of this plot as a CSV file")
        self.save_button.clicked.connect(self._ask_and_save)
        below = QHBoxLayout()
        below.addWidget(self._legend, 1)
        below.addWidget(self.save_button, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._title)
        layout.addWidget(self.canvas)
        layout.addLayout(below)

    @property
    def lines(self) -> Mapping[str, tuple[Values, Values]]:
        """Label to x and y of what is shown."""
        return dict(self._lines)

    def set_lines(self, lines: Mapping[str, tuple[ArrayLike, ArrayLike]], *, points: bool = False) -> None:
        """Show exactly these curves, label to x and y; those that are there already take their new values."""
        for name in [name for name in self._lines if name not in lines]:
            self.remove(name)
        for name, (x, y) in lines.items():
            self.set_line(name, x, y, points=points)

    def set_line(
        self, name: str, x: ArrayLike, y: ArrayLike, *, steps: bool = False, points: bool = False
    ) -> None:
        """Show or renew one curve.

        Args:
            name: Its label.
            x: (N,) values; for steps (N + 1,) edges of the bins.
            y: (N,) values; NaN makes a gap.
            steps: Draw a histogram.
            points: Draw points that are not joined.
        """
        across, up = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        fresh = name not in self._curves
        self._lines[name] = (across, up)
        if fresh:
            self._curves[name] = self.canvas.plot(connect="finite")
            self._loose |= {name} if points else set()
            self._colour()
        mark = "o" if points or (len(up) <= _FEW and not steps) else None
        self._curves[name].setData(
            _drawable(across, "x" in self.log),
            _drawable(up, "y" in self.log),
            stepMode="center" if steps else None,
            symbol=mark,
            connect="all" if steps else "finite",
        )

    def remove(self, name: str) -> None:
        """Take a curve away."""
        self.canvas.removeItem(self._curves.pop(name))
        self._lines.pop(name)
        self._loose.discard(name)
        self._colour()

    def set_marks(self, marks: Mapping[str, float], *, vertical: bool = False) -> None:
        """Show exactly these dashed lines across the plot, label to value; those that were there go away."""
        for item in self._marks.values():
            self.canvas.removeItem(item)
        log = ("x" if vertical else "y") in self.log
        shown = {
            name: value for name, value in marks.items() if np.isfinite(value) and (value > 0 or not log)
        }
        self._marks = {
            name: pg.InfiniteLine(np.log10(value) if log else value, angle=90 if vertical else 0)
            for name, value in shown.items()
        }
        for item in self._marks.values():
            self.canvas.addItem(item)
        self._colour()

    def set_axes(self, across: str, up: str) -> None:
        """Name the axes."""
        self.across, self.up = across, up
        self._colour()

    def set_theme(self, theme: str) -> None:
        """Take the colours of one of napari's themes."""
        from napari.utils.theme import get_theme

        found = get_theme(theme)
        self._background = found.background.as_hex()
        self._foreground = found.text.as_hex()
        red, green, blue = (int(value) for value in found.background.as_rgb_tuple()[:3])
        self._colours = _ON_DARK if 0.3 * red + 0.6 * green + 0.1 * blue < 128 else _ON_LIGHT
        self._colour()

    def _colour(self) -> None:
        self.canvas.setBackground(self._background)
        for side, text in (("bottom", self.across), ("left", self.up)):
            axis = self.canvas.getAxis(side)
            axis.enableAutoSIPrefix(False)
            axis.setPen(self._foreground)
            axis.setTextPen(self._foreground)
            self.canvas.setLabel(side, text, color=self._foreground)
        for name, curve in self._curves.items():
            colour = self.colour_of(name)
            curve.setPen(None if name in self._loose else pg.mkPen(colour, width=2))
            curve.setSymbolPen(None)
            curve.setSymbolBrush(colour)
            curve.setSymbolSize(5)
        for name, item in self._marks.items():
            item.setPen(pg.mkPen(self.colour_of(name), width=1.5, style=Qt.PenStyle.DashLine))
        self._legend.setText(" &nbsp; ".join(self._entries()))

    def _entries(self) -> list[str]:
        """The legend: a block for each curve, dashes for each mark."""
        shown = [("■", name) for name in self._curves] + [("┄", name) for name in self._marks]
        return [
            f'<span style="color:{self.colour_of(name)}">{glyph}</span>&nbsp;{_escaped(name)}'
            for glyph, name in shown
        ]

    def colour_of(self, name: str) -> str:
        """The colour of a curve or mark, as ``#rrggbb``."""
        order = [*self._curves, *(name for name in self._marks if name not in self._curves)]
        return self._colours[order.index(name) % len(self._colours)]

    def csv(self) -> str:
        """What is shown, one column for each curve over the union of their x; empty where a curve has no value."""
        return lines_as_csv(self._lines, self.across)

    def _ask_and_save(self) -> None:
        from napari_ctinv.sections._files import ask_csv

        path = ask_csv(self, self._title.text() or "plot")
        if path is not None:
            path.write_text(self.csv(), encoding="utf-8")


def lines_as_csv(lines: Mapping[str, tuple[Values, Values]], across: str) -> str:
    """Curves as CSV; the edges of a histogram are written as the left ends of its bins."""
    known = {name: dict(zip(x[: len(y)].tolist(), y.tolist(), strict=True)) for name, (x, y) in lines.items()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([across, *known])
    for place in sorted({place for line in known.values() for place in line}):
        writer.writerow([_cell(place), *(_cell(line.get(place)) for line in known.values())])
    return text.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.7g}"


def _drawable(values: Values, log: bool) -> Values:
    """Without what a logarithm does not know."""
    return np.where(values > 0, values, np.nan) if log else values


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(" ", "&nbsp;")


def follow_theme(section: QWidget, viewer: Any) -> None:
    """Let all plots below a section take the colours of the viewer's theme when it changes."""

    def on_theme(event: Any) -> None:
        for plot in section.findChildren(Plot):
            plot.set_theme(str(event.value))

    listen(section, viewer.events.theme, on_theme)

"""Analyse: what the samples show, from the registry of analyses; each finding as sentence, figures, plots and maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from magicgui.widgets import Container, SpinBox
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ctinv.analysis.registry import ANALYSES
from napari_ctinv.sections._bind import bind, listen
from napari_ctinv.sections._plot import Plot, follow_theme
from napari_ctinv.sections._run_bar import RunBar
from napari_ctinv.sections._section import Section
from napari_ctinv.sections._table import Table
from napari_ctinv.session import Session
from napari_ctinv.session.figures import as_csv, lines_of


class Analyse(Section):
    """Choose analyses, press Analyse; findings arrive below, one after the other."""

    title = "Analyse"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._model = model = session.analyse
        self.study = QLabel()
        self.study.setWordWrap(True)
        self.add(self.study)
        self.ticks = {name: self._tick(name) for name in ANALYSES}
        self.seed = SpinBox(
            label="seed", min=0, max=2**31 - 1, tooltip="seed of the null distributions; no unit"
        )
        self.add(Container(widgets=[self.seed], labels=True))
        bind(model, "seed", self.seed)
        self.bar = RunBar(
            self,
            model.activity,
            model.run,
            tooltip="run the ticked analyses; a cancelled run keeps the findings that stand",
        )
        self.add(self.bar)
        self.findings: dict[str, FindingView] = {}
        self._found = QVBoxLayout()
        self.add(self._found)
        listen(self, model.events.chosen, self._on_chosen)
        listen(self, model.events.findings, self._on_findings)
        listen(self, model.events.refused, self._on_findings)
        listen(self, session.shown.events.samples, self._on_study)
        listen(self, session.shown.events.finished, self._on_study)
        follow_theme(self, session.viewer)
        self._on_chosen(model.chosen)
        self._on_study()
        self._on_findings()

    def _tick(self, name: str) -> QCheckBox:
        row = ANALYSES[name]
        needs = f", at least {row.samples} samples" if row.samples else ""
        unit = "no unit" if row.unit == "1" else row.unit
        tick = QCheckBox(row.title)
        tick.setToolTip(f"{row.question} ({unit}{needs})")
        tick.toggled.connect(lambda _on: self._choose())
        self.add(tick)
        return tick

    def _choose(self) -> None:
        chosen = tuple(name for name, tick in self.ticks.items() if tick.isChecked())
        if chosen != self._model.chosen:
            self._model.chosen = chosen

    def _on_chosen(self, chosen: tuple[str, ...]) -> None:
        for name, tick in self.ticks.items():
            tick.blockSignals(True)
            tick.setChecked(name in chosen)
            tick.blockSignals(False)

    def _on_study(self, _value: Any = None) -> None:
        study, held = self.session.shown.study, self._model.held()
        if study is None:
            self.study.setText("No study yet: sample invariances first, or open a study.")
        else:
            about = study.provenance
            self.study.setText(f"{about.denoiser} at {about.tap}, region {about.box}: {held} samples hold.")
        for name, tick in self.ticks.items():
            short = study is not None and held < ANALYSES[name].samples
            tick.setText(ANALYSES[name].title + (f" (needs {ANALYSES[name].samples})" if short else ""))

    def _on_findings(self, _value: Any = None) -> None:
        """Each new finding is drawn in a turn of the event loop of its own."""
        for name in [one for one, view in self.findings.items() if not self._stands(one, view)]:
            self.findings.pop(name).deleteLater()
        for name in ANALYSES:
            known = name in self._model.findings or name in self._model.refused
            if known and name not in self.findings:
                view = FindingView(self, name)
                self.findings[name] = view
                order = [one for one in ANALYSES if one in self.findings]
                self._found.insertWidget(order.index(name), view)

    def _stands(self, name: str, view: FindingView) -> bool:
        model = self._model
        return view.finding is model.findings.get(name) and view.refused == model.refused.get(name, "")


class FindingView(QWidget):
    """One finding: its sentence, its maps to show, figures and plots to unfold.

    Args:
        section: The section it stands in.
        name: Name of the analysis.
    """

    def __init__(self, section: Section, name: str) -> None:
        super().__init__()
        self._section, self._model, self._name = section, section.session.analyse, name
        self.finding = self._model.findings.get(name)
        self.refused = self._model.refused.get(name, "")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        title = QLabel(f"<b>{ANALYSES[name].title}</b>{self._stamp()}")
        title.setToolTip(ANALYSES[name].question)
        title.setWordWrap(True)
        layout.addWidget(title)
        self.sentence = QLabel(self.refused or (self.finding.sentence if self.finding else ""))
        self.sentence.setWordWrap(True)
        layout.addWidget(self.sentence)
        self.plots: list[Plot] = []
        if self.finding is None:
            return
        self._layout = layout
        if self.finding.maps:
            layout.addLayout(self._map_row())
        self.table: Table | None = None
        self.more = QToolButton()
        self.more.setText("Figures")
        self.more.setCheckable(True)
        self.more.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.more.setArrowType(Qt.ArrowType.RightArrow)
        self.more.setAutoRaise(True)
        self.more.setToolTip("show or hide all figures of this finding")
        self.more.toggled.connect(self._show_table)
        layout.addWidget(self.more)
        QTimer.singleShot(0, self._draw)

    def _stamp(self) -> str:
        if self.finding is None:
            return " – not made"
        return " – <b>stands out</b>" if self.finding.interesting else " – nothing stands out"

    def _map_row(self) -> QHBoxLayout:
        assert self.finding is not None
        row = QHBoxLayout()
        self.maps = QComboBox()
        self.maps.setToolTip("maps of this finding over the region, each in its unit")
        self.maps.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.maps.setMinimumContentsLength(8)
        for key, found in self.finding.maps.items():
            self.maps.addItem(found.title if found.unit == "1" else f"{found.title} [{found.unit}]", key)
        self.show_button = QPushButton("Show map")
        self.show_button.setToolTip("show the chosen map as a layer over the scan")
        self.show_button.clicked.connect(self._section.guard(self._show_map))
        row.addWidget(self.maps, 1)
        row.addWidget(self.show_button)
        return row

    def _show_map(self) -> None:
        self._model.show_map(self._name, str(self.maps.currentData()))

    def _draw(self) -> None:
        """The plots, one in each turn of the event loop."""
        if self.finding is None or self._model.findings.get(self._name) is not self.finding:
            return
        waiting = self._model.plots(self._name)[len(self.plots) :]
        if not waiting:
            return
        found = waiting[0]
        theme = str(self._section.session.viewer.theme)
        plot = Plot(found.across, found.up, title=found.title, log=found.log, theme=theme)
        plot.set_lines(found.lines, points=found.points)
        plot.set_marks(found.levels)
        self.plots.append(plot)
        self._layout.insertWidget(self._layout.count() - 1, plot)
        QTimer.singleShot(0, self._draw)

    def _show_table(self, on: bool) -> None:
        self.more.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)
        if self.table is None:
            self.table = Table(("figure", "value"), name=f"{self._name} figures", csv=self._csv)
            self.table.set_rows(self._rows())
            self._layout.addWidget(self.table)
        self.table.setVisible(on)

    def _rows(self) -> list[tuple[str, str]]:
        assert self.finding is not None
        figures: Mapping[str, Any] = self.finding.figures
        return lines_of(figures, self._model.unit)

    def _csv(self) -> str:
        return as_csv(("figure", "value"), self._rows())

"""CT Invariances: one dock with the tabs in the order of the work, each a list of sections over the session's models."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import ref

from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QScrollArea, QTabWidget, QToolButton, QVBoxLayout, QWidget

from napari_ctinv.dropping import Dropping
from napari_ctinv.sections._section import Section, scroll_to
from napari_ctinv.session import session_of

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ctinv.guide import Guide

TABS: Mapping[str, Sequence[str]] = {
    "Scan": ("opening:Opening", "window:Window", "readout:Readout"),
    "Denoise": ("network:Network", "denoising:Denoising", "noise:Noise", "card:ModelCard"),
    "Invariances": (
        "sampling:Sampling",
        "certificates:Certificates",
        "film:Film",
        "probe:Probe",
        "compare:Compare",
    ),
    "Analyse": (
        "analyse:Analyse",
        "gallery:Gallery",
        "roi:RoiStatistics",
        "report:Report",
        "export:Export",
    ),
    "Train": ("training:Training", "curves:Curves", "previews:Previews"),
}
"""Tab to its sections, ``module:class`` in `napari_ctinv.sections`; a tab is built when it is first shown."""

TIPS = {
    "Scan": "open a CT, its window, HU at the cursor",
    "Denoise": "a network, and f(x) of the scan",
    "Invariances": "sample images that the network cannot tell from the scan, each with its certificate",
    "Analyse": "what the samples show, regions of interest, the report, export",
    "Train": "a denoiser or a generator of your own",
}
WIDTH = 340
"""Narrow enough for a laptop, wide enough for the certificate table, in pixels."""


class CtInvariances(QWidget):
    """The dock.

    Args:
        napari_viewer: The viewer; napari finds this argument by its name.

    Attributes:
        session: The models behind it, which scripts can drive too.
        tabs: The tabs.
        guide: The window of the guide, once it has been asked for.
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.session = session_of(napari_viewer)
        self.setMinimumWidth(WIDTH)
        self.tabs = QTabWidget()
        self.tabs.setUsesScrollButtons(True)
        self._pages: dict[str, _Page] = {}
        for name, sections in TABS.items():
            page = _Page(self, sections)
            self._pages[name] = page
            self.tabs.addTab(page, name)
            self.tabs.setTabToolTip(self.tabs.count() - 1, TIPS[name])
        self._help = QToolButton()
        self._help.setText("?")
        self._help.setToolTip("what is this? Opens the guide to this tab")
        self._help.clicked.connect(self._explain)
        self.tabs.setCornerWidget(self._help)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tabs)
        self.tabs.currentChanged.connect(lambda _index: self._page().build())
        self._page().build()
        # Once the window is complete, and the interface has answered.
        self.guide: Guide | None = None
        self._watched: ref[QWidget] | None = None
        self._settling = QTimer(self)
        self._settling.setSingleShot(True)
        self._settling.timeout.connect(self._settle)
        self._settling.start()

    def open(self, path: Path) -> None:
        """Open a scan or a study, as from the Scan tab."""
        self.show_tab("Scan")
        self.section("Scan", "Scan").open(path)

    def section(self, title: str, tab: str | None = None) -> Any:
        """A section by its heading, its tab built if need be.

        Raises:
            KeyError: There is none.
        """
        for name in [tab] if tab else TABS:
            for section in self._pages[name].build():
                if section.title == title:
                    return section
        raise KeyError(title)

    def show_tab(self, tab: str, section: str | None = None) -> None:
        """Bring a tab, and a section of it, to the front."""
        page = self._pages[tab]
        self.tabs.setCurrentWidget(page)
        page.build()
        if section is not None:
            found = self.section(section, tab)
            found.unfold()
            scroll_to(found)

    def event(self, event: QEvent | None) -> bool:
        """A dock that is taken out of its window leaves no run behind; one that is put in watches its window."""
        if event is not None and event.type() == QEvent.Type.ParentChange and hasattr(self, "session"):
            if self.parent() is None:
                self.session.close(wait=False)
            else:
                self._settling.start()
        return bool(super().event(event))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """A window that is closed leaves no run behind, and its layers get nothing more."""
        if isinstance(watched, QWidget) and event is not None and watched is self.window():
            unseen_is_closed = event.type() == QEvent.Type.Close and not watched.isVisible()
            seen_is_closed = event.type() == QEvent.Type.Hide and not event.spontaneous()
            if unseen_is_closed or seen_is_closed:
                self.session.close(wait=False)
        return bool(super().eventFilter(watched, event))

    def _settle(self) -> None:
        """Watch the window, and let the computing process load its libraries, which takes seconds."""
        window = self.window()
        if (
            window is not None
            and window is not self
            and (self._watched is None or self._watched() is not window)
        ):
            window.installEventFilter(self)
            self._watched = ref(window)
            self._dropping = Dropping(window, self.open)
        self.session.warm()

    def _page(self) -> _Page:
        return self._pages[self.tabs.tabText(self.tabs.currentIndex())]

    def _explain(self) -> None:
        from napari_ctinv.guide import PAGE, Guide

        if self.guide is None:
            self.guide = Guide(self)
        self.guide.show_page(PAGE, self.tabs.tabText(self.tabs.currentIndex()))
        self.guide.show()


class _Page(QScrollArea):
    """A scrollable tab; its sections are made when it is first shown, so that the dock opens at once."""

    def __init__(self, dock: CtInvariances, names: Sequence[str]) -> None:
        super().__init__()
        self._dock, self._names = dock, names
        self._sections: list[Section] | None = None
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def build(self) -> list[Section]:
        """The sections, made on first use."""
        if self._sections is None:
            self._sections = [_section(name)(self._dock.session) for name in self._names]
            column = QWidget()
            layout = QVBoxLayout(column)
            layout.setContentsMargins(2, 4, 10, 4)
            for section in self._sections:
                layout.addWidget(section)
            layout.addStretch(1)
            self.setWidget(column)
        return self._sections


def _section(name: str) -> Any:
    module, kind = name.split(":")
    return getattr(importlib.import_module(f"napari_ctinv.sections.{module}"), kind)


def show(viewer: Any, tab: str, section: str | None = None) -> CtInvariances:
    """Open the dock of a viewer, or find it, and bring a tab to the front.

    Args:
        viewer: A napari viewer with a window.
        tab: A key of `TABS`.
        section: Heading of one of its sections.
    """
    _dock, widget = viewer.window.add_plugin_dock_widget("napari-ctinv", "CT Invariances")
    widget.show_tab(tab, section)
    return widget


def open_folder(viewer: Any) -> None:
    """Menu: Open a CT folder or a study."""
    show(viewer, "Scan").section("Scan").folder.click()


def show_denoise(viewer: Any) -> None:
    """Menu: Denoise."""
    show(viewer, "Denoise")


def show_invariances(viewer: Any) -> None:
    """Menu: Sample invariances."""
    show(viewer, "Invariances")


def show_analyse(viewer: Any) -> None:
    """Menu: Analyse a study."""
    show(viewer, "Analyse")


def show_roi(viewer: Any) -> None:
    """Menu: ROI statistics."""
    show(viewer, "Analyse", "ROI statistics")


def show_noise(viewer: Any) -> None:
    """Menu: Noise and NPS."""
    show(viewer, "Denoise", "Noise before and after")

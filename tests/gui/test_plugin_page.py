"""docs/plugin.md lists every control of the dock under its tab, and every control says what it does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from magicgui.widgets.bases import ValueWidget
from qtpy.QtWidgets import QCheckBox, QPushButton

from napari_ctinv.dock import TABS, CtInvariances

pytestmark = pytest.mark.gui

PAGE = (Path(__file__).parents[2] / "docs" / "plugin.md").read_text(encoding="utf-8")


def chapter(tab: str) -> str:
    """What the page says of a tab."""
    (found,) = re.findall(rf"^## {tab}\n(.*?)^## ", PAGE, re.M | re.S)
    return str(found)


def controls(section: Any) -> Iterator[tuple[str, str]]:
    """Label and tooltip of each control of a section, without the marks of its keys."""
    for value in vars(section).values():
        for part in value.values() if isinstance(value, dict) else [value]:
            field = getattr(part, "edit", part)
            if isinstance(field, ValueWidget):
                yield str(getattr(field, "text", "") or field.label), str(field.tooltip or "")
    for button in (*section.findChildren(QPushButton), *section.findChildren(QCheckBox)):
        text = button.text().replace("&", "")
        if re.search(r"\w", text) and not button.isHidden():
            yield text, button.toolTip()


@pytest.fixture
def dock(make_napari_viewer: Callable[..., Any]) -> Any:
    viewer = make_napari_viewer()
    _dock, widget = viewer.window.add_plugin_dock_widget("napari-ctinv", "CT Invariances")
    assert isinstance(widget, CtInvariances)
    return widget


def test_every_control_is_on_the_page_and_has_a_tooltip(dock: Any) -> None:
    absent, silent = [], []
    for tab in TABS:
        text = " ".join(chapter(tab).replace("\\|", "|").split())
        for section in dock._pages[tab].build():
            if f"**{section.title}**" not in text and section.title != tab:
                absent.append(f"{tab}: {section.title}")
            for label, tooltip in controls(section):
                if label.rstrip("…") not in text and label not in ANALYSES:
                    absent.append(f"{tab}, {section.title}: {label}")
                if not tooltip:
                    silent.append(f"{tab}, {section.title}: {label}")
    assert not absent
    assert not silent


def titles() -> set[str]:
    """The analyses, of which the page says that there is a tick for each."""
    from ctinv.analysis.registry import ANALYSES

    return {row.title for row in ANALYSES.values()}


ANALYSES = titles()

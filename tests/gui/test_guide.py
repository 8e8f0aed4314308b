"""The guide opens at the tab it is asked from, follows its own links and says what it does not hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from napari_ctinv.dock import TABS, show
from napari_ctinv.session import session_of

pytestmark = pytest.mark.gui


def test_the_guide_opens_at_its_tab(make_napari_viewer: Callable[..., Any], qtbot: Any) -> None:
    from qtpy.QtCore import QUrl

    viewer = make_napari_viewer()
    dock = show(viewer, "Scan")
    for tab in TABS:
        dock.show_tab(tab)
        dock._help.click()
        assert dock.guide.isVisible()
        assert dock.guide.browser.textCursor().block().text() == tab, "the page has a heading for each tab"
    guide = dock.guide
    guide.follow(QUrl("networks.md#code-of-others"))
    assert guide.browser.textCursor().block().text() == "Code of others"
    assert guide.back.isEnabled()
    guide.follow(QUrl("https://example.org/elsewhere"))
    assert "is not part of this guide" in guide.said.text()
    guide.back.click()
    assert guide.browser.source().fileName() == "plugin.md"
    guide.close()
    session_of(viewer).close()

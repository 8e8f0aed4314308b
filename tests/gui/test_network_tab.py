"""A network that would run code, in a real viewer: the question, the keys that answer it, and the card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from plugin_networks import torchscript

from ctinv.models.trust import read_trust
from napari_ctinv.dock import show
from napari_ctinv.session import session_of
from napari_ctinv.session.network import ONCE

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(
    make_napari_viewer: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    monkeypatch.setenv("CTINV_CONFIG", str(tmp_path / "config"))
    viewer = make_napari_viewer(show=True)
    yield viewer
    session_of(viewer).close()


def test_escape_and_enter_load_nothing_and_run_once_loads(viewer: Any, tmp_path: Path, qtbot: Any) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QApplication

    path = torchscript(tmp_path)
    dock = show(viewer, "Denoise")
    section, card = dock.section("Network"), dock.section("Card of the model")
    network = dock.session.network
    qtbot.waitUntil(lambda: network.facts is not None, timeout=120_000)
    assert "CNN10" in card.rows.text(), "the card of the shipped one comes by itself"
    for key in (Qt.Key.Key_Escape, Qt.Key.Key_Return):
        section.own.edit.value = path
        qtbot.waitUntil(lambda: network.question is not None, timeout=120_000)
        dialog = section.dialog
        assert dialog.isVisible()
        assert network.question.sha256 in {
            label.text()[7:] for label in dialog.findChildren(type(card.rows).__base__)
        }
        assert "def forward" in dialog.listing.toPlainText()
        qtbot.keyClick(dialog if key == Qt.Key.Key_Escape else dialog.buttons["do not load"], key)
        qtbot.waitUntil(lambda dialog=dialog: not dialog.isVisible(), timeout=120_000)
        assert (network.own, network.trust) == (None, "")
        assert section.own.path is None
        assert "nothing of it was run" in section._said.text()

    section.own.edit.value = path
    qtbot.waitUntil(lambda: network.question is not None, timeout=120_000)
    section.dialog.buttons[ONCE].click()
    qtbot.waitUntil(lambda: network.facts is not None or bool(network.activity.message), timeout=120_000)
    assert network.activity.message == ""
    assert read_trust() == {}
    assert "TorchScript" in card.rows.text()
    card.copy.click()
    assert network.trust in QApplication.clipboard().text()
    dock.show_tab("Invariances")
    taps = list(dock.section("Sample").tap.choices)
    assert set(network.facts.facts["taps"]) == set(taps), "its layers are offered"

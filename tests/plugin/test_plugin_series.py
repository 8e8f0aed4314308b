"""A folder of several series: lines to choose from, and the layer of the one chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plugin_studies import make_volume

from ctinv.errors import SeriesError
from ctinv.io.dicom_write import write_series
from napari_ctinv.series import choices, chosen_layer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two derived series of different length."""
    volume = make_volume()
    write_series(volume, tmp_path / "a", description="one")
    write_series(volume[:2], tmp_path / "b", description="two")
    return tmp_path


def test_each_series_is_a_line_with_its_count_and_matrix(folder: Path) -> None:
    first, second = choices(folder)
    shape = make_volume().shape
    assert first.startswith(f"#1: {shape[0]} slices, {shape[1]} x {shape[2]}, ")
    assert second.startswith("#2: 2 slices, ")


def test_the_chosen_series_becomes_a_layer(folder: Path) -> None:
    layer = chosen_layer(folder, choices(folder)[1])
    np.testing.assert_allclose(layer[0], make_volume().hu[:2], atol=1.0)


def test_one_series_needs_no_choice_and_a_series_that_is_not_there_is_refused(folder: Path) -> None:
    assert choices(folder / "a") == []
    with pytest.raises(SeriesError, match="does not hold the series asked for"):
        chosen_layer(folder, "#7: 3 slices")


@pytest.mark.parametrize(("accepted", "layers"), [(True, 1), (False, 0)])
def test_the_menu_entry_asks_which_series(
    folder: Path, monkeypatch: pytest.MonkeyPatch, accepted: bool, layers: int
) -> None:
    """The two dialogs are answered by the test; what is between and behind them is real."""
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QFileDialog, QInputDialog

    from napari_ctinv.open_folder import open_folder

    asked: list[list[str]] = []

    def answer(parent: object, title: str, label: str, items: list[str], *rest: object) -> tuple[str, bool]:
        asked.append(items)
        return items[1], accepted

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *words: str(folder))
    monkeypatch.setattr(QInputDialog, "getItem", answer)
    viewer = ViewerModel()
    open_folder(viewer)
    assert [len(items) for items in asked] == [2]
    assert len(viewer.layers) == layers
    if accepted:
        assert viewer.layers[0].data.shape == make_volume().hu[:2].shape

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

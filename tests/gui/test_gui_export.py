"""The section Export in a real viewer: its widgets are set and its button is clicked as a user would."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "plugin"))
from plugin_studies import make_store, make_volume

from ctinv.io.dicom import read_series
from napari_ctinv.dock import WIDTH, show
from napari_ctinv.session import session_of

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Iterator[Any]:
    viewer = make_napari_viewer()
    yield viewer
    session_of(viewer).close()


def test_a_study_is_exported_by_a_click(viewer: Any, tmp_path: Path) -> None:
    store = make_store(tmp_path / "study.zarr", make_volume(), rows=4)
    section = show(viewer, "Analyse", "Export").section("Export")
    assert section.sizeHint().width() <= WIDTH
    section.study.edit.value, section.target.edit.value = store.path, tmp_path / "out"
    section.format.value, section.samples.value = "dicom", "0,2"
    section.ticks["mean"].value = False
    assert section.samples.enabled
    assert not section.ticks["eta"].enabled, "a CT series holds no maps"
    section.bar.button.click()
    assert section.bar._activity.run.wait(120).state == "done"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "scan",
        "denoised",
        "sample_0000",
        "sample_0002",
    }
    np.testing.assert_array_equal(read_series(tmp_path / "out" / "sample_0002").hu[0], store.read(2))
    assert section._said.text().startswith("out: 4 files, ")
    assert section._said.text().endswith(" MB, without identity.")

    section.format.value = "parametric-map"
    assert section.ticks["eta"].enabled
    assert not section.samples.enabled
    section.words.value = "please"
    section.bar.button.click()
    assert "only on the words" in section._said.text()
    section.format.value = "svg"
    assert not section.words.enabled

    for part in (section.format, section.samples, section.words, *section.ticks.values()):
        assert part.tooltip

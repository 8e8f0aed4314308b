"""Pictures of the series of a folder: the right slice, the right window, the right proportions, one file each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import series as made
from pydicom import Dataset

from ctinv.errors import ChoiceError, SeriesError
from ctinv.io.dicom import list_series, read_series
from ctinv.io.previews import previews
from ctinv.windows import SOFT_TISSUE, Window

EDGE = 36


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two series; the second one is shorter, later, without a window, and its slices have text burned in."""

    def spoil(_z: int, ds: Dataset) -> None:
        del ds.WindowCenter, ds.WindowWidth
        ds.BurnedInAnnotation = "YES"

    made.write(made.datasets(), tmp_path, prefix="a")
    made.write(made.datasets(made.phantom()[:2], uid="1.2.3.5", edit=spoil), tmp_path, prefix="b")
    return tmp_path


def test_they_are_the_series_of_the_list_in_its_order(folder: Path) -> None:
    assert [str(preview.info) for preview in previews(folder)] == [str(info) for info in list_series(folder)]


def test_a_picture_is_the_middle_slice_in_the_headers_window(folder: Path) -> None:
    first = next(previews(folder, edge=1000))
    assert first.window == Window(40.0, 400.0)
    assert first.image is not None
    middle = np.clip((made.phantom()[3] + 160) / 400, 0, 1) * 255
    rows, columns = first.image.shape
    y = ((np.arange(rows) + 0.5) * made.SHAPE[1] / rows).astype(int)
    x = ((np.arange(columns) + 0.5) * made.SHAPE[2] / columns).astype(int)
    np.testing.assert_allclose(first.image, middle[np.ix_(y, x)], atol=1)


def test_a_picture_has_square_pixels_and_the_asked_edge(folder: Path) -> None:
    first = next(previews(folder, edge=EDGE))
    assert first.image is not None
    height, width = made.SHAPE[1] * made.SPACING[0], made.SHAPE[2] * made.SPACING[1]
    assert first.image.shape == (EDGE, round(EDGE * width / height))


def test_what_is_unusable_is_listed_without_a_picture(folder: Path) -> None:
    *_, second = previews(folder)
    assert second.image is None
    assert "burned" in second.info.warnings[0]


def test_damaged_pixels_are_no_reason_to_hide_the_others(tmp_path: Path) -> None:
    def cut(_z: int, ds: Dataset) -> None:
        ds.PixelData = ds.PixelData[:100]

    made.write(made.datasets(edit=cut), tmp_path, prefix="a")
    made.write(made.datasets(uid="1.2.3.5"), tmp_path, prefix="b")
    first, second = previews(tmp_path)
    assert first.image is None
    assert second.image is not None


def test_a_ct_without_a_window_is_shown_as_soft_tissue(tmp_path: Path) -> None:
    def bare(_z: int, ds: Dataset) -> None:
        del ds.WindowCenter, ds.WindowWidth

    made.write(made.datasets(edit=bare), tmp_path)
    (only,) = previews(tmp_path)
    assert only.window == SOFT_TISSUE


def test_several_series_are_an_error_of_their_own(folder: Path) -> None:
    with pytest.raises(ChoiceError, match="the folder holds 2 CT series"):
        read_series(folder)
    assert read_series(folder, "#1").shape == made.SHAPE
    with pytest.raises(SeriesError) as caught:
        read_series(folder, "#3")
    assert not isinstance(caught.value, ChoiceError), "there is nothing to choose by"


def test_reading_tells_how_far_it_is(folder: Path) -> None:
    told: list[tuple[str, float]] = []
    read_series(folder, "#1", progress=lambda text, share: told.append((text, share)))
    assert [share for text, share in told if text == "reading slices"] == [z / 6 for z in range(6)]
    assert [share for text, share in told if text == "reading headers"] == [k / 8 for k in range(8)]
    seen: list[str] = []
    list(previews(folder, progress=lambda text, _share: seen.append(text)))
    assert seen.count("reading pictures") == 2


def test_what_the_progress_raises_ends_the_reading(folder: Path) -> None:
    def stop(_text: str, _share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_series(folder, "#1", progress=stop)

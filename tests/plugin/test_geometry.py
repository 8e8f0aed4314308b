"""Where a series lies in the viewer, against arithmetic on the elements of its files that pydicom reads.

Each series is written as DICOM files in its own orientation. For each corner voxel of each file the position is computed by
the formula of the standard (PS3.3 C.7.6.2.1.1) from ImagePositionPatient, ImageOrientationPatient and PixelSpacing, and the
value from the stored pixel with slope and intercept; the layer must show that value at that place.
"""

from __future__ import annotations

import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from pydicom import dcmread

from ctinv.io.dicom_write import write_series
from ctinv.volume import Acquisition, Volume
from napari_ctinv.arrival import add_layers
from napari_ctinv.reader import get_reader

SHAPE = (7, 24, 31)
STEP, ROWS_MM, COLUMNS_MM = 1.25, 0.683594, 0.771484
LIMIT_MM = 1e-3

# Direction cosines (L, P, S) of a row, that is of growing column index, and of a column.
SERIES = {
    "axial, head first supine": ((1, 0, 0), (0, 1, 0)),
    "axial, feet first supine": ((-1, 0, 0), (0, 1, 0)),
    "axial, head first prone": ((-1, 0, 0), (0, -1, 0)),
    "axial, feet first prone": ((1, 0, 0), (0, -1, 0)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
    "sagittal, from the right": ((0, -1, 0), (0, 0, -1)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "coronal, from behind": ((-1, 0, 0), (0, 0, -1)),
}


def write(folder: Path, row: tuple[float, ...], column: tuple[float, ...]) -> Path:
    affine = np.eye(4)
    affine[:3, 0] = STEP * np.cross(row, column)
    affine[:3, 1], affine[:3, 2] = ROWS_MM * np.array(column), COLUMNS_MM * np.array(row)
    affine[:3, 3] = (-173.2518, -41.7305, 912.125)
    rng = np.random.default_rng(11)
    hu = rng.integers(-1000, 1500, SHAPE).astype(np.float32)
    volume = Volume(hu, affine, "sha256:1", acquisition=Acquisition(kvp=120.0, kernel="B30f"))
    return write_series(volume, folder, description="geometry")


def largest_deviation(folder: Path) -> float:
    """Of all corner voxels of all files, in mm; the values there must agree."""
    viewer = ViewerModel()
    reader = get_reader(str(folder))
    assert reader is not None
    (layer,) = add_layers(viewer, reader(str(folder)))
    farthest = 0.0
    for path in sorted(folder.glob("*.dcm")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = dcmread(path)
            pixels = ds.pixel_array
        position = np.array(ds.ImagePositionPatient, dtype=float)
        along_row, along_column = np.array(ds.ImageOrientationPatient, dtype=float).reshape(2, 3)
        between_rows, between_columns = (float(value) for value in ds.PixelSpacing)
        for r, c in product((0, ds.Rows - 1), (0, ds.Columns - 1)):
            true = position + along_row * between_columns * c + along_column * between_rows * r
            index = np.rint(layer.world_to_data(true[::-1])).astype(int)
            shown = np.array(layer.data_to_world(tuple(index)))[::-1]
            farthest = max(farthest, float(np.abs(shown - true).max()))
            hu = float(pixels[r, c]) * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
            assert layer.data[tuple(index)] == hu
    return farthest


@pytest.mark.parametrize("name", SERIES)
def test_corners_lie_where_the_files_say(tmp_path: Path, name: str, record_property: object) -> None:
    folder = write(tmp_path / "series", *SERIES[name])
    away = largest_deviation(folder)
    record_property("deviation_mm", away)  # type: ignore[operator]
    assert away <= LIMIT_MM


def test_the_corners_of_the_layer_are_corners_of_the_files(tmp_path: Path) -> None:
    """No voxel more and none less: the extent in the viewer is that of the outermost voxel centres."""
    for k, (row, column) in enumerate(SERIES.values()):
        folder = write(tmp_path / str(k), row, column)
        reader = get_reader(str(folder))
        assert reader is not None
        viewer = ViewerModel()
        (layer,) = add_layers(viewer, reader(str(folder)))
        places = []
        for path in folder.glob("*.dcm"):
            ds = dcmread(path, stop_before_pixels=True)
            along_row, along_column = np.array(ds.ImageOrientationPatient, dtype=float).reshape(2, 3)
            between_rows, between_columns = (float(value) for value in ds.PixelSpacing)
            places += [
                np.array(ds.ImagePositionPatient, dtype=float)
                + along_row * between_columns * c
                + along_column * between_rows * r
                for r, c in product((0, ds.Rows - 1), (0, ds.Columns - 1))
            ]
        world = np.array(places)[:, ::-1]
        np.testing.assert_allclose(layer.extent.world[0], world.min(axis=0), atol=LIMIT_MM)
        np.testing.assert_allclose(layer.extent.world[1], world.max(axis=0), atol=LIMIT_MM)

"""Where a series lies in the viewer, against arithmetic on the elements of its files that pydicom reads.

Each series is written as DICOM files in its own orientation. For each corner voxel of each file the position is computed by
the formula of the standard (PS3.3 C.7.6.2.1.1) from ImagePositionPatient, ImageOrientationPatient and PixelSpacing, and the
value from the stored pixel with slope and intercept; the layer must show that value at that place.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from napari_ctinv.arrival import add_layers
from napari_ctinv.reader import get_reader

SHAPE = (7, 24, 31)
STEP, ROWS_MM, COLUMNS_MM = 0.7, 0.683594, 0.771484
FIRST_MM = np.array([-173.251847, -41.730513, 912.123456])
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


def write(
    folder: Path, row: tuple[float, ...], column: tuple[float, ...], *, step: float = STEP, places: int = 6
) -> Path:
    """A CT series of 16-bit slices in a random order of files, its positions as texts with so many decimal places."""
    folder.mkdir()
    rng = np.random.default_rng(11)
    pixels = rng.integers(0, 2500, SHAPE).astype("<u2")
    normal = np.cross(row, column)
    for z, name in enumerate(rng.permutation(SHAPE[0])):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"1.2.3.4.{z + 1}"
        ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = (
            ds.SOPClassUID,
            ds.SOPInstanceUID,
        )
        ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.FrameOfReferenceUID = "1.2.3.4", "1.2.3", "1.2.9"
        ds.Modality, ds.ImageType, ds.InstanceNumber = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], z + 1
        ds.KVP, ds.ConvolutionKernel, ds.SliceThickness = "120", "B30f", "0.7"
        ds.ImagePositionPatient = [f"{value:.{places}f}" for value in FIRST_MM + z * step * normal]
        ds.ImageOrientationPatient = [f"{value:.6f}" for value in (*row, *column)]
        ds.PixelSpacing = [str(ROWS_MM), str(COLUMNS_MM)]
        ds.Rows, ds.Columns = SHAPE[1:]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = "1", "-1024", "HU"
        ds.PixelData = pixels[z].tobytes()
        ds["PixelData"].VR = "OW"
        ds.save_as(folder / f"{name}.dcm", enforce_file_format=True)
    return folder


def largest_deviation(folder: Path) -> float:
    """Of all corner voxels of all files, in mm; the values there must agree."""
    viewer = ViewerModel()
    reader = get_reader(str(folder))
    assert reader is not None
    (layer,) = add_layers(viewer, reader(str(folder)))
    farthest = 0.0
    for path in sorted(folder.glob("*.dcm")):
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
def test_corners_lie_where_the_files_say(tmp_path: Path, name: str) -> None:
    assert largest_deviation(write(tmp_path / "series", *SERIES[name])) <= LIMIT_MM


@pytest.mark.parametrize("name", ["axial, head first supine", "sagittal", "coronal"])
def test_positions_that_were_rounded_in_the_files_move_no_voxel_beyond_the_limit(
    tmp_path: Path, name: str
) -> None:
    """Slices 2/3 mm apart, written to 0.001 mm: no regular grid meets all texts, the best one misses them by half."""
    away = largest_deviation(write(tmp_path / "series", *SERIES[name], step=2 / 3, places=3))
    assert 0 < away <= LIMIT_MM


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

"""One door for all formats, and arrays from scripts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import series

from ctinv.errors import InputError, SeriesError
from ctinv.io import from_array, read
from ctinv.volume import series_uid


def test_importing_is_light() -> None:
    heavy = ("torch", "monai", "itk", "pydicom", "nibabel")
    code = f"import sys, ctinv.io; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_folder_and_file_of_a_series(tmp_path: Path) -> None:
    series.write(series.datasets(), tmp_path)
    np.testing.assert_array_equal(read(tmp_path).hu, series.phantom())
    np.testing.assert_array_equal(read(tmp_path / "s002.dcm").hu, series.phantom())
    assert read(tmp_path, uid="#1").uid == read(tmp_path, uid="1.2.3.4").uid == series_uid("1.2.3.4")


@pytest.mark.parametrize("shape", [(40, 36), (6, 40, 36)])
def test_npy_says_that_its_spacing_is_assumed(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.arange(np.prod(shape), dtype=np.int16).reshape(shape) - 1000)
    volume = read(tmp_path / "a.npy")
    assert volume.hu.shape[-len(shape) :] == shape
    assert volume.spacing == (1.0, 1.0, 1.0)
    assert volume.notes == ("spacing unknown, 1 mm assumed",)


def test_array_axes_run_to_head_back_and_left() -> None:
    volume = from_array(series.phantom(), (2.5, 0.8, 0.7))
    np.testing.assert_allclose(volume.affine @ [1, 0, 0, 0], [0, 0, 2.5, 0])
    np.testing.assert_allclose(volume.affine @ [0, 1, 0, 0], [0, 0.8, 0, 0])
    np.testing.assert_allclose(volume.affine @ [0, 0, 1, 0], [0.7, 0, 0, 0])


def test_uid_follows_voxels_and_place() -> None:
    one = from_array(series.phantom())
    assert one.uid == from_array(series.phantom()).uid
    assert one.uid != from_array(series.phantom() + 1).uid
    assert one.uid != from_array(series.phantom(), (2.0, 1.0, 1.0)).uid


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros(5), "expected HU"),
        (np.zeros((2, 3, 4, 5)), "expected HU"),
        (np.zeros((0, 4)), "expected HU"),
        (np.zeros((3, 4), dtype=complex), "expected HU"),
        (np.array([["a"]]), "expected HU"),
        (np.full((3, 4), np.nan), "12 values that are NaN"),
        (np.full((3, 4), 1e6), "no HU"),
    ],
)
def test_arrays_that_are_no_ct(array: np.ndarray, word: str) -> None:
    with pytest.raises(InputError, match=word):
        from_array(array)


@pytest.mark.parametrize("spacing", [(1.0, 0.0, 1.0), (1.0, float("nan"), 1.0), (1.0, 1.0)])
def test_spacing_must_be_positive(spacing: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="spacing"):
        from_array(series.phantom(), spacing)  # type: ignore[arg-type]


def test_objects_and_damaged_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "object.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "junk.npy").write_bytes(b"junk")
    np.save(tmp_path / "short.npy", series.phantom())
    whole = (tmp_path / "short.npy").read_bytes()
    (tmp_path / "short.npy").write_bytes(whole[:-50])
    for name in ("object", "junk", "short"):
        with pytest.raises(SeriesError, match="no NumPy array file"):
            read(tmp_path / f"{name}.npy")


def test_no_such_path(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="there is no file or folder"):
        read(tmp_path / "nowhere.nii.gz")

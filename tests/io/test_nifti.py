"""NIfTI: every voxel at its place, odd headers refused or said."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import series

from ctinv.errors import SeriesError
from ctinv.io import read
from ctinv.io.nifti import read_nifti, write_nifti
from ctinv.volume import Volume


def volume() -> Volume:
    c, s = np.cos(0.3), np.sin(0.3)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, -s, c], [0, c, s], [1, 0, 0]]) * np.array([2.5, 0.8, 0.7])
    affine[:3, 3] = [-30.0, 12.5, -101.0]
    return Volume(hu=series.phantom(), affine=affine, uid="x")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_round_trip(tmp_path: Path, name: str) -> None:
    back = read(write_nifti(volume(), tmp_path / name))
    np.testing.assert_array_equal(back.hu, volume().hu)
    np.testing.assert_allclose(back.affine, volume().affine, atol=1e-5)
    assert back.uid.startswith("sha256:")
    assert back.notes == ()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_millimetres_agree_with_nibabel(tmp_path: Path) -> None:
    """The place of a voxel by nibabel (RAS) and by the volume (LPS) is one place."""
    image = nib.load(write_nifti(volume(), tmp_path / "a.nii"))
    ras = image.affine @ [3, 7, 2, 1]
    np.testing.assert_allclose(volume().affine @ [2, 7, 3, 1], ras * [-1, -1, 1, 1], atol=1e-4)
    assert image.get_fdata()[3, 7, 2] == volume().hu[2, 7, 3]


def save(path: Path, edit: Callable[[Any], None] | None = None, data: np.ndarray | None = None) -> Path:
    """An int16 file whose header bytes are edited after nibabel has written it."""
    data = series.phantom().transpose(2, 1, 0).astype(np.int16) if data is None else data
    affine = np.diag([-0.7, -0.8, 2.5, 1.0])
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code=1)
    plain = path.with_name("plain.nii")
    nib.save(image, plain)
    raw = bytearray(plain.read_bytes())
    plain.unlink()
    if edit is not None:
        header = np.frombuffer(raw, dtype=nib.nifti1.header_dtype, count=1)
        edit(header[0])
    path.write_bytes(gzip.compress(raw) if path.name.endswith("gz") else raw)
    return path


def field(name: str, value: Any) -> Callable[[Any], None]:
    def edit(header: Any) -> None:
        header[name] = value

    return edit


def both_codes_zero(header: Any) -> None:
    header["sform_code"] = header["qform_code"] = 0


def intercept_only(header: Any) -> None:
    header["scl_slope"], header["scl_inter"] = 0, -1024


REFUSED: dict[str, tuple[Callable[[Any], None], str]] = {
    "no orientation": (both_codes_zero, "orientation"),
    "ambiguous scaling": (intercept_only, "ambiguous"),
    "nan affine": (field("srow_x", np.nan), "singular or not finite"),
    "singular affine": (field("srow_z", 0.0), "singular or not finite"),
    "bad magic": (field("magic", b"abc"), "not a readable NIfTI"),
    "negative size": (field("dim", [3, -36, 40, 6, 1, 1, 1, 1]), "NIfTI|shape"),
    "huge size": (field("dim", [3, 30000, 30000, 3000, 1, 1, 1, 1]), "claims"),
    "four dimensions": (field("dim", [4, 36, 40, 3, 2, 1, 1, 1]), "three-dimensional"),
    "far voxels": (field("vox_offset", 1e9), "start at byte"),
    "infinite slope": (field("scl_slope", np.inf), "ambiguous"),
    "huge slope": (field("scl_slope", 1e9), "implausible|no HU"),
    "odd unit": (field("xyzt_units", 5), "unit"),
}


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path: Path, case: str, name: str) -> None:
    edit, word = REFUSED[case]
    with pytest.raises(SeriesError, match=word) as caught:
        read_nifti(save(tmp_path / name, edit))
    assert len(str(caught.value)) <= 200


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_truncated(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(SeriesError, match="truncated"):
        read_nifti(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted(tmp_path: Path, value: float) -> None:
    data = series.phantom().transpose(2, 1, 0).copy()
    data[1, 2, 3] = data[4, 5, 1] = value
    with pytest.raises(SeriesError, match="holds 2 values"):
        read_nifti(save(tmp_path / "a.nii", data=data))


def test_colours_are_refused(tmp_path: Path) -> None:
    data = np.zeros((4, 5, 6), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(SeriesError, match="colours"):
        read_nifti(save(tmp_path / "a.nii", data=data))


def test_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    def scaled(header: Any) -> None:
        header["scl_slope"], header["scl_inter"] = 0.5, -24

    back = read_nifti(save(tmp_path / "a.nii.gz", scaled))
    np.testing.assert_array_equal(back.hu, series.phantom() * 0.5 - 24)


def test_micrometres_become_millimetres_with_a_note(tmp_path: Path) -> None:
    back = read_nifti(save(tmp_path / "a.nii", field("xyzt_units", 3)))
    assert back.spacing == pytest.approx((0.0025, 0.0008, 0.0007))
    assert any("micrometres" in note for note in back.notes)


def test_disagreeing_forms_are_said(tmp_path: Path) -> None:
    back = read_nifti(save(tmp_path / "a.nii", field("qoffset_x", 50.0)))
    assert any("sform and qform differ by up to 50.0 mm" in note for note in back.notes)
    assert back.affine[0, 3] == pytest.approx(0.0)


def test_memory_budget(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="memory"):
        read_nifti(save(tmp_path / "a.nii"), memory_budget=1000)


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=r"\.nii"):
        write_nifti(volume(), tmp_path / "a.img")
    assert list(tmp_path.iterdir()) == []

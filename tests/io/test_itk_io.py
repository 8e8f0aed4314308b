"""NRRD, MetaImage, other orders of the axes and regridding. ITK itself takes seconds to load, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import series

from ctinv.errors import SeriesError
from ctinv.io import from_array, read
from ctinv.io.dicom import read_series
from ctinv.io.itk_io import reorient, resample
from ctinv.volume import Volume

NRRD = """NRRD0004
type: float
dimension: 3
space: {space}
sizes: 36 40 6
space directions: {x} {y} {z}
kinds: domain domain domain
endian: little
encoding: raw
space origin: {origin}

"""


def vector(values: np.ndarray) -> str:
    return "(" + ",".join(f"{v:.9g}" for v in values) + ")"


def write_nrrd(
    path: Path, affine: np.ndarray, space: str = "left-posterior-superior", drop: str = ""
) -> Path:
    """A NRRD file written by hand, so that ITK does not check itself."""
    flip = np.array([-1, -1, 1]) if space.startswith("right-anterior") else np.ones(3)
    columns = {name: vector(flip * affine[:3, i]) for i, name in enumerate("zyx")}
    head = NRRD.format(space=space, origin=vector(flip * affine[:3, 3]), **columns)
    head = "".join(line for line in head.splitlines(keepends=True) if not (drop and line.startswith(drop)))
    path.write_bytes(head.encode() + series.phantom().astype("<f4").tobytes())
    return path


@pytest.mark.parametrize("space", ["left-posterior-superior", "right-anterior-superior"])
def test_nrrd(tmp_path: Path, space: str) -> None:
    affine = series.affine((0.6, 0.8, 0.0, -0.8, 0.6, 0.0))
    volume = read(write_nrrd(tmp_path / "a.nrrd", affine, space))
    np.testing.assert_array_equal(volume.hu, series.phantom())
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)


@pytest.mark.parametrize("detached", [False, True])
def test_metaimage(tmp_path: Path, detached: bool) -> None:
    head = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        "TransformMatrix = 1 0 0 0 1 0 0 0 1\n"
        f"Offset = -30 12.5 -101\nElementSpacing = 0.7 0.8 2.5\nDimSize = 36 40 6\nElementType = MET_FLOAT\n"
        f"ElementDataFile = {'a.raw' if detached else 'LOCAL'}\n"
    ).encode()
    voxels = series.phantom().astype("<f4").tobytes()
    path = tmp_path / ("a.mhd" if detached else "a.mha")
    path.write_bytes(head if detached else head + voxels)
    if detached:
        (tmp_path / "a.raw").write_bytes(voxels)
    volume = read(path)
    np.testing.assert_array_equal(volume.hu, series.phantom())
    np.testing.assert_allclose(volume.affine, series.affine(), atol=1e-9)
    if detached:
        path.write_bytes(head.replace(b"a.raw", b"../a.raw"))
        with pytest.raises(SeriesError, match="beside it"):
            read(path)


def test_nrrd_refused(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="no spacing"):
        read(write_nrrd(tmp_path / "a.nrrd", series.affine(), drop="space directions"))
    path = write_nrrd(tmp_path / "b.nrrd", series.affine())
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(SeriesError, match="truncated"):
        read(path)
    path.write_bytes(path.read_bytes().replace(b"sizes: 36 40 6", b"sizes: 36000 40000 600"))
    with pytest.raises(SeriesError, match="claims"):
        read(path)
    path.write_bytes(b"NRRD0004\nspacings: 1 1 1\nnonsense\n\n")
    with pytest.raises(SeriesError, match="header"):
        read(path)


def place(volume: Volume, index: tuple[int, int, int]) -> np.ndarray:
    return (volume.affine @ [*index, 1])[:3]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
@pytest.mark.parametrize("flip", [(), (0,), (0, 2), (0, 1, 2)])
def test_reorient_undoes_any_order_of_axes(order: tuple[int, ...], flip: tuple[int, ...]) -> None:
    straight = Volume(hu=series.phantom(), affine=series.affine(), uid="x")
    affine = straight.affine.copy()
    affine[:, :3] = straight.affine[:, list(order)]
    hu = straight.hu.transpose(order)
    for axis in flip:
        affine[:3, 3] += affine[:3, axis] * (hu.shape[axis] - 1)
        affine[:3, axis] *= -1
        hu = np.flip(hu, axis)
    back = reorient(Volume(hu=np.ascontiguousarray(hu), affine=affine, uid="x"))
    np.testing.assert_array_equal(back.hu, straight.hu)
    np.testing.assert_allclose(back.affine, straight.affine, atol=1e-9)


def linear(affine: np.ndarray, shape: tuple[int, int, int]) -> Volume:
    """HU that are a linear function of the place in mm, which linear interpolation keeps exactly."""
    index = np.stack([*np.indices(shape), np.ones(shape)], axis=-1)
    return Volume(
        hu=((index @ affine.T)[..., :3] @ [1.0, -2.0, 3.0]).astype(np.float32), affine=affine, uid="x"
    )


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("tilt", [15.0, -10.0])
def test_resampling_keeps_every_place(tilt: float, aligned: bool) -> None:
    step = (0.0, 2.5 * np.tan(np.radians(tilt)), 2.5)
    sheared = linear(series.affine((0.8, 0.6, 0.0, -0.6, 0.8, 0.0), step), (8, 12, 14))
    straight = resample(sheared, aligned=aligned)
    unit = straight.affine[:3, :3] / np.array(straight.spacing)
    np.testing.assert_allclose(unit.T @ unit, np.eye(3), atol=1e-9)
    expected = linear(straight.affine, straight.shape).hu
    back = np.linalg.inv(sheared.affine) @ straight.affine
    index = np.stack([*np.indices(straight.shape), np.ones(straight.shape)], axis=-1) @ back.T
    inside = ((index[..., :3] > -1e-6) & (index[..., :3] < np.array(sheared.shape) - 1 + 1e-6)).all(axis=-1)
    assert inside.sum() > 500
    assert (straight.hu[((index < -1) | (index > 15)).any(axis=-1)] == -1024).all()
    np.testing.assert_allclose(straight.hu[inside], expected[inside], atol=0.01)
    assert any("resampled" in note for note in straight.notes)


def test_tilted_series_on_request(tmp_path: Path) -> None:
    step = (0.0, 2.5 * np.tan(np.radians(15)), 2.5)
    series.write(series.datasets(step=step), tmp_path)
    volume = read_series(tmp_path, resample=True)
    assert volume.spacing == pytest.approx((2.5, 0.8, 0.7))
    np.testing.assert_allclose(place(volume, (1, 0, 0)) - place(volume, (0, 0, 0)), [0, 0, 2.5], atol=1e-6)
    # The first slice is not shifted, so its values stand where they were, without interpolation.
    np.testing.assert_allclose(volume.hu[0, :40], series.phantom()[0], atol=1e-3)
    assert any("resampled" in note for note in volume.notes)


def test_spacing_of_choice() -> None:
    volume = resample(from_array(series.phantom(), (2.5, 0.8, 0.7)), spacing=(5.0, 1.6, 1.4))
    assert volume.spacing == pytest.approx((5.0, 1.6, 1.4))
    np.testing.assert_allclose(volume.hu[1, 2, 3], series.phantom()[2, 4, 6])

"""Written series come back equal and carry nobody's name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from ctinv.errors import InputError, ResourceError, SeriesError
from ctinv.io import from_array
from ctinv.io.dicom import read_series
from ctinv.io.dicom_write import write_series
from ctinv.volume import Acquisition, Volume


def oblique(angle: float, spacing: tuple[float, float, float]) -> np.ndarray:
    """Right-handed affine, turned about two axes."""
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    affine = np.eye(4)
    affine[:3, :3] = turn[:, ::-1] * np.array(spacing)
    affine[:3, 3] = [-171.699997, 12.3456789, -400.1]
    return affine


def volume(affine: np.ndarray | None = None, **facts: object) -> Volume:
    return Volume(
        hu=series.phantom() + np.float32(0.3),
        affine=oblique(0.0, (2.5, 0.8, 0.7)) if affine is None else affine,
        uid=f"1.2.3.{len(series.CANARY)}",
        acquisition=Acquisition(**facts),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("slope", [1.0, 0.125])
def test_round_trip_within_half_a_step(tmp_path: Path, slope: float, compress: bool) -> None:
    written = volume(oblique(0.4, (2.5, 0.8, 0.7)))
    write_series(written, tmp_path / "out", description="test", slope=slope, compress=compress)
    back = read_series(tmp_path / "out")
    assert np.abs(back.hu - written.hu).max() <= slope / 2 + 1e-4
    np.testing.assert_allclose(back.affine, written.affine, atol=1e-6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angle=st.floats(-3, 3),
    spacing=st.tuples(st.floats(0.3, 8), st.floats(0.1, 3), st.floats(0.1, 3)),
    low=st.integers(-4000, 3000),
)
def test_round_trip_for_any_orientation(
    tmp_path_factory: pytest.TempPathFactory, angle: float, spacing: tuple[float, float, float], low: int
) -> None:
    hu = (low + np.arange(2 * 3 * 4).reshape(2, 3, 4) / 8).astype(np.float32)
    written = Volume(hu=hu, affine=oblique(angle, spacing), uid="x")
    folder = write_series(written, tmp_path_factory.mktemp("any") / "out", description="any", slope=0.125)
    back = read_series(folder)
    np.testing.assert_array_equal(back.hu, hu)
    np.testing.assert_allclose(back.affine, written.affine, atol=1e-6)


def test_left_handed_volume_keeps_every_voxel_in_place(tmp_path: Path) -> None:
    affine = oblique(0.0, (2.5, 0.8, 0.7))
    affine[:3, 0] *= -1
    written = volume(affine)
    back = read_series(write_series(written, tmp_path / "out", description="test", slope=0.125))
    assert np.abs(back.hu[::-1] - written.hu).max() <= 0.0626
    np.testing.assert_allclose(back.affine @ [5, 0, 0, 1], affine @ [0, 0, 0, 1], atol=1e-6)


def test_technical_facts_come_back(tmp_path: Path) -> None:
    facts = Acquisition(120.0, 57.25, 3.0, "Br38f", 0.25, 1.5e5, ((40.0, 400.0), (-600.0, 1500.0)))
    written = replace(volume(), acquisition=facts)
    back = read_series(write_series(written, tmp_path / "out", description="quarter dose"))
    assert back.acquisition == facts


def test_no_identity_and_plain_words(tmp_path: Path) -> None:
    folder = write_series(
        volume(), tmp_path / "out", description="denoised", derived={"denoiser": "cnn10", "tap": "conv3"}
    )
    paths = sorted(folder.iterdir())
    assert [path.name for path in paths] == [f"IM{z:04d}.dcm" for z in range(1, 7)]
    ds = dcmread(paths[0])
    assert (str(ds.PatientName), ds.PatientIdentityRemoved) == ("Anonymous", "YES")
    assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert ds.SeriesDescription == "denoised"
    assert "denoiser=cnn10; tap=conv3" in ds.DerivationDescription
    assert "not for diagnosis" in ds.DerivationDescription
    assert volume().uid.encode() not in paths[0].read_bytes()
    assert len({dcmread(path).SOPInstanceUID for path in paths}) == 6


def test_template_puts_the_series_beside_its_source(tmp_path: Path) -> None:
    source = series.write(series.datasets(), tmp_path / "in")
    template = source / "s001.dcm"
    folder = write_series(volume(), tmp_path / "out", description="x", template=template)
    ds, original = dcmread(folder / "IM0001.dcm"), dcmread(template)
    for word in ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert ds[word].value == original[word].value
    assert ds.SeriesInstanceUID != original.SeriesInstanceUID
    assert "PatientIdentityRemoved" not in ds
    assert "StudyDescription" not in ds


def test_seed_text_makes_equal_files(tmp_path: Path) -> None:
    for name, seed in (("a", "demo"), ("b", "demo"), ("c", None)):
        write_series(volume(), tmp_path / name, description="x", seed_text=seed)
    files = {name: (tmp_path / name / "IM0003.dcm").read_bytes() for name in "abc"}
    assert files["a"] == files["b"]
    assert files["a"] != files["c"]


def test_series_of_one_scan_share_study_and_frame(tmp_path: Path) -> None:
    full = dcmread(write_series(volume(), tmp_path / "a", description="full") / "IM0001.dcm")
    low = dcmread(write_series(volume(), tmp_path / "b", description="low") / "IM0001.dcm")
    assert full.StudyInstanceUID == low.StudyInstanceUID
    assert full.FrameOfReferenceUID == low.FrameOfReferenceUID
    assert full.SeriesInstanceUID != low.SeriesInstanceUID


def test_refuses_what_would_not_come_back(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="do not fit 16 bits"):
        write_series(from_array(np.full((2, 3, 3), 5000.0)), tmp_path / "out", description="x", slope=0.125)
    sheared = oblique(0.0, (2.5, 0.8, 0.7))
    sheared[1, 0] = 0.7
    with pytest.raises(SeriesError, match="sheared"):
        write_series(volume(sheared), tmp_path / "out", description="x")
    assert list(tmp_path.iterdir()) == []


def test_never_overwrites_and_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="full exists already; choose another name"):
        write_series(volume(), tmp_path / "full", description="x")

    save, count = Dataset.save_as, iter(range(9))

    def no_space(ds: Dataset, *arguments: object, **options: object) -> None:
        if next(count) == 3:
            raise OSError(28, "No space left on device")
        save(ds, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Dataset, "save_as", no_space)
    with pytest.raises(ResourceError, match=r"out could not be written \(No space left"):
        write_series(volume(), tmp_path / "out", description="x")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]

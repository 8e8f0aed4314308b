"""A file of another modality is read as what it states, or as what the caller names; never by a guess."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modality_scans import mr_scan
from pydicom import Dataset

from ctinv.errors import InputError, SeriesError
from ctinv.io import from_array, read
from ctinv.io.dicom import list_series, read_series
from ctinv.io.dicom_write import write_series
from ctinv.io.nifti import write_nifti
from ctinv.volume import Volume

sys.path.append(str(Path(__file__).parents[1] / "io"))
import series

SOP = {"MR": "1.2.840.10008.5.1.4.1.1.4", "PT": "1.2.840.10008.5.1.4.1.1.128"}


def slices_of(modality: str, **elements: Any) -> list[Dataset]:
    """The synthetic series as one of another modality, without what only a CT has."""

    def edit(_z: int, ds: Dataset) -> None:
        ds.Modality = modality
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = SOP[modality]
        del ds.RescaleSlope, ds.RescaleIntercept, ds.KVP, ds.Exposure, ds.ConvolutionKernel
        for name, value in elements.items():
            setattr(ds, name, value)

    return series.datasets(edit=edit, uid=f"1.2.3.{len(modality)}.{ord(modality[0])}")


def test_mr_keeps_its_stored_numbers(tmp_path: Path) -> None:
    volume = read(series.write(slices_of("MR"), tmp_path))
    assert (volume.modality, volume.unit, volume.acquisition.step) == ("MR", "a.u.", 1.0)
    np.testing.assert_array_equal(volume.hu, series.phantom() + 1024)  # no rescale to HU is invented
    assert not any("HU" in note for note in volume.notes)


def test_mr_applies_the_rescale_that_is_stated(tmp_path: Path) -> None:
    folder = series.write(
        slices_of("MR", RescaleSlope="2.5", RescaleIntercept="10", RescaleType="normalized"), tmp_path
    )
    volume = read(folder, modality="MR")
    np.testing.assert_allclose(volume.hu, 2.5 * (series.phantom() + 1024) + 10)
    assert volume.acquisition.step == 2.5


def test_pet_needs_slope_and_unit(tmp_path: Path) -> None:
    good = {"RescaleSlope": "40.5", "RescaleIntercept": "0", "Units": "BQML"}
    volume = read(series.write(slices_of("PT", **good), tmp_path / "good"))
    assert (volume.modality, volume.unit, volume.acquisition.step) == ("PT", "Bq/ml", 40.5)
    np.testing.assert_allclose(volume.hu, 40.5 * (series.phantom() + 1024), rtol=1e-6)  # beyond any HU
    for name, spoilt in {"unit": {**good, "Units": "XYZ"}, "slope": {"Units": "BQML"}}.items():
        with pytest.raises(SeriesError, match=r"Units|RescaleSlope"):
            read(series.write(slices_of("PT", **spoilt), tmp_path / name))


def test_a_phase_image_is_no_magnitude(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="no magnitude image"):
        read(series.write(slices_of("MR", ImageType=["ORIGINAL", "PRIMARY", "P", "ND"]), tmp_path))


def test_echoes_are_not_mixed(tmp_path: Path) -> None:
    slices = slices_of("MR")
    for z, ds in enumerate(slices):
        ds.EchoTime = "10" if z < 3 else "80"
    with pytest.raises(SeriesError, match="echo time"):
        read(series.write(slices, tmp_path))


def test_a_ct_is_what_is_read_where_there_is_one(tmp_path: Path) -> None:
    series.write(slices_of("MR"), tmp_path, prefix="mr")
    with pytest.raises(SeriesError, match="no CT slice was found"):
        read_series(tmp_path, modality="CT")
    series.write(series.datasets(), tmp_path, prefix="ct")
    volume = read(tmp_path)
    assert volume.modality == "CT"
    assert any("MR images" in note for note in volume.notes)
    assert len(list_series(tmp_path)) == 1
    assert read(tmp_path, modality="MR").modality == "MR"
    assert read(next(tmp_path.glob("mr*"))).modality == "MR"  # one file of it names the series
    with pytest.raises(SeriesError, match="not a CT image"):
        read(next(tmp_path.glob("mr*")), modality="CT")
    with pytest.raises(SeriesError, match="no PT slice"):
        read(tmp_path, modality="PT")
    with pytest.raises(InputError, match="no modality 'US'"):
        read(tmp_path, modality="US")
    with pytest.raises(InputError, match="its own unit"):
        read(tmp_path, unit="a.u.")


@pytest.mark.parametrize("ending", [".npy", ".nii.gz", ".mha"])
def test_other_files_are_ct_unless_their_modality_is_named(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"head{ending}"
    hu = np.rint(1000 * mr_scan().hu[:, :40, :40])  # beyond HU
    big = Volume(hu, np.diag([3.0, 1, 1, 1])[:, [2, 1, 0, 3]], "big", modality="MR")
    if ending == ".npy":
        np.save(path, hu)
    elif ending == ".nii.gz":
        write_nifti(big, path)
    else:
        header = f"ObjectType = Image\nNDims = 3\nDimSize = 40 40 {len(hu)}\nElementSpacing = 1 1 3\n"
        header += "BinaryData = True\nBinaryDataByteOrderMSB = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
        header += "ElementType = MET_FLOAT\nElementDataFile = LOCAL\n"
        path.write_bytes(header.encode() + hu.astype("<f4").tobytes())
    with pytest.raises(SeriesError, match="no HU; rescale them or name their modality"):
        read(path)
    volume = read(path, modality="MR", unit="1/s")
    assert (volume.modality, volume.unit) == ("MR", "1/s")
    np.testing.assert_array_equal(volume.hu, hu)
    assert read(path, modality="PT").unit == "Bq/ml"
    with pytest.raises(InputError, match="only CT is in HU"):
        read(path, modality="MR", unit="HU")


def test_units_and_modalities_belong_together() -> None:
    with pytest.raises(InputError, match="only CT is in HU"):
        from_array(np.zeros((4, 4)), modality="CT", unit="a.u.")
    volume = from_array(np.ones((4, 4)), modality="PT")
    assert volume[0].unit == volume.with_hu(volume.hu * 2).unit == "Bq/ml"
    assert from_array(np.zeros((4, 4))).unit == "HU"


def test_another_modality_is_no_derived_ct(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="for CT only"):
        write_series(mr_scan(), tmp_path / "out", description="mr")
    assert not (tmp_path / "out").exists()

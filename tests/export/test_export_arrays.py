"""NIfTI and OME-Zarr: numbers, places and the rules of NGFF 0.5."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import zarr
from export_studies import BOX, HALO, ORIENTATIONS, make_scan, make_study

from ctinv.errors import InputError, SeriesError
from ctinv.export import Wanted, export_study
from ctinv.io import read
from ctinv.io.ome_zarr import Image, write_ome_zarr
from ctinv.sampler import Samples

SPACE = ["z", "y", "x"]


@pytest.fixture(scope="module", params=sorted(ORIENTATIONS))
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Samples, Path]:
    study, out = make_study(make_scan(request.param)), tmp_path_factory.mktemp("out")
    export_study(study, out / "nifti", to="nifti")
    export_study(study, out / "a.ome.zarr", to="ome-zarr")
    return study, out


def arrays_of(study: Samples) -> dict[str, Any]:
    """Everything that is exported, by name."""
    return {
        "samples": study.x_tilde,
        "scan": study.setting.volume.hu,
        "denoised": study.setting.fx[None],
        "mean": study.mean()[None],
        "spread": study.spread()[None],
        "worst": study.worst()[None],
        "eta": study.setting.eta[None],  # type: ignore[index]
    }


def affine_of(study: Samples, name: str) -> np.ndarray:
    halo = HALO if name == "worst" else 0
    affine = np.array(study.provenance.affine)
    affine[:3, 3] = (affine @ [BOX.z, BOX.y0 - halo, BOX.x0 - halo, 1])[:3]
    return affine


def test_nifti_holds_the_same_numbers_at_the_same_place(exported: tuple[Samples, Path]) -> None:
    study, out = exported
    expected = arrays_of(study)
    assert {path.name for path in (out / "nifti").iterdir()} == {f"{name}.nii.gz" for name in expected}
    for name, values in expected.items():
        image = nib.load(out / "nifti" / f"{name}.nii.gz")
        assert image.get_data_dtype() == np.float32
        np.testing.assert_array_equal(np.asarray(image.dataobj).T, values)
        ras = image.affine @ [2, 3, 0, 1]  # x, y, z
        lps = affine_of(study, name) @ [0, 3, 2, 1]
        np.testing.assert_allclose(ras * [-1, -1, 1, 1], lps, atol=1e-4)
    back = read(out / "nifti" / "scan.nii.gz")
    np.testing.assert_array_equal(back.hu, study.setting.volume.hu)


def test_equal_exports_are_equal_nifti_files(tmp_path: Path) -> None:
    study = make_study(make_scan())
    for name in ("a", "b"):
        export_study(study, tmp_path / name, to="nifti")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_ome_zarr_keeps_the_rules_of_ngff(exported: tuple[Samples, Path]) -> None:
    study, out = exported
    root = zarr.open_group(out / "a.ome.zarr", mode="r")
    assert root.metadata.zarr_format == 3
    assert root.attrs["ome"] == {"version": "0.5", "bioformats2raw.layout": 3}
    series = root["OME"].attrs["ome"]["series"]
    assert series[0] == "samples"
    assert set(series) == set(arrays_of(study)) == set(root.group_keys()) - {"OME"}
    for name in series:
        ome = root[name].attrs["ome"]
        assert ome["version"] == "0.5"
        (multiscale,) = ome["multiscales"]
        axes = multiscale["axes"]
        assert 2 <= len(axes) <= 5
        assert len({axis["name"] for axis in axes}) == len(axes)
        # time, then one axis of another kind, then space, of which there are 2 or 3
        assert [axis["name"] for axis in axes[-3:]] == SPACE
        assert all(axis["type"] == "space" and axis["unit"] == "millimeter" for axis in axes[-3:])
        assert [axis["type"] for axis in axes[:-3]] == (["sample"] if name == "samples" else [])
        (dataset,) = multiscale["datasets"]
        scale, translation = dataset["coordinateTransformations"]
        assert (scale["type"], translation["type"]) == ("scale", "translation")
        assert len(scale["scale"]) == len(translation["translation"]) == len(axes)
        assert min(scale["scale"]) > 0
        array = root[name][dataset["path"]]
        assert array.ndim == len(axes)
        assert list(array.metadata.dimension_names) == [axis["name"] for axis in axes]


def test_ome_zarr_holds_the_same_numbers_at_the_same_place(exported: tuple[Samples, Path]) -> None:
    study, out = exported
    root = zarr.open_group(out / "a.ome.zarr", mode="r")
    for name, values in arrays_of(study).items():
        np.testing.assert_array_equal(root[name]["0"][...], values)
        np.testing.assert_allclose(root[name].attrs["ctinv"]["affine_lps"], affine_of(study, name), atol=1e-9)
    assert root["spread"].attrs["ctinv"]["unit"] == "HU"
    assert root["eta"].attrs["ctinv"]["unit"] == "1"


def test_images_of_one_scan_lie_over_each_other(exported: tuple[Samples, Path]) -> None:
    """One voxel of the scan has the same NGFF coordinates in the region and in the map that has a halo."""
    study, out = exported
    root = zarr.open_group(out / "a.ome.zarr", mode="r")

    def coordinates(name: str, index: list[int]) -> np.ndarray:
        scale, translation = root[name].attrs["ome"]["multiscales"][0]["datasets"][0][
            "coordinateTransformations"
        ]
        return np.array(scale["scale"])[-3:] * index + np.array(translation["translation"])[-3:]

    inside, around = coordinates("scan", [0, 2, 3]), coordinates("worst", [0, 2 + HALO, 3 + HALO])
    np.testing.assert_allclose(inside, around, atol=1e-9)
    place = study.setting.volume.affine @ [0, 2, 3, 1]
    np.testing.assert_allclose(np.linalg.norm(inside), np.linalg.norm(place[:3]), atol=1e-9)


def test_provenance_and_certificates_travel_along(tmp_path: Path) -> None:
    study = make_study(make_scan())
    export_study(study, tmp_path / "a.zarr", to="ome-zarr", wanted=Wanted(samples=(5, 1), images=(), maps=()))
    root = zarr.open_group(tmp_path / "a.zarr", mode="r")
    own = root.attrs["ctinv"]
    assert own["provenance"] == study.provenance.to_json()
    assert own["key"] == study.provenance.key()
    assert "not for diagnosis" in own["statement"]
    stack = root["samples"].attrs["ctinv"]
    assert stack["rows"] == [5, 1]
    assert [one["k"] for one in stack["certificates"]] == [5, 1]
    assert [one["passed"] for one in stack["certificates"]] == [False, True]
    np.testing.assert_array_equal(root["samples"]["0"][...], study.x_tilde[[5, 1]])
    for path in tmp_path.rglob("zarr.json"):
        json.loads(path.read_text(), parse_constant=pytest.fail if path.parent.name != "0" else None)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    scan = make_scan()
    image = Image("a", "a", scan.shape, scan.hu, scan.affine, "HU")
    with pytest.raises(InputError, match=r"must be named \.zarr"):
        write_ome_zarr(tmp_path / "a", [image])
    with pytest.raises(InputError, match="at least one image, each of another name"):
        write_ome_zarr(tmp_path / "a.zarr", [image, image])
    with pytest.raises(InputError, match="has 9 parts of 10"):
        write_ome_zarr(tmp_path / "a.zarr", [Image("a", "a", (10, 40, 36), scan.hu, scan.affine, "HU")])
    sheared = scan.affine.copy()
    sheared[1, 0] = 0.7
    with pytest.raises(SeriesError, match="sheared"):
        write_ome_zarr(tmp_path / "a.zarr", [Image("a", "a", scan.shape, scan.hu, sheared, "HU")])
    assert list(tmp_path.iterdir()) == []

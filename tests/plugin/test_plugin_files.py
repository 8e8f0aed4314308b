"""Readers and writers: what goes out comes back in the same place, and what is not ours is left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from plugin_studies import FEET_FIRST, make_volume

from ctinv.errors import CtinvError
from ctinv.io.dicom_write import write_series
from ctinv.resources import ct_folder
from ctinv.sampler import Store
from ctinv.volume import Volume
from napari_ctinv.layers import LayerTuple, study_layers, volume_layer
from napari_ctinv.reader import get_reader
from napari_ctinv.sample_data import phantom, quarter_dose
from napari_ctinv.writer import write_dicom, write_nifti

SERIES = ct_folder() / "quarter_dose"


def read(path: Path | list[str]) -> list[LayerTuple]:
    reader = get_reader(path if isinstance(path, list) else str(path))
    assert reader is not None
    return reader(path if isinstance(path, list) else str(path))


def affine_of(layer: LayerTuple) -> np.ndarray:
    return np.array(layer[1]["metadata"]["ctinv"]["affine"])


@pytest.fixture
def foreign(tmp_path: Path) -> dict[str, Path]:
    """Things that are not ours, by what they are."""
    made = {name: tmp_path / name for name in ("empty", "texts", "zarr.zarr", "damaged.zarr")}
    for folder in made.values():
        folder.mkdir()
    (made["texts"] / "notes.txt").write_text("no image")
    (made["zarr.zarr"] / "zarr.json").write_text(
        '{"zarr_format": 3, "node_type": "group", "attributes": {"ome": {}}}'
    )
    (made["damaged.zarr"] / "zarr.json").write_text("[1, 2")
    made["text.dcm"] = tmp_path / "text.dcm"
    made["text.dcm"].write_text("this is no DICOM file" * 20)
    made["missing.dcm"] = tmp_path / "missing.dcm"
    return made


@pytest.mark.parametrize("what", ["empty", "texts", "zarr.zarr", "damaged.zarr", "text.dcm", "missing.dcm"])
def test_what_is_not_ours_is_left_alone(foreign: dict[str, Path], what: str) -> None:
    assert get_reader(str(foreign[what])) is None


def test_no_path_is_no_error() -> None:
    assert get_reader([]) is None


def test_a_folder_a_file_and_a_list_of_files_give_the_same_series() -> None:
    (whole,) = read(SERIES)
    files = sorted(str(file) for file in SERIES.glob("*.dcm"))
    (by_file,) = read(Path(files[5]))
    (by_list,) = read(files)
    assert whole[0].shape == (16, 512, 512)
    assert np.array_equal(whole[0], by_file[0])
    assert np.array_equal(whole[0], by_list[0])
    assert whole[1]["name"] == "CT 25 % dose"


def test_sample_data_states_where_it_comes_from() -> None:
    (layer,) = quarter_dose()
    attribution = layer[1]["metadata"]["ctinv"]["attribution"]
    assert "LIDC-IDRI" in attribution
    assert "CC BY 3.0" in attribution
    assert layer[1]["name"] == "quarter dose"


def test_the_phantom_is_the_same_each_time_and_noisier_at_the_lower_dose() -> None:
    full, quarter = phantom()
    assert [layer[1]["name"] for layer in (full, quarter)] == ["phantom full dose", "phantom quarter dose"]
    noise = [float(layer[0][0, 246:266, 246:266].std()) for layer in (full, quarter)]
    assert 1.7 < noise[1] / noise[0] < 2.3
    assert np.array_equal(quarter[0], phantom()[1][0])


def test_several_series_without_a_window_are_one_sentence(tmp_path: Path, volume: Volume) -> None:
    write_series(volume, tmp_path / "a", description="one")
    write_series(volume[:2], tmp_path / "b", description="two")
    with pytest.raises(CtinvError, match="the folder holds 2 CT series, #1: 9 slices"):
        read(tmp_path)


def test_a_study_opens_without_any_network(store: Store) -> None:
    layers = read(store.path)
    assert [layer[1]["name"] for layer in layers] == [layer[1]["name"] for layer in study_layers(store)]
    assert np.array_equal(np.asarray(layers[-1][0][2, 0]), store.read(2))


def test_a_study_opens_without_torch(store: Store) -> None:
    code = (
        "import sys; from napari_ctinv.reader import get_reader\n"
        f"layers = get_reader({str(store.path)!r})({str(store.path)!r})\n"
        "print(len(layers), 'torch' in sys.modules, 'monai' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["7", "False", "False"]


@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
def test_nifti_round_trip(tmp_path: Path, ending: str) -> None:
    volume = make_volume(FEET_FIRST)
    data, meta, _ = volume_layer(volume)
    (written,) = write_nifti(str(tmp_path / f"out{ending}"), data, meta)
    (layer,) = read(Path(written))
    assert_same_place(layer, volume, tolerance=0.0)


def test_dicom_round_trip_carries_fresh_identifiers(tmp_path: Path, volume: Volume) -> None:
    data, meta, _ = volume_layer(volume)
    (written,) = write_dicom(str(tmp_path / "series"), data, meta)
    (layer,) = read(Path(written))
    assert_same_place(layer, volume, tolerance=1 / 16)
    assert layer[1]["metadata"]["ctinv"]["volume"].uid != volume.uid


def assert_same_place(layer: LayerTuple, volume: Volume, *, tolerance: float) -> None:
    """Each voxel of the volume is found in the layer at its millimetres; the order of slices may differ."""
    inverse = np.linalg.inv(affine_of(layer))
    for index in [(0, 0, 0), (8, 39, 35), (2, 30, 11)]:
        there = inverse @ volume.affine @ [*index, 1]
        found = tuple(int(value) for value in np.rint(there[:3]))
        np.testing.assert_allclose(there[:3], found, atol=1e-3)
        assert abs(layer[0][found] - volume.hu[index]) <= tolerance


def test_a_region_is_written_where_it_lies(tmp_path: Path, store: Store) -> None:
    fx = study_layers(store)[1]
    (written,) = write_nifti(str(tmp_path / "fx.nii.gz"), fx[0], fx[1])
    (layer,) = read(Path(written))
    np.testing.assert_allclose(affine_of(layer), store.setting.volume.affine, atol=1e-4)


def test_maps_and_stacks_are_no_ct_series(tmp_path: Path, store: Store) -> None:
    layers = {layer[1]["name"]: layer for layer in study_layers(store)}
    with pytest.raises(CtinvError, match="no HU"):
        write_dicom(str(tmp_path / "a"), layers["lesion map η"][0], layers["lesion map η"][1])
    stack = layers["x̃ cnn10 output"]
    with pytest.raises(CtinvError, match="study"):
        write_nifti(str(tmp_path / "b.nii"), stack[0], stack[1])
    assert not list(tmp_path.glob("[ab]*"))

"""Bundles: MONAI verifies and runs what the static loader reads, and both give the same HU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from ctinv.bundle import export_bundle
from ctinv.bundle.check import siblings_agree
from ctinv.denoiser import load_denoiser
from ctinv.errors import InputError, ModelError
from ctinv.models.ladder import find_network
from ctinv.models.shipped import shipped
from ctinv.networks import NETWORKS
from ctinv.resources import bundles_folder
from ctinv.training.start import build

NAMES = ["cnn10", "dugan32", "resnet32", "mri_cnn10"]
LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def export(folder: Path, seed: int = 0, target: str = "CNN10") -> Path:
    network = build(target, seed=seed)
    return export_bundle(
        folder, network=network, target=target, name="d", mean=-350.0, std=500.0, taps=NETWORKS[target].taps
    )


def test_an_export_replaces_an_older_bundle_whole_and_leaves_nothing_else(tmp_path: Path):
    folder = export(tmp_path / "d", seed=0)
    first = find_network(folder).weights_sha256
    (folder / "models" / "stale.onnx").write_bytes(b"x")
    export(folder, seed=1)
    assert find_network(folder).weights_sha256 != first
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "LICENSE",
        "configs/inference.json",
        "configs/metadata.json",
        "docs/README.md",
        "models/model.pt",
        "models/model.safetensors",
    ]


def test_an_export_never_replaces_a_folder_that_is_no_bundle(tmp_path: Path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="no bundle"):
        export(tmp_path / "d")
    assert (tmp_path / "d" / "thesis.txt").read_text() == "years of work"


def test_siblings_that_differ_are_found(tmp_path: Path):
    folder = export(tmp_path / "d", seed=0)
    siblings_agree(folder)
    state = torch.load(folder / "models" / "model.pt", weights_only=True)
    state["conv3.bias"] += 1e-6
    torch.save(state, folder / "models" / "model.pt")
    with pytest.raises(ModelError, match="different weights"):
        siblings_agree(folder)


def test_the_shipped_bundles_are_small_licensed_and_of_one_mind():
    assert set(NAMES) <= set(shipped())
    folders = [
        bundles_folder() / name for name in shipped()
    ]  # the generators beside them have a limit of their own
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 30_000_000
    for name in shipped():
        folder = bundles_folder() / name
        siblings_agree(folder)
        assert find_network(name).name == name
        assert "BSD 3-Clause" in (folder / "LICENSE").read_text(encoding="utf-8")
        metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
        assert metadata["version"] in metadata["changelog"]
        assert metadata["network_data_format"]["inputs"].keys() == {"image"}
        assert metadata["network_data_format"]["outputs"].keys() == {"pred"}
        config = json.loads((folder / "configs" / "inference.json").read_text(encoding="utf-8"))
        needed = {
            "bundle_root",
            "device",
            "network_def",
            "inferer",
            "output_dir",
            "preprocessing",
            "postprocessing",
        }
        assert needed <= config.keys()


def test_the_measured_figures_of_the_shipped_bundles_beat_the_input_and_stand_in_the_card():
    for name in shipped():
        folder = bundles_folder() / name
        metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
        card = (folder / "docs" / "README.md").read_text(encoding="utf-8")
        figures = metadata["ctinv"]["training"]["figures"]
        assert figures.keys() == ({"brain2"} if name == "mri_cnn10" else {"chest_lung2", "abdomen_ts"})
        for row in figures.values():
            assert row["denoised"]["rmse_hu"] < row["low"]["rmse_hu"]
            assert f"{row['denoised']['rmse_hu']:.2f}" in card


def run_monai(*arguments: str, cwd: Path) -> None:
    """MONAI in a process of its own: its import takes seconds and leaves warnings and handlers behind."""
    command = [sys.executable, "-m", "monai.bundle", *arguments]
    answer = subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert answer.returncode == 0, answer.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_monai_verifies_the_shipped_bundles(name: str, tmp_path: Path):
    configs = bundles_folder() / name / "configs"
    metadata, inference = str(configs / "metadata.json"), str(configs / "inference.json")
    network = ["--meta_file", metadata, "--config_file", inference, "--device", "cpu", "--any", "40"]
    run_monai("verify_net_in_out", "network_def", *network, cwd=tmp_path)
    schema = os.environ.get("CTINV_MONAI_SCHEMA")
    if not schema:
        pytest.skip(
            "set CTINV_MONAI_SCHEMA to MONAI's meta_schema_20240725.json to check metadata.json against it"
        )
    run_monai("verify_metadata", "--meta_file", metadata, "--filepath", schema, cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("stored", ["LPS", "RAS"])
def test_monai_runs_a_bundle_to_the_same_hu_as_the_denoiser(tmp_path: Path, stored: str):
    """Whatever the order in which the file stores its voxels, each place in the patient gets the same value."""
    bundle = export(tmp_path / "d")
    hu = (
        np.random.default_rng(0).normal(-100, 200, size=(3, 20, 28)).astype(np.float32)
    )  # z, y, x, increasing to L, P, S
    affine = LPS_RAS @ np.array([[0.7, 0, 0, -10], [0, 0.8, 0, -20], [0, 0, 2.5, 30], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(hu.transpose(2, 1, 0), affine)
    if stored == "RAS":
        image = nibabel.as_closest_canonical(image)
    (tmp_path / "in").mkdir()
    nibabel.save(image, tmp_path / "in" / "scan.nii.gz")
    run_monai(
        "run",
        *("--config_file", str(bundle / "configs" / "inference.json")),
        *("--bundle_root", str(bundle)),
        *("--dataset_dir", str(tmp_path / "in")),
        *("--output_dir", str(tmp_path / "out")),
        cwd=tmp_path,
    )
    with torch.no_grad():
        expected = load_denoiser(bundle)(torch.from_numpy(hu)[:, None])[:, 0].numpy()
    saved = nibabel.load(tmp_path / "out" / "scan_denoised.nii.gz")
    assert saved.get_data_dtype() == np.float32
    for index in ((0, 0, 0), (2, 19, 27), (1, 4, 21)):
        place = affine @ [*index[::-1], 1]
        x, y, z = np.rint(np.linalg.solve(saved.affine, place)[:3]).astype(int)
        assert saved.get_fdata()[x, y, z] == pytest.approx(expected[index], abs=1e-3)
    canonical = nibabel.as_closest_canonical(saved).get_fdata()[::-1, ::-1].transpose(2, 1, 0)
    assert np.abs(canonical - expected).max() < 1e-3

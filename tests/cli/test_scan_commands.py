"""info, simulate and denoise on a small scan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_shell import Ran

from ctinv.denoiser import load_denoiser
from ctinv.io import read

Run = Callable[..., Ran]


def test_info_of_a_scan_shows_its_grid_and_no_path(ctinv: Run, scan: Path) -> None:
    facts = ctinv("info", scan, "--json").json
    assert facts["kind"] == "scan"
    assert facts["shape"] == [3, 96, 96]
    assert facts["spacing_mm"] == [1.0, 1.0, 1.0]
    assert facts["hu"]["min"] < -900
    people = ctinv("info", scan)
    assert people.code == 0
    assert "3, 96, 96" in people.out
    assert str(scan.parent) not in people.out


def test_info_of_a_bundle_lists_its_taps(ctinv: Run, bundle: Path) -> None:
    facts = ctinv("info", bundle, "--json").json
    assert (facts["kind"], facts["name"]) == ("denoiser", "small")
    assert list(facts["taps"]) == ["input", "conv1", "output"]
    assert facts["taps"]["conv1"] == {"shape": [6, 512, 512], "receptive_radius": 4}


@pytest.mark.parametrize("ending", [".npy", ".nii.gz", ""])
def test_simulated_scans_are_noisier_and_repeatable(
    ctinv: Run, scan: Path, tmp_path: Path, ending: str
) -> None:
    words = ("simulate", scan, "--dose", 0.25, "--seed", 7, "--photons", 2000, "--json", "--out")
    data = ctinv(*words, tmp_path / f"low{ending}").json
    again = ctinv(*words, tmp_path / f"again{ending}").json
    original, low = read(scan), read(tmp_path / f"low{ending}")
    assert data["photons"] == pytest.approx(500)
    assert low.shape == original.shape
    np.testing.assert_array_equal(low.hu, read(tmp_path / f"again{ending}").hu)
    # a quarter of the dose doubles the noise; what is inserted has sqrt(3) of the scan's own
    inserted = (low.hu - original.hu)[:, 60:75, 40:60].std()
    own = original.hu[:, 60:75, 40:60].std()
    assert 1.2 < inserted / own < 2.4
    assert again["series_sha256"] == data["series_sha256"]


@pytest.mark.parametrize("ending", [".npy", ".nii", ""])
def test_denoised_scans_are_f_of_every_slice(
    ctinv: Run, scan: Path, bundle: Path, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"f{ending}"
    data = ctinv("denoise", scan, "--denoiser", bundle, "--device", "cpu", "--out", out, "--json").json
    denoiser, volume = load_denoiser(bundle), read(scan)
    with torch.inference_mode():
        expected = denoiser(torch.from_numpy(volume.hu)[:, None])[:, 0].numpy()
    step = 0.0 if ending else 0.125  # DICOM holds integers with a slope
    np.testing.assert_allclose(read(out).hu, expected, atol=2e-3 + step / 2)
    assert data["weights_sha256"] == denoiser.weights_sha256
    np.testing.assert_allclose(read(out).affine, volume.affine, atol=1e-4)


def test_a_second_run_overwrites_nothing(ctinv: Run, scan: Path, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.npy"
    assert ctinv("denoise", scan, "--denoiser", bundle, "--out", out).code == 0
    first = out.read_bytes()
    assert "exists already" in ctinv("denoise", scan, "--denoiser", bundle, "--out", out).sentence
    assert out.read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.npy"]

"""The model card says what the report says, with the classical filters beside it, and nothing that was not measured."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from ctinv.bundle import export_run
from ctinv.bundle.card import model_card
from ctinv.errors import InputError
from ctinv.networks import CNN10, REDCNN

ABOUT = {"name": "d", "mean_hu": -350.0, "std_hu": 500.0, "taps": {"conv1": "relu1"}}
SHARED = {
    "nps_mean_ratio": 0.8,
    "nps_peak_ratio": None,
    "nps_distance": 0.2,
    "edge_ratio": 1.1,
    "low_edge_ratio": None,
}
REPORT: dict[str, Any] = {
    "config": {
        "name": "d",
        "network": "REDCNN",
        "arguments": {"channels": 4},
        "mean": -350.0,
        "std": 500.0,
        "train": ["a", "b"],
        "validate": ["c"],
        "test": [],
        "dose": 0.25,
        "patch": 64,
        "margin": 8,
        "batch": 4,
        "seed": 0,
        "learning_rate": 1e-3,
        "last_learning_rate": 1e-5,
        "start": "cnn10",
        "choose_by": "texture",
    },
    "objective": "WGAN-GP with a perceptual loss",
    "published": "The width.",
    "started_from": {"model.safetensors": "f" * 64},
    "steps": 100,
    "best": {"step": 60},
    "figures": {
        "c": {
            "slices": 3,
            "full": {"noise_std_hu": 9.0, "nps_mean_per_mm": 0.25, "nps_peak_per_mm": 0.2, "edge_mm": 1.9},
            "low": {"rmse_hu": 12.0, "psnr_db": 44.0, "ssim": 0.97, "noise_std_hu": 18.0, **SHARED},
            "denoised": {"rmse_hu": 9.0, "psnr_db": 47.0, "ssim": 0.98, "noise_std_hu": 6.0, **SHARED},
        }
    },
    "seconds": 120.0,
    "torch": "2.13.0",
}
BESIDE: dict[str, Any] = {
    "filters": {"nlm": {"label": "non-local means"}},
    "patients": {
        "c": {
            "slices": 3,
            "images": {"low": {"rmse_hu": 12.0}, "nlm": {"rmse_hu": 9.5, "nps_distance": 0.5}},
        },
        "other": {"slices": 9, "images": {"low": {"rmse_hu": 1.0}, "nlm": {"rmse_hu": 0.5}}},
    },
}


def card(report: dict[str, Any], beside: dict[str, Any] | None = None) -> str:
    return model_card(ABOUT, CNN10(), report, beside=beside)


def test_the_recipe_comes_from_the_report():
    text = card(REPORT)
    assert "WGAN-GP with a perceptual loss, on patches of 64x64" in text
    assert "Other than published: The width." in text
    assert "The start were the weights of cnn10 (sha256 ffffffffffff…)" in text
    assert "step 60, whose noise power spectrum is nearest" in text
    assert "test" not in text.partition("Patients, split by patient")[2].partition("\n")[0]
    assert "Mean squared error" not in text
    old = copy.deepcopy(REPORT)
    for key in ("objective", "published", "started_from"):
        del old[key]
    del old["config"]["start"], old["config"]["choose_by"]
    text = card(old)
    assert "Mean squared error, on patches" in text
    assert "The start" not in text
    assert "published:" not in text
    old["config"]["start"] = "identity"
    assert "The start was near the identity." in card(old)


def test_the_filters_stand_beside_the_network_and_the_verdict_is_computed():
    text = card(REPORT, BESIDE)
    assert "| best non-local means | 9.50 |" in text
    assert "RMSE below the best classical filter (non-local means, 9.50 HU)" in text
    assert "-25% against the low dose" in text
    assert "NPS nearer than non-local means" in text
    assert "### other" not in text
    better = copy.deepcopy(BESIDE)
    better["patients"]["c"]["images"]["nlm"] = {"rmse_hu": 8.0, "nps_distance": 0.1}
    text = card(REPORT, better)
    assert "**not below**" in text
    assert "NPS farther than non-local means" in text
    assert "non-local means" not in card(REPORT)


def test_filters_measured_on_other_images_are_refused():
    for key, value in (("slices", 4), ("images", {"low": {"rmse_hu": 12.1}, "nlm": {}})):
        other = copy.deepcopy(BESIDE)
        other["patients"]["c"][key] = value
        with pytest.raises(InputError, match="other images of c"):
            card(REPORT, other)


def test_a_report_of_fewer_figures_still_makes_a_card():
    old = copy.deepcopy(REPORT)
    old["figures"]["c"] = {"slices": 3, "low": {"rmse_hu": 12.0}, "denoised": {"rmse_hu": 9.0}}
    assert "| denoised | 9.00 | – | – | – |" in card(old)
    assert "Not recorded" in model_card(ABOUT, CNN10(), None)


def test_a_run_is_exported_with_the_arguments_of_its_network_and_null_for_what_is_missing(tmp_path: Path):
    run = tmp_path / "run"
    run.mkdir()
    report = copy.deepcopy(REPORT)
    report["figures"]["c"]["denoised"]["edge_ratio"] = float("nan")  # as an older report has it
    (run / "report.json").write_text(json.dumps(report))
    network = REDCNN(channels=4)
    save_file(
        {key: value.contiguous() for key, value in network.state_dict().items()}, run / "best.safetensors"
    )
    folder = export_run(run, tmp_path / "d", license_text="BSD", data_source="ours", beside=BESIDE)
    facts = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))["ctinv"]
    assert facts["training"]["figures"]["c"]["denoised"]["edge_ratio"] is None
    config = json.loads((folder / "configs" / "inference.json").read_text(encoding="utf-8"))
    assert config["network_def"]["channels"] == 4
    assert "best non-local means" in (folder / "docs" / "README.md").read_text(encoding="utf-8")
    state = torch.load(folder / "models" / "model.pt", weights_only=True)
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())

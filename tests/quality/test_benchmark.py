"""The benchmark of denoisers without its data: the filters are what they are called, the search finds, the page stands."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "denoisers.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("denoisers_tested", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def image() -> np.ndarray:
    generator = np.random.default_rng(0)
    steps = np.where(np.mgrid[:40, :40][1] < 20, -900.0, 60.0)
    return (steps + generator.normal(0, 20, (40, 40))).astype(np.float32)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # ITK's wrappers warn while they load and crash if that is an error
def test_the_bilateral_filter_is_the_weighted_mean_it_is_defined_as(script: ModuleType, image: np.ndarray):
    reach = 8
    padded = np.pad(image.astype(np.float64), reach, mode="edge")
    total, weights = np.zeros(image.shape), np.zeros(image.shape)
    for y in range(2 * reach + 1):
        for x in range(2 * reach + 1):
            near = padded[y : y + 40, x : x + 40]
            distance = ((y - reach) ** 2 + (x - reach) ** 2) / 1.5**2
            weight = np.exp(-(((near - image) / 50) ** 2 + distance) / 2)
            total, weights = total + weight * near, weights + weight
    found = script.bilateral(image, range_hu=50.0, spatial_px=1.5)
    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(found - total / weights)[inner].max() < 0.2
    assert np.abs(found - image)[inner].max() > 20


def test_non_local_means_keeps_the_level_and_takes_noise(script: ModuleType, image: np.ndarray):
    found = script.nlm(image, h_hu=15, sigma_hu=0, patch=5, distance=7)
    for side in (slice(4, 16), slice(24, 36)):
        assert found[4:-4, side].mean() == pytest.approx(image[4:-4, side].mean(), abs=1.5)
        assert found[4:-4, side].std() < image[4:-4, side].std()


def test_the_search_walks_to_the_least_error_and_figures_become_a_page(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    generator = np.random.default_rng(1)
    full = generator.normal(60, 5, (30, 48, 48)).astype(np.float32)
    for name in script.PATIENTS:
        np.save(tmp_path / f"{name}_full.npy", full)
        np.save(tmp_path / f"{name}_low.npy", full + 30)
        (tmp_path / f"{name}.json").write_text(json.dumps({"spacing_mm": [2, 0.7, 0.7]}))
    grid = {"minus": [0, 10, 20, 30, 40], "times": [1, 2, 3]}
    wrong = ("shift", "numpy", lambda image, minus, times: image - np.float32(minus + times - 1), grid)
    monkeypatch.setattr(script, "FILTERS", {"shift": wrong})
    monkeypatch.setattr(script, "SEARCH_SLICES", (5, 25))
    found = {"filters": {}, "networks": {}, "patients": {}}
    script.measured(found, "shift", tmp_path)
    assert found["filters"]["shift"]["setting"] == {"minus": 30, "times": 1}
    assert len(found["filters"]["shift"]["tried"]) < 15
    assert found["patients"]["abdomen_ts"]["images"]["shift"]["rmse_hu"] == pytest.approx(0, abs=1e-4)
    text = script.page(json.loads(script.dumps(found)))
    assert "## abdomen_ts, test patient, 30 slices" in text
    assert "| shift, best setting | 0.00 |" in text
    assert "minus 30, times 1; the best of" in text

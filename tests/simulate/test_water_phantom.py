"""The validation of docs/low_dose_simulation.md at a smaller size: same code, same limits."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "water_phantom.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("water_phantom_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def setup(bench: ModuleType) -> Any:
    return bench.Setup(
        size=128,
        pixel_mm=2.4,
        diameter_mm=260.0,
        views=240,
        slices=32,
        region=32,
        doses=(0.25, 0.1),
        photons=5e5,
        workers=1,
    )


@pytest.fixture(scope="module")
def measured(bench: ModuleType, setup: Any) -> Any:
    return bench.measure(setup)


def test_std_at_centre_and_edge_follows_theory(measured: Any) -> None:
    for row in measured[0]:
        assert row.std == pytest.approx(row.std_theory, rel=0.05)


def test_std_at_the_centre_follows_the_closed_form(bench: ModuleType, setup: Any, measured: Any) -> None:
    for row in measured[0]:
        assert row.std["centre"] == pytest.approx(bench.closed_form_std(setup, row.dose), rel=0.05)


def test_spectrum_follows_theory(bench: ModuleType, measured: Any) -> None:
    assert bench.peak_ratio(measured[1]) == pytest.approx(1, abs=0.05)
    assert bench.rms_ratio(measured[1]) == pytest.approx(1, abs=0.05)


def test_noise_is_coloured(measured: Any) -> None:
    spectrum = measured[1]
    assert spectrum.measured[0] < 0.6 * spectrum.measured.max()
    assert spectrum.measured[-1] < 0.05 * spectrum.measured.max()


def test_mean_does_not_shift(measured: Any) -> None:
    for row in measured[0]:
        assert all(abs(shift) <= 1 for shift in row.shift.values())


def test_std_falls_as_the_root_of_the_dose(bench: ModuleType, measured: Any) -> None:
    for where in ("centre", "edge"):
        assert bench.slope(measured[0], where) == pytest.approx(-0.5, abs=0.03)

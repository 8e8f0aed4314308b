"""Spread, power per band and low-frequency change of samples are those of the noise that made them."""

from __future__ import annotations

import numpy as np
import pytest

from ctinv.scoreboard.texture import band_power, low_change, noise_ratio, spread


def test_spread_and_bands_are_those_of_the_noise() -> None:
    samples = 5.0 + 10.0 * np.random.default_rng(10).standard_normal((400, 12, 10))
    assert spread(samples) == pytest.approx(10.0, rel=0.01)
    assert np.isnan(spread(samples[:1]))
    assert sum(band_power(samples).values()) == pytest.approx(float((samples**2).mean()), rel=1e-9)
    rng = np.random.default_rng(12)
    samples, noise = (rng.standard_normal((200, 32, 32)) for _ in range(2))
    ratio, narrow = noise_ratio(5.0 + samples, noise), noise_ratio(0.8 * samples, noise)
    assert all(value == pytest.approx(1.0, rel=0.05) for value in ratio.values())
    assert all(value == pytest.approx(0.64, rel=0.05) for value in narrow.values())
    few = [noise_ratio(samples[i : i + 2], noise)["high"] for i in range(0, 60, 2)]
    assert np.mean(few) == pytest.approx(1.0, rel=0.05)  # the mean of two samples is not the truth


def test_low_change_sees_anatomy_and_no_fine_noise() -> None:
    x = np.arange(64)
    slow, fast = np.cos(2 * np.pi * 4 * x / 64), np.cos(2 * np.pi * 20 * x / 64)
    scan = np.zeros((64, 64))
    assert low_change((scan + 10 * slow)[None], scan) == pytest.approx(10 / np.sqrt(2))
    assert low_change((scan + 10 * fast)[None], scan) == pytest.approx(0.0, abs=1e-9)

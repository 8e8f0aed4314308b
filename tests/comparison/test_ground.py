"""All networks are measured on one anatomy and one C, and how their own differ is stated."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from comparison_networks import BOX, complement, low_pass, scan, smoothing

from ctinv.comparison.ground import Ground, band_shares, common_ground
from ctinv.comparison.look import look
from ctinv.sampler import InvarianceSampler


def _samplers(*networks: object) -> dict[str, InvarianceSampler]:
    return {one.name: InvarianceSampler(one, tier="T3", device="cpu") for one in networks}  # type: ignore[attr-defined, arg-type]


@pytest.fixture(scope="module")
def ground() -> Ground:
    return common_ground(_samplers(smoothing(), low_pass(), complement()), scan(), BOX)


def test_the_anatomy_is_the_median_and_no_network_moves_it_alone(ground: Ground) -> None:
    x = torch.from_numpy(scan().hu[0])[None, None]
    with torch.no_grad():
        images = [one.denoiser(x)[0, 0].numpy() for one in ground.surveys.values()]
    np.testing.assert_allclose(ground.anatomy.numpy(), np.median(images, axis=0), atol=1e-2)
    # the complement keeps no anatomy at all: with a mean it would have dragged a third of it away
    inside = ground.anatomy.numpy()[BOX.slices]
    assert inside.mean() == pytest.approx(images[0][BOX.slices].mean(), abs=10.0)


def test_every_network_gets_the_same_c(ground: Ground) -> None:
    surveys = list(ground.surveys.values())
    assert all(one.covariance is ground.covariance for one in surveys)
    assert all(one.clean is ground.anatomy for one in surveys)
    assert len({one.rule.tolerance for one in surveys}) == 3  # T3 goes by each network's own σ_out
    assert ground.source["anatomy"].startswith("median")


def test_how_a_network_s_own_c_differs_is_measured(ground: Ground) -> None:
    odd = ground.own["complement"]  # re-noised on almost empty air: fewer rays are dark, less noise
    near = ground.own["smoothing"]
    assert abs(odd["sigma_ratio"] - 1.0) > 5 * abs(near["sigma_ratio"] - 1.0)
    assert near["sigma_ratio"] == pytest.approx(1.0, abs=0.1)
    assert odd["anatomy_hu"] > near["anatomy_hu"]
    assert set(odd["band_ratio"]) == {"low", "mid", "high"}
    assert sum(band_shares(ground.covariance).values()) == pytest.approx(1.0)


def test_networks_share_their_candidates(ground: Ground) -> None:
    samplers = _samplers(smoothing(), low_pass())
    looks = [look(samplers[name], ground.surveys[name], n=3, seed=1) for name in samplers]
    raw = [[one.rmse_hu_raw for one in found.certificates] for found in looks]
    assert raw[0] != raw[1]  # one candidate, two networks
    assert np.array_equal(looks[0].null, looks[1].null)
    assert looks[0].figures["chi2_per_n_scan"] == pytest.approx(looks[1].figures["chi2_per_n_scan"], rel=1e-5)


def test_lesions_are_looked_at_with_every_network_in_the_common_c(ground: Ground) -> None:
    samplers = _samplers(smoothing(), low_pass())
    found = {name: look(samplers[name], ground.surveys[name], n=1, seed=0).lesions for name in samplers}
    soft, sharp = found["low pass"], found["smoothing"]
    assert soft is not None
    assert sharp is not None
    for mine, other in zip(soft.figures["by_diameter"], sharp.figures["by_diameter"], strict=True):
        assert mine["eta_median"] < other["eta_median"]  # the low pass takes more of every disc
        assert mine["d_in_3_median_hu"] == pytest.approx(other["d_in_3_median_hu"], rel=1e-4)  # one C

"""The reference sampler is held against a closed form first; then the sampler against it, where no law is known."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
import torch
from law_checks import distance_p
from torch import nn

from ctinv.denoiser import Denoiser
from ctinv.errors import InputError
from ctinv.validation.nonlinear import figures
from ctinv.validation.problems.contract import Array
from ctinv.validation.problems.gaussian import GaussianProblem
from ctinv.validation.problems.linear import gaussian_problem, linear_problem
from ctinv.validation.reference import Method, Reference, reference
from ctinv.volume import Box


@pytest.fixture(scope="module")
def linear() -> GaussianProblem:
    return linear_problem(size=3)


@pytest.mark.parametrize("method", ["constrained", "whitened"])
def test_the_reference_meets_a_closed_form(linear: GaussianProblem, method: Method) -> None:
    found = reference(linear.setup.corrector, 240, seed=2, method=method)
    assert found.accepted > 0.6
    assert found.r_hat < 1.15
    assert found.chains.shape == (4, 60, 9)
    # Chains are a little correlated, so bounds are wider than for independent samples.
    assert distance_p(linear, found.x) > 1e-3
    mean, covariance = linear.moments
    white = np.linalg.solve(np.linalg.cholesky(covariance), (found.x - mean).T)
    assert np.mean(white.mean(1) ** 2) * 240 < 3.0
    assert np.abs(white.std(1) - 1.0).max() < 0.2


def test_both_methods_agree_on_a_nonlinear_network() -> None:
    """ReLUs that the noise turns on and off; there is no closed form, and the two share no code but Φ's."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        layers = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1)
        network = Denoiser(nn.Sequential(*layers), name="small", std=20.0)
    rng = np.random.default_rng(1)
    scan = torch.from_numpy((20 * rng.standard_normal((44, 48))).astype(np.float32))
    corrector = gaussian_problem(
        "net", network, scan[None], torch.zeros(44, 48), Box(0, 20, 22, 20, 22), 2.0
    ).setup.corrector
    one, other = (reference(corrector, 320, seed=3, method=method) for method in ("constrained", "whitened"))
    assert min(one.accepted, other.accepted) > 0.4
    std = one.x.std(0)
    assert np.abs((one.x.mean(0) - other.x.mean(0)) / std).max() < 0.35
    assert np.abs(other.x.std(0) / std - 1.0).max() < 0.25


def test_split_r_hat_sees_chains_that_stay_apart() -> None:
    rng = np.random.default_rng(0)
    chains = rng.standard_normal((4, 100, 3))
    assert Reference(chains, 1.0).r_hat < 1.05
    chains[0, :, 1] += 2.0
    assert Reference(chains, 1.0).r_hat > 1.3


def test_figures_see_what_is_wrong(linear: GaussianProblem) -> None:
    law = linear.exact(800, seed=0)
    right = figures(linear.exact(800, seed=1), law)
    assert right["c2st"] < 0.56
    assert right["mahalanobis"] == pytest.approx(1.0, abs=0.08)
    assert right["std_ratio"] == pytest.approx(1.0, abs=0.08)
    assert right["mean_shift"] < 0.12
    assert right["n"] == 800

    def wrong(samples: Array) -> dict[str, float]:
        return figures(samples, law)

    mean, std = law.mean(0), law.std(0)
    narrow = wrong(mean + 0.8 * (linear.exact(800, seed=1) - mean))
    assert narrow["std_ratio"] == pytest.approx(0.8, abs=0.05)
    assert narrow["mahalanobis"] == pytest.approx(0.64, abs=0.05)
    shifted = wrong(linear.exact(800, seed=1) + 0.5 * std)
    assert shifted["mean_shift"] == pytest.approx(0.5, abs=0.1)
    assert shifted["c2st"] > 0.55


def test_what_cannot_be_sampled_is_one_sentence(
    linear: GaussianProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="at most 64 pixels, got 81"):
        reference(linear_problem(size=9).setup.corrector, 10, seed=0)
    original = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "mici":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"needs mici; install napari-ctinv\[validate\]"):
        reference(linear.setup.corrector, 10, seed=0)

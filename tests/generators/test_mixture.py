"""The mixture generator: components belong to rows, shares are positive and sum to one, bad input is one sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctinv.errors import InputError
from ctinv.fibre.rows import RowSeeds
from ctinv.generators.contract import Scene
from ctinv.generators.mixture import Mixture
from ctinv.validation.problems.mixture import MixtureProblem, mixture_problem

SEEDS = RowSeeds(0, "s", "b")


@pytest.fixture(scope="module")
def problem() -> MixtureProblem:
    return mixture_problem(size=8)


@pytest.fixture(scope="module")
def scene(problem: MixtureProblem) -> Scene:
    setup = problem.setup
    return Scene(setup.region, setup.noise, setup.scan, setup.clean, 1.0)


def test_a_candidate_is_its_anatomy_plus_its_noise(problem: MixtureProblem, scene: Scene) -> None:
    mixture = Mixture.given(scene, problem.setup.factor, problem.anatomies, problem.weights)
    rows = range(6)
    found = mixture.candidates(rows, SEEDS)
    lone = Mixture(scene.noise, problem.anatomies, np.array([0.0, 1.0, 0.0, 0.0])).candidates(rows, SEEDS)
    noise = lone - problem.anatomies[1]
    for row, component in enumerate(mixture.components(rows, SEEDS)):
        torch.testing.assert_close(found[row], problem.anatomies[component] + noise[row], rtol=0, atol=1e-4)
    torch.testing.assert_close(mixture.candidates([4], SEEDS)[0], found[4])


def test_components_are_drawn_with_their_shares(problem: MixtureProblem, scene: Scene) -> None:
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    drawn = Mixture(scene.noise, problem.anatomies, shares).components(range(4000), SEEDS)
    assert np.abs(np.bincount(drawn, minlength=4) / 4000 - shares).max() < 0.03
    only = Mixture(scene.noise, problem.anatomies, np.array([0.0, 0.0, 0.0, 1.0]))
    assert set(only.components(range(100), SEEDS).tolist()) == {3}


def test_shares_follow_what_phi_shows(problem: MixtureProblem, scene: Scene) -> None:
    """Weights of any sum do; an anatomy that f sees is wrong gets nothing; two that are the same share."""
    factor, weights = problem.setup.factor, problem.weights
    one = Mixture.given(scene, factor, problem.anatomies, weights).shares
    many = Mixture.given(scene, factor, problem.anatomies, 7.0 * weights).shares
    np.testing.assert_allclose(one, many, rtol=1e-6)
    assert one.sum() == pytest.approx(1.0)
    bright = problem.anatomies.clone()
    bright[1] += 200.0  # smooth, so that f shows it
    assert Mixture.given(scene, factor, bright, weights).shares[1] < 1e-6
    twice = problem.anatomies[[0, 0]]
    np.testing.assert_allclose(
        Mixture.given(scene, factor, twice, [1.0, 3.0]).shares, [0.25, 0.75], rtol=1e-5
    )


def test_bad_anatomies_are_one_sentence(problem: MixtureProblem, scene: Scene) -> None:
    factor = problem.setup.factor
    with pytest.raises(InputError, match="one image of the region and one positive weight"):
        Mixture.given(scene, factor, problem.anatomies[..., :3], problem.weights)
    with pytest.raises(InputError, match="one image of the region and one positive weight"):
        Mixture.given(scene, factor, problem.anatomies, [0.5, 0.5, 0.0, 0.0])
    with pytest.raises(InputError, match="one image of the region and one positive weight"):
        Mixture.given(scene, factor, problem.anatomies, [1.0])

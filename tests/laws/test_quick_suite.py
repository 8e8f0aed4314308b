"""What every change must keep: the sampler meets each known law, and each wrong sampler is caught (method §6)."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from ctinv.errors import InputError
from ctinv.validation import suite
from ctinv.validation.calibration import Calibration, simulate
from ctinv.validation.checks import (
    RULES,
    SAMPLES,
    Check,
    Sets,
    effective_share,
    is_gaussian,
    judged,
    rules_of,
    thinned,
)
from ctinv.validation.problems.contract import Drawn, Problem
from ctinv.validation.problems.find import PROBLEMS, make_problem
from ctinv.validation.suite import QUICK

LINEAR = ("spread 0.8", "identity metric", "no η", "raw candidates", "NPS +20 %", "NPS +20 % in a band")
CONTROLS = {
    "G1": LINEAR,
    "G1b": LINEAR,
    "G2": (*LINEAR, "prior weights"),
    "G3-circle": ("no weights", "spread 0.8", "raw candidates"),
    "G3-sphere": ("no weights", "spread 0.8", "raw candidates"),
    "G4": LINEAR,
}
CALIBRATED = ("G1", "G1b", "G2", "G4")


def silent(text: str, share: float) -> None:
    pass


@cache
def problem(name: str) -> Problem:
    return make_problem(name)


@cache
def laws(name: str) -> tuple[dict[str, Check], ...]:
    return tuple(suite.laws(problem(name), QUICK, silent)[1])


def quick_rules() -> list[tuple[str, int, str]]:
    """Problem, seed and rule of everything that a quick run measures."""
    return [
        (name, seed, rule)
        for name in PROBLEMS
        for index, seed in enumerate(QUICK.seeds)
        for rule in suite.quick_rules(rules_of(name), first=index == 0)
    ]


@pytest.mark.parametrize(("name", "seed", "rule"), quick_rules())
def test_the_sampler_meets_the_law(name: str, seed: int, rule: str) -> None:
    check = laws(name)[QUICK.seeds.index(seed)][rule]
    assert check.passed, str(check)


@pytest.mark.parametrize(
    ("name", "control"), [(name, control) for name in PROBLEMS for control in CONTROLS[name]]
)
def test_a_wrong_sampler_is_caught(name: str, control: str) -> None:
    checks = suite.broken_by(Sets.draw(problem(name), SAMPLES, seed=0, control=control), thorough=False)
    assert not all(check.passed for check in checks.values()), [str(check) for check in checks.values()]


@pytest.mark.parametrize("name", PROBLEMS)
def test_no_wrong_sampler_is_left_out(name: str) -> None:
    assert problem(name).controls == CONTROLS[name]
    assert bool(problem(name).quantities) == (name in CALIBRATED)


@pytest.mark.parametrize("name", CALIBRATED)
def test_samples_of_simulated_scans_are_calibrated(name: str) -> None:
    simulated = simulate(problem(name), QUICK.simulations, QUICK.draws)
    checks = Calibration.of(simulated).checks
    assert all(check.passed for check in checks.values()), [str(check) for check in checks.values()]
    narrowed = Calibration.of(simulated.narrowed()).checks
    assert not all(check.passed for check in narrowed.values())


class Stretched:
    """One standard normal coordinate, drawn too wide and weighted back."""

    name, dimension, mode_weights = "stretched", 1, None
    moments = (np.zeros(1), np.eye(1))
    controls: tuple[str, ...] = ()
    width = 1.5

    def draw(self, n: int, *, seed: int, control: str | None = None) -> Drawn:
        x = self.width * np.random.default_rng(seed).standard_normal((n, 1))
        return Drawn(x, (-0.5 * x**2 * (1 - 1 / self.width**2))[:, 0])

    def exact(self, n: int, *, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).standard_normal((n, 1))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        return -0.5 * x[:, 0] ** 2


def test_weighted_samples_are_thinned_to_ones_that_count_alike() -> None:
    samples, share = thinned(Stretched(), 4000, seed=0)
    assert len(np.unique(samples)) == len(samples) == 4000
    assert samples.std() == pytest.approx(1.0, abs=0.04)
    # E[w]²/E[w²] = √(2s² - 1)/s² for a normal law drawn s times too wide
    assert share == pytest.approx(np.sqrt(2 * 1.5**2 - 1) / 1.5**2, abs=0.02)
    assert is_gaussian(Stretched())
    for measure in (RULES["Mahalanobis KS p"].measure, RULES["energy p"].measure):
        assert measure(Sets.draw(Stretched(), SAMPLES, seed=1)) > 0.01
    assert effective_share(np.zeros(5)) == pytest.approx(1.0)


def test_weights_that_leave_too_little_are_refused() -> None:
    class Hopeless(Stretched):
        def draw(self, n: int, *, seed: int, control: str | None = None) -> Drawn:
            drawn = super().draw(n, seed=seed)
            return Drawn(drawn.x, 500.0 * drawn.x[:, 0])

    with pytest.raises(InputError, match="too uneven"):
        thinned(Hopeless(), 100, seed=0)


def test_p_values_of_one_problem_are_adjusted_together() -> None:
    rules = rules_of("G1")
    measures = [{"Mahalanobis KS p": 0.004, "C2ST": 0.56}, {"Mahalanobis KS p": 0.2, "C2ST": 0.5}]
    first, second = judged(measures, rules)
    assert first["Mahalanobis KS p"].value == pytest.approx(0.008)
    assert not first["Mahalanobis KS p"].passed
    assert second["Mahalanobis KS p"].value == pytest.approx(0.2)
    assert not first["C2ST"].passed
    assert second["C2ST"].passed
    alone = judged(measures[:1], rules)[0]
    assert alone["Mahalanobis KS p"].value == 0.004

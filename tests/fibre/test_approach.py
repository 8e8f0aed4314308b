"""Far candidates: J is taken again where the chord stalls, the cost is counted and bounded, and a miss is called one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ctinv.denoiser import Denoiser
from ctinv.errors import ModelError
from ctinv.fibre import approach
from ctinv.fibre.approach import MOST_PASSES
from ctinv.fibre.krylov import conjugate_gradients, truncated_gradients
from ctinv.fibre.measure import rms
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.tiers import Certificate, chi2_in_band
from ctinv.sampler.prepare import Prepared
from ctinv.sampler.sampler import InvarianceSampler
from ctinv.volume import Box, Volume

BOX = Box(1, 34, 50, 34, 50)
SEEDS = RowSeeds(0, "s", "b")
ROWS = range(4)


@pytest.fixture(scope="module")
def prepared(small_denoiser: Denoiser, phantom_scan: Volume) -> Prepared:
    return InvarianceSampler(small_denoiser, tier="T2", device="cpu").prepare(phantom_scan, BOX)


def far(prepared: Prepared, bump_hu: float) -> Tensor:
    """Re-noised candidates with a smooth bump of other anatomy."""
    profile = torch.exp(-((torch.arange(16) - 8.0) ** 2) / 12.0)
    return prepared.generator.candidates(ROWS, SEEDS) + bump_hu * profile[:, None] * profile[None, :]


def correct(prepared: Prepared, candidates: Tensor) -> tuple[Tensor, list[Certificate]]:
    x_tilde, _, certificates = prepared.corrector.correct(candidates, ROWS, SEEDS)
    return x_tilde, certificates


def test_ordinary_candidates_arrive_by_the_swap(prepared: Prepared) -> None:
    x_tilde, certificates = correct(prepared, far(prepared, 0.0))
    assert {(c.reached, c.passes, c.steps, c.passed) for c in certificates} == {("swap", 2, 0, True)}
    # The swap is one formula, so nothing of what follows has changed it.
    corrector = prepared.corrector
    ahead = (far(prepared, 0.0) - corrector.region.scan).reshape(len(ROWS), -1).T
    residual = corrector.targets(ROWS, SEEDS) - corrector.factor.jacobian.apply(ahead)
    swap = far(prepared, 0.0) + corrector.factor.gain(residual).T.reshape(x_tilde.shape)
    assert torch.equal(x_tilde, torch.round(swap * 8) / 8)


def test_the_law_expects_the_chi2_that_samples_have(prepared: Prepared) -> None:
    _, certificates = correct(prepared, far(prepared, 0.0))
    mean = float(np.mean([c.chi2_per_n for c in certificates]))
    assert mean == pytest.approx(prepared.corrector.chi2_expected, rel=0.1)
    assert prepared.setting.scalars["chi2_per_n_expected"] == prepared.corrector.chi2_expected
    assert all(c.in_band for c in certificates)


def test_j_is_taken_again_where_the_chord_stalls(prepared: Prepared) -> None:
    candidates = far(prepared, 1500.0)
    x_tilde, certificates = correct(prepared, candidates)
    assert Counter(c.reached for c in certificates)["relinearised"] >= 3
    assert all(c.passes > 50 for c in certificates if c.reached == "relinearised")
    assert all(c.passes <= MOST_PASSES for c in certificates)
    assert all(c.passed == (c.reached != "not reached") for c in certificates)
    # They satisfy f, yet no scanner makes them: χ²/n says so.
    assert not any(c.in_band for c in certificates)
    spread = float(x_tilde.std(dim=0).square().mean().sqrt())
    assert spread > 0.7 * float(prepared.corrector.factor.spread.square().mean().sqrt())


def test_without_j_again_they_do_not_arrive(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same with the chord alone."""
    monkeypatch.setattr(approach.Approach, "_pulled_again", lambda self, late: (self.x_tilde[late], 0))
    monkeypatch.setattr(approach.Approach, "_straight_again", lambda self, late: (self.x_tilde[late], 0))
    _, certificates = correct(prepared, far(prepared, 1500.0))
    assert not all(c.passed for c in certificates)


def test_no_sample_ends_further_than_the_swap(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = far(prepared, 20000.0)
    x_tilde, certificates = correct(prepared, candidates)
    monkeypatch.setattr(
        approach.Approach, "_choose", lambda self, way, late, useful: self._way.fill_(approach.END)
    )
    swapped, first = correct(prepared, candidates)
    region = prepared.corrector.region
    end, begin = (rms(region, region.errors(images)[1]) for images in (x_tilde, swapped))
    assert (end <= begin).all()
    assert all(c.passes == 2 for c in first)
    assert all(c.passes <= MOST_PASSES and np.isfinite(c.rmse_hu) for c in certificates)
    assert all(c.reached == "not reached" and not c.passed for c in certificates if c.rmse_hu > 2.0)


def test_a_row_arrives_the_same_way_in_any_order(prepared: Prepared) -> None:
    candidates = far(prepared, 300.0)
    order = [3, 0, 1, 2]
    x_tilde, certificates = correct(prepared, candidates)
    turned, _, others = prepared.corrector.correct(candidates[order], order, SEEDS)
    assert float((x_tilde[order] - turned).abs().max()) <= 0.125
    assert [certificates[row].reached for row in order] == [one.reached for one in others]


def test_a_step_straight_to_the_fibre_stops_at_the_law(prepared: Prepared) -> None:
    """Near the fibre only what is above ε is taken off; going on to z0 would leave the scan itself."""
    corrector = prepared.corrector
    block = approach.Approach(corrector, far(prepared, 0.0), corrector.targets(ROWS, SEEDS))
    block.run()
    block._tries[:] = 0
    block.rank[:] = 2.0 * corrector.factor.tolerance
    rest = approach.columns(block.tap_error) - block._excess(torch.arange(len(ROWS)))
    assert torch.allclose(rest, 0.5 * approach.columns(block.tap_error))
    block._tries[:] = 1  # that was not enough
    assert torch.equal(block._excess(torch.arange(len(ROWS))), approach.columns(block.tap_error))


def test_candidates_that_are_not_finite_are_refused(prepared: Prepared) -> None:
    broken = far(prepared, 0.0)
    broken[2, 0, 3, 3] = torch.nan
    with pytest.raises(ModelError, match="not finite"):
        prepared.corrector.correct(broken, ROWS, SEEDS)


def test_the_band_is_around_the_law() -> None:
    assert chi2_in_band(1.0, 0.9)
    assert not chi2_in_band(1.9, 0.9)
    assert not chi2_in_band(0.4, 0.9)
    assert chi2_in_band(float("nan"), 0.9) is None
    assert chi2_in_band(1.0, float("nan")) is None


def test_a_certificate_of_an_older_study_opens_without_a_way() -> None:
    old = Certificate(0, 8.0, 1.0, 0.2, 0.9, 0.6, 0.03, 0.2, 0.86, 1, "T1", True)
    assert (old.reached, old.passes, old.in_band) == ("unknown", 0, None)
    assert replace(old, reached="swap").reached == "swap"


def test_truncated_gradients_descend() -> None:
    """An early iterate lowers xᵀAx/2 - bᵀx; enough iterations solve it, as conjugate_gradients does."""
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(30, 30, generator=generator, dtype=torch.float64)
    matrix = root @ root.T + 0.1 * torch.eye(30, dtype=torch.float64)
    right = torch.randn(30, 4, generator=generator, dtype=torch.float64)

    def value(x: Tensor) -> Tensor:
        return (x * (matrix @ x) / 2 - right * x).sum(0)

    values = [torch.zeros(4, dtype=torch.float64)]
    for iterations in (1, 3, 9):
        x, taken = truncated_gradients(
            lambda v: matrix @ v, right, lambda v: v, residual_share=1e-9, iterations=iterations
        )
        assert taken == iterations
        values.append(value(x))
        assert (values[-1] < values[-2]).all()
    solved = conjugate_gradients(lambda v: matrix @ v, right, lambda v: v, residual_share=1e-9)
    assert torch.allclose(matrix @ solved, right, atol=1e-6)

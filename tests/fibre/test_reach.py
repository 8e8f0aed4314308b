"""J is taken as far as it matters: the recorded error is true, what matters is not cut off, small networks stay exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.special import expit
from torch import Tensor, nn

from ctinv.denoiser import Denoiser, slice_stack
from ctinv.fibre import reach
from ctinv.fibre.jacobian import SparseJacobian
from ctinv.fibre.measure import rms
from ctinv.fibre.probing import probe
from ctinv.fibre.reach import SHARE, Forecast, take_jacobian
from ctinv.fibre.region import Region
from ctinv.fibre.rows import RowSeeds
from ctinv.generators.find import find_generator
from ctinv.representation import Representation
from ctinv.sampler import gain
from ctinv.sampler.sampler import InvarianceSampler
from ctinv.sampler.survey import Survey, Wish, survey
from ctinv.volume import Box, Volume

CENTRE, CORNER = Box(1, 40, 54, 36, 49), Box(1, 0, 12, 82, 96)
FAR = 10


class Wide(nn.Module):
    """A 3x3 blur plus a weak 21x21 branch behind a soft threshold, so that J differs from place to place."""

    def __init__(self, *, slices: int, corner: float) -> None:
        super().__init__()
        self.middle = slices // 2
        self.near = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        self.far = nn.Conv2d(slices, 1, 2 * FAR + 1, padding=FAR, bias=False)
        lag = torch.arange(-FAR, FAR + 1).abs()
        fading = 0.05 * torch.exp(-1.3 * torch.maximum(lag[:, None], lag[None, :]))
        fading[0, 0] += corner
        with torch.no_grad():
            self.near.weight.copy_(torch.full((1, 1, 3, 3), 0.08))
            self.far.weight.copy_(fading / slices)

    def forward(self, image: Tensor) -> Tensor:
        return self.near(image[:, self.middle : self.middle + 1]) + nn.functional.softplus(self.far(image))


def wide(*, slices: int = 1, corner: float = 0.0) -> Denoiser:
    network = Wide(slices=slices, corner=corner)
    return Denoiser(network, name="wide", mean=0.0, std=100.0, slices=slices)


def look(denoiser: Denoiser, volume: Volume, box: Box) -> Survey:
    wish = Wish("output", find_generator("renoise", Representation(denoiser)))
    return survey(denoiser, volume, box, wish, device=torch.device("cpu"))


def take(found: Survey) -> SparseJacobian:
    jacobian = take_jacobian(found.region, found.covariance, found.rule.tolerance)
    assert isinstance(jacobian, SparseJacobian)
    return jacobian


def true_error(jacobian: SparseJacobian, found: Survey) -> float:
    """RMS of (J_r - J) n over 200 draws of n, with the J of the formula: near + sigmoid(far * x)·far."""
    network, region = found.region.representation.denoiser.network, found.region
    far, near = (layer.weight[0].double().numpy() for layer in (network.far, network.near))
    stack = slice_stack(found.volume.hu, region.box.z, len(far)).astype(np.float64) / 100.0
    gate = expit(sum(ndimage.correlate(x, w, mode="constant") for x, w in zip(stack, far, strict=True)))
    kernels = gate[region.output_box.slices][..., None, None] * far[network.middle]
    kernels[..., FAR - 1 : FAR + 2, FAR - 1 : FAR + 2] += near[0]
    outputs, pixels = (np.mgrid[box.slices].reshape(2, -1) for box in (region.output_box, region.box))
    lag = pixels[:, None, :] - outputs[:, :, None] + FAR
    inside = ((lag >= 0) & (lag <= 2 * FAR)).all(axis=0)
    row, column = np.clip(lag, 0, 2 * FAR)
    flat = kernels.reshape(-1, 2 * FAR + 1, 2 * FAR + 1)
    exact = np.where(inside, flat[np.arange(len(flat))[:, None], row, column], 0.0)
    drawn = found.covariance.draw(range(200), RowSeeds(7, "other", "draws"))
    top, left = region.box.y0 - found.covariance.area.y0, region.box.x0 - found.covariance.area.x0
    (height, width) = region.shape
    noise = drawn[:, top : top + height, left : left + width].reshape(200, -1).T
    errors = torch.from_numpy((jacobian.matrix.to_dense().double().numpy() - exact) @ noise)
    return float(rms(region, errors.T.reshape(200, *region.reference.shape[1:])).square().mean().sqrt())


@pytest.mark.parametrize(("box", "slices"), [(CENTRE, 1), (CORNER, 1), (CENTRE, 3)], ids=str)
def test_a_fading_kernel_is_probed_as_far_as_it_matters(phantom_scan: Volume, box: Box, slices: int) -> None:
    found = look(wide(slices=slices), phantom_scan, box)
    limit = SHARE * found.rule.tolerance
    jacobian = take(found)
    assert jacobian.reach.of == FAR
    assert 2 <= jacobian.reach.radius < FAR
    assert 0.0 < jacobian.reach.error <= limit
    narrower = probe(found.region, radius=jacobian.reach.radius - 2)
    assert true_error(narrower, found) > limit  # no wider than needed
    assert true_error(jacobian, found) == pytest.approx(jacobian.reach.error, rel=0.25)


def test_a_far_tap_is_not_cut_off(phantom_scan: Volume) -> None:
    found = look(wide(corner=0.2), phantom_scan, CENTRE)
    jacobian = take(found)
    assert (jacobian.reach.radius, jacobian.reach.of, jacobian.reach.error) == (FAR, FAR, 0.0)
    assert true_error(jacobian, found) <= 1e-5
    cut = probe(found.region, radius=FAR - 1)
    assert true_error(cut, found) > found.rule.tolerance


def test_a_far_tap_that_the_forecast_does_not_see_is_found_by_measuring(
    phantom_scan: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = look(wide(corner=0.2), phantom_scan, CENTRE)
    blind = Forecast.of(look(wide(), phantom_scan, CENTRE).region, found.covariance)
    monkeypatch.setattr(Forecast, "of", classmethod(lambda *_: blind))
    assert take(found).reach.radius == FAR


def test_small_receptive_fields_are_taken_whole(small_denoiser: Denoiser, phantom_scan: Volume) -> None:
    found = look(small_denoiser, phantom_scan, CENTRE)
    jacobian, whole = take(found), probe(found.region)
    assert (jacobian.reach.radius, jacobian.reach.of, jacobian.reach.error) == (7, 7, 0.0)
    assert torch.equal(jacobian.matrix.values(), whole.matrix.values())
    assert torch.equal(jacobian.matrix.col_indices(), whole.matrix.col_indices())


def test_at_t0_nothing_may_be_missing(phantom_scan: Volume) -> None:
    found = look(wide(), phantom_scan, CENTRE)
    exact = take_jacobian(found.region, found.covariance, 1e-6)
    assert (exact.reach.radius, exact.reach.error) == (FAR, 0.0)


def test_the_narrow_region_looks_at_the_same_outputs(phantom_scan: Volume) -> None:
    """J of outputs within r is what it was, though less of the context is computed: all that differs is the alias."""
    box = Box(1, 30, 31, 90, 91)  # one pixel has nothing to be mistaken for
    region = Region.in_slice(Representation(wide()), torch.from_numpy(phantom_scan.hu[1]), box)
    one, near = probe(region).matrix.to_dense(), probe(region, radius=4).matrix.to_dense()
    assert 0 < int((near != 0).sum()) < int((one != 0).sum())
    torch.testing.assert_close(near[near != 0], one[near != 0], rtol=1e-5, atol=0)


def test_samples_follow_the_law_of_the_whole_jacobian(
    phantom_scan: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = InvarianceSampler(wide(), device="cpu", cache=False)
    samples = short.sample(phantom_scan, CENTRE, n=100)
    scalars = samples.setting.scalars
    assert scalars["jacobian_radius"] < scalars["jacobian_of"] == FAR
    assert all(certificate.passed for certificate in samples.certificates)
    spread = float(np.sqrt(np.mean(samples.spread() ** 2)))
    assert spread == pytest.approx(scalars["spread_theory_hu"], rel=0.1)
    monkeypatch.setattr(reach, "WHOLE_RADIUS", FAR)
    whole = InvarianceSampler(wide(), device="cpu", cache=False).prepare(phantom_scan, CENTRE).setting
    assert whole.scalars["jacobian_error"] == 0.0
    assert scalars["d_eff"] == pytest.approx(whole.scalars["d_eff"], rel=1e-4)
    np.testing.assert_allclose(samples.setting.theory_spread, whole.theory_spread, rtol=2e-3)


def test_a_kept_factor_remembers_its_reach_and_belongs_to_its_rule(
    phantom_scan: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = InvarianceSampler(wide(), device="cpu").prepare(phantom_scan, CENTRE).jacobian
    taken = []
    real = gain.take_jacobian
    monkeypatch.setattr(
        gain, "take_jacobian", lambda *args, **options: taken.append(1) or real(*args, **options)
    )
    again = InvarianceSampler(wide(), device="cpu").prepare(phantom_scan, CENTRE).jacobian
    assert again == first
    assert not taken
    monkeypatch.setattr(gain, "RULE", {**reach.RULE, "share": 0.5})
    monkeypatch.setattr(reach, "SHARE", 0.5)
    other = InvarianceSampler(wide(), device="cpu").prepare(phantom_scan, CENTRE).jacobian
    assert taken
    assert other.radius < first.radius
    assert other.error > first.error

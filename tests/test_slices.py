"""2.5-D networks: the neighbours come from the volume, stay as scanned, and the certificate is that of the whole stack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from ctinv.denoiser import Denoiser, denoise_slices, slice_stack
from ctinv.errors import InputError, ModelError, StoreError
from ctinv.fibre.jacobian import LocalJacobian
from ctinv.fibre.probing import probe
from ctinv.fibre.region import Region, receptive_radius
from ctinv.io.dicom import read_series
from ctinv.representation import Representation
from ctinv.resources import ct_folder
from ctinv.sampler import InvarianceSampler, Store
from ctinv.sampler.certify import recertify
from ctinv.sampler.run import sample_into
from ctinv.volume import Box, Volume

ACROSS = {
    3: np.array([0.25, 0.5, 0.25]),
    7: np.array([0.05, 0.1, 0.15, 0.4, 0.15, 0.1, 0.05]),
}
BLUR = np.array([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16.0
BOX = Box(8, 180, 200, 150, 170)


def averaging(slices: int) -> Denoiser:
    """A linear network: the mean of the slices with the weights of `ACROSS`, then a small blur in the plane."""
    network = nn.Sequential(nn.Conv2d(slices, 1, 1, bias=False), nn.Conv2d(1, 1, 3, padding=1, bias=False))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor(ACROSS[slices])[None, :, None, None])
        network[1].weight.copy_(torch.tensor(BLUR)[None, None])
    return Denoiser(network, name=f"mean{slices}", mean=0.0, std=1.0, taps={"mean": "0"}, slices=slices)


def exact(hu: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same by SciPy: repeated slices at the ends, zeros around each slice."""
    across = ndimage.correlate1d(hu.astype(np.float64), weights, axis=0, mode="nearest")
    return ndimage.correlate(across, BLUR[None], mode="constant")


@pytest.fixture(scope="module")
def scan() -> Volume:
    return read_series(ct_folder() / "quarter_dose")


@pytest.mark.parametrize("slices", [3, 7])
def test_neighbours_come_from_the_whole_volume(slices: int) -> None:
    hu = np.random.default_rng(0).normal(0, 300, (6, 20, 24)).astype(np.float32)
    denoiser, expected = averaging(slices), exact(hu, ACROSS[slices])
    found = np.stack(list(denoise_slices(denoiser, hu, batch_size=4)))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    part = np.stack(list(denoise_slices(denoiser, hu, first=2, last=5)))
    np.testing.assert_allclose(part, found[2:5], atol=1e-3)
    # A part that was cut out before has lost its neighbours.
    assert np.abs(next(denoise_slices(denoiser, hu[2:5])) - expected[2]).max() > 1.0


def test_a_stack_repeats_the_slices_at_the_ends() -> None:
    hu = np.arange(4, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    assert slice_stack(hu, 0, 5)[:, 0, 0].tolist() == [0, 0, 0, 1, 2]
    assert slice_stack(hu, 3, 3)[:, 0, 0].tolist() == [2, 3, 3]
    assert slice_stack(hu, 2, 1)[:, 0, 0].tolist() == [2]


def test_wrong_numbers_of_slices_are_refused() -> None:
    with pytest.raises(InputError, match="slices, got 4"):
        Denoiser(nn.Conv2d(4, 1, 1), name="even", slices=4)
    with pytest.raises(InputError, match="middle one of 3 slices, got 1"):
        averaging(3)(torch.zeros(1, 1, 8, 8))
    with pytest.raises(ModelError, match="one image of the same size"):
        Denoiser(nn.Conv2d(3, 3, 1), name="three", slices=3)(torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize("tap", ["output", "mean", "input"])
def test_only_the_middle_slice_of_a_region_varies(scan: Volume, tap: str) -> None:
    denoiser = averaging(3)
    stack = torch.from_numpy(slice_stack(scan.hu, BOX.z, 3))
    region = Region.in_slice(Representation(denoiser, tap), stack, BOX)
    assert receptive_radius(Representation(denoiser, tap)) == (1 if tap == "output" else 0)
    patches = region.scan + 30 * torch.randn(3, 1, *BOX.shape, generator=torch.Generator().manual_seed(0))
    images = region.embed(patches)
    assert images.shape == (3, 3, *region.context_box.shape)
    assert torch.equal(images[:, [0, 2]], region.context[:, [0, 2]].expand(3, -1, -1, -1))
    output, _ = region.errors(patches)
    changed = scan.hu[BOX.z - 1 : BOX.z + 2].copy()
    changed[1][BOX.slices] = patches[1, 0].numpy()
    whole = exact(changed, ACROSS[3])[1] - exact(scan.hu[BOX.z - 1 : BOX.z + 2], ACROSS[3])[1]
    np.testing.assert_allclose(output[1, 0].numpy(), whole[region.output_box.slices], atol=2e-3)
    # The Jacobian is that of the middle slice alone: its share of the mean, times the blur.
    jacobian, free = probe(region), LocalJacobian(region, region.scan)
    column = torch.zeros(region.scan.numel(), 1)
    column[10 * BOX.shape[1] + 10] = 1.0
    response = jacobian.apply(column).reshape(region.output_box.shape)
    gain = {"output": 0.5, "mean": 0.5, "input": 1.0}[tap]
    assert float(response.sum()) == pytest.approx(gain, abs=1e-5)
    residual = torch.randn(jacobian.outputs, 2, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(jacobian.adjoint(residual), free.adjoint(residual), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("slices", [3, 7])
def test_certified_samples_of_the_shipped_ct(scan: Volume, tmp_path: Path, slices: int) -> None:
    denoiser = averaging(slices)
    sampler = InvarianceSampler(denoiser, tier="T2", device="cpu")
    path = tmp_path / "study.zarr"
    list(sample_into(path, sampler, scan, BOX, n=40))
    study = Store.open(path)
    assert study.provenance.slices == slices == len(study.setting.context)
    assert [c.passed for c in study.certificates] == [True] * 40

    # Fed back through the whole stack by other code, each error is the certified one, and it is nowhere else.
    before = exact(scan.hu, ACROSS[slices])[BOX.z]
    for k in (0, 39):
        changed = scan.hu.copy()
        changed[BOX.z][BOX.slices] = study.read(k)
        error = exact(changed, ACROSS[slices])[BOX.z] - before
        inside = study.setting.output_box.slices
        np.testing.assert_allclose(error[inside], study.read_error(k), atol=5e-3)
        error[inside] = 0.0
        assert np.abs(error).max() == 0.0
        assert np.abs(study.read(k) - scan.hu[BOX.z][BOX.slices]).max() > 5.0

    found, agree = recertify(study, denoiser)
    assert agree
    assert len(found) == 40
    with pytest.raises(StoreError, match=f"network of {slices} slices"):
        recertify(study, averaging(10 - slices))


def test_another_neighbour_is_another_study(scan: Volume) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
    denoiser = Denoiser(network, name="bent", std=100.0, slices=3)
    samples = InvarianceSampler(denoiser, tier="T3", device="cpu").sample(scan, BOX, n=2)
    assert recertify(samples, denoiser)[1]
    context = samples.setting.context.copy()
    context[0] += 100.0
    changed = replace(samples, setting=replace(samples.setting, context=context))
    assert not recertify(changed, denoiser)[1]


def test_slices_decide_the_key(scan: Volume) -> None:
    record = InvarianceSampler(averaging(3), device="cpu").provenance(scan, BOX, n=1, seed=0)
    assert replace(record, slices=1).key() != record.key()
    assert "slices" in replace(record, slices=1).differences(record)
    # A record from before 2.5-D networks has no such field and keeps its key.
    old = replace(record, slices=1).to_json()
    del old["slices"]
    assert type(record).from_json(old).key() == replace(record, slices=1).key()
    assert "slices" not in replace(record, slices=1).deciding()


class Valid(nn.Module):
    """Two unpadded convolutions and their transpose, as in RED-CNN."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(1, 3, 5), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.ReLU())
        self.outer = nn.ConvTranspose2d(2, 1, 7)

    def forward(self, image: Tensor) -> Tensor:
        answer: Tensor = image + self.outer(self.inner(image))
        return answer


def test_a_tap_behind_unpadded_convolutions_gets_its_border_back(scan: Volume) -> None:
    torch.manual_seed(0)
    denoiser = Denoiser(Valid(), name="valid", std=100.0, taps={"inner": "inner"})
    image = torch.from_numpy(scan.hu[8:9, None, 100:140, 100:150].copy())
    put_back = denoiser.activation(image, "inner")
    assert put_back.shape == (1, 2, 40, 50)
    plain = denoiser.network.get_submodule("inner")(image / 100.0)
    assert torch.equal(put_back[..., 3:-3, 3:-3], plain)
    put_back[..., 3:-3, 3:-3] = 0.0
    assert float(put_back.abs().max()) == 0.0
    assert receptive_radius(Representation(denoiser, "inner")) == 3
    # At the slice's corner as in its middle the region sees what the whole slice shows.
    for box in (Box(8, 0, 16, 0, 16), Box(8, 200, 216, 150, 166)):
        whole = denoiser.activation(torch.from_numpy(scan.hu[8:9, None].copy()), "inner")
        region = Region.in_slice(Representation(denoiser, "inner"), torch.from_numpy(scan.hu[8].copy()), box)
        rows, columns = region.output_box.slices
        torch.testing.assert_close(region.reference, whole[..., rows, columns], atol=1e-5, rtol=0)


@pytest.mark.parametrize("layer", [nn.AvgPool2d(2), nn.Conv2d(1, 1, 4), nn.Conv2d(1, 1, (3, 5))])
def test_other_grids_stay_refused(layer: nn.Module) -> None:
    class Side(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.side = layer

        def forward(self, image: Tensor) -> Tensor:
            self.side(image)
            return image

    denoiser = Denoiser(Side(), name="side", taps={"side": "side"})
    with pytest.raises(ModelError, match="own grid"):
        receptive_radius(Representation(denoiser, "side"))

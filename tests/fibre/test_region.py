"""A region is part of its slice: f there is f of the whole slice, and the receptive field is found, not assumed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ctinv.denoiser import Denoiser
from ctinv.errors import ModelError
from ctinv.fibre.region import Region, receptive_radius
from ctinv.networks import NETWORKS
from ctinv.representation import Representation
from ctinv.volume import Box, Volume

BOXES = [Box(1, 40, 56, 30, 50), Box(1, 0, 12, 84, 96), Box(1, 70, 96, 0, 9)]


@pytest.mark.parametrize(
    ("name", "tap", "radius"),
    [
        ("CNN10", "output", 7),
        ("CNN10", "conv1", 4),
        ("CNN10", "conv2", 5),
        ("WGANVGG", "output", 8),
        ("CNN10", "input", 0),
    ],
)
def test_receptive_field_is_found(name: str, tap: str, radius: int) -> None:
    torch.manual_seed(0)
    spec = NETWORKS[name]
    denoiser = Denoiser(spec.network(), name=name, mean=0.0, std=500.0, taps=spec.taps)
    assert receptive_radius(Representation(denoiser, tap)) == radius


@pytest.mark.parametrize("tap", ["output", "conv1", "conv2", "input"])
@pytest.mark.parametrize("box", BOXES, ids=str)
def test_feedback_of_a_region_is_that_of_the_whole_slice(
    small_denoiser: Denoiser, phantom_scan: Volume, box: Box, tap: str
) -> None:
    scan = torch.from_numpy(phantom_scan.hu[box.z])
    region = Region.in_slice(Representation(small_denoiser, tap), scan, box)
    patch = region.scan + 20 * torch.randn(1, 1, *box.shape, generator=torch.Generator().manual_seed(1))
    output, inner = region.errors(patch)

    changed = scan.clone()
    changed[box.slices] = patch[0, 0]
    with torch.no_grad():
        whole = small_denoiser(changed[None, None]) - small_denoiser(scan[None, None])
        tapped = small_denoiser.activation(changed[None, None], tap) - small_denoiser.activation(
            scan[None, None], tap
        )
    torch.testing.assert_close(
        output, whole[..., region.output_box.slices[0], region.output_box.slices[1]], atol=1e-4, rtol=0
    )
    torch.testing.assert_close(
        inner, tapped[..., region.output_box.slices[0], region.output_box.slices[1]], atol=1e-4, rtol=1e-4
    )
    # Nothing of f changes outside the output box, exactly.
    outside = whole[0, 0].clone()
    outside[region.output_box.slices] = 0.0
    assert float(outside.abs().max()) == 0.0


def test_a_network_that_looks_at_the_whole_image_is_refused() -> None:
    class Centred(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image - image.mean(dim=(2, 3), keepdim=True)

    with pytest.raises(ModelError, match="receptive field"):
        receptive_radius(Representation(Denoiser(Centred(), name="centred")))


def test_a_tap_on_another_grid_is_refused() -> None:
    network = nn.Sequential(nn.AvgPool2d(2), nn.Upsample(scale_factor=2))
    denoiser = Denoiser(network, name="pooled", taps={"half": "0"})
    with pytest.raises(ModelError, match="own grid"):
        receptive_radius(Representation(denoiser, "half"))


def test_patches_of_other_batches_do_not_matter(small_denoiser: Denoiser, phantom_scan: Volume) -> None:
    region = Region.in_slice(Representation(small_denoiser), torch.from_numpy(phantom_scan.hu[1]), BOXES[0])
    patches = region.scan + torch.from_numpy(
        np.random.default_rng(0).standard_normal((7, 1, 16, 20)).astype(np.float32)
    )
    together, _ = region.errors(patches)
    alone, _ = region.errors(patches[3:4])
    assert torch.equal(together[3:4], alone)

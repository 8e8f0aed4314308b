"""Coloured probing gives the Jacobian that forward- and reverse-mode differentiation give."""

from __future__ import annotations

import pytest
import torch

from ctinv.denoiser import Denoiser, load_denoiser
from ctinv.fibre import factor
from ctinv.fibre.covariance import DenseNoise
from ctinv.fibre.factor import normal_matrix
from ctinv.fibre.jacobian import LocalJacobian
from ctinv.fibre.probing import probe
from ctinv.fibre.region import Region
from ctinv.representation import Representation
from ctinv.volume import Box, Volume


@pytest.mark.parametrize("tap", ["output", "conv1", "conv2", "input"])
@pytest.mark.parametrize("box", [Box(1, 40, 60, 30, 52), Box(1, 0, 9, 85, 96)], ids=str)
def test_probing_agrees_with_jvp_and_vjp(
    small_denoiser: Denoiser, phantom_scan: Volume, box: Box, tap: str
) -> None:
    region = Region.in_slice(Representation(small_denoiser, tap), torch.from_numpy(phantom_scan.hu[1]), box)
    sparse, local = probe(region), LocalJacobian(region, region.scan)
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(box.shape[0] * box.shape[1], 3, generator=generator)
    residuals = torch.randn(sparse.outputs, 3, generator=generator)
    for found, exact in (
        (sparse.apply(directions), local.apply(directions)),
        (sparse.adjoint(residuals), local.adjoint(residuals)),
    ):
        assert float((found - exact).norm() / exact.norm()) <= 1e-6
    # J and its transpose belong together.
    left, right = (
        (residuals * sparse.apply(directions)).sum(0),
        (sparse.adjoint(residuals) * directions).sum(0),
    )
    torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["cnn10", "wganvgg"])
def test_probing_of_the_shipped_networks(name: str, phantom_scan: Volume) -> None:
    """Against a product in float64, so that the reference's own rounding does not count."""
    box, scan = Box(1, 30, 50, 30, 50), torch.from_numpy(phantom_scan.hu[1])
    denoiser = load_denoiser(name)
    entries = probe(Region.in_slice(Representation(denoiser), scan, box)).matrix.to_dense().double()
    region = Region.in_slice(Representation(denoiser.double()), scan.double(), box)
    directions = torch.randn(400, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found, exact = entries @ directions, LocalJacobian(region, region.scan).apply(directions)
    assert float((found - exact).norm() / exact.norm()) <= 1e-6


def test_each_sample_may_have_a_jacobian_of_its_own(small_denoiser: Denoiser, phantom_scan: Volume) -> None:
    box = Box(1, 40, 52, 30, 42)
    region = Region.in_slice(Representation(small_denoiser), torch.from_numpy(phantom_scan.hu[1]), box)
    points = region.scan + 80 * torch.randn(2, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    directions = torch.randn(144, 2, generator=torch.Generator().manual_seed(1))
    together = LocalJacobian(region, points).apply(directions)
    for index in range(2):
        alone = LocalJacobian(region, points[index : index + 1]).apply(directions[:, index : index + 1])
        torch.testing.assert_close(together[:, index : index + 1], alone, rtol=1e-4, atol=1e-5)


def test_the_normal_matrix_of_many_outputs_is_built_in_blocks(
    small_denoiser: Denoiser, phantom_scan: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, scan = Box(1, 40, 52, 30, 42), torch.from_numpy(phantom_scan.hu[1])
    jacobian = probe(Region.in_slice(Representation(small_denoiser, "conv1"), scan, box))
    root = torch.randn(144, 144, generator=torch.Generator().manual_seed(0), dtype=torch.float64).tril()
    noise = DenseNoise(root, torch.zeros(144))
    product = jacobian.matrix.to_dense().double() @ root
    at_once = normal_matrix(jacobian, noise)
    torch.testing.assert_close(at_once, product.T @ product, rtol=1e-10, atol=1e-9)
    monkeypatch.setattr(factor, "PRODUCT_BYTES", 8 * 144 * 200)
    torch.testing.assert_close(normal_matrix(jacobian, noise), at_once, rtol=1e-12, atol=1e-9)

"""Laws of invertible blocks: inverse, log-determinant against autograd, what is fixed stays fixed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from FrEIA import modules
from network_laws import check_inverse, check_log_det, normal, stirred
from torch import Tensor

from ctinv.networks.invertible import BLOCKS, ActNorm, Haar, Permute, convolutional, dense

BLOCK_CASES: dict[str, tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    # name: (registry, shape of x, shape of the condition or (), arguments); FrEIA is told a grid of 16
    "norm": ("ActNorm", (3, 5, 4), (), {}),
    "norm of vectors": ("ActNorm", (5,), (), {}),
    "permute": ("Permute", (4, 3, 5), (), {"seed": 3}),
    "permute vectors": ("Permute", (7,), (), {"seed": 3}),
    "haar": ("Haar", (2, 6, 4), (), {}),
    "coupling": ("coupling", (4, 3, 5), (3, 3, 5), {"subnet": convolutional(6)}),
    "coupling on the nominal grid": ("coupling", (2, 16, 16), (1, 16, 16), {"subnet": convolutional(4)}),
    "coupling of vectors": ("coupling", (5,), (3,), {"subnet": dense(8)}),
    "separate": ("coupling", (5,), (3,), {"subnet": dense(8, 3), "separate": True}),
}


def nominal(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) == 1 else (shape[0], 16, 16)


def block_of(case: str) -> modules.InvertibleModule:
    name, shape, condition, arguments = BLOCK_CASES[case]
    conditions = [nominal(condition)] if condition else None
    return stirred(BLOCKS[name]([nominal(shape)], conditions, **arguments), 0.3)


def as_map(block: modules.InvertibleModule, condition: tuple[int, ...], *, rev: bool = False) -> Callable:
    c = normal(1, *condition, seed=2) if condition else None

    def run(z: Tensor) -> tuple[Tensor, Tensor]:
        (values,), log_det = block((z,), c=[c.expand(len(z), *condition)] if c is not None else [], rev=rev)
        return values, log_det

    return run


@pytest.mark.parametrize("case", BLOCK_CASES)
def test_a_block_is_inverted_and_knows_its_log_determinant_in_both_directions(case: str):
    _, shape, condition, _ = BLOCK_CASES[case]
    block, z = block_of(case), normal(2, *shape)
    forward, backward = as_map(block, condition), as_map(block, condition, rev=True)
    check_inverse(forward, lambda v: backward(v)[0], z)
    check_log_det(forward, z)
    check_log_det(backward, forward(z)[0].detach())


def test_every_block_is_under_the_laws():
    assert {name for name, *_ in BLOCK_CASES.values()} == set(BLOCKS)


class LeakyWithoutLogDet(modules.InvertibleModule):
    """As in the reference code: an invertible leaky ReLU that says its log-determinant is 0."""

    def forward(
        self, x: Iterable[Tensor], c: object = None, rev: bool = False, jac: bool = True
    ) -> tuple[tuple[Tensor], Tensor]:
        (values,) = x
        slope = 1 / 0.9 if rev else 0.9
        return (torch.where(values > 0, values, slope * values),), values.new_zeros(len(values))

    def output_dims(self, input_dims: list) -> list:
        return input_dims


def test_the_law_finds_a_block_whose_log_determinant_is_wrong():
    forward = as_map(LeakyWithoutLogDet([(5,)]), ())
    backward = as_map(LeakyWithoutLogDet([(5,)]), (), rev=True)
    z = normal(2, 5)
    check_inverse(forward, lambda v: backward(v)[0], z)
    with pytest.raises(AssertionError):
        check_log_det(forward, z)


@pytest.mark.parametrize("shape", [(5,), (3, 8, 6)])
def test_activation_norm_makes_mean_0_and_deviation_1(shape: tuple[int, ...]):
    block = ActNorm([nominal(shape)]).double()
    x = 3.0 * normal(200, *shape) - 7.0
    block.fit(x)
    (y,), _ = block((x,))
    std, mean = torch.std_mean(y, dim=[0, *range(2, y.ndim)])
    torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-9)
    torch.testing.assert_close(std, torch.ones_like(std), rtol=0, atol=1e-9)


def test_haar_leaves_its_input_alone_and_stays_fixed_when_all_is_unfrozen():
    block = Haar([(2, 8, 8)]).double()
    block.requires_grad_(True)
    assert list(block.parameters()) == []
    for shape, rev in (((1, 2, 8, 8), False), ((1, 8, 4, 4), True)):
        x = normal(*shape)
        before = x.clone()
        (y,), _ = block((x,), rev=rev)
        assert torch.equal(x, before)
        torch.testing.assert_close(y.norm(), x.norm())  # orthonormal


def test_a_permutation_hangs_on_its_seed_alone_and_touches_no_global_state():
    orders = []
    with torch.random.fork_rng(devices=[]):
        for state in (1, 2):
            np.random.seed(state)  # noqa: NPY002  the global state is what must not matter
            torch.manual_seed(state)
            before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
            orders.append(Permute([(64,)], seed=9).order)
            assert torch.equal(torch.get_rng_state(), before[0])
            assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.equal(*orders)
    assert not torch.equal(orders[0], Permute([(64,)], seed=10).order)

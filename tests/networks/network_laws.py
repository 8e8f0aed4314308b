"""Laws that every invertible map and every network with weights must keep, as checks that raise AssertionError."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)
Map = Callable[[Tensor], tuple[Tensor, Tensor]]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def stirred(module: Module, amount: float = 0.1) -> Module:
    """The module in float64 with every weight moved, so that no law holds only because something is still zero."""
    generator = seeded(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(amount * torch.randn(parameter.shape, generator=generator))
    return module.double().eval()


def check_log_det(forward: Map, z: Tensor, tolerance: float = 1e-6) -> None:
    """The log-determinant of each row against autograd's Jacobian."""
    _, log_det = forward(z)
    assert log_det.shape == (len(z),)
    for row, value in zip(z, log_det.detach(), strict=True):
        jacobian = torch.func.jacrev(lambda entry: forward(entry[None])[0].flatten())(row)
        _, expected = torch.linalg.slogdet(jacobian.detach().reshape(row.numel(), row.numel()))
        assert abs(float(value - expected)) < tolerance, (float(value), float(expected))


def check_inverse(forward: Map, inverse: Callable[[Tensor], Tensor], z: Tensor) -> None:
    """t⁻¹(t(z)) = z, and t(t⁻¹(v)) = v."""
    v = forward(z)[0].detach()
    torch.testing.assert_close(inverse(v), z, rtol=0, atol=1e-9)
    torch.testing.assert_close(forward(inverse(v))[0], v, rtol=0, atol=1e-9)


def check_gradients(module: nn.Module, loss: Tensor) -> None:
    """The gradient of the loss reaches every named parameter, and is not only rounding."""
    module.zero_grad()
    loss.backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 1e-11, name


def check_saved(make: Callable[[], nn.Module], use: Callable[[nn.Module], Tensor]) -> None:
    """Weights that travel through a safetensors file give the same bits in a network made under another seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = stirred(make())
        for buffer in first.buffers():  # as if they had been fitted
            if buffer.is_floating_point():
                buffer.mul_(1.25)
        torch.manual_seed(2)
        second = make().double().eval()
    assert not torch.equal(use(first), use(second))
    second.load_state_dict(load(save(first.state_dict())))
    assert torch.equal(use(first), use(second))


def check_rows(use: Callable[[Tensor], Tensor], rows: Tensor, tolerance: float) -> None:
    """A row comes out the same alone and among others, relative to the largest value."""
    together = use(rows)
    alone = torch.cat([use(row[None]) for row in rows])
    assert float((together - alone).abs().max() / together.abs().max()) < tolerance

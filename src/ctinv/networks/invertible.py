"""Invertible blocks on FrEIA: each maps forwards, backwards, and knows the log-determinant of its Jacobian.

A coupling block is FrEIA's own. What is added here repairs three things for our use: activation norm whose log-determinant
counts the pixels that are there and not those of a declared size; a Haar transform that stays fixed when a training
unfreezes everything and does not write into its input; and a hard permutation from a seed of its own, where FrEIA's touch
NumPy's global state.

Every block is a row of `BLOCKS`, over which the tests of the laws run. To add one: write a FrEIA `InvertibleModule` here and
its row there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import torch
from FrEIA import modules
from torch import Tensor, nn

Dims = Sequence[tuple[int, ...]]
CLAMP = 2.0  # soft: a coupling scales by at most e^2
_LAST_GAIN = (
    0.05  # subnetworks start small, so a fresh flow is near the identity, but not at zero: gradients flow
)


class ActNorm(modules.InvertibleModule):
    """Per channel y = e^s x + b; `fit` makes the present batch's mean 0 and variance 1.

    References:
        Kingma and Dhariwal, Glow, NeurIPS 2018, arXiv 1807.03039.
    """

    def __init__(self, dims_in: Dims, dims_c: Dims | None = None) -> None:
        super().__init__(dims_in, dims_c)
        shape = [1, dims_in[0][0]] + [1] * (len(dims_in[0]) - 1)
        self.scale, self.bias = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(shape))
        self.fits = False

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Take mean and variance of a batch, (B, C, …)."""
        others = [axis for axis in range(x.ndim) if axis != 1]
        deviation, mean = torch.std_mean(x, dim=others, keepdim=True)
        self.scale.copy_(-deviation.clamp_min(1e-6).log())
        self.bias.copy_(-mean * self.scale.exp())

    def forward(
        self, x: Iterable[Tensor], c: Iterable[Tensor] | None = None, rev: bool = False, jac: bool = True
    ) -> tuple[tuple[Tensor], Tensor]:
        """As for every FrEIA module."""
        (values,) = x
        if self.fits and not rev:
            self.fit(values)
        pixels = values[0, 0].numel()
        log_det = (self.scale.sum() * pixels).expand(len(values))
        if rev:
            return ((values - self.bias) * (-self.scale).exp(),), -log_det
        return (values * self.scale.exp() + self.bias,), log_det

    def output_dims(self, input_dims: Dims) -> Dims:
        """The same."""
        return input_dims


class Permute(modules.InvertibleModule):
    """A fixed random order of the channels, decided by a seed."""

    def __init__(self, dims_in: Dims, dims_c: Dims | None = None, *, seed: int = 0) -> None:
        super().__init__(dims_in, dims_c)
        order = torch.randperm(dims_in[0][0], generator=torch.Generator().manual_seed(seed), device="cpu")
        self.register_buffer("order", order)
        self.register_buffer("back", torch.argsort(order))

    def forward(
        self, x: Iterable[Tensor], c: Iterable[Tensor] | None = None, rev: bool = False, jac: bool = True
    ) -> tuple[tuple[Tensor], Tensor]:
        """As for every FrEIA module; the log-determinant is 0."""
        (values,) = x
        order = self.get_buffer("back" if rev else "order")
        return (values[:, order],), values.new_zeros(len(values))

    def output_dims(self, input_dims: Dims) -> Dims:
        """The same."""
        return input_dims


class Haar(modules.HaarDownsampling):
    """FrEIA's orthonormal Haar transform, (B, C, H, W) to (B, 4C, H/2, W/2), with fixed weights."""

    def __init__(self, dims_in: Dims, dims_c: Dims | None = None) -> None:
        super().__init__(dims_in, dims_c, order_by_wavelet=True)
        weights = self.haar_weights.data
        del self.haar_weights
        self.register_buffer("haar_weights", weights)
        for name in ("perm", "perm_inv"):  # FrEIA keeps them off the device that the module moves to
            order = getattr(self, name)
            delattr(self, name)
            self.register_buffer(name, order, persistent=False)

    def forward(
        self, x: Iterable[Tensor], c: Iterable[Tensor] | None = None, rev: bool = False, jac: bool = True
    ) -> tuple[tuple[Tensor], Tensor]:
        """As for every FrEIA module; the log-determinant is 0."""
        (values,) = x
        output, _ = super().forward((values.clone() if rev else values,), rev=rev)
        return output, values.new_zeros(len(values))


def coupling(
    dims_in: Dims,
    dims_c: Dims | None = None,
    *,
    subnet: Callable[[int, int], nn.Module],
    separate: bool = False,
) -> modules.InvertibleModule:
    """A double affine coupling with soft clamp: x̂2 = x2·e^s1(x1) + t1(x1), then x̂1 likewise from x̂2.

    Args:
        dims_in, dims_c: As for every FrEIA module.
        subnet: From the numbers of channels before and after to a network.
        separate: Whether s and t come out of networks of their own, not out of one.

    References:
        Dinh et al., Density estimation using Real NVP, ICLR 2017; Ardizzone et al., arXiv 1907.02392 (conditional).
    """
    block = modules.RNVPCouplingBlock if separate else modules.GLOWCouplingBlock
    return block(dims_in, dims_c or [], subnet_constructor=subnet, clamp=CLAMP, clamp_activation="TANH")


def convolutional(hidden: int) -> Callable[[int, int], nn.Module]:
    """Subnetworks for images: 3x3, 1x1, 3x3 convolutions."""

    def build(before: int, after: int) -> nn.Module:
        return _small_last(
            nn.Conv2d(before, hidden, 3, padding=1),
            nn.Conv2d(hidden, hidden, 1),
            nn.Conv2d(hidden, after, 3, padding=1),
        )

    return build


def dense(hidden: int, depth: int = 2) -> Callable[[int, int], nn.Module]:
    """Subnetworks for vectors: ``depth`` hidden layers."""

    def build(before: int, after: int) -> nn.Module:
        widths = [before, *[hidden] * depth]
        inner = [nn.Linear(a, b) for a, b in itertools.pairwise(widths)]
        return _small_last(*inner, nn.Linear(hidden, after))

    return build


def _small_last(*layers: nn.Conv2d | nn.Linear) -> nn.Module:
    with torch.no_grad():
        layers[-1].weight.mul_(_LAST_GAIN)
        if layers[-1].bias is not None:
            layers[-1].bias.zero_()
    between: list[nn.Module] = []
    for layer in layers[:-1]:
        between += [layer, nn.LeakyReLU(0.1)]
    return nn.Sequential(*between, layers[-1])


BLOCKS: dict[str, Callable[..., modules.InvertibleModule]] = {
    "ActNorm": ActNorm,
    "Permute": Permute,
    "Haar": Haar,
    "coupling": coupling,
}

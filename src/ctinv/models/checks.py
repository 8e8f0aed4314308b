"""What must hold of any network before it is studied; each failure is one sentence.

One image of the input's size comes out; it is finite; it depends on nothing but its own input, neither on the other images
of a batch nor on chance; and it can be differentiated forwards, in batches, and backwards, as the sampling engine does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ctinv.errors import ModelError
from ctinv.models.card import Convention
from ctinv.models.convention import HU, SIZE, denoise

MULTIPLES = (2, 4, 8, 16, 32, 64)
REPEAT_HU, REPEAT = (
    0.05,
    1e-4,
)  # in HU, or in std of another unit; rounding differs between batch sizes by far less


def find_multiple(network: nn.Module, *, slices: int, name: str) -> int:
    """The multiple of pixels that sides must have: 1, or the least that the network works with.

    Raises:
        ModelError: It does not turn S slices of 64 x 64 pixels into one image of that size.
    """
    made = _shape(network, slices, SIZE, SIZE)
    if made != (1, 1, SIZE, SIZE):
        came = made if isinstance(made, str) else f"{tuple(made)} for {(1, slices, SIZE, SIZE)}"
        raise ModelError(
            f"{name} gives {came}; one image of the same size was expected, from {slices} slice"
            f"{'s' if slices > 1 else ''}: see slices in docs/networks.md."
        )
    odd = {
        1: [(SIZE + 1, SIZE + 3), (SIZE + 5, SIZE + 6)]
    }  # height and width of images that a multiple must allow
    odd |= {m: [(SIZE + m, SIZE + 3 * m)] for m in MULTIPLES}
    for multiple, sizes in odd.items():
        if all(_shape(network, slices, *size) == (1, 1, *size) for size in sizes):
            return multiple
    raise ModelError(
        f"{name} works on {SIZE} x {SIZE} pixels but not on larger multiples of up to {MULTIPLES[-1]}; a network for any "
        "size was expected."
    )


def _shape(network: nn.Module, slices: int, height: int, width: int) -> tuple[int, ...] | str:
    """Shape of the output for an image of this size, or the kind of failure in words."""
    try:
        with torch.inference_mode():
            made = network(torch.rand(1, slices, height, width, generator=torch.Generator().manual_seed(0)))
    except Exception as error:  # a foreign network may raise anything
        lines = str(error).splitlines()
        return f"an error ({(lines[0] if lines else type(error).__name__)[:60]})"
    return tuple(made.shape) if isinstance(made, Tensor) else f"a {type(made).__name__}"


def check_behaviour(network: nn.Module, convention: Convention, *, slices: int, unit: str, name: str) -> None:
    """Raise ModelError unless the network is finite, repeatable, independent of the batch and differentiable."""
    images, tolerance = _images(convention, slices, unit)
    pair = denoise(network, convention, images)
    if not bool(torch.isfinite(pair).all()):
        raise ModelError(
            f"{name} gives NaN or infinite values for plain noisy images; get its weights again."
        )
    alone, again = denoise(network, convention, images[:1]), denoise(network, convention, images[:1])
    if float((alone - again).abs().max()) > tolerance:
        raise ModelError(
            f"{name} gives another result each time; a denoiser without chance in it was expected."
        )
    apart = float((alone - pair[:1]).abs().max())
    if apart > tolerance:
        raise ModelError(
            f"{name} changes its result by {apart:.3g} {unit} with the batch it is in: it normalises by batch statistics; "
            "export it in eval mode."
        )
    _check_derivatives(network, images[:1], convention, name)


def _images(convention: Convention, slices: int, unit: str) -> tuple[Tensor, float]:
    """(2, S, 64, 64): soft tissue and lung with noise, or two levels of another unit, and what counts as equal."""
    noise = torch.randn(2, slices, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    if unit == HU:
        return torch.tensor([0.0, -600.0])[:, None, None, None] + 50.0 * noise, REPEAT_HU
    shares = torch.tensor([0.5, 0.25])[:, None, None, None] + 0.05 * noise
    return convention.mean + convention.std * shares, REPEAT * convention.std


def _check_derivatives(network: nn.Module, hu: Tensor, convention: Convention, name: str) -> None:
    def look(image: Tensor) -> Tensor:
        answer: Tensor = network(image)
        return answer

    point = (hu - convention.mean) / convention.std
    steps = torch.randn(2, *point.shape[1:], generator=torch.Generator().manual_seed(2))
    try:
        pushed = torch.func.vmap(lambda step: torch.func.jvp(look, (point,), (step[None],))[1][0])(steps)
        leaf = point.clone().requires_grad_(True)
        with torch.enable_grad():
            answer = look(leaf)
            (pulled,) = torch.autograd.grad(answer, leaf, pushed[:1])
    except Exception as error:  # a foreign network may raise anything
        lines = str(error).splitlines()
        raise ModelError(
            f"{name} cannot be differentiated, which invariances need ({(lines[0] if lines else '')[:80]})."
        ) from error
    forwards, backwards = float((pushed[:1] ** 2).sum()), float((pulled * steps[0]).sum())
    if abs(forwards - backwards) > 1e-3 * (abs(forwards) + 1e-12):  # ⟨Js, Js⟩ = ⟨s, JᵀJs⟩
        raise ModelError(
            f"{name} has derivatives forwards and backwards that disagree; it cannot be studied."
        )

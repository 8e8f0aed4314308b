"""Images that a stranger's program is shown in the child, drawn from the same seeds on both sides."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ctinv.errors import ModelError

PROBES = (
    (1, 64, 64),
    (1, 128, 64),
    (1, 192, 128),
    (1, 72, 104),
    (1, 67, 101),
    (2, 64, 64),
)
"""Images and pixels of each; multiples of 64, of 8, and odd, as not every network takes every size."""
OPSET = 17
TOLERANCE = 1e-4  # between the program and its ONNX form, relative to the largest value


def probe(number: int, slices: int) -> Tensor:
    """(B, S, H, W) of `PROBES`, normal values of mean 0 and std 1."""
    images, height, width = PROBES[number]
    return torch.randn(images, slices, height, width, generator=torch.Generator().manual_seed(number))


def check_answers(network: nn.Module, answers: Mapping[int, Tensor], name: str, slices: int) -> None:
    """Raise ModelError unless the ONNX form of a program gives the program's own answers.

    Args:
        network: The ONNX form.
        answers: Number of the probe to what the program made of it.
        name: Of the program's file, for messages.
        slices: How many slices it sees.
    """
    if 0 not in answers or len({PROBES[number][1:] for number in answers}) < 2:
        raise ModelError(
            f"{name} takes no images of 64 x 64 pixels or of no other size, so its answers cannot be compared; export it "
            "for any size."
        )
    for number, answer in answers.items():
        try:
            with torch.inference_mode():
                made = network(probe(number, slices))
        except ModelError:
            raise
        except Exception:  # a graph may not fit another size
            made = None
        if made is None or made.shape != answer.shape or not _alike(made, answer):
            images, height, width = PROBES[number]
            raise ModelError(
                f"{name} answers {images} image{'s' if images > 1 else ''} of {height} x {width} pixels otherwise than its "
                "ONNX form: it branches by size; export it as ONNX yourself."
            )


def _alike(made: Tensor, answer: Tensor) -> bool:
    largest = float(answer.abs().max()) if answer.numel() else 0.0
    return float((made - answer).abs().max()) <= TOLERANCE * largest + 1e-7

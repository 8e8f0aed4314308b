"""TorchScript: a program, which can read and write files as soon as it is loaded, so only with the user's explicit trust.

Trust is the sha256 of the very file, which somebody has to have looked at. What was hashed is what is loaded.
"""

from __future__ import annotations

import io
import re
import warnings

import torch
from torch import Tensor, nn

from ctinv.errors import ModelError
from ctinv.models.files import sha256


class Scripted(nn.Module):
    """A TorchScript program as a plain module: the program itself takes no part in freezing and hooks."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def forward(self, image: Tensor) -> Tensor:
        """Run it, (B, S, H, W) to what it gives."""
        answer: Tensor = self.program(image)
        return answer


def load_torchscript(content: bytes, name: str, *, trust: str | None) -> nn.Module:
    """A TorchScript module whose file is trusted; layers inside it cannot be tapped.

    Raises:
        ModelError: The file is not trusted, or is damaged.
    """
    found = sha256(content)
    if trust is None:
        raise ModelError(
            f"{name} is TorchScript, which can run code when it is loaded; if you trust its author: --trust {found}."
        )
    if re.fullmatch(r"[0-9a-f]{64}", trust.lower()) is None:
        raise ModelError("trust must be the sha256 of the file, 64 hexadecimal digits.")
    if trust.lower() != found:
        raise ModelError(
            f"{name} has sha256 {found}, another one than the file that is trusted; nothing was loaded."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch calls TorchScript itself deprecated
            return Scripted(torch.jit.load(io.BytesIO(content), map_location="cpu"))
    except RuntimeError as error:
        raise ModelError(
            f"{name} is damaged or no TorchScript of this torch version; get it again."
        ) from error

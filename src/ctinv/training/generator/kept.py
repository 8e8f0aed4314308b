"""What a generator's run keeps of its finished stages, read back and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load
from torch import Tensor

from ctinv.errors import ModelError
from ctinv.training.digest import read_digested

STATE = "state.json"
"""What is finished, and how."""


def read_state(out: Path) -> dict[str, Any] | None:
    """What the state of a run says, None where there is none.

    Raises:
        ModelError: It is not what its sha256 file says.
    """
    path = out / STATE
    if not path.exists():
        return None
    content = read_digested(path)
    if content is None:
        raise ModelError(
            f"{STATE} in {out.name} is not what its sha256 file says; begin anew in another output folder."
        )
    found: dict[str, Any] = json.loads(content)
    return found


def read_stage(out: Path, file: str) -> dict[str, Tensor]:
    """The tensors that a finished stage left.

    Raises:
        ModelError: The file is missing or is not what its sha256 file says.
    """
    content = read_digested(out / file)
    if content is None:
        raise ModelError(
            f"{file} in {out.name} is missing or not what its sha256 file says; begin anew in another output folder."
        )
    return load(content)

"""Training: one loop for every model, resumable, with data as a pure function of seed and step.

The public names are loaded on first use: whoever only looks into the folder of a training (`ctinv.training.standing`)
needs no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "DenoiserConfig": "config",
    "Ema": "fit",
    "FitResult": "fit",
    "TrainingEvent": "denoise",
    "TrainingStopped": "interrupts",
    "Turn": "fit",
    "cosine": "fit",
    "train_denoiser": "denoise",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'ctinv.training' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"ctinv.training.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

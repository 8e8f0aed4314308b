"""Training: one loop for every model, resumable, with data as a pure function of seed and step."""

from __future__ import annotations

from ctinv.training.config import DenoiserConfig
from ctinv.training.denoise import TrainingEvent, train_denoiser
from ctinv.training.fit import Ema, FitResult, Turn, cosine, fit

__all__ = [
    "DenoiserConfig",
    "Ema",
    "FitResult",
    "TrainingEvent",
    "Turn",
    "cosine",
    "fit",
    "train_denoiser",
]

"""Training: one loop for every model, resumable, with data as a pure function of seed and step."""

from __future__ import annotations

from ctinv.training.config import DenoiserConfig
from ctinv.training.denoise import train_denoiser
from ctinv.training.fit import Ema, FitResult, cosine, fit

__all__ = ["DenoiserConfig", "Ema", "FitResult", "cosine", "fit", "train_denoiser"]

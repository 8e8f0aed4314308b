"""Training: one loop for every model, resumable, with data as a pure function of seed and step.

The public names are loaded on first use: whoever only looks into the folder of a training (`ctinv.training.standing`)
needs no torch.
"""

from __future__ import annotations

import lazy_loader

_PUBLIC = {
    "config": ["DenoiserConfig"],
    "fit": ["Ema", "FitResult", "Turn", "cosine"],
    "denoise": ["TrainingEvent", "train_denoiser"],
    "interrupts": ["TrainingStopped"],
}

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_PUBLIC)

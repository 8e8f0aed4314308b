"""Training of generators in three stages with the one loop: autoencoder, flow, fibre."""

from __future__ import annotations

from ctinv.training.generator.config import GeneratorConfig
from ctinv.training.generator.run import GeneratorEvent, train_generator

__all__ = ["GeneratorConfig", "GeneratorEvent", "train_generator"]

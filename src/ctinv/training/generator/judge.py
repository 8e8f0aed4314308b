"""Figures of a generator on patches of the validation patients."""

from __future__ import annotations

import math

import torch

from ctinv.networks.flows import bits_per_dimension, diagonal_bits
from ctinv.training.generator.material import Material
from ctinv.training.generator.stages import Workshop, reconstruction

_DRAWS = 2  # candidates per patch


@torch.no_grad()
def judge(shop: Workshop, material: Material, *, flow_ready: bool = True) -> dict[str, float]:
    """What a model makes of a fixed batch; the same numbers every time.

    Args:
        shop: The model and f.
        material: The batch.
        flow_ready: False before the flow's stage: then nothing can be drawn through it.

    Returns:
        With an autoencoder: ``reconstruction_hu`` RMSE of D(E(x)) against x, ``kl_bits`` per pixel, ``loss`` of stage one
        without critic and features. With a flow: ``bits`` per dimension, and ``bits_diagonal`` of independent Gaussians
        with the mean and variance of each channel of these very latents. Once candidates can be drawn: ``spread_hu`` of
        them, and ``nfe_raw`` where they can be fed back.
    """
    model, config = shop.model, shop.config
    states = [(module, module.training) for module in (model.autoencoder, model.flow) if module is not None]
    for module, _ in states:
        module.eval()
    generator = torch.Generator(material.x.device).manual_seed(config.seed)
    frame = model.frame(material.clean, material.phi)
    found: dict[str, float] = {}
    if model.autoencoder is not None:
        stage = config.autoencoder_stage
        posterior = model.autoencoder.encode(model.normalised(material.x), frame.c)
        made = model.reconstruct(material.x, frame)
        kl = float(posterior.kl().mean()) / material.x[0].numel()
        found["reconstruction_hu"] = float((made - material.x).square().mean().sqrt())
        found["kl_bits"] = kl / math.log(2.0)
        found["loss"] = float(reconstruction(stage, made, material.x)) + stage.kl * kl
    if model.flow is not None and flow_ready:
        z = model.latents(material.x, frame.c, generator)
        assert frame.embedded is not None
        bits = bits_per_dimension(model.flow.log_likelihood(z, frame.embedded), z[0].numel())
        found["bits"], found["bits_diagonal"] = float(bits.mean()), float(diagonal_bits(z))
    if model.flow is None or flow_ready:
        candidates = torch.stack([model.draw(len(material.x), frame, generator) for _ in range(_DRAWS)])
        found["spread_hu"] = float(candidates.var(dim=0).mean().sqrt())
        if shop.fed_back:
            errors = [shop.nfe_squared(one, material.clean) for one in candidates]
            found["nfe_raw"] = float(torch.stack(errors).mean().sqrt())
    for module, training in states:
        module.train(training)
    return found

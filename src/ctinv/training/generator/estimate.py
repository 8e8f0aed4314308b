"""What the training of a generator will ask of the hardware: trial steps of each of its stages on throw-away data."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path

from ctinv.denoiser import load_denoiser, pick_device
from ctinv.generators.kinds import KINDS, check_condition
from ctinv.progress import Progress
from ctinv.representation import Representation
from ctinv.training.estimate import Estimate, Trial, summed, throw_away_pairs, try_steps
from ctinv.training.fit import Batch
from ctinv.training.generator.build import build_model
from ctinv.training.generator.config import GeneratorConfig
from ctinv.training.generator.judge import judge
from ctinv.training.generator.material import Material, Materials
from ctinv.training.generator.run import stages_of
from ctinv.training.generator.stages import Workshop

_PREPARING = 8  # patches that scales and components are taken from; the training takes more
_BYTES = 4


def estimate_generator(
    config: GeneratorConfig,
    *,
    device: str = "auto",
    out: Path | None = None,
    done: Mapping[str, int] | None = None,
    seconds: float = 3.0,
    progress: Progress | None = None,
) -> Estimate:
    """Estimate the training of a generator.

    Args:
        config: The settings.
        device: As in `train_generator`.
        out: Where it would write; only the room there is asked for.
        done: Complete steps of each stage of an earlier run that would be continued.
        seconds: Time that the trial steps of one stage may take, at least two steps.
        progress: Called as ``progress(text, fraction)``; what it raises ends the estimate.

    Raises:
        InputError: The settings cannot be used.
    """
    chosen = pick_device(device)
    denoiser = load_denoiser(config.denoiser, device=chosen)
    denoiser.check_unit("HU")
    representation = Representation(denoiser, config.tap)
    pairs = throw_away_pairs(512, air=config.air, mean=config.mean, std=config.std)
    target = KINDS[config.kind].domain == "target"

    def materials(batch: int) -> Materials:
        return Materials(config, representation, pairs, target=target, batch=batch, seed=config.seed)

    batches, first = materials(config.batch), materials(_PREPARING)(0)
    model = build_model(config, int(first.phi.shape[1])).to(chosen)
    if model.conditional:
        check_condition(representation)
    shop = Workshop(config, model, denoiser, batches.radius, 1.0)

    def batch(step: int) -> Batch:
        material = batches(step)
        return material.x, material.clean, material.phi

    trials: list[tuple[Trial, int]] = []
    for stage in stages_of(config, model, first):
        if not stage.steps:
            continue
        stage.prepare()
        trial = try_steps(
            stage.turns(shop),
            batch,
            seed=config.seed,
            clip_norm=config.clip_norm,
            seconds=seconds,
            progress=progress,
        )
        trials.append((trial, max(0, stage.steps - (done or {}).get(stage.name, 0))))
    weights = sum(
        p.numel() for part in (model.autoencoder, model.flow) if part is not None for p in part.parameters()
    )
    if not trials:
        trials = [(Trial(weights, 2 * _BYTES * weights, 0, 0.0), 0)]
    rest = _judging_s(shop, materials(config.validate_patches)(0), trials, config.validate_every)
    return summed(trials, chosen, rest, out, kept=_BYTES * weights)


def _judging_s(
    shop: Workshop, material: Material, trials: list[tuple[Trial, int]], validate_every: int
) -> float:
    """Seconds of all validations, NaN where no step could be made."""
    if any(math.isnan(trial.step_s) for trial, _ in trials):
        return math.nan
    since = time.monotonic()
    judge(shop, material)
    return (time.monotonic() - since) * sum(1 + steps // validate_every for _, steps in trials)

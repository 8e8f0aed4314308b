"""Train a denoiser from a config file: what ``ctinv train denoiser`` runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import nn

from ctinv.atomic import write_atomic
from ctinv.bundle import export_bundle
from ctinv.denoiser import load_denoiser, pick_device
from ctinv.errors import InputError, ModelError
from ctinv.jsonable import dumps
from ctinv.networks import NETWORKS, taps_of
from ctinv.quality import HOUNSFIELD, Scale
from ctinv.training.checkpoint import load_checkpoint, previous, save_checkpoint
from ctinv.training.config import DenoiserConfig
from ctinv.training.data import Augmentation, Pair, PairedPatches
from ctinv.training.evaluate import compare
from ctinv.training.fit import Batch, Ema, Losses, cosine, fit
from ctinv.training.log import RunLog
from ctinv.training.objectives import Setting
from ctinv.training.sources import choose_pairs
from ctinv.training.start import build
from ctinv.training.validate import Validation, validate


@dataclass(frozen=True)
class TrainingEvent:
    """News after each complete step, for progress bars and live curves.

    Attributes:
        step, steps: Complete steps, and of how many.
        losses: Of each turn.
        learning_rate: Of this step.
        validation: RMSE in the image's unit and texture distance, after a validation.
        preview: (3, H, W) HU after a validation: low dose, denoised, full dose.
        best: Step and figures of the best weights so far.
    """

    step: int
    steps: int
    losses: Losses
    learning_rate: float
    validation: dict[str, float] | None
    preview: NDArray[np.float32] | None
    best: dict[str, float]


Callback = Callable[[TrainingEvent], bool | None]


class _Run:
    """State of one training: the turns of the loop, the average, and the best weights so far."""

    def __init__(
        self,
        config: DenoiserConfig,
        pairs: Sequence[Pair],
        out: Path,
        device: torch.device,
        callback: Callback | None,
    ) -> None:
        self.config, self.pairs, self.out, self.callback = config, pairs, out, callback
        self.network, self.started_from = _start(config)
        self.network.to(device=device, memory_format=_layout(self.network))  # type: ignore[call-overload]
        setting = Setting(
            mean=config.mean,
            std=config.std,
            patch=config.patch,
            margin=config.margin,
            learning_rate=config.learning_rate,
            seed=config.seed,
            device=device,
        )
        self.turns = config.objective_settings().turns(self.network, setting)
        self.ema = Ema(self.network, decay=config.ema) if config.ema else None
        self.judged = build(config.network, seed=config.seed, arguments=config.arguments).to(device)
        self.best: dict[str, float] = {"step": 0}
        self.history: list[dict[str, float]] = []
        self.seconds, self.since = 0.0, time.monotonic()
        self.log: RunLog | None = None
        share = config.last_learning_rate / config.learning_rate if config.schedule == "cosine" else 1.0
        self.rate = cosine(last=share, steps=config.steps, warm_up=config.warm_up)

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.safetensors"

    def resume(self) -> int:
        """Complete steps of an earlier run in this folder, 0 for none."""
        if not (self.checkpoint.exists() or previous(self.checkpoint).exists()):
            return 0
        found = load_checkpoint(self.checkpoint, self.turns, ema=self.ema, config=self.config.to_json())
        self.best, self.history = found.notes["best"], found.notes["history"]
        self.seconds = found.notes["seconds"]
        return found.step

    def save(self, step: int) -> None:
        """Write the checkpoint of a completed step."""
        elapsed = self.seconds + time.monotonic() - self.since
        notes = {"best": self.best, "history": self.history, "seconds": elapsed}
        save_checkpoint(
            self.checkpoint, self.turns, ema=self.ema, step=step, config=self.config.to_json(), notes=notes
        )

    def judge(self, step: int, losses: Losses) -> Validation:
        """Validate, and keep the weights if they are the best so far."""
        state = self.ema.state if self.ema else self.network.state_dict()
        self.judged.load_state_dict(state)
        config = self.config
        found = validate(
            self.judged,
            self.pairs,
            count=config.validate_slices,
            mean=config.mean,
            std=config.std,
            air=config.air,
            slices=config.slices,
        )
        figures = {"rmse_hu": found.rmse, "texture": found.texture}
        self.history.append({"step": step, **{f"loss {name}": v for name, v in losses.items()}, **figures})
        key = {"rmse": "rmse_hu", "texture": "texture", "last": "step"}[config.choose_by]
        before = self.best.get(key, math.nan)  # NaN: no weights are kept yet, or none could be judged
        if key == "step" or figures[key] < before or math.isnan(before):
            write_atomic(
                self.out / "best.safetensors", save({k: v.cpu().contiguous() for k, v in state.items()})
            )
            self.best = {"step": step, **figures}
        return found

    def after_step(self, step: int, losses: Losses) -> bool:
        """Callback of the loop: validate and save when due, tell the caller; True ends the run."""
        config = self.config
        last = step == config.steps
        found = self.judge(step, losses) if last or step % config.validate_every == 0 else None
        rate = config.learning_rate * self.rate(step - 1)
        figures = {"rmse_hu": found.rmse, "texture": found.texture} if found else None
        if self.log is not None:
            self.log.write(step, {**losses, "learning_rate": rate, **(figures or {})})
        waited = (step - self.best["step"]) / config.validate_every
        tired = bool(found) and 0 < config.patience <= waited
        asked = self.callback is not None and self.callback(
            TrainingEvent(
                step, config.steps, losses, rate, figures, found.preview if found else None, dict(self.best)
            )
        )
        if last or tired or asked or step % config.save_every == 0:
            self.save(step)
        return bool(tired or asked)


def train_denoiser(
    config_path: Path,
    *,
    data_folder: Path,
    out: Path,
    resume: bool = True,
    device: str = "auto",
    callback: Callback | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """Train, choose the best weights on the validation patients, measure, and write a bundle.

    ``out`` receives ``checkpoint.safetensors`` (to resume), ``best.safetensors``, ``losses.csv``, ``report.json`` and
    the bundle folder ``<name>/``, which ``load_denoiser`` reads.

    Args:
        config_path: TOML file with the fields of `DenoiserConfig`.
        data_folder: Pairs, or full-dose scans; see `ctinv.training.sources`.
        out: Folder, made if needed.
        resume: Continue a checkpoint in ``out``; False begins anew.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        callback: Called after each step; True ends the run with a checkpoint, which a later call continues.
        progress: Called as ``progress(text, fraction)`` while scans are read and simulated before the first step, and while
            the result is measured.

    Returns:
        The report: config, objective, best step, figures per pair (see `ctinv.training.evaluate`), seconds, bundle folder.

    Raises:
        InputError: Config or data cannot be used.
        ModelError: The checkpoint belongs to other settings, or the loss became NaN or infinite.
    """
    config = DenoiserConfig.read(config_path)
    train, validate_on, test = choose_pairs(data_folder, config, progress)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the output folder {out.name} cannot be made ({error.strerror}); choose another."
        ) from error
    chosen = pick_device(device)
    run = _Run(config, validate_on, out, chosen, callback)
    start = run.resume() if resume else 0
    run.log = RunLog(out, start=start)
    try:
        result = fit(
            run.turns,
            _batches(config, train, chosen),
            steps=config.steps,
            start=start,
            seed=config.seed,
            learning_rate=run.rate,
            clip_norm=config.clip_norm or None,
            ema=run.ema,
            callback=run.after_step,
        )
    finally:
        run.log.close()
    if result.ended == "nan":
        run.save(result.step)
        raise ModelError(
            f"the loss was not finite soon after step {result.step}; lower the learning rate and begin anew."
        )
    return _finish(run, [*validate_on, *test], result.step, progress)


def _start(config: DenoiserConfig) -> tuple[nn.Module, dict[str, str]]:
    """The network with its initial weights, and the hashes of those it takes from another."""
    network = build(config.network, seed=config.seed, arguments=config.arguments)
    if config.start == "identity":
        return network, {}
    source = load_denoiser(config.start)
    try:
        network.load_state_dict(source.network.state_dict(), strict=True)
    except RuntimeError as error:
        raise InputError(
            f"the start {source.name} is another network than {config.network} with these arguments; name one of its kind."
        ) from error
    return network, source.weights_sha256


def _layout(network: nn.Module) -> torch.memory_format:
    """Plain convolutions run a quarter faster on a CPU with the channels last, transposed ones a third slower."""
    transposed = any(isinstance(module, nn.ConvTranspose2d) for module in network.modules())
    return torch.contiguous_format if transposed else torch.channels_last


def _batches(config: DenoiserConfig, pairs: Sequence[Pair], device: torch.device) -> Callable[[int], Batch]:
    """Step to a normalised batch on the device."""
    patches = PairedPatches(
        pairs,
        patch=config.patch,
        batch=config.batch,
        seed=config.seed,
        body=config.body,
        air=config.air,
        slices=config.slices,
        augmentation=Augmentation(config.flip, config.noise_level),
        target="independent" if config.target == "independent" else "full",
        dose=config.dose,
    )

    def batch(step: int) -> Batch:
        return tuple(((side - config.mean) / config.std).to(device) for side in patches(step))

    return batch


def _finish(
    run: _Run, pairs: Sequence[Pair], steps: int, progress: Callable[[str, float], None] | None
) -> dict[str, Any]:
    """Measure the best weights on whole pairs, write the report and the bundle."""
    config = run.config
    if not (run.out / "best.safetensors").is_file():  # ended before the first validation
        run.judge(steps, {})
    network = run.judged.cpu()
    network.load_state_dict(load_file(run.out / "best.safetensors"))
    scale = HOUNSFIELD if config.unit == "HU" else Scale(config.air)
    measured = {}
    for pair in pairs:
        if progress is not None:
            progress(f"measuring {config.name} on {pair.name}", math.nan)
        slices = range(pair.low.shape[0])
        measured[pair.name] = {
            "slices": len(slices),
            **compare(
                network, pair, slices, mean=config.mean, std=config.std, stack=config.slices, scale=scale
            ),
        }
    report: dict[str, Any] = {
        "config": config.to_json(),
        "objective": config.objective_settings().title,
        "published": config.published,
        "started_from": run.started_from,
        "steps": steps,
        "best": run.best,
        "figures": measured,
        "history": run.history,
        "seconds": run.seconds + time.monotonic() - run.since,
        "torch": torch.__version__,
    }
    write_atomic(run.out / "report.json", dumps(report, indent=1).encode())
    folder = run.out / config.name
    export_bundle(
        folder,
        network=network,
        target=config.network,
        name=config.name,
        mean=config.mean,
        std=config.std,
        arguments=config.arguments,
        taps=taps_of(NETWORKS[config.network], network),
        training=report,
    )
    return {**report, "bundle": str(folder)}

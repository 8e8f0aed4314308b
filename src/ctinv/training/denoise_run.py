"""One training of a denoiser under way: turns, average, best weights and history, and how all of it is kept."""

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
from safetensors.torch import save
from torch import Tensor, nn

from ctinv.atomic import write_atomic
from ctinv.denoiser import load_denoiser
from ctinv.errors import InputError, ModelError
from ctinv.training.checkpoint import all_finite, is_there, load_checkpoint, save_checkpoint
from ctinv.training.config import DenoiserConfig
from ctinv.training.data import Augmentation, Pair, PairedPatches
from ctinv.training.fit import Batch, Ema, FitResult, Losses, cosine, fit
from ctinv.training.interrupts import Held, wants_to_end
from ctinv.training.log import RunLog
from ctinv.training.objectives import Setting
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


class DenoiserRun:
    """State of one training: the turns of the loop, the average, and the best weights so far.

    Args:
        config: The settings.
        train, pairs: Patients to learn from, and those to validate on.
        out: The output folder, held by this process.
        device: Where to train.
        callback: Called after each step; True ends the run, `TrainingStopped` ends it at once.
    """

    def __init__(
        self,
        config: DenoiserConfig,
        train: Sequence[Pair],
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
        self.patches = _patches(config, train)
        self.device = device
        # What else decides the weights: a checkpoint of other data or another start must not be continued.
        facts = {"data_sha256": self.patches.fingerprint(), "start_sha256": self.started_from}
        self.decides: dict[str, Any] = {**config.to_json(), **facts}
        self.best: dict[str, float] = {"step": 0}
        self.kept: dict[str, Tensor] = {}  # the weights of that step, on the CPU
        self.history: list[dict[str, float]] = []
        self.saved, self.warning = 0, ""
        self.seconds, self.since = 0.0, time.monotonic()
        self.log: RunLog | None = None
        self.held: Held | None = None
        share = config.last_learning_rate / config.learning_rate if config.schedule == "cosine" else 1.0
        self.rate = cosine(last=share, steps=config.steps, warm_up=config.warm_up)

    @property
    def checkpoint(self) -> Path:
        """Where the run is continued from."""
        return self.out / "checkpoint.safetensors"

    def resume(self) -> int:
        """Complete steps of an earlier run in this folder, 0 for none.

        Raises:
            ModelError: It had other settings, is damaged, or came to an end that more steps do not change.
        """
        if not is_there(self.checkpoint):
            return 0
        found = load_checkpoint(self.checkpoint, self.turns, ema=self.ema, config=self.decides)
        if "diverged" in found.notes:
            raise ModelError(found.notes["diverged"])
        self.best, self.history = found.notes["best"], found.notes["history"]
        self.seconds, self.kept = found.notes["seconds"], found.best
        self.saved, self.warning = found.step, found.warning
        if self.kept:  # a kill may have come between the best weights and the checkpoint
            self._write_best()
        return found.step

    def save(self, step: int, *, diverged: str = "") -> None:
        """Write the checkpoint of a completed step.

        Args:
            step: The step.
            diverged: Why more steps are of no use, for whoever tries to continue.
        """
        if self.log is not None:
            self.log.sync()
        elapsed = self.seconds + time.monotonic() - self.since
        history = [row for row in self.history if row["step"] <= step]
        notes = {"best": self.best, "history": history, "seconds": elapsed}
        save_checkpoint(
            self.checkpoint,
            self.turns,
            ema=self.ema,
            step=step,
            config=self.decides,
            best=self.kept,
            notes=notes | ({"diverged": diverged} if diverged else {}),
        )
        self.saved = step

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
        better = key == "step" or figures[key] < before or math.isnan(before)
        if better and all_finite(state):
            self.kept = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
            self.best = {"step": step, **figures}
            self._write_best()
        return found

    def _write_best(self) -> None:
        write_atomic(self.out / "best.safetensors", save(self.kept))

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
        preview = found.preview if found else None
        event = TrainingEvent(step, config.steps, losses, rate, figures, preview, dict(self.best))
        asked = wants_to_end(self.callback, event, lambda: self.save(step))
        signalled = self.held is not None and self.held.waiting
        if last or tired or asked or signalled or step % config.save_every == 0:
            self.save(step)
        if self.held is not None:
            self.held.deliver()
        return bool(tired or asked)

    def batch(self, step: int) -> Batch:
        """The loop's batch of one step, in the network's unit."""
        config = self.config
        return tuple(((side - config.mean) / config.std).to(self.device) for side in self.patches(step))

    def train(self, start: int) -> FitResult:
        """The loop, from so many complete steps on."""
        config = self.config
        return fit(
            self.turns,
            self.batch,
            steps=config.steps,
            start=start,
            seed=config.seed,
            learning_rate=self.rate,
            clip_norm=config.clip_norm or None,
            ema=self.ema,
            callback=self.after_step,
        )


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


def _patches(config: DenoiserConfig, pairs: Sequence[Pair]) -> PairedPatches:
    """Step to a batch in HU or the image's own unit."""
    return PairedPatches(
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

"""Train a denoiser from a config file: what ``ctinv train denoiser`` runs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ctinv.bundle import export_bundle
from ctinv.errors import InputError, ModelError
from ctinv.networks import NETWORKS
from ctinv.training.checkpoint import load_checkpoint, save_checkpoint, write_atomic
from ctinv.training.config import DenoiserConfig
from ctinv.training.data import Pair, PairedPatches, open_pairs
from ctinv.training.evaluate import compare, validation_rmse
from ctinv.training.fit import Batch, Ema, cosine, fit
from ctinv.training.start import build

Progress = Callable[[str, float], None]


def interior_mse(mean: float, std: float, margin: int) -> Callable[[nn.Module, Batch], Tensor]:
    """Mean squared error in units of ``std``, without the margin that zero padding reaches."""
    inner = (..., slice(margin, -margin or None), slice(margin, -margin or None))

    def loss(network: nn.Module, batch: Batch) -> Tensor:
        low, full = ((side - mean) / std for side in batch)
        return nn.functional.mse_loss(network(low)[inner], full[inner])

    return loss


class _Run:
    """State of one training: network, optimizer, average, and the best weights so far."""

    def __init__(
        self, config: DenoiserConfig, validate: Sequence[Pair], out: Path, progress: Progress | None
    ) -> None:
        self.config, self.validate, self.out, self.progress = config, validate, out, progress
        # A quarter faster than contiguous weights on a CPU; the numbers stay the same up to rounding.
        self.network = build(config.network, seed=config.seed)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        self.ema = Ema(self.network, decay=config.ema) if config.ema else None
        self.judged = build(config.network, seed=config.seed)  # holds the weights under validation
        self.best: dict[str, Any] = {"rmse_hu": math.inf, "step": 0}
        self.history: list[dict[str, float]] = []
        self.seconds, self.since = 0.0, time.monotonic()

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.safetensors"

    def resume(self) -> int:
        """Complete steps of an earlier run in this folder, 0 for none."""
        if not self.checkpoint.exists():
            return 0
        found = load_checkpoint(
            self.checkpoint,
            model=self.network,
            optimizer=self.optimizer,
            ema=self.ema,
            config=self.config.to_json(),
        )
        self.best, self.history, self.seconds = (
            found.notes["best"],
            found.notes["history"],
            found.notes["seconds"],
        )
        return found.step

    def save(self, step: int) -> None:
        """Write the checkpoint of a completed step."""
        elapsed = self.seconds + time.monotonic() - self.since
        notes = {"best": self.best, "history": self.history, "seconds": elapsed}
        save_checkpoint(
            self.checkpoint,
            model=self.network,
            optimizer=self.optimizer,
            ema=self.ema,
            step=step,
            config=self.config.to_json(),
            notes=notes,
        )

    def judge(self, step: int, loss: float) -> None:
        """Validate, and keep the weights if they are the best so far."""
        state = self.ema.state if self.ema else self.network.state_dict()
        self.judged.load_state_dict(state)
        config = self.config
        rmse = validation_rmse(
            self.judged, self.validate, config.validate_slices, mean=config.mean, std=config.std
        )
        self.history.append({"step": step, "loss": loss, "rmse_hu": rmse})
        if rmse < self.best["rmse_hu"]:
            write_atomic(self.out / "best.safetensors", save({k: v.contiguous() for k, v in state.items()}))
            self.best = {"rmse_hu": rmse, "step": step}

    def after_step(self, step: int, loss: float) -> None:
        """Callback of the loop: validate and save when due, tell the caller, who may cancel by raising."""
        last = step == self.config.steps
        if last or step % self.config.validate_every == 0:
            self.judge(step, loss)
        if last or step % self.config.save_every == 0:
            self.save(step)
        if self.progress is not None:
            best = (
                f", best validation {self.best['rmse_hu']:.2f} HU"
                if math.isfinite(self.best["rmse_hu"])
                else ""
            )
            self.progress(
                f"training {self.config.name}, step {step} of {self.config.steps}{best}",
                step / self.config.steps,
            )


def train_denoiser(
    config_path: Path,
    *,
    data_folder: Path,
    out: Path,
    resume: bool = True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train, choose the best weights on the validation patients, measure, and write a bundle.

    ``out`` receives ``checkpoint.safetensors`` (to resume), ``best.safetensors``, ``report.json`` and the
    bundle folder ``<name>/``, which ``load_denoiser`` reads.

    Args:
        config_path: TOML file with the fields of `DenoiserConfig`.
        data_folder: Holds ``NAME_low.npy`` and ``NAME_full.npy`` for each pair, (Z, Y, X) HU.
        out: Folder, made if needed.
        resume: Continue a checkpoint in ``out``; False begins anew.
        progress: Called as ``progress(text, fraction)`` after each step; raising ends the run, the checkpoint
            stays.

    Returns:
        The report: config, best step, figures per pair (see `evaluate.figures`), seconds, bundle folder.

    Raises:
        InputError: Config or data cannot be used.
        ModelError: The checkpoint belongs to other settings, or the loss became NaN or infinite.
    """
    config = DenoiserConfig.read(config_path)
    train, validate = open_pairs(data_folder, config.train), open_pairs(data_folder, config.validate)
    test = open_pairs(data_folder, config.test)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the output folder {out.name} cannot be made ({error.strerror}); choose another."
        ) from error
    run = _Run(config, validate, out, progress)
    start = run.resume() if resume else 0
    result = fit(
        run.network,
        PairedPatches(train, patch=config.patch, batch=config.batch, seed=config.seed, body=config.body),
        loss=interior_mse(config.mean, config.std, config.margin),
        optimizer=run.optimizer,
        steps=config.steps,
        start=start,
        learning_rate=cosine(
            first=config.learning_rate,
            last=config.last_learning_rate,
            steps=config.steps,
            warm_up=config.warm_up,
        ),
        clip_norm=config.clip_norm or None,
        ema=run.ema,
        callback=run.after_step,
    )
    if result.ended == "nan":
        run.save(result.step)
        raise ModelError(
            f"the loss was not finite soon after step {result.step}; lower the learning rate and begin anew."
        )
    return _finish(run, [*validate, *test], result.step)


def _finish(run: _Run, pairs: Sequence[Pair], steps: int) -> dict[str, Any]:
    """Measure the best weights on whole pairs, write the report and the bundle."""
    config = run.config
    best = load_file(run.out / "best.safetensors")
    run.judged.load_state_dict(best)
    measured = {}
    for pair in pairs:
        if run.progress is not None:
            run.progress(f"measuring {config.name} on {pair.name}", math.nan)
        slices = range(pair.low.shape[0])
        measured[pair.name] = {
            "slices": len(slices),
            **compare(run.judged, pair, slices, mean=config.mean, std=config.std),
        }
    report: dict[str, Any] = {
        "config": config.to_json(),
        "steps": steps,
        "best": run.best,
        "figures": measured,
        "history": run.history,
        "seconds": run.seconds + time.monotonic() - run.since,
        "torch": torch.__version__,
    }
    write_atomic(run.out / "report.json", json.dumps(report, indent=1).encode())
    folder = run.out / config.name
    export_bundle(
        folder,
        network=run.judged,
        target=config.network,
        name=config.name,
        mean=config.mean,
        std=config.std,
        taps=NETWORKS[config.network].taps,
        training=report,
    )
    return {**report, "bundle": str(folder)}

"""Train a denoiser from a config file: what ``ctinv train denoiser`` runs."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from ctinv.atomic import write_atomic
from ctinv.bundle import export_bundle
from ctinv.denoiser import pick_device
from ctinv.jsonable import dumps
from ctinv.networks import NETWORKS, taps_of
from ctinv.progress import Progress
from ctinv.quality.fidelity import HOUNSFIELD, Scale
from ctinv.training.checkpoint import begin_anew
from ctinv.training.config import DenoiserConfig
from ctinv.training.data import Pair
from ctinv.training.denoise_run import Callback, DenoiserRun, TrainingEvent
from ctinv.training.ending import check_end
from ctinv.training.evaluate import compare
from ctinv.training.folder import held_folder
from ctinv.training.interrupts import Held
from ctinv.training.log import RunLog
from ctinv.training.memory import enough
from ctinv.training.sources import choose_pairs

__all__ = ["TrainingEvent", "train_denoiser"]

_logger = logging.getLogger(__name__)


def train_denoiser(
    config: Path | DenoiserConfig,
    *,
    data_folder: Path,
    out: Path,
    resume: bool = True,
    device: str = "auto",
    callback: Callback | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train, choose the best weights on the validation patients, measure, and write a bundle.

    ``out`` receives ``checkpoint.safetensors`` (to resume), ``best.safetensors``, ``losses.csv``, ``report.json`` and
    the bundle folder ``<name>/``, which ``load_denoiser`` reads. Ctrl-C and SIGTERM wait for the end of the step and its
    checkpoint.

    Args:
        config: TOML file with the fields of `DenoiserConfig`, or the settings themselves.
        data_folder: Pairs, or full-dose scans; see `ctinv.training.sources`.
        out: Folder, made if needed.
        resume: Continue a checkpoint in ``out``; False begins anew.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        callback: Called after each step; True ends the run with a checkpoint, which a later call continues, measures
            what there is and writes the bundle; `TrainingStopped` writes the checkpoint and passes through.
        progress: Called as ``progress(text, fraction)`` while scans are read and simulated before the first step, and while
            the result is measured.

    Returns:
        The report: config, objective, best step, figures per pair (see `ctinv.training.evaluate`), seconds, bundle folder;
        and ``notes`` where something must be known of how it was continued.

    Raises:
        InputError: Config, data or output folder cannot be used.
        ModelError: The checkpoint belongs to other settings, or the loss became NaN or infinite.
        ResourceError: The disk is full, or memory was not enough; what was finished is kept.
        TrainingStopped: The callback raised it.
        StoreError: Another training writes into ``out``.
    """
    if isinstance(config, Path):
        config = DenoiserConfig.read(config)
    with held_folder(out), enough(config.batch, config.patch):
        train, validate_on, test = choose_pairs(data_folder, config, progress)
        run = DenoiserRun(config, train, validate_on, out, pick_device(device), callback)
        if not resume:
            begin_anew(run.checkpoint)
        start = run.resume()
        if run.warning:
            _logger.warning("%s", run.warning)
            if progress is not None:
                progress(run.warning, math.nan)
        run.log = RunLog(out, start=start)
        with closing(run.log), Held() as run.held:
            result = run.train(start)
            check_end(result, run.save, saved=run.saved, batch=config.batch, patch=config.patch)
        return _finish(run, [*validate_on, *test], result.step, progress)


def _finish(run: DenoiserRun, pairs: Sequence[Pair], steps: int, progress: Progress | None) -> dict[str, Any]:
    """Measure the best weights on whole pairs, write the report and the bundle."""
    config = run.config
    if not run.kept:  # ended before the first validation
        run.judge(steps, {})
    network = run.judged.cpu()
    network.load_state_dict(run.kept)
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
    return {**report, "bundle": str(folder), **({"notes": [run.warning]} if run.warning else {})}

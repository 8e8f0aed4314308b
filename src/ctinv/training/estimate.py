"""What a training will ask of the hardware, found out before it begins by a few real steps on throw-away data.

Memory is counted, not guessed: the tensors that one real forward pass keeps for the gradient, for a batch of one, grow
with the batch; weights, gradients, optimiser and the copies that the loop keeps do not. Time is the median of real
steps of the real loop, after the first, which sets things up. Nothing is written, and no global random state is touched.
"""

from __future__ import annotations

import math
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ctinv.denoiser import pick_device
from ctinv.fibre.memory import free_bytes
from ctinv.progress import Progress
from ctinv.training.config import DenoiserConfig
from ctinv.training.data import Pair
from ctinv.training.denoise_run import DenoiserRun
from ctinv.training.fit import Batch, Ema, Losses, Turn, fit
from ctinv.training.needs import Estimate
from ctinv.training.randomness import seeded, turn_generator
from ctinv.training.validate import validate

_COPIES = 3  # of weights and optimiser: in use, the last good state, and the next candidate for it
_SHARE = 0.9  # of the free memory that a trial may take

_SLICES = 3


@dataclass(frozen=True)
class Trial:
    """What trial steps of one loop showed; bytes and seconds as in `Estimate`."""

    weights: int
    state_bytes: int
    step_bytes: int
    step_s: float


def estimate_denoiser(
    config: DenoiserConfig,
    *,
    device: str = "auto",
    out: Path | None = None,
    done: int = 0,
    validate_on: int = 1,
    slices: int = 0,
    edge: int = 512,
    seconds: float = 4.0,
    progress: Progress | None = None,
) -> Estimate:
    """Estimate the training of a denoiser.

    Args:
        config: The settings.
        device: As in `train_denoiser`.
        out: Where it would write; only the room there is asked for.
        done: Steps of an earlier run that would be continued.
        validate_on: Pairs to validate on.
        slices: Slices of all pairs that are measured at the end.
        edge: Of a slice, in pixels.
        seconds: Time that the trial steps may take, at least two steps.
        progress: Called as ``progress(text, fraction)``; what it raises ends the estimate.

    Raises:
        InputError: The settings cannot be used.
    """
    chosen, steps = pick_device(device), max(0, config.steps - done)
    pairs = throw_away_pairs(max(config.patch, edge), air=config.air, mean=config.mean, std=config.std)
    run = DenoiserRun(config, pairs, pairs, Path(), chosen, None)
    trial = try_steps(run.turns, run.batch, ema=run.ema, seed=config.seed, seconds=seconds, progress=progress)
    kept = _bytes_of(run.judged)
    rest = math.nan
    if not math.isnan(trial.step_s):
        since = time.monotonic()
        validate(
            run.judged,
            pairs[:1],
            count=1,
            mean=config.mean,
            std=config.std,
            air=config.air,
            slices=config.slices,
        )
        one = time.monotonic() - since
        rest = one * (validate_on * config.validate_slices * (steps // config.validate_every + 1) + slices)
    trial = replace(trial, state_bytes=trial.state_bytes + 3 * kept)  # judged, best, and in the bundle
    return summed([(trial, steps)], chosen, rest, out, kept=kept)


def summed(
    trials: Sequence[tuple[Trial, int]], device: torch.device, rest_s: float, out: Path | None, *, kept: int
) -> Estimate:
    """Trials of the loops of a training as one estimate.

    Args:
        trials: Each with the steps that are still to be made.
        device: Where it trains.
        rest_s: Seconds of validations and of the measurement at the end.
        out: Where it writes.
        kept: Bytes of the trained model.
    """
    steps = sum(count for _, count in trials)
    seconds = sum(trial.step_s * count for trial, count in trials if count)
    free = free_bytes(device)
    largest = max((trial for trial, _ in trials), key=lambda trial: trial.state_bytes + trial.step_bytes)
    note = ""
    if math.isnan(seconds):
        note = "Too little memory is free for a trial step, so that the time is not known."
    weights = sum(trial.weights for trial, _ in trials)
    return Estimate(
        device=device_name(device),
        weights=weights,
        state_bytes=largest.state_bytes,
        step_bytes=largest.step_bytes,
        free_bytes=free,
        # A checkpoint holds weights and two moments of Adam; the one before is kept.
        disk_bytes=2 * (3 * 4 * weights) + 2 * kept,
        free_disk_bytes=_room(out),
        steps=steps,
        step_s=seconds / steps if steps else 0.0,
        rest_s=rest_s,
        note=note,
    )


def try_steps(
    turns: Sequence[Turn],
    batch: Callable[[int], Batch],
    *,
    ema: Ema | None = None,
    seed: int = 0,
    clip_norm: float | None = 1.0,
    seconds: float = 4.0,
    progress: Progress | None = None,
) -> Trial:
    """Make a few real steps of a loop whose modules nobody needs any more.

    Args:
        turns, batch, ema, seed, clip_norm: As for `fit`.
        seconds: When to stop, after at least two steps.
        progress: Called as ``progress(text, fraction)``.
    """
    if progress is not None:
        progress("measuring what a step takes", math.nan)
    parts = batch(0)
    state = _state_bytes(turns, ema)
    step = _step_bytes(turns, parts, seed) + sum(part.numel() * part.element_size() for part in parts)
    weights = sum(_count(turn.module) for turn in turns)
    if state + step > _SHARE * free_bytes(parts[0].device):
        return Trial(weights, state, step, math.nan)
    times = [time.monotonic()]
    start = times[0]

    def tick(_made: int, _losses: Losses) -> bool:
        if parts[0].device.type == "cuda":
            torch.cuda.synchronize(parts[0].device)
        times.append(time.monotonic())
        if progress is not None:
            progress("measuring what a step takes", min(1.0, (times[-1] - start) / seconds))
        return len(times) > 2 and times[-1] - start > seconds

    steps = 1 + max((turn.begins for turn in turns), default=0)
    fit(turns, batch, start=steps, steps=steps + 50, seed=seed, clip_norm=clip_norm, ema=ema, callback=tick)
    each = np.diff(times)[1:]
    return Trial(weights, state, step, float(np.median(each)) if len(each) else math.nan)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _bytes_of(module: nn.Module) -> int:
    return sum(value.numel() * value.element_size() for value in module.state_dict().values())


def _state_bytes(turns: Sequence[Turn], ema: Ema | None) -> int:
    """Weights and two moments of Adam, in each copy the loop keeps, and the gradients."""
    weights = sum(_bytes_of(turn.module) for turn in turns)
    average = 0 if ema is None else sum(v.numel() * v.element_size() for v in ema.state.values())
    return _COPIES * (3 * weights + average) + weights


def _kept_bytes(turns: Sequence[Turn], batch: Batch, seed: int) -> int:
    """Bytes of the tensors that the forward pass of the largest turn keeps for its gradient, without the weights."""
    largest = 0
    for turn in turns:
        own = {parameter.untyped_storage().data_ptr() for parameter in turn.module.parameters()}
        seen: dict[int, int] = {}

        def note(tensor: Tensor, own: set[int] = own, seen: dict[int, int] = seen) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                seen[storage.data_ptr()] = storage.nbytes()
            return tensor

        key, device = (seed, 0, turn.name, 0), batch[0].device
        hooks = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
        with hooks, seeded(*key, device=device):
            turn.loss(batch, turn_generator(*key, device))
        largest = max(largest, sum(seen.values()))
    return largest


def _step_bytes(turns: Sequence[Turn], batch: Batch, seed: int) -> int:
    """Bytes that a step keeps besides the weights: counted for one patch and for two, as they grow with the batch."""
    one = _kept_bytes(turns, tuple(part[:1] for part in batch), seed)
    if len(batch[0]) == 1:
        return 2 * one
    two = _kept_bytes(turns, tuple(part[:2] for part in batch), seed)
    # Twice: the gradients of what is kept, while it goes back.
    return 2 * (one + (len(batch[0]) - 1) * max(0, two - one))


def throw_away_pairs(edge: int, *, air: float, mean: float, std: float) -> list[Pair]:
    """A pair of noise, brighter than air; its numbers mean nothing."""
    generator = np.random.default_rng(0)
    level = max(mean, air + 2 * std)
    full = generator.normal(level, 0.1 * std, (_SLICES, edge, edge)).astype(np.float32)
    low = full + generator.normal(0, 0.1 * std, full.shape).astype(np.float32)
    return [Pair("trial", low, full, "trial")]


def device_name(device: torch.device) -> str:
    """What a processor is called."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = ""
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        lines = facts.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    cores = torch.get_num_threads()
    return f"{name or platform.processor() or platform.machine()}, {cores} thread{'s' if cores > 1 else ''}"


def _room(out: Path | None) -> int:
    """Free bytes on the disk of a folder that need not be there yet; -1 where that is not known."""
    if out is None:
        return -1
    folder = next((one for one in (out, *out.parents) if one.is_dir()), None)
    return shutil.disk_usage(folder).free if folder is not None else -1

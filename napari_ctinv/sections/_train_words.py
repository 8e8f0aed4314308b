"""What is known of a training, in words: its data, what it will take, how far it is."""

from __future__ import annotations

import math

from ctinv.training.needs import Estimate
from ctinv.training.standing import Standing
from napari_ctinv.session.train_history import FIGURES
from napari_ctinv.work.train_check import DataFound


def found_in_words(found: DataFound) -> str:
    """Pairs, patients and slices of each set."""
    sets = []
    for role in ("train", "validate", "test"):
        pairs = [pair for pair in found.pairs if pair.role == role]
        if pairs:
            names = ", ".join(pair.name for pair in pairs[:4]) + (" …" if len(pairs) > 4 else "")
            patients = len({pair.patient for pair in pairs})
            people = "1 patient" if patients == 1 else f"{patients} patients"
            sets.append(f"{role}: {names} ({people}, {found.slices(role)} slices)")
    return "\n".join([*sets, "No patient is in two sets, no image is there twice."])


def estimate_in_words(estimate: Estimate) -> str:
    """Device, memory, time and disk."""
    free = megabytes(estimate.free_bytes)
    verdict = "" if estimate.fits else "; that is not enough, lower batch or patch"
    lines = [
        estimate.device,
        f"memory: {megabytes(estimate.memory_bytes)} besides the libraries, {free} free{verdict}",
    ]
    if estimate.note:
        lines.append(estimate.note)
    elif estimate.steps:
        lines.append(
            f"time: about {time_in_words(estimate.total_s)}, {estimate.steps} steps of {time_in_words(estimate.step_s)}"
        )
    else:
        lines.append("time: no steps are to be made")
    room = f", {megabytes(estimate.free_disk_bytes)} free" if estimate.free_disk_bytes >= 0 else ""
    lines.append(f"disk: {megabytes(estimate.disk_bytes)}{room}")
    return "\n".join(lines)


def standing_in_words(standing: Standing, left: str) -> str:
    """What lies in the output folder."""
    done = "finished" if standing.finished else f"step {standing.step} of {standing.steps}"
    how = f", {left}" if left and not standing.finished else ""
    if standing.running:
        how = ", a process trains in it now"
    lines = [f"{standing.what} {standing.name}: {done}{how}, {time_in_words(standing.seconds)}"]
    config = standing.config
    told = ("network", "kind", "tap", "batch", "patch", "learning_rate", "seed")
    lines.append(", ".join(f"{key.replace('_', ' ')} {config[key]}" for key in told if key in config))
    figures = [(FIGURES[name], value) for name, value in standing.best.items() if name in FIGURES][:3]
    if figures:
        lines.append("best: " + ", ".join(f"{name} {value:.4g}" for name, value in figures))
    if standing.problem:
        lines.append(standing.problem)
    return "\n".join(lines)


def megabytes(size: float) -> str:
    """A number of bytes with two significant digits or more."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"


def time_in_words(seconds: float) -> str:
    """A time; unknown where it is NaN."""
    if math.isnan(seconds):
        return "an unknown time"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"

"""What a training will take, measured by a few real steps before it begins."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctinv.progress import Progress
from ctinv.training.needs import Estimate
from napari_ctinv.work.train import settings_of


@dataclass(frozen=True)
class EstimateRequest:
    """Measure what a training takes.

    Attributes:
        what, settings, out, device: As in `napari_ctinv.work.train.TrainRequest`.
        done: Complete steps of an earlier run: of a denoiser under ``""``, of a generator by stage.
        validate_on: Pairs to validate on.
        slices: Slices that are measured at the end.
        edge: Of a slice, in pixels.
        seconds: Time that the trial steps may take, for each stage.
    """

    what: str
    settings: dict[str, Any]
    out: Path | None
    device: str
    done: dict[str, int] = field(default_factory=dict)
    validate_on: int = 1
    slices: int = 0
    edge: int = 512
    seconds: float = 2.0


def estimate(request: EstimateRequest, report: Progress) -> Generator[None, None, Estimate]:
    """Returns the estimate.

    Raises:
        InputError: The settings or the device cannot be used.
    """
    report("loading the training", float("nan"))
    config = settings_of(request.what, request.settings)
    if request.what == "denoiser":
        from ctinv.training.estimate import estimate_denoiser

        return estimate_denoiser(
            config,
            device=request.device,
            out=request.out,
            done=request.done.get("", 0),
            validate_on=request.validate_on,
            slices=request.slices,
            edge=request.edge,
            seconds=request.seconds,
            progress=report,
        )
    from ctinv.training.generator.estimate import estimate_generator

    return estimate_generator(
        config,
        device=request.device,
        out=request.out,
        done=request.done,
        seconds=request.seconds,
        progress=report,
    )
    yield

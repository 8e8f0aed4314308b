"""Training a denoiser or a generator."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.progress import Progress
from napari_ctinv.work.aside import Post, aside

NEWS_EVERY_S = 0.2


@dataclass(frozen=True)
class TrainRequest:
    """Train, or go on where an earlier training in the folder stopped.

    Attributes:
        what: What is trained.
        settings: The table of its config; see `ctinv.training.DenoiserConfig` and ``GeneratorConfig``.
        data: Folder of pairs.
        out: Folder that receives checkpoints, logs and the bundle.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """

    what: str
    settings: dict[str, Any]
    data: Path
    out: Path
    device: str


@dataclass(frozen=True)
class LossNews:
    """Losses of the steps since the last news.

    Attributes:
        stage: Of a generator; empty for a denoiser.
        step: (N,) steps, counted from 1.
        steps: Steps of the stage.
        losses: (N,) of each turn by name; NaN where a turn was not taken.
        learning_rate: Of the last step, NaN where it is not told.
    """

    stage: str
    step: NDArray[np.int64]
    steps: int
    losses: dict[str, NDArray[np.float64]]
    learning_rate: float


@dataclass(frozen=True)
class ValidationNews:
    """A validation.

    Attributes:
        stage, step: When.
        figures: By name.
        best: Step and figures of the best weights so far, where they are told.
        preview: (3, H, W) HU: low dose, denoised, full dose; None for a generator.
    """

    stage: str
    step: int
    figures: dict[str, float]
    best: dict[str, float]
    preview: NDArray[np.float32] | None


@dataclass(frozen=True)
class Trained:
    """A training that came to its end.

    Attributes:
        bundle: Folder of the trained model.
        best: Step and figures of its weights.
        seconds: Time it took in all.
        notes: What must be known of how it was continued.
    """

    bundle: Path
    best: dict[str, float]
    seconds: float
    notes: tuple[str, ...]


@dataclass
class _Ledger:
    """Gathers the losses of steps until it is time for news."""

    post: Post
    stage: str = ""
    steps: int = 0
    step: list[int] = field(default_factory=list)
    rows: list[dict[str, float]] = field(default_factory=list)
    rate: float = float("nan")
    since: float = field(default_factory=time.monotonic)

    def add(self, stage: str, step: int, steps: int, losses: dict[str, float], rate: float) -> None:
        if stage != self.stage:
            self.flush()
        self.stage, self.steps, self.rate = stage, steps, rate
        self.step.append(step)
        self.rows.append(losses)
        if time.monotonic() - self.since >= NEWS_EVERY_S or step == steps:
            self.flush()

    def flush(self) -> None:
        self.since = time.monotonic()
        if not self.step:
            return
        names = dict.fromkeys(name for row in self.rows for name in row)
        losses = {name: np.array([row.get(name, np.nan) for row in self.rows]) for name in names}
        news = LossNews(self.stage, np.array(self.step), self.steps, losses, self.rate)
        self.step, self.rows = [], []
        self.post(news)


def train(request: TrainRequest, report: Progress) -> Generator[LossNews | ValidationNews, None, Trained]:
    """Yields losses, at most five times a second, and validations.

    A stop writes the checkpoint of the finished step; the same request goes on from there.

    Raises:
        CtinvError: Settings, data or folder cannot be used, or the training came to a bad end.
    """
    from ctinv.training.interrupts import TrainingStopped

    call = _denoiser if request.what == "denoiser" else _generator
    found = yield from aside(lambda post, tell: call(request, post, tell), report, stop=TrainingStopped)
    return found


def _denoiser(request: TrainRequest, post: Post, tell: Progress) -> Trained:
    from ctinv.training import TrainingEvent, train_denoiser

    ledger = _Ledger(post)

    def follow(event: TrainingEvent) -> None:
        ledger.add("", event.step, event.steps, event.losses, event.learning_rate)
        if event.validation is not None:
            ledger.flush()
            post(ValidationNews("", event.step, event.validation, event.best, event.preview))
        tell(f"step {event.step} of {event.steps}", event.step / event.steps)

    report = train_denoiser(
        settings_of(request.what, request.settings),
        data_folder=request.data,
        out=request.out,
        device=request.device,
        callback=follow,
        progress=tell,
    )
    return _trained(report, report["best"])


def _generator(request: TrainRequest, post: Post, tell: Progress) -> Trained:
    from ctinv.training.generator import GeneratorEvent, train_generator

    ledger = _Ledger(post)

    def follow(event: GeneratorEvent) -> None:
        ledger.add(event.stage, event.step, event.steps, event.losses, float("nan"))
        if event.figures is not None:
            ledger.flush()
            post(ValidationNews(event.stage, event.step, event.figures, {}, None))
        tell(f"{event.stage}, step {event.step} of {event.steps}", event.step / event.steps)

    report = train_generator(
        settings_of(request.what, request.settings),
        data_folder=request.data,
        out=request.out,
        device=request.device,
        callback=follow,
        progress=tell,
    )
    stages = report["stages"]
    return _trained(report, stages[list(stages)[-1]]["figures"] if stages else {})


def settings_of(what: str, table: dict[str, Any]) -> Any:
    """The config that a table says.

    Raises:
        InputError: A key is unknown or missing, or a value cannot be used.
    """
    from ctinv.training.typed import from_table

    if what == "denoiser":
        from ctinv.training import DenoiserConfig

        return from_table(DenoiserConfig, table, where="the training")
    from ctinv.training.generator import GeneratorConfig

    return from_table(GeneratorConfig, table, where="the training")


def _trained(report: dict[str, Any], best: dict[str, Any]) -> Trained:
    figures = {str(key): float(value) for key, value in best.items()}
    notes = tuple(str(note) for note in report.get("notes", ()))
    return Trained(Path(report["bundle"]), figures, float(report["seconds"]), notes)

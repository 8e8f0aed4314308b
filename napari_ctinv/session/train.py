"""TrainModel: train a denoiser or a generator, pause, cancel, and go on where it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from psygnal import Signal, SignalGroupDescriptor

from ctinv.errors import InputError
from ctinv.training.needs import Estimate
from ctinv.training.standing import Standing, standing_of
from ctinv.windows import SOFT_TISSUE
from napari_ctinv.arrival import add_layers
from napari_ctinv.engine.messages import Outcome
from napari_ctinv.engine.run import Run
from napari_ctinv.session import train_memory as memory
from napari_ctinv.session.train_form import TrainForm
from napari_ctinv.session.train_history import History, Picture, history_in
from napari_ctinv.session.train_layers import picture_layers
from napari_ctinv.session.train_settings import DENOISER, done_steps, stage_lengths
from napari_ctinv.work.train import LossNews, Trained, TrainRequest, ValidationNews
from napari_ctinv.work.train_check import CheckRequest, DataFound
from napari_ctinv.work.train_estimate import EstimateRequest

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_ctinv.session import Activity

_OF_DATA = ("what", "data", "split", "train_on", "validate_on", "test_on", "seed", "dose", "layout", "subset")


@dataclass(eq=False)
class TrainModel(TrainForm):
    """What the Train tab does; its settings are those of `TrainForm`.

    Attributes:
        data: Folder of low-dose and full-dose pairs.
        out: Folder that receives checkpoints, curves and the bundle.
        found: What the data folder holds; None before it was checked, or after something changed.
        estimate: What the training will take; None before it was measured, or after something changed.
        standing: What lies in `out`, None where there is no checkpoint.
        left: How the training in `out` was left, as `napari_ctinv.session.train_memory` notes it.
        history: Curves and pictures.
        bundle: The trained model.
        activity, checking, measuring: The training, the check of the data, the estimate.

    Signals:
        grew: The curves have more points.
        pictured: There is another validation picture.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()
    COSTS: ClassVar[tuple[str, ...]] = (
        "out", "config", "own_config", "steps", "flow_steps", "fibre_steps", "batch", "patch", "validate_every",
        "denoiser", "own_denoiser", "tap",
    )  # fmt: skip
    """Fields on which the estimate hangs."""
    grew: ClassVar[Signal] = Signal()
    pictured: ClassVar[Signal] = Signal()

    data: Path | None = None
    out: Path | None = None
    found: DataFound | None = None
    estimate: Estimate | None = None
    standing: Standing | None = None
    left: str = ""
    history: History = field(default_factory=History, repr=False)
    bundle: Path | None = None
    activity: Activity = field(init=False, repr=False)
    checking: Activity = field(init=False, repr=False)
    measuring: Activity = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.activity = self.session.activity("Start", engine="train")
        self.checking = self.session.activity("Check the data", engine="train")
        self.measuring = self.session.activity("Estimate", engine="train")
        self._lengths: dict[str, int] = {}
        self._wish = ""
        super().__post_init__()
        self.events.out.connect(self.look)
        for name in _OF_DATA:
            getattr(self.events, name).connect(self._forget_data)
        for name in self.COSTS:
            getattr(self.events, name).connect(self._forget_estimate)

    @property
    def can_go_on(self) -> bool:
        """Whether the training in `out` can be continued."""
        if self.out is None or self.activity.running:
            return False
        if self.standing is not None:
            return not (self.standing.finished or self.standing.problem or self.standing.running)
        return memory.remembered(self.out) is not None and self.left not in ("", memory.DONE)

    def check(self) -> Run:
        """See what a training would use of the data folder: pairs, patients, sets, no leak.

        Raises:
            InputError: No folder is chosen, or a training is under way.
        """
        self._refuse_while_training("checked")
        request = CheckRequest(self.what, self.settings(), self._data())

        def keep(outcome: Outcome) -> None:
            if outcome.state == "done":
                self.found = outcome.result

        return self.checking.start("napari_ctinv.work.train_check:check", request, on_end=keep)

    def measure(self) -> Run:
        """Estimate memory, time and disk by a few real steps on throw-away data.

        Raises:
            InputError: The settings cannot be used, or a training is under way.
        """
        self._refuse_while_training("measured")
        self.measuring.abandon()
        found = self.found
        request = EstimateRequest(
            self.what,
            self.settings(),
            self.out,
            self.session.settings.device,
            done=done_steps(self.standing),
            validate_on=found.count("validate") if found else 1,
            slices=found.slices("validate", "test") if found else 0,
            edge=max(max(pair.shape[1:]) for pair in found.pairs) if found else 512,
        )

        def keep(outcome: Outcome) -> None:
            if outcome.state == "done":
                self.estimate = outcome.result

        return self.measuring.start("napari_ctinv.work.train_estimate:estimate", request, on_end=keep)

    def start(self) -> Run:
        """Begin a training in a folder that holds none.

        Raises:
            InputError: A folder is missing, or holds a training already.
            ResourceError: The folder cannot be written.
        """
        out = self._out()
        self.look()
        if self.standing is not None:
            raise InputError(
                f"the folder {out.name} holds a training already; continue it, or choose another folder."
            )
        asked = memory.Remembered(self.what, self.settings(), str(self._data()))
        self.history, self.bundle = History(), None
        return self._run(out, asked)

    def go_on(self) -> Run:
        """Continue the training in `out` from its checkpoint, with its own settings.

        Raises:
            InputError: There is none to continue, or it is not known where its data lie.
        """
        out = self._out()
        self.look()
        if not self.can_go_on:
            raise InputError(f"the folder {out.name} holds no training that can go on; start one.")
        return self._run(out, memory.asked_before(out, self.standing, self.data))

    def pause(self) -> None:
        """Finish the step, write its checkpoint and stop; `go_on` continues with the next step."""
        self._stop(memory.PAUSED)

    def cancel(self) -> None:
        """The same, for good; the checkpoint is kept all the same."""
        self._stop(memory.CANCELLED)

    def use(self) -> None:
        """Choose the trained model where it is used.

        Raises:
            InputError: There is none yet.
        """
        if self.bundle is None:
            raise InputError("there is no trained model yet; let the training come to its end.")
        what = self.standing.what if self.standing is not None else self.what
        if what == DENOISER:
            self.session.network.own = self.bundle
        else:
            self.session.invariances.own_generator = self.bundle

    def show_picture(self, number: int = -1) -> list[Layer]:
        """A validation picture as layers: low dose, denoised and full dose, in pixels."""
        if not self.history.pictures:
            raise InputError(
                "there is no validation picture yet; the first one comes with the first validation."
            )
        viewer = self.session.viewer
        alone = not viewer.layers
        added = add_layers(viewer, picture_layers(self.history.pictures[number], self.window))
        if alone:
            viewer.fit_to_view()  # the first layer alone has set it
        return added

    @property
    def window(self) -> tuple[float, float]:
        """Contrast limits of validation pictures in HU: those of the scan, else soft tissue."""
        return self.session.scan.window or SOFT_TISSUE.limits

    def look(self) -> None:
        """Read what lies in `out`: step, settings, best figures, curves."""
        if self.activity.running:
            return
        self.standing = standing_of(self.out) if self.out is not None else None
        self.left = memory.left_in(self.out, self.standing) if self.out is not None else ""
        self.bundle = self.standing.bundle if self.standing is not None else None
        if self.standing is None or self.out is None:
            self.history, self._lengths = History(), {}
        else:
            self._lengths = stage_lengths(self.standing.what, self.standing.config)
            pictures = self.history.pictures if self.history.pictures else []
            self.history = history_in(self.out, self._lengths, self.standing.step)
            self.history.pictures = [one for one in pictures if one.step <= self.standing.step]
        self.grew.emit()
        self.pictured.emit()

    def _run(self, out: Path, asked: memory.Remembered) -> Run:
        request = TrainRequest(
            asked.what, asked.settings, Path(asked.data), out, self.session.settings.device
        )
        if self.checking.running or self.measuring.running:
            self.checking.abandon()
            self.measuring.abandon()
        memory.remember(out, asked)
        memory.note(out, memory.RUNNING)
        self._lengths, self._wish = stage_lengths(asked.what, asked.settings), memory.CANCELLED
        run = self.activity.start(
            "napari_ctinv.work.train:train",
            request,
            on_item=self._take,
            on_end=lambda end: self._end(out, end),
        )
        run.ended.connect(lambda _outcome: self.look())  # after the activity is idle again
        return run

    def _take(self, news: LossNews | ValidationNews) -> None:
        before = self._before(news.stage)
        if isinstance(news, LossNews):
            self.history.add_losses(news.step.astype(np.float64) + before, news.losses)
        else:
            self.history.add_figures(news.step + before, news.figures)
            if news.preview is not None:
                self.history.add_picture(Picture(news.step + before, news.preview))
                self.pictured.emit()
        self.grew.emit()

    def _end(self, out: Path, outcome: Outcome) -> None:
        if isinstance(outcome.result, Trained):
            self.bundle = outcome.result.bundle
        states = {"done": memory.DONE, "cancelled": self._wish}
        memory.note(out, states.get(outcome.state, memory.FAILED))

    def _before(self, stage: str) -> int:
        """Steps of the stages before one."""
        order = list(self._lengths)
        return sum(self._lengths[name] for name in order[: order.index(stage)]) if stage in order else 0

    def _stop(self, wish: str) -> None:
        self._wish = wish
        self.activity.cancel()

    def _forget_data(self) -> None:
        self.found = None
        self._forget_estimate()

    def _forget_estimate(self) -> None:
        self.estimate = None

    def _refuse_while_training(self, done: str) -> None:
        if self.activity.running:
            raise InputError(f"a training is under way, so nothing else is {done}; pause it first.")

    def _data(self) -> Path:
        if self.data is None:
            raise InputError("no data folder is chosen; choose the folder of low-dose and full-dose pairs.")
        return self.data

    def _out(self) -> Path:
        if self.out is None:
            raise InputError(
                "no output folder is chosen; choose an empty one, or one of a training to continue."
            )
        return self.out

"""Activity: what one button stands for. It starts work in the engine, cancels it, and knows how far it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from psygnal import SignalGroupDescriptor

from ctinv.errors import InputError
from napari_ctinv.engine.messages import Outcome
from napari_ctinv.engine.process import Engine
from napari_ctinv.engine.run import Run

IDLE, RUNNING, CANCELLING = "idle", "running", "cancelling"


@dataclass(eq=False)
class Activity:
    """One thing at a time that takes a while; every field can be listened to by ``events``.

    Attributes:
        title: What the button says.
        engine: Gives the engine that does the work.
        state: ``"idle"``, ``"running"`` or ``"cancelling"``.
        text: A phrase about what is being done.
        fraction: The finished share, NaN where the length is unknown.
        message: Why the last run failed, in one sentence, or empty.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    title: str
    engine: Callable[[], Engine] = field(repr=False)
    state: str = IDLE
    text: str = ""
    fraction: float = math.nan
    message: str = ""
    run: Run | None = None

    @property
    def running(self) -> bool:
        """Whether work is under way."""
        return self.state != IDLE

    def start(
        self,
        task: str,
        request: Any,
        *,
        on_item: Callable[[Any], None] | None = None,
        on_end: Callable[[Outcome], None] | None = None,
    ) -> Run:
        """Begin work in the engine.

        Args:
            task: ``"napari_ctinv.work.module:function"``.
            request: Its request, plain data.
            on_item: Called with each thing it yields.
            on_end: Called once with the outcome, before the activity is idle again; not if it was abandoned.

        Raises:
            InputError: It is under way already.
        """
        if self.running:
            raise InputError(f"{self.title.lower()} is under way already; wait for it or cancel it.")
        run = self.engine().submit(task, request)
        self.run, self.message, self.fraction, self.text = run, "", math.nan, "starting"
        self.state = RUNNING
        run.progressed.connect(self._on_progress)
        if on_item is not None:
            run.yielded.connect(on_item)
        if on_end is not None:
            run.ended.connect(lambda outcome: on_end(outcome) if outcome.state != "abandoned" else None)
        run.ended.connect(lambda outcome: self._on_end(run, outcome))
        return run

    def cancel(self) -> None:
        """Stop at the next finished piece, which stays."""
        if self.state == RUNNING and self.run is not None:
            self.state = CANCELLING
            self.run.cancel()

    def abandon(self) -> None:
        """Stop, and tell nobody; for work that another request has overtaken."""
        if self.run is not None and self.run.running:
            self.run.abandon()
            self.run, self.state, self.text = None, IDLE, ""

    def _on_progress(self, text: str, fraction: float) -> None:
        self.text, self.fraction = text, fraction

    def _on_end(self, run: Run, outcome: Outcome) -> None:
        if self.run is run:  # another one may have begun since this was abandoned
            self.state, self.text, self.message = IDLE, "", outcome.message

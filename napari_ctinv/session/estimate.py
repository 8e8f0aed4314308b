"""EstimateModel: what sampling will take, said before it is begun."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from psygnal import SignalGroupDescriptor

from ctinv.errors import CtinvError
from ctinv.sampler.cost import KEPT, READY, Cost
from napari_ctinv.engine.messages import Outcome
from napari_ctinv.engine.run import Run
from napari_ctinv.session.activity import IDLE, RUNNING
from napari_ctinv.work.sample import SampleRequest

if TYPE_CHECKING:
    from napari_ctinv.session import Activity, Session

_STATES = {READY: " (prepared already)", KEPT: " (prepared before)"}


@dataclass(eq=False)
class EstimateModel:
    """Memory and time of the request that the Invariances tab describes.

    Attributes:
        session: The session.
        text: One line, or why the request cannot be met; empty before anything is known.
        cost: The numbers; None before they are known, and where the request cannot be met.
        activity: The estimate under way.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    text: str = ""
    cost: Cost | None = None
    activity: Activity = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.activity = self.session.activity("Estimate")
        self._asked: SampleRequest | None = None
        self.session.invariances.activity.events.state.connect(self._on_sampling)

    def update(self) -> Run | None:
        """Estimate what is asked now, unless that is known or sampling is under way; an older estimate is abandoned."""
        invariances = self.session.invariances
        if invariances.activity.running:
            return None
        try:
            request = invariances.request()
        except CtinvError as error:
            self.activity.abandon()
            self._asked, self.cost, self.text = None, None, str(error)
            return None
        if request == self._asked:
            return None
        self.activity.abandon()
        self._asked, self.cost = request, None
        self.text = "estimating…"
        return self.activity.start(
            "napari_ctinv.work.estimate:estimate",
            request,
            on_item=lambda cost: self._take(cost, request.n),
            on_end=self._end,
        )

    def _take(self, cost: Cost, n: int) -> None:
        self.cost, self.text = cost, in_words(cost, n)

    def _end(self, outcome: Outcome) -> None:
        if outcome.message:
            self._asked, self.cost, self.text = None, None, outcome.message

    def _on_sampling(self, state: str) -> None:
        """Sampling goes first, and afterwards more is there already."""
        if state == RUNNING:
            self.activity.abandon()
        if state in (RUNNING, IDLE):
            self._asked = None


def in_words(cost: Cost, n: int) -> str:
    """The cost in one line.

    Args:
        cost: The cost.
        n: Samples of the study, those included that are there.
    """
    height, width = cost.shape
    left = f"{cost.n} of {n}" if cost.n < n else f"{n}"
    if cost.n == 0:
        return f"{height} × {width} voxels: all {n} samples are there already."
    return (
        f"{height} × {width} voxels, {left} samples: about {_gib(cost.memory_bytes)} of {_gib(cost.free_bytes)} GiB free, "
        f"about {duration(cost.seconds)}{_STATES.get(cost.factor, '')}."
    )


def duration(seconds: float) -> str:
    """Seconds, minutes or hours to two digits."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{seconds / 60:.2g} min"
    return f"{seconds / 3600:.2g} h"


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f}" if size >= 2**30 / 20 else "less than 0.1"

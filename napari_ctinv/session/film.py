"""FilmModel: the samples as a film. It has no clock of its own: whoever plays it calls `tick`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import SignalGroupDescriptor

from napari_ctinv.viewing.film import Reel
from napari_ctinv.viewing.stamp import warns

if TYPE_CHECKING:
    from napari_ctinv.session import Session


@dataclass(eq=False)
class FilmModel:
    """A loop through the samples.

    Attributes:
        session: The session.
        playing: Whether it runs.
        fps: Frames per second that are aimed at; frames are left out where drawing is slower.
        ping_pong: Forth and back instead of always forth.
        passes_only: Leave out samples that are no plausible invariance.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    playing: bool = False
    fps: float = 8.0
    ping_pong: bool = False
    passes_only: bool = False

    def __post_init__(self) -> None:
        self._reel: Reel | None = None
        self._showing = -1
        for name in ("playing", "fps", "ping_pong", "passes_only"):
            getattr(self.events, name).connect(self._rewind)
        self.session.shown.events.finished.connect(self._rewind)
        self.session.shown.events.place.connect(self._on_place)

    @property
    def places(self) -> list[int]:
        """The places in the stack that are shown."""
        certificates = self.session.shown.certificates
        return [place for place, one in enumerate(certificates) if not (self.passes_only and warns(one))]

    def tick(self, now: float | None = None) -> None:
        """Show what is due.

        Args:
            now: Time in s; that of the computer by default.
        """
        if not self.playing:
            return
        now = time.perf_counter() if now is None else now
        if self._reel is None:
            self._reel = self._begin(now)
        if self._reel is None:
            self.playing = False
            return
        self._showing = self._reel.due(now)
        self.session.shown.show(self._showing)

    def _begin(self, now: float) -> Reel | None:
        """A reel from the sample that is shown on."""
        places = self.places
        if not places:
            return None
        shown = self.session.shown.place
        first = next((index for index, place in enumerate(places) if place >= shown), 0)
        return Reel(places, self.fps, self.ping_pong, now, first)

    def _rewind(self, _value: Any = None) -> None:
        self._reel = None

    def _on_place(self, place: int) -> None:
        """Somebody else has moved the slider: the film goes on from there."""
        if place != self._showing:
            self._reel = None

"""Reel: which frame is due at a time. Where drawing is slower than the rate, frames are left out and the pace is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Reel:
    """An endless loop.

    Attributes:
        places: Places in the stack, in the order in which they are shown.
        fps: Frames per second.
        ping_pong: Whether the loop runs back instead of starting anew.
        since: Time of the first frame in s.
        first: Position in `places` of the first frame.
    """

    places: Sequence[int]
    fps: float
    ping_pong: bool = False
    since: float = 0.0
    first: int = 0

    def due(self, now: float) -> int:
        """The place that is to be shown at this time in s.

        Raises:
            IndexError: There is no frame.
        """
        count = len(self.places)
        step = self.first + int((now - self.since) * self.fps + 1e-9)
        if not self.ping_pong or count < 3:
            return self.places[step % count]
        period = 2 * (count - 1)
        step %= period
        return self.places[min(step, period - step)]

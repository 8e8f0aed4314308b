"""What a training asks of the hardware, as figures; `ctinv.training.estimate` finds them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """What a training will take.

    Attributes:
        device: Name of the processor.
        weights: Trained numbers.
        state_bytes: Weights, gradients, optimiser and the copies of them.
        step_bytes: What one batch keeps until its gradient is there.
        free_bytes: Memory that is free on the device now.
        disk_bytes: Two checkpoints, best weights and bundle.
        free_disk_bytes: Room where the training would write; -1 where that is not known.
        steps: Steps still to be made.
        step_s: Seconds per step, NaN where none could be made.
        rest_s: Seconds of all validations and of the measurement at the end, NaN if unknown.
        note: What keeps the figures from being known, in a sentence, else empty.
    """

    device: str
    weights: int
    state_bytes: int
    step_bytes: int
    free_bytes: int
    disk_bytes: int
    free_disk_bytes: int
    steps: int
    step_s: float
    rest_s: float
    note: str = ""

    @property
    def memory_bytes(self) -> int:
        """Peak memory besides what the libraries take."""
        return self.state_bytes + self.step_bytes

    @property
    def total_s(self) -> float:
        """Seconds of the whole training, NaN if unknown."""
        return self.steps * self.step_s + self.rest_s

    @property
    def fits(self) -> bool:
        """Whether there is memory enough now."""
        return self.memory_bytes <= self.free_bytes

"""Cost: what a request will take, as `ctinv.sampler.estimate` finds it; plain data, imports neither torch nor monai."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

READY, KEPT, ABSENT = "ready", "kept", "absent"
"""Where the factor of a region is: in the sampler, on disk, or nowhere yet."""


@dataclass(frozen=True)
class Cost:
    """What a request will take.

    Attributes:
        shape: Height and width of the region in voxels.
        n: Samples that are still to be drawn.
        memory_bytes: Peak memory.
        free_bytes: Memory that is free on the device now.
        factor: One of `READY`, `KEPT` and `ABSENT`.
        stages: Seconds that each stage will take, by the names of `ctinv.sampler.prepare`, and ``"samples"``.
    """

    shape: tuple[int, int]
    n: int
    memory_bytes: int
    free_bytes: int
    factor: str
    stages: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """All of it."""
        return sum(self.stages.values())

    def prepared(self) -> Cost:
        """The same once the region is set up."""
        return replace(self, factor=READY, stages={"samples": self.stages["samples"]})

"""What the tests of the report share: the patient who must not appear, the region, and one study with all it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ctinv.analysis import registry
from ctinv.denoiser import Denoiser
from ctinv.sampler import InvarianceSampler, Store
from ctinv.volume import Box, Volume

CANARY = "Zebrafink"
BOX = Box(1, 176, 200, 152, 176)
N = 30
SLICES = 3
FIRST = 7
ANALYSES = (*registry.ANALYSES, "find-blind")


@dataclass(frozen=True)
class Made:
    """One study with all that it was made of."""

    volume: Volume
    folder: Path
    denoiser: Denoiser
    sampler: InvarianceSampler
    store: Store

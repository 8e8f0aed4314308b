"""Random numbers that belong to a row: sample k has the same ones whatever n, the batch size, the order or the machine.

Each (seed, series, slice, row, stream) owns a counter-based generator on the CPU. Global random state is never touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CANDIDATE, TARGET, RESCAN = "candidate", "target", "re-scan"


@dataclass(frozen=True)
class RowSeeds:
    """The family of generators of one study.

    Attributes:
        seed: The user's seed.
        series: Hash of the series UID.
        place: The region, as text.
    """

    seed: int
    series: str
    place: str

    def generator(self, row: int, stream: str) -> np.random.Generator:
        """The generator of one row and one use."""
        text = f"{self.seed}|{self.series}|{self.place}|{row}|{stream}"
        words = np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype=np.uint32)
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([int(word) for word in words])))

    def normal(self, rows: Sequence[int], size: int, stream: str) -> NDArray[np.float32]:
        """(len(rows), size) standard normal numbers, one generator per row."""
        return np.stack([self.generator(row, stream).standard_normal(size, dtype=np.float32) for row in rows])

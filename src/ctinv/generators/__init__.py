"""Generators of candidates x_c, one per file, behind one contract (method §5).

To add one: write a class with `candidates` in a file of its own and add its row to `GENERATORS`. A generator only
proposes; exactness and the certificate are the engine's business, the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from ctinv.errors import InputError
from ctinv.fibre.covariance import SurroundedNoise
from ctinv.fibre.region import Region
from ctinv.fibre.rows import RowSeeds
from ctinv.generators.renoise import Renoise


class Generator(Protocol):
    """Proposes images of one region that might be invariances."""

    def candidates(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        """One candidate per row, (B, 1, h, w) HU; a row depends on its own number and the seeds only."""
        ...


GENERATORS: dict[str, Callable[[Region, SurroundedNoise, Tensor], Generator]] = {"renoise": Renoise}


def check_generator(name: str) -> None:
    """Raise InputError, listing the generators, unless there is one of this name."""
    if name not in GENERATORS:
        raise InputError(f"there is no generator {name!r}; choose one of {', '.join(GENERATORS)}.")

"""Looking at a data folder as a training will: pairs found, opened, proven and split by patient."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctinv.progress import Progress
from napari_ctinv.work.train import settings_of

if TYPE_CHECKING:
    from ctinv.training.data import Pair


@dataclass(frozen=True)
class CheckRequest:
    """See whether a training of these settings could use a data folder."""

    what: str
    settings: dict[str, Any]
    data: Path


@dataclass(frozen=True)
class PairFound:
    """One pair.

    Attributes:
        name, patient: Neutral names.
        role: ``"train"``, ``"validate"`` or ``"test"``.
        shape: (Z, Y, X) voxels.
    """

    name: str
    patient: str
    role: str
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class DataFound:
    """Pairs that a training can use; no patient is in two sets, and no image twice."""

    pairs: tuple[PairFound, ...]

    def slices(self, *roles: str) -> int:
        """Slices of the pairs in these sets."""
        return sum(pair.shape[0] for pair in self.pairs if pair.role in roles)

    def count(self, role: str) -> int:
        """Pairs of a set."""
        return sum(pair.role == role for pair in self.pairs)


def check(request: CheckRequest, report: Progress) -> Generator[None, None, DataFound]:
    """Returns what a training would use.

    Raises:
        InputError: The folder, a scan or the split cannot be used.
    """
    report("loading the training", float("nan"))
    from ctinv.training.sources import choose_pairs

    config = settings_of(request.what, request.settings)
    sets = choose_pairs(request.data, config, report)
    roles = zip(("train", "validate", "test"), sets, strict=True)
    return DataFound(tuple(_found(pair, role) for role, pairs in roles for pair in pairs))
    yield


def _found(pair: Pair, role: str) -> PairFound:
    depth, height, width = pair.full.shape
    return PairFound(pair.name, pair.patient, role, (depth, height, width))

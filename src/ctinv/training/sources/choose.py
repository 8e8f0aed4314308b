"""A data folder and the settings of a training to three lists of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ctinv.progress import Progress
from ctinv.training.data import Pair, part_of
from ctinv.training.sources.find import find_pairs
from ctinv.training.sources.leaks import refuse_copies
from ctinv.training.sources.opening import open_pair_source
from ctinv.training.sources.split import Part, of_subset, split


class DataSettings(Protocol):
    """What the settings of a training say about its data; see `find_pairs`, `split` and `open_pair_source`."""

    @property
    def layout(self) -> str:
        """A layout or ``auto``."""

    @property
    def split(self) -> str:
        """Rule of the split."""

    @property
    def subset(self) -> str:
        """Region of the collection, or nothing for all."""

    @property
    def train(self) -> Sequence[str]:
        """Names to train on."""

    @property
    def validate(self) -> Sequence[str]:
        """Names to validate on."""

    @property
    def test(self) -> Sequence[str]:
        """Names to test on."""

    @property
    def dose(self) -> float:
        """Dose fraction of the low dose."""

    @property
    def seed(self) -> int:
        """Seed of the random split and of the simulation."""

    @property
    def photons(self) -> float | str | None:
        """Photons to simulate from."""


def choose_pairs(
    folder: Path, config: DataSettings, progress: Progress | None = None
) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """Find, split and open the pairs of a training.

    Args:
        folder: The data folder.
        config: The settings.
        progress: Called as ``progress(text, fraction)`` while scans are read and simulated.

    Returns:
        Pairs to train on, to validate on and to test on; only these are read.

    Raises:
        InputError: The folder, a scan or the split cannot be used.
        ResourceError: The cache has no room.
    """
    sources = of_subset(find_pairs(folder, config.layout), config.subset)
    sets = split(
        sources,
        rule=config.split,
        train=config.train,
        validate=config.validate,
        test=config.test,
        seed=config.seed,
    )
    count, opened = sum(len(parts) for parts in sets), 0

    def open_part(part: Part) -> Pair:
        nonlocal opened
        if progress is not None:
            progress(f"opening {part.source.name}", opened / count)
        pair = open_pair_source(
            part.source, dose=config.dose, seed=config.seed, photons=config.photons, progress=progress
        )
        opened += 1
        return pair if part.first is None or part.last is None else part_of(pair, part.first, part.last)

    train, validate, test = ([open_part(part) for part in parts] for parts in sets)
    refuse_copies([*train, *validate, *test])
    return train, validate, test

"""InvarianceSampler: from a scan and a region to certified invariances."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy
import torch

import ctinv
from ctinv.denoiser import OUTPUT, Denoiser, pick_device
from ctinv.errors import InputError
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.tiers import check_tier
from ctinv.generators.find import find_generator
from ctinv.progress import Progress
from ctinv.representation import Representation
from ctinv.sampler.batch import BLOCK, Batch, check_count
from ctinv.sampler.drawing import Drawer, as_memory_allows, select, too_large
from ctinv.sampler.prepare import Prepared, prepare
from ctinv.sampler.provenance import Provenance, hash_series
from ctinv.sampler.samples import Samples
from ctinv.sampler.survey import Survey, Wish, survey
from ctinv.volume import Box, Volume

METHOD_VERSION = "2"
"""Raised whenever the same request would give other samples; part of every study's key."""

_Place = tuple[str, str, tuple[int, int, int], tuple[int, int, int]]


class InvarianceSampler:
    """Samples images that a denoiser cannot tell from the scan, each with its certificate.

    Args:
        denoiser: f. It is moved to the device.
        tap: Layer whose representation must stay, one of ``denoiser.taps``.
        generator: Name of the generator of candidates, or the bundle folder of a trained one.
        tier: Exactness that is asked, ``"T0"`` to ``"T3"``.
        window_hu: Display window width W of tier T2 in the unit of the scan. By default 400 HU for a CT, else that of the
            header or from percentile 1 to 99 of the scan; the provenance says which.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        photons: Photons per ray of a CT, if known better than the scan says.
        noise_sigma: Standard deviation of an MR image's noise in its unit, if known better than the scan says.
        memory_budget: Bytes that may be used; 80 % of what is free by default.
        cache: Whether factors are kept on disk for later runs (`ctinv.fibre.cache`).

    Raises:
        InputError: A name does not exist; the message lists those that do.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        *,
        tap: str = OUTPUT,
        generator: str | Path = "renoise",
        tier: str = "T2",
        window_hu: float | None = None,
        device: str = "auto",
        photons: float | None = None,
        noise_sigma: float | None = None,
        memory_budget: int | None = None,
        cache: bool = True,
    ) -> None:
        proposer = find_generator(generator, Representation(denoiser, tap))
        check_tier(tier)
        self.device = pick_device(device)
        self.denoiser = denoiser.to(self.device)
        self.wish = Wish(tap, proposer, tier, window_hu, photons, noise_sigma, memory_budget, cache)
        self._survey: tuple[_Place, Survey] | None = None
        self._prepared: tuple[_Place, Prepared] | None = None

    def survey(self, volume: Volume, box: Box, *, progress: Progress | None = None) -> Survey:
        """What the request means on this scan, from the last call if it is the same."""
        place = _place(volume, box)
        if self._survey is None or self._survey[0] != place:
            found, _ = as_memory_allows(
                lambda most: survey(
                    self.denoiser, volume, box, self.wish, device=self.device, progress=progress, most=most
                ),
                BLOCK,
                lambda: too_large(box.shape, self.device),
            )
            self._survey = (place, found)
        return self._survey[1]

    def is_prepared(self, volume: Volume, box: Box) -> bool:
        """Whether the region of the last `prepare` is this one, so that samples can be drawn at once."""
        return self._prepared is not None and self._prepared[0] == _place(volume, box)

    def prepare(self, volume: Volume, box: Box, *, progress: Progress | None = None) -> Prepared:
        """Set a region up, or take it from the last call if it is the same: the factor serves every seed."""
        place = _place(volume, box)
        if self._prepared is None or self._prepared[0] != place:
            self._prepared = None  # two factors at once would double the memory
            found = self.survey(volume, box, progress=progress)
            region = found.region
            prepared, _ = as_memory_allows(
                lambda most: prepare(
                    replace(found, region=region.within(most)), self.wish, progress=progress
                ),
                region.most,
                lambda: too_large(box.shape, self.device, region),
            )
            self._prepared = (place, prepared)
        return self._prepared[1]

    def provenance(
        self, volume: Volume, box: Box, *, n: int, seed: int, progress: Progress | None = None
    ) -> Provenance:
        """The record of a request; the scan is surveyed for it, as ε and C belong to it."""
        found = self.survey(volume, box, progress=progress)
        rule = found.rule
        return Provenance(
            series=hash_series(volume.uid),
            box=str(box),
            volume_shape=volume.shape,
            affine=tuple(tuple(row) for row in volume.affine.tolist()),
            denoiser=self.denoiser.name,
            weights_sha256=self.denoiser.weights_sha256,
            slices=self.denoiser.slices,
            tap=self.wish.tap,
            generator=self.wish.proposer.name,
            generator_sha256=dict(self.wish.proposer.weights_sha256),
            domain=self.wish.proposer.domain,
            tier=self.wish.tier,
            tolerance=rule.tolerance,
            tolerance_unit="relative" if rule.relative else volume.unit,
            window_hu=rule.window_hu,
            window_source=found.window_source,
            unit=volume.unit,
            step=rule.step,
            noise=found.noise_source,
            seed=seed,
            n=n,
            device=str(self.device),
            versions=versions(),
        )

    def batches(
        self,
        volume: Volume,
        box: Box,
        *,
        n: int = 250,
        seed: int = 0,
        rows: Iterable[int] | None = None,
        batch_size: int = BLOCK,
        progress: Progress | None = None,
    ) -> Iterator[Batch]:
        """Finished samples, batch by batch.

        Args:
            volume: The scan.
            box: The region.
            n: Number of samples.
            seed: The user's seed; sample k depends on it, the scan, the slice and k, and on nothing else.
            rows: Which of the n rows to draw; all by default.
            batch_size: Samples per batch at most; it changes no sample.
            progress: Called with a phrase and a finished share.

        Raises:
            InputError: n, seed, a row or the batch size is out of range.
        """
        check_request(n, seed)
        wanted = _check_rows(n, rows, batch_size)
        prepared = self.prepare(volume, box, progress=progress)
        drawer = Drawer(prepared, RowSeeds(seed, hash_series(volume.uid), str(box)))
        done = 0
        for block in sorted({row // BLOCK for row in wanted}):
            if progress is not None:
                progress("sampling", done / len(wanted))
            keep = [row for row in wanted if row // BLOCK == block]
            whole = drawer.block(block, keep)
            for start in range(0, len(keep), batch_size):
                part = keep[start : start + batch_size]
                yield select(whole, part)
                done += len(part)

    def sample(
        self, volume: Volume, box: Box, *, n: int = 250, seed: int = 0, progress: Progress | None = None
    ) -> Samples:
        """All samples, in memory; arguments as for `batches`."""
        check_request(n, seed)
        prepared = self.prepare(volume, box, progress=progress)
        since = time.perf_counter()
        batches = list(self.batches(volume, box, n=n, seed=seed, progress=progress))
        seconds = {**prepared.seconds, "samples": time.perf_counter() - since}
        return Samples.collect(
            batches, prepared.setting, self.provenance(volume, box, n=n, seed=seed), seconds=seconds
        )


def versions() -> dict[str, str]:
    """Versions of what samples are computed with, for the provenance."""
    return {
        "ctinv": ctinv.__version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "method": METHOD_VERSION,
    }


def check_request(n: int, seed: int) -> None:
    """Raise InputError unless a study can hold n samples and the seed is not negative."""
    check_count(n)
    if seed < 0:
        raise InputError(f"expected a seed of 0 or more, got {seed}.")


def _check_rows(n: int, rows: Iterable[int] | None, batch_size: int) -> list[int]:
    if batch_size < 1:
        raise InputError(f"expected a batch size of at least 1, got {batch_size}.")
    wanted = sorted(set(range(n) if rows is None else rows))
    if wanted and not 0 <= wanted[0] <= wanted[-1] < n:
        raise InputError(f"expected rows from 0 to {n - 1}, got {wanted[0]} to {wanted[-1]}.")
    return wanted


def _place(volume: Volume, box: Box) -> _Place:
    return (volume.uid, str(box), volume.offset, volume.shape)

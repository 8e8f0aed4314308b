"""Drawing the rows of a block: all together, or fewer at once where memory is short.

A block of 25 rows is computed together, so that sample k is the same in any company. Where that does not fit into memory
the number is halved, 25, 12, 6, 3, 1, until it does, and stays so for the rest of the run. The rows of each size begin at
multiples of it within their block, so what a row is computed with follows from the size alone.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Collection
from functools import partial
from typing import TypeVar

import numpy as np
import torch

from ctinv.errors import ResourceError
from ctinv.fibre.memory import estimate_bytes, free_bytes, is_out_of_memory
from ctinv.fibre.region import Region
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.tiers import Certificate
from ctinv.sampler.batch import BLOCK, Batch
from ctinv.sampler.prepare import Prepared

T = TypeVar("T")
_logger = logging.getLogger(__name__)


def as_memory_allows(call: Callable[[int], T], most: int, refusal: Callable[[], str]) -> tuple[T, int]:
    """Call with a number of images that memory allows, from `most` down in halves.

    Args:
        call: What is computed, given how many images may be worked on at once.
        most: The first number that is tried.
        refusal: What is said where not even one fits.

    Returns:
        The result and the number it took.

    Raises:
        ResourceError: Not even one fits.
    """
    while True:
        try:
            return call(most), most
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Only here, behind the except block, is what the failed try held let go: the error's traceback kept it.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if most == 1:
            raise ResourceError(refusal())
        _logger.warning("out of memory with %d images at once; going on with %d", most, most // 2)
        most //= 2


def too_large(shape: tuple[int, int], device: torch.device, region: Region | None = None) -> str:
    """What is said of a region that does not fit into memory even one image at a time."""
    needed = "" if region is None else f", needs about {estimate_bytes(region.within(1)) / 2**30:.2g} GiB"
    return (
        f"a region of {shape[0]} x {shape[1]} voxels{needed} and does not fit into memory even one image at a time, "
        f"{free_bytes(device) / 2**30:.2g} GiB are free; choose a smaller box."
    )


class Drawer:
    """Draws rows of one region.

    Args:
        prepared: The region.
        seeds: Source of the draws.
        together: Rows that are computed at once at first, at the most.

    Attributes:
        together: Rows that are computed at once now.
    """

    def __init__(self, prepared: Prepared, seeds: RowSeeds, together: int = BLOCK) -> None:
        self._prepared, self._seeds = prepared, seeds
        self.together = min(
            together, prepared.corrector.region.most
        )  # setting up may have found memory short
        self._cramped: dict[int, Prepared] = {BLOCK: prepared}

    def block(self, number: int, wanted: Collection[int]) -> Batch:
        """The wanted rows of a block, finished and certified.

        Raises:
            ResourceError: Memory is too short for a single row.
        """
        start, stop = number * BLOCK, (number + 1) * BLOCK
        parts = []
        while start < stop:
            if not any(start <= row < start + self.together for row in wanted):
                start += self.together
                continue
            draw = partial(self._draw, start, stop)
            part, self.together = as_memory_allows(draw, self.together, self._too_large)
            parts.append(part)
            start += len(part.rows)
        return select(join(parts), sorted(row for row in wanted if row // BLOCK == number))

    def _draw(self, start: int, stop: int, most: int) -> Batch:
        if most not in self._cramped:
            self._cramped[most] = self._prepared.within(most)
        draw = _targets if self._prepared.domain == "target" else _samples
        return draw(self._cramped[most], range(start, min(start + most, stop)), self._seeds, most)

    def _too_large(self) -> str:
        region = self._prepared.corrector.region
        return too_large(region.shape, region.context.device, region)


def _samples(prepared: Prepared, rows: range, seeds: RowSeeds, together: int) -> Batch:
    candidates = prepared.generator.candidates(rows, seeds)
    x_tilde, error, certificates = prepared.corrector.correct(candidates, rows, seeds)
    images, errors = x_tilde[:, 0].cpu().numpy(), error[:, 0].cpu().numpy()
    return Batch(tuple(rows), images, errors, tuple(certificates), together)


def _targets(prepared: Prepared, rows: range, seeds: RowSeeds, together: int) -> Batch:
    """Images as f should make them: yielded as they are, since feeding them back has no meaning."""
    quantum = prepared.setting.quantum
    images = prepared.generator.candidates(rows, seeds)[:, 0].cpu().numpy()
    errors = np.full((len(rows), *prepared.setting.output_box.shape), np.nan, dtype=np.float32)
    rounded = np.rint(images / quantum) * quantum if quantum else images
    certificates = tuple(Certificate.of_target(row) for row in rows)
    finished = rounded.astype(np.float32) + np.float32(0.0)
    return Batch(tuple(rows), finished, errors, certificates, together)


def join(parts: list[Batch]) -> Batch:
    """Batches as one."""
    if len(parts) == 1:
        return parts[0]
    return Batch(
        tuple(row for part in parts for row in part.rows),
        np.concatenate([part.x_tilde for part in parts]),
        np.concatenate([part.feedback_error for part in parts]),
        tuple(certificate for part in parts for certificate in part.certificates),
        min(part.together for part in parts),
    )


def select(batch: Batch, rows: list[int]) -> Batch:
    """Some rows of a batch."""
    index = [batch.rows.index(row) for row in rows]
    certificates = tuple(batch.certificates[i] for i in index)
    return Batch(tuple(rows), batch.x_tilde[index], batch.feedback_error[index], certificates, batch.together)


def ordered(batch: Batch) -> Batch:
    """The same with ascending rows."""
    return select(batch, sorted(batch.rows))

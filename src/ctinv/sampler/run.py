"""Sampling into a study: the one loop that the shell, the plugin and scripts share."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from pathlib import Path

from ctinv.progress import Progress
from ctinv.sampler import lock
from ctinv.sampler.batch import Batch
from ctinv.sampler.disk import stays
from ctinv.sampler.manifest import ROOT
from ctinv.sampler.sampler import InvarianceSampler, check_request
from ctinv.sampler.store import Store
from ctinv.volume import Box, Volume


def sample_into(
    path: str | os.PathLike[str],
    sampler: InvarianceSampler,
    volume: Volume,
    box: Box,
    *,
    n: int = 250,
    seed: int = 0,
    progress: Progress | None = None,
) -> Generator[Batch, None, None]:
    """Sample a region into a study, yielding each batch once it is safe on disk.

    A study of the same request is continued, or left alone if it is complete. Closing the iterator, an error or an
    interruption keeps every sample finished so far; the same call goes on from there.

    Args:
        path: Folder of the study, by habit ``….zarr``.
        sampler: The sampler.
        volume: The scan.
        box: The region.
        n: Number of samples.
        seed: The user's seed.
        progress: Called with a phrase and a finished share; raising in it stops the run.

    Raises:
        InputError: The request cannot be met.
        StoreError: The folder holds something else, or the disk is full.
    """
    check_request(n, seed)
    check_place = stays(Path(path))
    provenance = sampler.provenance(volume, box, n=n, seed=seed, progress=progress)
    if _complete(Path(path), provenance.key(), n):
        return
    prepared = sampler.prepare(volume, box, progress=progress)
    check_place()
    store = Store.create(path, provenance, prepared.setting, n=n)
    since = time.perf_counter()
    finished = dict(prepared.seconds)
    try:
        missing = store.missing()
        for batch in sampler.batches(volume, box, n=n, seed=seed, rows=missing, progress=progress):
            store.append(batch)
            yield batch
    finally:
        # Also on the way out of an interruption: the maps are then those of the samples at hand.
        try:
            store.finish({**finished, "samples": time.perf_counter() - since})
        finally:
            store.close()


def _complete(path: Path, key: str, n: int) -> bool:
    """Whether a study of this key already holds the first n samples, whole; what only its end lacks is made up for."""
    if not (path / ROOT).is_file():
        return False
    store = Store.open(path)
    if store.provenance.key() != key or not set(range(n)) <= set(store.rows):
        return False
    if any(fault.kind != "foreign" for fault in store.verify()):
        return False
    if not (store.is_finished or store.missing()):
        with Store.resume(path) as unfinished:
            unfinished.finish()
    lock.tidy(path)
    return True

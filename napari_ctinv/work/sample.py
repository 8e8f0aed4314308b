"""Sampling certified invariances into a study."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ctinv.volume import Box, Volume
from napari_ctinv.engine.messages import Report


@dataclass(frozen=True)
class SampleRequest:
    """Sample n invariances of a box into a study.

    Attributes:
        volume: The scan.
        box: The region, in its voxels.
        denoiser: Name of a shipped denoiser, bundle folder or file.
        tap: Layer whose representation must stay.
        generator: Name of a generator or the bundle folder of a trained one.
        n: Number of samples.
        tier: ``"T0"`` to ``"T3"``.
        seed: Sample k depends on it and on k only.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        study: Folder of the study; None for one in the user's data folder that is named by the key.
        trust: sha256 of a denoiser that runs code, where the user has allowed it.
    """

    volume: Volume
    box: Box
    denoiser: str
    tap: str
    generator: str
    n: int
    tier: str
    seed: int
    device: str
    study: Path | None = None
    trust: str | None = None


@dataclass(frozen=True)
class Grown:
    """More samples are safe on disk.

    Attributes:
        study: The folder of the study.
        rows: How many samples this run has finished.
    """

    study: Path
    rows: int


def sample(request: SampleRequest, report: Report) -> Iterator[Grown]:
    """Yields the study whenever more samples are finished in it, and once at its end.

    Raises:
        CtinvError: The request cannot be met.
    """
    report("loading the network", math.nan)
    from ctinv.sampler.run import sample_into
    from napari_ctinv.work import cached

    sampler = cached.sampler(
        request.denoiser,
        tap=request.tap,
        generator=request.generator,
        tier=request.tier,
        device=request.device,
        trust=request.trust,
    )
    provenance = sampler.provenance(
        request.volume, request.box, n=request.n, seed=request.seed, progress=report
    )
    path = request.study or default_study(provenance.key())
    path.parent.mkdir(parents=True, exist_ok=True)
    batches = sample_into(
        path, sampler, request.volume, request.box, n=request.n, seed=request.seed, progress=report
    )
    done = 0
    with closing(batches):
        for batch in batches:
            done += len(batch.rows)
            yield Grown(path, done)
    yield Grown(path, done)


def default_study(key: str) -> Path:
    """Where a study lies when the user names no place: in the user's data folder, by its key."""
    import platformdirs

    return Path(platformdirs.user_data_path("napari-ctinv", appauthor=False)) / "studies" / f"{key}.zarr"

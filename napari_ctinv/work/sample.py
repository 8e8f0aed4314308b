"""Sampling certified invariances into a study."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ctinv.progress import Progress
from ctinv.volume import Box, Volume

if TYPE_CHECKING:
    from ctinv.sampler import InvarianceSampler


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
        network: Class of a file of weights.
        card: File of its card.
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
    network: str | None = None
    card: Path | None = None


@dataclass(frozen=True)
class Grown:
    """More samples are safe on disk.

    Attributes:
        study: The folder of the study.
        rows: How many samples this run has finished.
        together: How many samples were computed at once; fewer than 25 where memory is short.
    """

    study: Path
    rows: int
    together: int | None = None


def sample(request: SampleRequest, report: Progress) -> Iterator[Grown]:
    """Yields the study whenever more samples are finished in it, and once at its end.

    Raises:
        CtinvError: The request cannot be met.
    """
    report("loading the network", math.nan)
    from ctinv.sampler.run import sample_into

    sampler = sampler_for(request)
    provenance = sampler.provenance(
        request.volume, request.box, n=request.n, seed=request.seed, progress=report
    )
    path = request.study or default_study(provenance.key())
    path.parent.mkdir(parents=True, exist_ok=True)
    if rows_in(path, provenance.key()):  # what the study has already is on the screen at once
        yield Grown(path, 0)
    batches = sample_into(
        path, sampler, request.volume, request.box, n=request.n, seed=request.seed, progress=report
    )
    done, together = 0, None
    with closing(batches):
        for batch in batches:
            done, together = done + len(batch.rows), batch.together
            yield Grown(path, done, together)
    yield Grown(path, done, together)


def sampler_for(request: SampleRequest) -> InvarianceSampler:
    """The sampler of a request, kept from the last one if it is the same."""
    from napari_ctinv.work import cached

    return cached.sampler(
        request.denoiser,
        tap=request.tap,
        generator=request.generator,
        tier=request.tier,
        device=request.device,
        trust=request.trust,
        network=request.network,
        card=request.card,
    )


def default_study(key: str) -> Path:
    """Where a study lies when the user names no place: in the user's data folder, by its key."""
    import platformdirs

    return Path(platformdirs.user_data_path("napari-ctinv", appauthor=False)) / "studies" / f"{key}.zarr"


def rows_in(path: Path, key: str) -> frozenset[int]:
    """The finished samples of a study of this key; none where there is no such study, or none that can be read."""
    from ctinv.errors import CtinvError
    from ctinv.sampler import Store

    if not path.is_dir():
        return frozenset()
    try:
        store = Store.open(path)
    except CtinvError:
        return frozenset()
    return frozenset(store.rows) if store.provenance.key() == key else frozenset()

"""The candidates behind samples: drawn again from the seed of their study, and fed back as they are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctinv.progress import Progress
from ctinv.volume import Volume

if TYPE_CHECKING:
    from ctinv.sampler.raw import Candidates

_last: dict[tuple[str, str | None, str, str | None], Candidates] = {}


@dataclass(frozen=True)
class RawRequest:
    """Draw the candidates of some samples of a study again.

    Attributes:
        study: Folder of the study.
        rows: The samples.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        denoiser: File or bundle of its denoiser; None for a shipped one, found by its hashes.
        loading: Of that denoiser: its class, card and the sha256 that may run code, as `ctinv.load_denoiser` takes them.
        volume: Its scan, which trained generators look at.
        generator: Bundle folder of its generator; None for a shipped one.
    """

    study: Path
    rows: tuple[int, ...]
    device: str
    denoiser: str | None = None
    loading: dict[str, Any] = field(default_factory=dict)
    volume: Volume | None = None
    generator: str | None = None


@dataclass(frozen=True)
class RawSample:
    """One candidate.

    Attributes:
        k: Row of its sample.
        x: (h, w) float32 HU.
        error: (H', W') float32 HU, f of it − f(x) over the output box.
        rmse_hu: RMSE of `error`.
        agrees: Whether that is what the certificate of the sample says of its candidate.
    """

    k: int
    x: NDArray[np.float32]
    error: NDArray[np.float32]
    rmse_hu: float
    agrees: bool


def raw(request: RawRequest, report: Progress) -> Iterator[RawSample]:
    """Yields the candidate of each row.

    Raises:
        CtinvError: The network or the scan of the study is needed and is another one.
    """
    report("setting the region up again", math.nan)
    candidates = _candidates(request, report)
    for done, found in enumerate(candidates.draw(request.rows)):
        report("drawing candidates", done / len(request.rows))
        yield RawSample(found.k, found.x, found.error, found.rmse_hu, found.agrees)


def _candidates(request: RawRequest, report: Progress) -> Candidates:
    """Those of the last request if they are of the same study; one region is kept."""
    from ctinv.sampler import Store
    from ctinv.sampler.network import find_denoiser
    from ctinv.sampler.raw import Candidates

    study = Store.open(request.study)
    wanted = (study.provenance.key(), request.denoiser, request.device, request.generator)
    if wanted not in _last:
        _last.clear()
        denoiser = find_denoiser(
            study.provenance.weights_sha256, request.denoiser, device=request.device, **request.loading
        )
        _last[wanted] = Candidates.of(
            study, denoiser, volume=request.volume, generator=request.generator, progress=report
        )
    _last[wanted].certified.update({one.k: one.rmse_hu_raw for one in study.certificates})
    return _last[wanted]

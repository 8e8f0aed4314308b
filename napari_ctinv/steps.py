"""What the widgets run: each a thin shell around one core call; only the worker's thread imports torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctinv.volume import Acquisition, Box, Volume
from napari_ctinv.layers import LayerTuple, denoised_layers, map_layers

if TYPE_CHECKING:
    from ctinv.sampler import InvarianceSampler, Store
    from napari_ctinv.worker import Report

UNKNOWN = math.nan


@dataclass(frozen=True)
class DenoiseRequest:
    """Denoise slices `first` to `last` (exclusive) of a volume."""

    volume: Volume
    denoiser: str
    device: str
    first: int
    last: int
    window: tuple[float, float] | None = None


@dataclass(frozen=True)
class SampleRequest:
    """Sample n invariances of a box into a study.

    Attributes:
        denoiser: Name of a shipped denoiser or path of a bundle folder.
        study: Folder of the study, or None for one in the user's data folder that is named by the key.
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


class DenoiseWork:
    """Denoise slice by slice; what is finished becomes layers even if the run is stopped."""

    def __init__(self, request: DenoiseRequest) -> None:
        self.request = request
        self._name = request.denoiser
        self._done: list[NDArray[np.float32]] = []

    def steps(self, report: Report) -> Iterator[int]:
        """Yields the number of finished slices."""
        report("loading the network", UNKNOWN)
        from ctinv.denoiser import denoise_slices, load_denoiser, pick_device

        denoiser = load_denoiser(self.request.denoiser, device=pick_device(self.request.device))
        denoiser.check_unit(self.request.volume.unit)
        self._name = denoiser.name
        first, last = self.request.first, self.request.last
        planes = denoise_slices(denoiser, self.request.volume.hu, first=first, last=last)
        for z in range(last - first):
            report(f"denoising slice {z + 1} of {last - first}", z / (last - first))
            self._done.append(next(planes))
            yield len(self._done)

    def finish(self) -> list[LayerTuple]:
        """f(x) and x − f(x) of the finished slices."""
        if not self._done:
            return []
        part = self._part()[: len(self._done)]
        denoised = _other_scan(part, np.stack(self._done))
        return denoised_layers(part, denoised, denoiser=self._name, window=self.request.window)

    def _part(self) -> Volume:
        return self.request.volume[self.request.first : self.request.last]


class SampleWork:
    """Sample into a study; the study keeps what is finished however the run ends."""

    def __init__(self, request: SampleRequest) -> None:
        self.request = request
        self.study: Store | None = None
        self.summary: dict[str, Any] = {}

    def steps(self, report: Report) -> Iterator[Store]:
        """Yields the study, opened anew, whenever more samples are finished in it."""
        report("loading the network", UNKNOWN)
        from ctinv.sampler import Store
        from ctinv.sampler.run import sample_into

        request = self.request
        sampler = _sampler(request)
        provenance = sampler.provenance(
            request.volume, request.box, n=request.n, seed=request.seed, progress=report
        )
        path = request.study or default_study(provenance.key())
        path.parent.mkdir(parents=True, exist_ok=True)
        batches = sample_into(
            path, sampler, request.volume, request.box, n=request.n, seed=request.seed, progress=report
        )
        with closing(batches):
            for _batch in batches:
                self.study = Store.open(path)
                yield self.study
        self.study = Store.open(path)
        yield self.study

    def finish(self) -> list[LayerTuple]:
        """The maps over the finished samples."""
        if self.study is None or not self.study.certificates:
            return []
        self.summary = self.study.summary()
        return map_layers(self.study)


def _other_scan(part: Volume, hu: NDArray[np.float32]) -> Volume:
    """New voxels in the same place: another identity, and the noise of the scan no longer applies."""
    return replace(part.with_hu(hu), acquisition=Acquisition(window=part.acquisition.window))


def default_study(key: str) -> Path:
    """Where a study lies when the user names no place: in the user's data folder, by its key."""
    import platformdirs

    return Path(platformdirs.user_data_path("napari-ctinv", appauthor=False)) / "studies" / f"{key}.zarr"


_last_sampler: dict[tuple[str, ...], InvarianceSampler] = {}


def _sampler(request: SampleRequest) -> InvarianceSampler:
    """The sampler of the last run if it fits, so that another seed reuses its factor; only one is kept."""
    from ctinv.denoiser import load_denoiser
    from ctinv.sampler import InvarianceSampler

    wanted = (request.denoiser, request.tap, request.generator, request.tier, request.device)
    if wanted not in _last_sampler:
        _last_sampler.clear()
        _last_sampler[wanted] = InvarianceSampler(
            load_denoiser(request.denoiser),
            tap=request.tap,
            generator=request.generator,
            tier=request.tier,
            device=request.device,
        )
    return _last_sampler[wanted]

"""The candidates behind the samples of a study: drawn again from its seed, and fed back as they are.

A study keeps of a candidate only how far f of it lies from f(x), in its certificate. The image itself follows from the seed:
of a generator that needs no weights from the study alone, of a trained one with the scan. What is drawn again is compared
with the certificate, so that a picture of a candidate is not one of something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ctinv.denoiser import Denoiser, slice_stack
from ctinv.errors import InputError, StoreError
from ctinv.fibre.covariance import SurroundedNoise
from ctinv.fibre.measure import rms
from ctinv.fibre.region import Region
from ctinv.fibre.rows import RowSeeds
from ctinv.generators.contract import Generator, Scene
from ctinv.generators.find import GENERATORS, find_generator
from ctinv.progress import Progress
from ctinv.sampler.provenance import hash_series
from ctinv.sampler.reopen import gain_request
from ctinv.sampler.samples import Samples
from ctinv.sampler.store import Store
from ctinv.sampler.survey import Clock
from ctinv.volume import Volume

AGREEMENT = 0.01
"""Share by which the feed-back error of a candidate may differ from its certificate: rounding, on whatever machine."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One candidate before correction.

    Attributes:
        k: Row of the sample.
        x: (h, w) float32 HU.
        error: (H', W') float32 HU, f of it − f(x) over the output box.
        rmse_hu: RMSE of `error` as certificates take it.
        certified_hu: What the certificate of sample k says; None where k has none.
    """

    k: int
    x: NDArray[np.float32]
    error: NDArray[np.float32]
    rmse_hu: float
    certified_hu: float | None

    @property
    def agrees(self) -> bool:
        """Whether it is the candidate that the certificate speaks of, as far as its error tells."""
        known = self.certified_hu
        return known is not None and abs(self.rmse_hu - known) <= AGREEMENT * known


@dataclass(frozen=True, eq=False)
class Candidates:
    """Draws the candidates of one study.

    Attributes:
        region: Its region and the network.
        generator: Its generator.
        seeds: Its seeds.
        certified: RMSE of the candidate in HU by row, from the certificates.
    """

    region: Region
    generator: Generator
    seeds: RowSeeds
    certified: dict[int, float]

    @classmethod
    def of(
        cls,
        study: Store | Samples,
        denoiser: Denoiser,
        *,
        volume: Volume | None = None,
        generator: str | None = None,
        cache: bool = True,
        progress: Progress | None = None,
    ) -> Candidates:
        """Set the region of a study up again.

        Args:
            study: The study.
            denoiser: The network it was made with, on the device to compute on.
            volume: Its scan, which a trained generator looks at.
            generator: Bundle folder of its generator, for one that is not shipped.
            cache: Whether the factor, which holds the noise of a small region, is looked up and kept on disk.
            progress: Called with a phrase and a finished share.

        Raises:
            InputError: The scan is needed and is not given, or is another one.
            StoreError: The study does not fit the denoiser, or was drawn by another generator.
        """
        provenance = study.provenance
        if provenance.generator not in GENERATORS and volume is None:
            raise InputError(
                f"{provenance.generator} looks at more of the slice than a study keeps; open the scan first."
            )
        if volume is not None and hash_series(volume.uid) != provenance.series:
            raise InputError("this is not the scan that was sampled; open the one the study was made on.")
        clock = Clock(progress)
        request = gain_request(study, denoiser, cache=cache)
        noise = request.noise(clock, progress)
        clock.stage("")
        proposer = find_generator(generator or provenance.generator, request.region.representation)
        if dict(proposer.weights_sha256) != provenance.generator_sha256:
            raise StoreError(
                f"the weights of {proposer.name} are not those that the study was made with; name its bundle folder."
            )
        scene = scene_of(study, request.region, noise, volume=volume)
        seeds = RowSeeds(provenance.seed, provenance.series, provenance.box)
        certified = {one.k: one.rmse_hu_raw for one in study.certificates}
        return cls(request.region, proposer.on(scene), seeds, certified)

    def draw(self, rows: Sequence[int]) -> Iterator[Candidate]:
        """The candidates of these rows, one by one."""
        for row in rows:
            image = self.generator.candidates([row], self.seeds)
            error, _ = self.region.errors(image)
            yield Candidate(
                row,
                _array(image[0, 0]),
                _array(error[0, 0]),
                float(rms(self.region, error)[0]),
                self.certified.get(row),
            )


def scene_of(
    study: Store | Samples, region: Region, noise: SurroundedNoise, *, volume: Volume | None = None
) -> Scene:
    """What a generator looks at.

    Args:
        study: The study.
        region: Its region, in the voxels of the scan.
        noise: The noise on it, given the surroundings.
        volume: The scan. Without it there is NaN where the study holds nothing of the slice.
    """
    setting, device = study.setting, region.context.device
    denoiser, sigma = region.representation.denoiser, setting.scalars["sigma_out_hu"]
    if volume is not None:
        scan = torch.from_numpy(slice_stack(volume.hu, region.box.z, denoiser.slices)).to(device)
        with torch.inference_mode():
            return Scene(region, noise, scan, denoiser(scan[None])[0, 0], sigma)
    height, width = study.provenance.volume_shape[1:]
    scan = torch.full((len(setting.context), height, width), torch.nan, device=device)
    scan[:, region.context_box.slices[0], region.context_box.slices[1]] = region.context[0]
    clean = torch.full((height, width), torch.nan, device=device)
    clean[region.box.slices] = torch.from_numpy(setting.fx).to(device)
    return Scene(region, noise, scan, clean, sigma)


def _array(values: torch.Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.detach().cpu().numpy(), dtype=np.float32)

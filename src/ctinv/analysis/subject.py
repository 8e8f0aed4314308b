"""What analyses look at: one prepared region, its C, and the samples that hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ctinv.errors import InputError
from ctinv.fibre.correct import Corrector
from ctinv.fibre.covariance import Covariance
from ctinv.fibre.heard import Heard, unheard
from ctinv.fibre.rows import RowSeeds
from ctinv.progress import Progress
from ctinv.sampler.prepare import Prepared
from ctinv.sampler.provenance import hash_series
from ctinv.sampler.reopen import known_noise, reopen
from ctinv.volume import Box, Volume

if TYPE_CHECKING:
    from ctinv.denoiser import Denoiser
    from ctinv.sampler import Samples, Store

Images = NDArray[np.float32]

_RENOISED = "re-noised"


@dataclass(frozen=True, eq=False)
class Subject:
    """One region as analyses see it.

    Attributes:
        corrector: The region, K, the noise given the surroundings, f(x) and the tiers.
        covariance: C around the region.
        residual: (H, W) float64 HU, x - ŷ on the area of C: with it C can be changed and the region set up again.
        spacing_mm: Distance of rows and of columns in mm.
        series: Hash of the series, for seeds.
        unit: Unit of the scan; HU stands for it everywhere.
        x_tilde: (n, h, w) HU, the samples that hold: certified at the asked tier and plausible by χ²/n. Others are never
            ranked or analysed.
        rows: Their rows.
        left_out: Number of samples that do not hold.
    """

    corrector: Corrector
    covariance: Covariance
    residual: NDArray[np.float64]
    spacing_mm: tuple[float, float]
    series: str
    unit: str = "HU"
    x_tilde: Images = field(default_factory=lambda: np.zeros((0, 0, 0), dtype=np.float32))
    rows: tuple[int, ...] = ()
    left_out: int = 0

    @classmethod
    def of(cls, prepared: Prepared, volume: Volume, *, samples: Samples | None = None) -> Subject:
        """From a region that is prepared, with samples of it if there are any.

        Args:
            prepared: The region.
            volume: Its scan.
            samples: Samples drawn on it.
        """
        (_, dy, dx), unit = volume.spacing, volume.unit
        bare = cls(
            prepared.corrector,
            prepared.covariance,
            known_noise(prepared.setting).residual,
            (dy, dx),
            hash_series(volume.uid),
            unit,
        )
        return bare if samples is None else bare._with(samples)

    @classmethod
    def of_study(
        cls, study: Store | Samples, denoiser: Denoiser, *, progress: Progress | None = None
    ) -> Subject:
        """From a study and its denoiser; the scan is not needed.

        Args:
            study: The study.
            denoiser: The network it was made with, on the device to compute on.
            progress: Called with a phrase and a finished share.

        Raises:
            InputError: Its samples are of the target domain.
            StoreError: The study does not hold C, or does not fit the denoiser.
        """
        if study.provenance.domain == "target":
            raise InputError(
                f"the samples of {study.provenance.generator} are images as f should make them; only samples that are fed "
                "back can be analysed."
            )
        corrector, covariance = reopen(study, denoiser, progress=progress)
        (_, dy, dx), provenance = study.setting.volume.spacing, study.provenance
        residual = known_noise(study.setting).residual
        bare = cls(corrector, covariance, residual, (dy, dx), provenance.series, provenance.unit)
        return bare._with(study)

    def _with(self, study: Store | Samples) -> Subject:
        kept, rows, left_out = [], [], 0
        for batch in study.batches():
            for image, certificate in zip(batch.x_tilde, batch.certificates, strict=True):
                if certificate.passed and certificate.in_band is not False:
                    kept.append(image)
                    rows.append(certificate.k)
                else:
                    left_out += 1
        images = np.stack(kept) if kept else np.zeros((0, *self.shape), dtype=np.float32)
        return replace(self, x_tilde=images, rows=tuple(rows), left_out=left_out)

    @property
    def box(self) -> Box:
        """The region in the voxels of the scan."""
        return self.corrector.region.box

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the region in voxels."""
        return self.corrector.region.shape

    @property
    def scan(self) -> Images:
        """(h, w) HU, x."""
        return _image(self.corrector.region.scan[0, 0])

    @property
    def clean(self) -> Images:
        """(h, w) HU, f(x), ŷ."""
        return _image(self.corrector.clean[0, 0])

    def seeds(self, seed: int) -> RowSeeds:
        """The family of random numbers of this region."""
        return RowSeeds(seed, self.series, str(self.box))

    def noise(self, rows: Sequence[int], *, seed: int = 0, heard: Heard = unheard) -> Images:
        """Noise of C given the surroundings, its known mean included: (len(rows), h, w) HU.

        On a region without a dense C it takes iterations, and `heard` is called at each.
        """
        given = self.corrector.noise
        normal = torch.from_numpy(self.seeds(seed).normal(rows, given.latent, _RENOISED)).to(
            given.mean.device
        )
        return _image(given.draw(normal.T, heard=heard).T.reshape(len(rows), *self.shape))

    def renoised(self, rows: Sequence[int], *, seed: int = 0) -> Images:
        """Re-scans of the region: f(x) with noise of C given the surroundings, (len(rows), h, w) HU.

        This is the null of every test: what differs from f(x) is noise, and nothing else.
        """
        return self.clean + self.noise(rows, seed=seed)


def _image(values: torch.Tensor) -> Images:
    return np.ascontiguousarray(values.detach().cpu().numpy(), dtype=np.float32)

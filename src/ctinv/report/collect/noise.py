"""Noise and its power spectrum in the region: what f removes, what samples add to f(x), what varies, and C (figure 2).

The periodogram of a region of h x w pixels of Δy x Δx mm,

    NPS(k) = Δy Δx/(h w) |DFT e|²   in HU² mm²,

needs no window and no detrending here: e is the deviation from a known image, f(x) or x, and Σ NPS/(h w Δy Δx) = mean e²
(Parseval), so the bands add up to the variance. One region is one realisation: the range of C is that of single
re-scans through the same estimator, and a single curve is to be read against it, not against the line of the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctinv.fibre.dimension import BANDS
from ctinv.report.overview import Study
from ctinv.volume import Box

if TYPE_CHECKING:
    from ctinv.analysis.subject import Subject
    from ctinv.sampler.batch import Batch, NoiseModel

Images = NDArray[np.floating[Any]]

RESCANS = 256
_BLOCK = 32


@dataclass(frozen=True)
class Rings:
    """Radial frequencies of a region.

    Attributes:
        shape: Height and width in pixels.
        spacing_mm: Distance of rows and of columns in mm.
    """

    shape: tuple[int, int]
    spacing_mm: tuple[float, float]

    @property
    def frequency(self) -> NDArray[np.float64]:
        """(K,) cycles/mm, from the first ring to Nyquist of the coarser direction."""
        return np.asarray(np.arange(1, self._count + 1) * self._width, dtype=np.float64)

    @property
    def _width(self) -> float:
        return 1.0 / min(side * step for side, step in zip(self.shape, self.spacing_mm, strict=True))

    @property
    def _count(self) -> int:
        return int(0.5 / max(self.spacing_mm) / self._width + 1e-9)

    def ring_of(self, shape: tuple[int, int]) -> NDArray[np.int_]:
        """The ring of each frequency of a DFT of this shape, 0 for none."""
        axes = (np.fft.fftfreq(side, step) for side, step in zip(shape, self.spacing_mm, strict=True))
        ring = np.rint(np.hypot(*np.meshgrid(*axes, indexing="ij")) / self._width).astype(int)
        return np.where(ring <= self._count, ring, 0)

    def radial(self, power: Images) -> NDArray[np.float64]:
        """(N, K) mean over each ring of (N, H, W) power."""
        ring = self.ring_of((power.shape[1], power.shape[2])).ravel()
        flat, counts = power.reshape(len(power), -1), np.bincount(ring, minlength=self._count + 1)
        sums = np.stack([np.bincount(ring, weights=one, minlength=self._count + 1) for one in flat])
        return np.asarray(sums[:, 1:] / counts[1:])

    def power(self, images: Images) -> NDArray[np.float64]:
        """(N, h, w) NPS in HU² mm² of (N, h, w) deviations in HU."""
        pixel, size = self.spacing_mm[0] * self.spacing_mm[1], self.shape[0] * self.shape[1]
        return np.asarray(np.abs(np.fft.fft2(images.astype(np.float64))) ** 2 * (pixel / size))

    @cached_property
    def _bands(self) -> dict[str, NDArray[np.bool_]]:
        radius = np.hypot(np.fft.fftfreq(self.shape[0])[:, None], np.fft.fftfreq(self.shape[1])[None, :])
        return {name: (radius >= low) & (radius < high) for name, (low, high) in BANDS.items()}

    def bands(self, power: Images) -> dict[str, NDArray[np.float64]]:
        """Variance in HU² by band of `BANDS`, (N,) each, of (N, h, w) NPS; their sum is the mean square."""
        area = self.shape[0] * self.shape[1] * self.spacing_mm[0] * self.spacing_mm[1]
        return {name: power[:, mask].sum(1) / area for name, mask in self._bands.items()}


def spectra(study: Study, subject: Subject | None, *, absent: str, seed: int) -> dict[str, Any]:
    """Radial NPS and variance per band of x - f(x), x̃ - f(x), x̃ - x and C.

    Args:
        study: The study.
        subject: The same with its denoiser, for re-scans of C; None where there is none.
        absent: Why there is none.
        seed: Seed of the re-scans.
    """
    setting = study.setting
    _, dy, dx = setting.volume.spacing
    rings = Rings(setting.region, (dy, dx))
    scan, clean = setting.volume.hu[0], setting.fx
    series = {"x - f(x)": _single(rings, scan - clean)}
    held = list(_held(study))
    if held:
        series["samples - f(x)"] = _mean(rings, (images - clean for images in held))
        series["samples - x"] = _mean(rings, (images - scan for images in held))
    content: dict[str, Any] = {
        "frequency_per_mm": rings.frequency.tolist(),
        "bands_per_pixel": {name: list(ends) for name, ends in BANDS.items()},
        "isotropic": abs(dy - dx) <= 0.01 * dx,
        "samples": sum(len(images) for images in held),
        "series": series,
        "rescans": 0,
        "absent": absent,
    }
    if setting.noise is not None:
        content["model"] = _model(rings, setting.noise, study)
    if subject is not None:
        content |= {"rescans": RESCANS, "absent": "", "null": _null(rings, subject, seed)}
    return content


def _held(study: Study) -> Iterator[NDArray[np.float32]]:
    """Samples that hold, by batch; all images of the target domain, where nothing is judged."""
    everything = study.provenance.domain == "target"
    for batch in study.batches():
        index = [i for i in range(len(batch.rows)) if everything or _holds(batch, i)]
        if index:
            yield batch.x_tilde[index]


def _holds(batch: Batch, index: int) -> bool:
    certificate = batch.certificates[index]
    return certificate.passed and certificate.in_band is not False


def _single(rings: Rings, image: Images) -> dict[str, Any]:
    return _mean(rings, [image[None]])


def _mean(rings: Rings, blocks: Iterable[Images]) -> dict[str, Any]:
    """The mean over all images."""
    total, count = np.zeros(rings.shape), 0
    for images in blocks:
        total += rings.power(images).sum(0)
        count += len(images)
    power = (total / count)[None]
    bands = {name: float(value[0]) for name, value in rings.bands(power).items()}
    return {"nps": rings.radial(power)[0].tolist(), "bands_hu2": bands, "total_hu2": sum(bands.values())}


def _null(rings: Rings, subject: Subject, seed: int) -> dict[str, Any]:
    """Mean and 5 to 95 % of single re-scans, by ring and by band."""
    radial, bands = [], []
    for start in range(0, RESCANS, _BLOCK):
        power = rings.power(subject.noise(range(start, start + _BLOCK), seed=seed))
        radial.append(rings.radial(power))
        bands.append(rings.bands(power))
    nps = np.concatenate(radial)
    values = {name: np.concatenate([part[name] for part in bands]) for name in BANDS}
    values["total"] = np.sum(list(values.values()), axis=0)
    return {
        "nps": nps.mean(0).tolist(),
        "nps_low": np.quantile(nps, 0.05, axis=0).tolist(),
        "nps_high": np.quantile(nps, 0.95, axis=0).tolist(),
        "bands_hu2": {name: float(value.mean()) for name, value in values.items()},
        "ranges_hu2": {name: np.quantile(value, [0.05, 0.95]).tolist() for name, value in values.items()},
    }


def _model(rings: Rings, noise: NoiseModel, study: Study) -> dict[str, Any]:
    """C as it stands in the study, not given the surroundings: its spectrum at the region, on the same rings."""
    box, area = Box.parse(study.provenance.box), noise.area
    rows = slice(box.y0 - area.y0, box.y1 - area.y0)
    columns = slice(box.x0 - area.x0, box.x1 - area.x0)
    variance = float(np.mean(noise.sigma[rows, columns] ** 2))
    pixel = rings.spacing_mm[0] * rings.spacing_mm[1]
    power = (variance * noise.spectrum + noise.white) * pixel
    return {
        "nps": rings.radial(power[None])[0].tolist(),
        "sigma": float(np.sqrt(variance + noise.white)),
        "white_hu2": noise.white,
    }

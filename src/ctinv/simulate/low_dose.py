"""Low-dose CT by inserting noise into the line integrals of a scan.

A ray that counts N = N0·e^(−P) photons on average, with electronic noise of variance N_e, measures P with
variance 1/N + N_e/N². At the dose fraction a it would be 1/(aN) + N_e/(aN)². The scan has the first; what
is missing is added,

    P_a = P + √[(1−a)/(aN) · (1 + ((1+a)/a)·N_e/N)] · ξ,   ξ ~ N(0, 1),

and only this noise is reconstructed and added to the image, so anatomy and vendor kernel stay as they are.

References:
    L. Yu et al., Development and validation of a practical lower-dose-simulation tool for optimizing CT
    scan protocols, J Comput Assist Tomogr 36, 2012.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError
from ctinv.progress import Progress
from ctinv.simulate.dose import DEFAULT_PHOTONS, counts, fit_photons, line_integrals, photons_from_tags
from ctinv.simulate.geometry import DEFAULT_VIEWS, MU_WATER_PER_MM, ParallelGeometry
from ctinv.simulate.projector import Array, fbp
from ctinv.volume import Acquisition, Box, Volume

ELECTRONIC_NOISE = 10.0
"""Default N_e: variance of the electronic noise in photons²."""

HU_PER_MU = 1000.0 / MU_WATER_PER_MM
_PADDING_HU = -1500.0


def scan_variance(photon_counts: Array, *, electronic_noise: float = ELECTRONIC_NOISE) -> Array:
    """(views, rays) variance 1/N + N_e/N² of the line integrals of a scan with these counts."""
    _check_electronic(electronic_noise)
    return (1 + electronic_noise / photon_counts) / photon_counts


def inserted_variance(
    photon_counts: Array, *, dose: float, electronic_noise: float = ELECTRONIC_NOISE
) -> Array:
    """(views, rays) variance that takes a scan with these counts down to the dose fraction a = `dose`."""
    _check_electronic(electronic_noise)
    if not 0 < dose <= 1:
        raise InputError(
            f"the dose is a fraction of the scan's, above 0, up to 1, got {dose}; write 0.25 for a quarter."
        )
    return (1 - dose) / (dose * photon_counts) * (1 + (1 + dose) / dose * electronic_noise / photon_counts)


def noise_image(
    variance: Array,
    geometry: ParallelGeometry,
    generator: np.random.Generator,
    *,
    kernel: str = "hann",
    box: Box | None = None,
) -> Array:
    """One draw of CT noise in HU, (H, W) or the box's shape.

    The rays of the whole slice are always drawn, so a box shows exactly what the whole slice would show
    there.

    Args:
        variance: (views, rays) from `scan_variance` or `inserted_variance`.
        geometry: Views and rays.
        generator: Source of randomness, advanced by views x rays normal numbers.
        kernel: Reconstruction kernel, see `fbp`.
        box: Part of the slice that is wanted.
    """
    rays = np.sqrt(variance) * generator.standard_normal(variance.shape, dtype=np.float32)
    return fbp(rays, geometry, kernel=kernel, box=box) * np.float32(HU_PER_MU)


def slice_generator(seed: int, index: int) -> np.random.Generator:
    """The generator of one slice: it depends on the seed and the slice's index in the whole scan only."""
    if seed < 0:
        raise InputError(f"the seed must be 0 or a positive whole number, got {seed}.")
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(index,)))


def simulate_low_dose(
    volume: Volume,
    *,
    dose: float,
    seed: int,
    photons: float | str | None = None,
    electronic_noise: float = ELECTRONIC_NOISE,
    kernel: str = "hann",
    views: int = DEFAULT_VIEWS,
    projector: str = "scikit-image",
    workers: int = 1,
    progress: Progress | None = None,
) -> Volume:
    """The same scan at a fraction of its dose.

    Slice z of a scan gets the same noise however the scan was cut along z. Cut it along z only: the rays
    need whole slices.

    Args:
        volume: Whole axial slices, HU. Voxels of padding below −1500 HU stay as they are and count as air.
        dose: Fraction of the scan's own dose, in (0, 1].
        seed: Seed of the noise.
        photons: Photons N0 of the scan as it is (see `ctinv.simulate.dose`), or ``"fit"`` to fit them to
            its noise. By default they come from the dose tags, and without those `DEFAULT_PHOTONS` is
            assumed and noted.
        electronic_noise: N_e, variance of the electronic noise in photons².
        kernel: Reconstruction kernel of the noise, ``"hann"`` or ``"ramp"``.
        views: Number of views over 180 degrees.
        projector: ``"scikit-image"`` or ``"astra"``.
        workers: Slices worked on at the same time; the result does not depend on it.
        progress: Called with a phrase and the share that is done.

    Returns:
        A volume of the same shape and place. Its acquisition holds the photons of the simulated scan, the
        dose fraction and the exposure.

    Raises:
        InputError: The dose, the photons, the seed, the projector or the kernel cannot be used, or the
            pixels are not square.
    """
    if volume.modality != "CT":
        raise InputError(f"a lower dose is simulated for CT in HU; this volume is {volume.modality}.")
    geometry = ParallelGeometry.of(volume, views=views)
    photons, note = _photons(volume, geometry, photons, projector)
    inserted_variance(
        np.ones((1, 1), np.float32), dose=dose, electronic_noise=electronic_noise
    )  # refuse before working
    result = np.empty_like(volume.hu)

    def work(z: int) -> None:
        generator = slice_generator(seed, volume.offset[0] + z)
        photon_counts = counts(
            line_integrals(volume.hu[z], geometry, projector=projector), geometry, photons=photons
        )
        variance = inserted_variance(photon_counts, dose=dose, electronic_noise=electronic_noise)
        noise = noise_image(variance, geometry, generator, kernel=kernel)
        result[z] = np.where(volume.hu[z] < _PADDING_HU, volume.hu[z], volume.hu[z] + noise)

    with ThreadPoolExecutor(max(1, workers)) as pool:
        for done, _ in enumerate(pool.map(work, range(volume.shape[0])), start=1):
            if progress is not None:
                progress("simulating low dose", done / volume.shape[0])
    notes = (
        *volume.notes,
        f"{dose:.4g} of the dose simulated with {photons:.4g} photons ({note}), seed {seed}.",
    )
    acquisition = _scaled(volume.acquisition, dose, photons)
    return replace(volume, hu=result, uid=_uid(result), acquisition=acquisition, notes=notes)


def _photons(
    volume: Volume, geometry: ParallelGeometry, photons: float | str | None, projector: str
) -> tuple[float, str]:
    """N0 of the scan and in which way it is known."""
    if photons == "fit":
        return fit_photons(volume, projector=projector), "fitted"
    if isinstance(photons, str):
        raise InputError(f"the photons are a number or 'fit', got {photons!r}.")
    if photons is not None:
        return float(photons), "given"
    known = photons_from_tags(volume.acquisition, geometry.pixel_mm)
    return (known, "known") if known is not None else (DEFAULT_PHOTONS, "assumed, there are no dose tags")


def _scaled(acquisition: Acquisition, dose: float, photons: float) -> Acquisition:
    """The acquisition at the lower dose."""
    exposure = acquisition.exposure_mas
    return replace(
        acquisition,
        photons=photons * dose,
        dose_fraction=(acquisition.dose_fraction or 1.0) * dose,
        exposure_mas=None if exposure is None else exposure * dose,
    )


def _uid(hu: NDArray[np.float32]) -> str:
    """A new image is not the series it was made from."""
    return "sha256:" + hashlib.sha256(hu.tobytes()).hexdigest()


def _check_electronic(electronic_noise: float) -> None:
    if not (np.isfinite(electronic_noise) and electronic_noise >= 0):
        raise InputError(
            f"the electronic noise is a variance in photons², 0 or more, got {electronic_noise}."
        )

"""Noise of the scan and of denoised images in the very same squares."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError
from ctinv.progress import Progress
from ctinv.quality.roi import Mask
from ctinv.quality.squares import Squares, filling
from ctinv.volume import Volume

if TYPE_CHECKING:
    from ctinv.quality.noise import NoisePower

_PIXELS_AGREE = 0.01  # rows and columns of one size, and voxels of two images in one place, to this share


@dataclass(frozen=True, eq=False)
class NoiseRequest:
    """Measure the noise of images.

    Attributes:
        names: Names of the images, the scan first.
        volumes: The images; the others lie on the voxels of the scan, and may cover a part of it.
        region: Slice of the scan to (H, W) region in it; None for homogeneous squares that are looked for.
    """

    names: tuple[str, ...]
    volumes: tuple[Volume, ...]
    region: dict[int, Mask] | None = None


@dataclass(frozen=True, eq=False)
class Noise:
    """The noise of one image.

    Attributes:
        name: Name of the image.
        unit: Its unit.
        std: Standard deviation of the noise, in the unit.
        mean_per_mm: Mean frequency of the NPS in cycles/mm.
        peak_per_mm: Frequency of its maximum in cycles/mm.
        distance: Mean |log10| of the ratio of its NPS to that of the scan, in decades.
        frequency: (K,) cycles/mm.
        power: (K,) radial NPS, unit² mm².
    """

    name: str
    unit: str
    std: float
    mean_per_mm: float
    peak_per_mm: float
    distance: float
    frequency: NDArray[np.float64]
    power: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NoiseFound:
    """The noise of all images, and where it was read.

    Attributes:
        noises: One for each image, the scan first.
        squares: Where, in voxels of the scan.
    """

    noises: tuple[Noise, ...]
    squares: Squares


def noise(request: NoiseRequest, report: Progress) -> Generator[NoiseFound, None, None]:
    """Yields the noise of all images once.

    Raises:
        InputError: The images do not lie on the same voxels, or there is no place to measure.
    """
    from ctinv.quality.fidelity import HOUNSFIELD, Scale
    from ctinv.quality.same_noise import homogeneous, same_noise

    scan = request.volumes[0]
    spacing = _pixel_mm(scan)
    first, shape = _common(request.volumes)
    parts = [_part(volume, scan, first, shape) for volume in request.volumes]

    def searching(z: int) -> None:
        report(f"looking for homogeneous squares in slice {z + 1} of {shape[0]}", z / shape[0])

    scale = HOUNSFIELD if scan.modality == "CT" else Scale(air=0.0)
    if request.region is None:
        squares = homogeneous(parts[0], spacing_mm=spacing, scale=scale, progress=searching)
    else:
        squares = filling(_cut(request.region, first, shape))
    report("measuring the noise", 1.0)
    powers = same_noise(parts, squares, spacing_mm=spacing)
    rows = zip(request.names, request.volumes, powers, strict=True)
    noises = tuple(_row(name, volume.unit, power, powers[0]) for name, volume, power in rows)
    moved = tuple((z + first[0], y + first[1], x + first[2]) for z, y, x in squares.places)
    yield NoiseFound(noises, Squares(squares.size, moved))


def _row(name: str, unit: str, power: NoisePower, reference: NoisePower) -> Noise:
    from ctinv.quality.noise import nps_distance

    return Noise(
        name,
        unit,
        power.std_hu,
        power.mean_per_mm,
        power.peak_per_mm,
        nps_distance(power, reference),
        power.frequency,
        power.power,
    )


def _pixel_mm(scan: Volume) -> float:
    _, dy, dx = scan.spacing
    if abs(dy - dx) > _PIXELS_AGREE * dx:
        raise InputError(
            f"the noise power spectrum needs square pixels, these are {dy:.3g} x {dx:.3g} mm; resample the scan first."
        )
    return (dy + dx) / 2


def _offset(volume: Volume, scan: Volume) -> tuple[int, int, int]:
    """Where a volume begins in the voxels of the scan.

    Raises:
        InputError: It does not lie on them.
    """
    steps = np.linalg.solve(scan.affine, volume.affine)
    offset = steps[:3, 3]
    reach = np.array(volume.shape)
    drift = np.abs(steps[:3, :3] - np.eye(3)) @ reach
    if drift.max() > 0.1 or np.abs(offset - np.rint(offset)).max() > 0.1:
        raise InputError(
            "the two images do not lie on the same voxels, so their noise cannot be read in the same squares; "
            "choose an image made from this scan."
        )
    z, y, x = (int(value) for value in np.rint(offset))
    return z, y, x


def _common(volumes: tuple[Volume, ...]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """First voxel and shape of what all images cover, in voxels of the first."""
    offsets = np.array([_offset(volume, volumes[0]) for volume in volumes])
    ends = offsets + np.array([volume.shape for volume in volumes])
    first, last = offsets.max(axis=0), ends.min(axis=0)
    if (last <= first).any():
        raise InputError("the two images do not overlap; choose an image made from this scan.")
    return tuple(first.tolist()), tuple((last - first).tolist())


def _part(
    volume: Volume, scan: Volume, first: tuple[int, int, int], shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    begins = np.array(first) - _offset(volume, scan)
    return volume.hu[tuple(slice(int(b), int(b) + size) for b, size in zip(begins, shape, strict=True))]


def _cut(
    region: dict[int, Mask], first: tuple[int, int, int], shape: tuple[int, int, int]
) -> dict[int, Mask]:
    """The region in the voxels of what all images cover."""
    rows, columns = slice(first[1], first[1] + shape[1]), slice(first[2], first[2] + shape[2])
    return {z - first[0]: mask[rows, columns] for z, mask in region.items() if 0 <= z - first[0] < shape[0]}

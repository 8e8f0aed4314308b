"""Denoising slice by slice."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctinv.progress import Progress
from ctinv.volume import Volume


@dataclass(frozen=True)
class DenoiseRequest:
    """Denoise slices `first` to `last` (exclusive) of a volume with a denoiser.

    `denoiser`, `trust`, `network` and `card` are the arguments of `ctinv.load_denoiser`.
    """

    volume: Volume
    denoiser: str
    device: str
    first: int
    last: int
    trust: str | None = None
    network: str | None = None
    card: Path | None = None


@dataclass(frozen=True)
class DenoisedSlice:
    """f of one slice.

    Attributes:
        z: Its place in the volume.
        hu: (H, W) float32 in the unit of the volume.
        denoiser: Name of the network.
    """

    z: int
    hu: NDArray[np.float32]
    denoiser: str


def denoise(request: DenoiseRequest, report: Progress) -> Iterator[DenoisedSlice]:
    """Yields f of each slice.

    Raises:
        CtinvError: The network cannot be loaded, or is for images in another unit.
    """
    report("loading the network", math.nan)
    from ctinv.denoiser import denoise_slices
    from napari_ctinv.work import cached

    network = cached.denoiser(
        request.denoiser, request.device, request.trust, network=request.network, card=request.card
    )
    network.check_unit(request.volume.unit)
    first, last = request.first, request.last
    planes = denoise_slices(network, request.volume.hu, first=first, last=last)
    for z in range(first, last):
        report(f"denoising slice {z - first + 1} of {last - first}", (z - first) / (last - first))
        yield DenoisedSlice(z, next(planes), network.name)

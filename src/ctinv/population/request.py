"""What is asked of a population, and what decides the figures of one region."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from ctinv.denoiser import Denoiser
from ctinv.errors import InputError
from ctinv.fibre.tiers import check_tier
from ctinv.sampler.provenance import hash_series
from ctinv.sampler.sampler import METHOD_VERSION, check_request
from ctinv.sampler.survey import SMALLEST_REGION
from ctinv.scoreboard.places import KINDS, find_places
from ctinv.scoreboard.results import digest
from ctinv.volume import Box, Volume


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes:
        kinds: Kinds of region, of `KINDS`.
        slices: Parts along z of each scan; a region of each kind is found in each part.
        size: Height and width of a region in pixels.
        tier: Exactness of the samples.
        n: Samples of each region.
        seed: Seed of the samples.
        window_hu: Display window of T2.
        photons: Photons per ray, where they are the same for all and known better than the scans tell.
        device: As in `InvarianceSampler`.
    """

    kinds: tuple[str, ...] = tuple(KINDS)
    slices: int = 1
    size: int = 48
    tier: str = "T2"
    n: int = 25
    seed: int = 0
    window_hu: float | None = None
    photons: float | None = None
    device: str = field(default="auto", compare=False)

    def __post_init__(self) -> None:
        check_request(self.n, self.seed)
        check_tier(self.tier)
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            what = repr(unknown[0]) if unknown else "no kind"
            raise InputError(f"expected kinds of region from {', '.join(KINDS)}, got {what}.")
        if self.size < SMALLEST_REGION:
            raise InputError(f"expected regions of at least {SMALLEST_REGION} pixels, got {self.size}.")
        if self.slices < 1:
            raise InputError(f"expected at least one slice per patient, got {self.slices}.")

    def places(self, volume: Volume) -> tuple[dict[tuple[int, str], Box], list[tuple[int, str]]]:
        """Where to look in a scan: (part, kind) to region, and those that the scan lacks.

        Raises:
            InputError: The scan is no CT, or has fewer slices than parts.
        """
        if volume.modality != "CT":
            raise InputError(
                f"regions are found by their HU, and this scan is {volume.modality}; leave it out."
            )
        if len(volume.hu) < self.slices:
            raise InputError(
                f"{self.slices} slices of each patient are asked for, and this scan has {len(volume.hu)}."
            )
        found: dict[tuple[int, str], Box] = {}
        for part, indices in enumerate(np.array_split(np.arange(len(volume.hu)), self.slices)):
            first = int(indices[0])
            places = find_places(volume.hu[first : int(indices[-1]) + 1], list(self.kinds), size=self.size)
            for kind, box in places.items():
                found[part, kind] = Box(box.z + first, box.y0, box.y1, box.x0, box.x1)
        wanted = [(part, kind) for part in range(self.slices) for kind in self.kinds]
        return found, [place for place in wanted if place not in found]


@dataclass(frozen=True)
class Case:
    """What decides the figures of one region under one network.

    Attributes:
        series: First digits of the series' hash.
        voxels: Digest of the slice.
        kind, box: What the region is, and where.
        denoiser, weights: The network.
        tier, window_hu, n, seed, photons: Of the request.
        method: Version of the sampling rule.
    """

    series: str
    voxels: str
    kind: str
    box: str
    denoiser: str
    weights: str
    tier: str
    window_hu: float | None
    n: int
    seed: int
    photons: float | None
    method: str

    @classmethod
    def of(cls, volume: Volume, kind: str, box: Box, denoiser: Denoiser, request: Request) -> Case:
        """The case of one region."""
        voxels = hashlib.sha256(np.ascontiguousarray(volume.hu[box.z]).tobytes()).hexdigest()
        return cls(
            series=hash_series(volume.uid)[:8],
            voxels=voxels[:8],
            kind=kind,
            box=str(box),
            denoiser=denoiser.name,
            weights=digest(denoiser.weights_sha256),
            tier=request.tier,
            window_hu=request.window_hu,
            n=request.n,
            seed=request.seed,
            photons=request.photons,
            method=METHOD_VERSION,
        )

    @property
    def key(self) -> str:
        """All fields as one line."""
        return "|".join(str(value) for value in vars(self).values())

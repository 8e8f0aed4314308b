"""What a generator is given, and what it must give (method §5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from ctinv.fibre.covariance import SurroundedNoise
from ctinv.fibre.region import Region
from ctinv.fibre.rows import RowSeeds
from ctinv.generators.kinds import Domain


@dataclass(frozen=True, eq=False)
class Scene:
    """All that a generator may look at.

    Attributes:
        region: The region and the network.
        noise: The scan's noise on the region, given its surroundings.
        scan: (S, H, W) HU, the whole slice x between the neighbours that f sees.
        clean: (H, W) HU, f(x) of the whole slice.
        sigma_out: σ_out in HU, std of f over noise draws of the same anatomy.
    """

    region: Region
    noise: SurroundedNoise
    scan: Tensor
    clean: Tensor
    sigma_out: float

    @property
    def patch(self) -> Tensor:
        """(1, 1, h, w) HU: f(x) on the region."""
        return self.clean[self.region.box.slices][None, None].contiguous()


class Generator(Protocol):
    """Proposes images of one region that might be invariances.

    To implement a new one: write a class with this method in a file of its own and add its row to
    `ctinv.generators.find.GENERATORS`. A generator only proposes; exactness and the certificate are the engine's business,
    the same for all.
    """

    def candidates(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        """One candidate per row, (B, 1, h, w) HU; a row depends on its own number and the seeds only."""
        ...


class Proposer(Protocol):
    """A generator before it has seen a scan: what a request names, and what its provenance records."""

    @property
    def name(self) -> str:
        """Its name in the registry."""
        ...

    @property
    def domain(self) -> Domain:
        """Which kind of image it proposes."""
        ...

    @property
    def weights_sha256(self) -> Mapping[str, str]:
        """File name to sha256 of every weight file; empty for a training-free generator."""
        ...

    def on(self, scene: Scene) -> Generator:
        """The generator of one region."""
        ...


@dataclass(frozen=True)
class TrainingFree:
    """A generator that needs no weights.

    Attributes:
        name: Its name in the registry.
        make: From the scene to the generator.
    """

    name: str
    make: type
    domain: Domain = "input"
    weights_sha256: Mapping[str, str] = field(default_factory=dict)

    def on(self, scene: Scene) -> Generator:
        """The generator of one region."""
        generator: Generator = self.make(scene)
        return generator

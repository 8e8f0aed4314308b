"""All cases of a request, one by one, into a file; what is there already is not measured again.

A region is set up once per tier and serves every generator: they are given the same rows, the same seeds and the same
factor, so that a difference between two rows of the table is one between two generators.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ctinv.denoiser import OUTPUT, Denoiser
from ctinv.errors import InputError
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.tiers import check_tier
from ctinv.generators.contract import Proposer
from ctinv.generators.find import available, find_generator
from ctinv.progress import Progress
from ctinv.representation import Representation
from ctinv.sampler import InvarianceSampler
from ctinv.sampler.provenance import hash_series
from ctinv.sampler.sampler import METHOD_VERSION, check_request
from ctinv.sampler.survey import SMALLEST_REGION
from ctinv.scoreboard.case import Ground, Proposals, draws_of, propose, score_input, score_target
from ctinv.scoreboard.patients import Patient
from ctinv.scoreboard.places import KINDS, find_places
from ctinv.scoreboard.results import Case, Results, digest
from ctinv.volume import Box

TIERS = ("T2", "T1", "T3")
"""Tiers that are corrected to; the page shows the certified samples of the first."""
NOT_FED_BACK = "-"
RESCANS = 32
_C_DRAWS = 128  # the low band of 24 x 24 pixels has 20 modes: its power is then known to 3 %


@dataclass(frozen=True)
class Request:
    """What is to be measured.

    Attributes:
        tap: Layer that must stay.
        generators: Names or bundle folders; all that there are for the denoiser and the tap where it is empty.
        kinds: Kinds of region, see `KINDS`.
        tiers: Tiers to correct to.
        n: Samples per case.
        seed: Seed of the samples; re-scans have their own.
        size: Height and width of a region in pixels.
        device: As in `InvarianceSampler`.
    """

    tap: str = OUTPUT
    generators: tuple[str, ...] = ()
    kinds: tuple[str, ...] = tuple(KINDS)
    tiers: tuple[str, ...] = TIERS
    n: int = 250
    seed: int = 0
    size: int = 64
    device: str = "auto"

    def __post_init__(self) -> None:
        check_request(self.n, self.seed)
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown:
            raise InputError(f"there is no kind of region {unknown[0]!r}; choose from {', '.join(KINDS)}.")
        for tier in self.tiers:
            check_tier(tier)
        if self.size < SMALLEST_REGION:
            raise InputError(f"expected regions of at least {SMALLEST_REGION} pixels, got {self.size}.")


def run(
    denoiser: Denoiser,
    patients: Mapping[str, Callable[[], Patient]],
    request: Request,
    results: Results,
    *,
    progress: Progress | None = None,
) -> dict[str, list[str]]:
    """Measure what is missing.

    Args:
        denoiser: f.
        patients: Name to a function that opens the patient; one is open at a time.
        request: What is wanted.
        results: Where cases are kept.
        progress: Called with a phrase and a finished share.

    Returns:
        ``"asked"``: keys of all cases of the request; ``"absent"``: regions that a patient lacks, in words.
    """
    representation = Representation(denoiser, request.tap)
    proposers = _proposers(request.generators or tuple(available(representation)), representation)
    asked: list[str] = []
    absent: list[str] = []
    for number, (name, opened) in enumerate(patients.items()):
        share = number / len(patients)
        _tell(progress, f"opening {name}", share)
        patient = opened()
        places = find_places(patient.clearest, list(request.kinds), size=request.size)
        absent += [f"{name}: {kind}" for kind in request.kinds if kind not in places]
        for kind, box in places.items():
            region = _Region(denoiser, patient, kind, box, request, results, progress, share)
            asked += region.measure(proposers)
    return {"asked": asked, "absent": absent}


def _proposers(sources: Sequence[str], representation: Representation) -> dict[str, Proposer]:
    """Name in the table to generator; a bundle folder goes by its own name, as several may be of one kind."""
    found: dict[str, Proposer] = {}
    for source in sources:
        name = Path(source).name
        if name in found:
            raise InputError(f"two generators are called {name}; name each once, and bundle folders apart.")
        found[name] = find_generator(source, representation)
    return found


def _tell(progress: Progress | None, phrase: str, share: float = math.nan) -> None:
    if progress is not None:
        progress(phrase, share)


@dataclass(frozen=True, eq=False)
class _Region:
    """One region of one patient; `proposals` keeps what was drawn for one tier for the next."""

    denoiser: Denoiser
    patient: Patient
    kind: str
    box: Box
    request: Request
    results: Results
    progress: Progress | None
    share: float
    proposals: dict[str, Proposals] = field(default_factory=dict)

    def measure(self, proposers: Mapping[str, Proposer]) -> list[str]:
        """Measure what is missing, tier by tier; the keys of all cases."""
        asked = []
        ground: Ground | None = None
        for tier in self.request.tiers:
            cases = [(proposer, self._case(name, proposer, tier)) for name, proposer in proposers.items()]
            if tier != self.request.tiers[0]:
                cases = [(proposer, case) for proposer, case in cases if case.tier != NOT_FED_BACK]
            asked += [case.key for _, case in cases]
            missing = [(proposer, case) for proposer, case in cases if case not in self.results]
            if missing:
                ground = self._at(tier, missing, ground)
        return asked

    def _case(self, name: str, proposer: Proposer, tier: str) -> Case:
        request, denoiser = self.request, self.denoiser
        scan = hashlib.sha256(np.ascontiguousarray(self.patient.scan.hu[self.box.z]).tobytes()).hexdigest()
        return Case(
            generator=name,
            weights=digest(proposer.weights_sha256),
            denoiser=denoiser.name,
            denoiser_weights=digest(denoiser.weights_sha256),
            tap=request.tap,
            patient=self.patient.name,
            scan=scan[:8],
            kind=self.kind,
            box=str(self.box),
            tier=tier if proposer.domain == "input" else NOT_FED_BACK,
            n=request.n,
            seed=request.seed,
            method=METHOD_VERSION,
        )

    def _at(self, tier: str, missing: list[tuple[Proposer, Case]], ground: Ground | None) -> Ground:
        """Set the region up at one tier and measure every missing case of it."""
        request, volume = self.request, self.patient.scan
        place = f"{self.patient.name}, {self.kind}"
        _tell(self.progress, f"setting up {place} at {tier}", self.share)
        sampler = InvarianceSampler(self.denoiser, tap=request.tap, tier=tier, device=request.device)
        prepared = sampler.prepare(volume, self.box)
        found, corrector = sampler.survey(volume, self.box), prepared.corrector
        seeds = RowSeeds(request.seed, hash_series(volume.uid), str(self.box))
        if ground is None:
            _tell(self.progress, f"re-scanning {place}", self.share)
            ground = Ground(
                scan=volume[self.box].hu[0],
                rescans=self.patient.rescans(self.box, found, count=RESCANS),
                noise=draws_of(corrector.noise, self.box.shape, count=_C_DRAWS, seeds=seeds),
                target=self.patient.target(self.box),
            )
        shared = self._shared(ground, prepared.setting.scalars)
        scene = found.scene(corrector.noise)
        for proposer, case in missing:
            name, n = case.generator, request.n
            if name not in self.proposals:
                _tell(self.progress, f"{place}: {name} proposes", self.share)
                self.proposals[name] = propose(proposer, scene, n=n, seeds=seeds)
            _tell(self.progress, f"{place} at {case.tier}: {name}", self.share)
            if proposer.domain == "target":
                figures = score_target(self.proposals[name], ground, n=n)
            else:
                figures = score_input(self.proposals[name], corrector, ground, n=n, seeds=seeds)
            self.results.add(case, {**figures, **shared})
        return ground

    def _shared(self, ground: Ground, scalars: Mapping[str, float]) -> dict[str, Any]:
        """What is the same for every generator of the region."""
        names = ("chi2_per_n_scan", "spread_theory_hu", "sigma_out_hu", "sigma_noise_hu")
        source = (
            "full dose with noise drawn anew" if self.patient.full is not None else "f(x) with noise from C"
        )
        return {
            "region": {name: scalars[name] for name in names},
            "rescans": {"count": len(ground.rescans), "source": source, **ground.floors()},
        }

"""The layer study: every tap of a denoiser on one region, and the check between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctinv.denoiser import Denoiser
from ctinv.errors import InputError
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.tiers import check_tier
from ctinv.generators.contract import Proposer
from ctinv.generators.find import find_generator
from ctinv.jsonable import plain
from ctinv.layer_study.nested import Nestedness, check_nested
from ctinv.layer_study.one_tap import REFERENCE, Passer, TapStudy, study_tap
from ctinv.progress import Progress
from ctinv.representation import Representation
from ctinv.sampler import InvarianceSampler
from ctinv.sampler.provenance import hash_series
from ctinv.sampler.sampler import check_request
from ctinv.volume import Box, Volume

SHARES = (0.01, 0.05, 0.10)
_OF_ONE_TAP = ("tap", "tolerance", "tolerance_unit", "generator", "generator_sha256", "domain")


@dataclass(frozen=True, eq=False)
class LayerStudy:
    """The figures of all taps.

    Attributes:
        denoiser: Name of the network.
        generator: Name of the generator that was looked at; None where none was named.
        box: The region.
        n: Samples of each generator at each tap.
        tier: Tier that is asked for at each tap.
        unit: Unit of the scan: whatever a name calls ``hu`` is in it.
        sigma_noise_hu: RMS noise of the scan on the region.
        taps: The taps, in the order of the data flow.
        nested: The check between them.
        provenance: What all taps share: scan (as a hash), weights, C, seed, versions.
        seconds: Time by tap and stage, for the set-up of the region.
    """

    denoiser: str
    generator: str | None
    box: Box
    n: int
    tier: str
    unit: str
    sigma_noise_hu: float
    taps: tuple[TapStudy, ...]
    nested: Nestedness
    provenance: dict[str, Any]
    seconds: dict[str, dict[str, float]]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values; what is not known is null."""
        parts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        parts |= {"box": str(self.box), "voxels": self.box.shape[0] * self.box.shape[1]}
        parts |= {"taps": [asdict(tap) for tap in self.taps], "nested": asdict(self.nested)}
        page: dict[str, Any] = plain(parts)
        return page


def study_layers(
    denoiser: Denoiser,
    volume: Volume,
    box: Box,
    *,
    generator: str | Path | None = None,
    taps: Sequence[str] | None = None,
    n: int = 250,
    seed: int = 0,
    tier: str = "T2",
    shares: Sequence[float] | None = None,
    window_hu: float | None = None,
    device: str = "auto",
    photons: float | None = None,
    noise_sigma: float | None = None,
    progress: Progress | None = None,
) -> LayerStudy:
    """Study the layers of a denoiser on one region.

    Args:
        denoiser: f.
        volume: The scan.
        box: The region, up to about 96 x 96 voxels.
        generator: Name or bundle folder of the generator to compare with the fibre; none by default.
        taps: Which taps; all by default. They are studied in the order of the data flow.
        n: Samples of each generator at each tap, at least 2.
        seed: The user's seed.
        tier: Tier that is asked for at each tap.
        shares: ρ at which d_eff is taken, as shares of each tap's response to noise; `SHARES` by default.
        window_hu, device, photons, noise_sigma: As for `ctinv.sampler.InvarianceSampler`.
        progress: Called with a phrase and a finished share; raising in it stops the study.

    Raises:
        InputError: A name does not exist, the generator exists for none of the taps, a figure is out of range, or the box
            does not fit.
        ResourceError: The region does not fit into memory.
    """
    shares = SHARES if shares is None else shares
    chosen = _check(denoiser, taps, n, seed, tier, shares)
    proposers = _proposers(generator, denoiser, chosen)
    seeds = RowSeeds(seed, hash_series(volume.uid), str(box))
    studies: list[TapStudy] = []
    passers: list[Passer] = []
    seconds: dict[str, dict[str, float]] = {}
    shared: dict[str, Any] = {}
    for tap in chosen:
        tell = _at(tap, len(studies), len(chosen), progress)
        sampler = InvarianceSampler(  # one at a time: two factors at once would double the memory
            denoiser,
            tap=tap,
            generator=REFERENCE,
            tier=tier,
            window_hu=window_hu,
            device=device,
            photons=photons,
            noise_sigma=noise_sigma,
        )
        prepared = sampler.prepare(volume, box, progress=tell)
        found = sampler.survey(volume, box)
        study, passer = study_tap(
            found, prepared, proposers.get(tap), n=n, seeds=seeds, shares=shares, progress=tell
        )
        studies.append(study)
        passers.append(passer)
        seconds[tap] = dict(prepared.seconds)
        shared = shared or _shared(sampler.provenance(volume, box, n=n, seed=seed).to_json())
        sigma_noise_hu = prepared.setting.scalars["sigma_noise_hu"]
    return LayerStudy(
        denoiser.name,
        next((one.name for one in proposers.values() if not isinstance(one, str)), None),
        box,
        n,
        tier,
        volume.unit,
        sigma_noise_hu,
        tuple(studies),
        check_nested(studies, passers, progress=progress),
        shared,
        seconds,
    )


def _check(
    denoiser: Denoiser, taps: Sequence[str] | None, n: int, seed: int, tier: str, shares: Sequence[float]
) -> list[str]:
    """The taps in the order of the data flow; refuses what cannot be meant before any work is done."""
    if n < 2:
        raise InputError(f"a spread needs at least two samples, got n = {n}; write for example --n 250.")
    if not shares or not all(0.0 < share < 1.0 for share in shares):
        raise InputError(
            f"expected tolerances as shares of the noise between 0 and 1, got {list(shares)}; 0.05 is 5 %."
        )
    check_request(n, seed)
    check_tier(tier)
    for tap in taps or ():
        denoiser.check_tap(tap)
    return [tap for tap in denoiser.taps if not taps or tap in taps]


def _proposers(
    generator: str | Path | None, denoiser: Denoiser, taps: Sequence[str]
) -> dict[str, Proposer | str]:
    """The generator at each tap, or the sentence why there is none; none at all where none was named."""
    if generator is None:
        return {}
    found: dict[str, Proposer | str] = {}
    for tap in taps:
        try:
            found[tap] = find_generator(generator, Representation(denoiser, tap))
        except InputError as error:
            found[tap] = str(error)
    if all(isinstance(one, str) for one in found.values()):
        raise InputError(str(found[taps[-1]]))
    return found


def _at(tap: str, index: int, count: int, progress: Progress | None) -> Progress | None:
    """Progress of one tap as that of the whole study."""
    if progress is None:
        return None
    return lambda phrase, share: progress(
        f"{tap}: {phrase}", math.nan if math.isnan(share) else (index + share) / count
    )


def _shared(provenance: dict[str, Any]) -> dict[str, Any]:
    """What the provenance of one tap says of all."""
    return {name: value for name, value in provenance.items() if name not in _OF_ONE_TAP}

"""One tap of a layer study: its dimensions, its fibre, and what a generator shows there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ctinv.denoiser import INPUT, OUTPUT
from ctinv.fibre.correct import Corrector
from ctinv.fibre.dimension import Spectrum
from ctinv.fibre.jacobian import Reach
from ctinv.fibre.region import Region
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.tiers import LAW_SHARE
from ctinv.generators.contract import Proposer
from ctinv.layer_study.series import Series, Spread, correct, propose
from ctinv.progress import Progress
from ctinv.sampler.prepare import Prepared
from ctinv.sampler.survey import Survey

REFERENCE = "renoise"
"""The generator that draws the fibre itself. Its raw candidates are re-scans of f(x), which claim to be no invariances."""

GENERATOR_ERROR = "generator error"
WITHIN = "within the fibre"
NOT_FED_BACK = "target domain, not fed back"
RESCANS = "re-scans, the fibre's own candidates"
NONE_HERE = "no such generator for this tap"


@dataclass(frozen=True)
class TapDimension:
    """What a tap fixes at one tolerance.

    Attributes:
        name: The tolerance in words: a share of the noise response, or a tier.
        share: ρ, the tolerance as share of Φ's response to noise.
        eps: The same in the tap's unit.
        d_eff: Effective number of directions that the tap fixes at ε, of n.
        free_share: 1 - d_eff/n.
        d_eff_at_rms: The same at the ε whose samples have an error of RMS ρ over all outputs; that of the halo is booked on
            the region, which makes it a little too strict.
        free_share_at_rms: 1 - that/n.
        spread_hu: Spread of linear theory at ε, HU.
        spread_at_rms_hu: Spread of linear theory at that other ε, HU.
    """

    name: str
    share: float
    eps: float
    d_eff: float
    free_share: float
    d_eff_at_rms: float
    free_share_at_rms: float
    spread_hu: float
    spread_at_rms_hu: float


@dataclass(frozen=True)
class Shown:
    """What the named generator shows at a tap.

    Attributes:
        verdict: One of the five words of this file.
        why: One sentence for it.
        domain: The kind of image it proposes; empty where there is none for the tap.
        weights_sha256: File name to sha256 of every weight file.
        series: Its figures; None where there is none for the tap.
        excess: Raw spread over what the fibre allows.
    """

    verdict: str
    why: str
    domain: str = ""
    weights_sha256: dict[str, str] | None = None
    series: Series | None = None
    excess: float = math.nan

    @property
    def is_error(self) -> bool:
        """Whether it varies more than the fibre allows."""
        return self.verdict == GENERATOR_ERROR


@dataclass(frozen=True)
class TapStudy:
    """All figures of one tap.

    Attributes:
        tap: Its name.
        unit: Unit of `eps` and `response`: the scan's at the input and output, ``"network"`` inside.
        channels: Channels of Φ.
        response: RMS of Φ's response to the noise of the scan, in the tap's unit: what ρ is a share of.
        eps: ε of the law at the asked tier, in the tap's unit.
        share: The same as share of the response.
        limit: What the tier allows, as share of the response.
        jacobian: How far J was taken, and what that misses.
        dimension: At every ρ.
        tiers: At every tier.
        theory_hu: Spread of linear theory at ε, HU.
        allowed: What the fibre allows: the wider of certified samples and the law whose samples use up the tier's limit.
        fibre: Certified samples of `REFERENCE`.
        generator: What the named generator shows, if one was named.
    """

    tap: str
    unit: str
    channels: int
    response: float
    eps: float
    share: float
    limit: float
    jacobian: Reach
    dimension: tuple[TapDimension, ...]
    tiers: tuple[TapDimension, ...]
    theory_hu: float
    allowed: Spread
    fibre: Series
    generator: Shown | None


@dataclass(frozen=True, eq=False)
class Passer:
    """What the later taps need of an earlier one, and it of them.

    Attributes:
        region: The region at this tap.
        response: RMS of Φ's response to noise.
        samples: (k, 1, h, w) HU, certified samples of this tap.
    """

    region: Region
    response: float
    samples: Tensor


def study_tap(
    found: Survey,
    prepared: Prepared,
    proposer: Proposer | str | None,
    *,
    n: int,
    seeds: RowSeeds,
    shares: Sequence[float],
    progress: Progress | None = None,
) -> tuple[TapStudy, Passer]:
    """Study one tap.

    Args:
        found: The survey of the tap.
        prepared: The region, ready to sample `REFERENCE`.
        proposer: The named generator, the sentence why there is none for this tap, or None where none was named.
        n: Samples of each generator.
        seeds: Source of the rows' random numbers.
        shares: ρ values.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: The region is too large for a dense decomposition.
    """
    corrector = prepared.corrector
    region, rule = corrector.region, corrector.rule
    response = _response(prepared)
    spectrum = Spectrum.of(corrector)
    fibre, samples = correct(corrector, prepared.generator, n, seeds, response=response, progress=progress)
    eps = rule.tolerance * corrector.noise_rms
    limit = eps / response / LAW_SHARE
    allowed = _allowed(fibre, _dimension(spectrum, "limit", limit, region, response).spread_at_rms_hu)
    in_unit = lambda tolerance: tolerance * corrector.noise_rms / response  # noqa: E731
    study = TapStudy(
        tap=region.representation.tap,
        unit="network" if rule.relative else found.volume.unit,
        channels=int(region.reference.shape[1]),
        response=response,
        eps=eps,
        share=eps / response,
        limit=limit,
        jacobian=prepared.jacobian,
        dimension=tuple(
            _dimension(spectrum, f"{100 * share:g} %", share, region, response) for share in shares
        ),
        tiers=tuple(
            _dimension(spectrum, tier, in_unit(value), region, response) for tier, value in rule.tolerances()
        ),
        theory_hu=prepared.setting.scalars["spread_theory_hu"],
        allowed=allowed,
        fibre=fibre,
        generator=_shown(found, corrector, proposer, fibre, allowed, n, seeds, response, progress),
    )
    return study, Passer(region, response, samples)


def _response(prepared: Prepared) -> float:
    """RMS of Φ's response to noise: by re-scans at the output and inside, known at the input, where Φ is the identity."""
    tap = prepared.corrector.region.representation.tap
    if tap == INPUT:
        return prepared.setting.scalars["sigma_noise_hu"]
    return prepared.corrector.rule.sigma_out_hu if tap == OUTPUT else prepared.corrector.noise_rms


def _dimension(spectrum: Spectrum, name: str, share: float, region: Region, response: float) -> TapDimension:
    eps, pixels = share * response, len(spectrum.values)
    at_rms = spectrum.tolerance_at(eps, int(region.reference.shape[1]) * pixels)
    everything_free = math.isinf(at_rms)
    d_eff = spectrum.d_eff(eps)
    d_eff_at_rms = 0.0 if everything_free else spectrum.d_eff(at_rms)
    return TapDimension(
        name=name,
        share=share,
        eps=eps,
        d_eff=d_eff,
        free_share=1.0 - d_eff / pixels,
        d_eff_at_rms=d_eff_at_rms,
        free_share_at_rms=1.0 - d_eff_at_rms / pixels,
        spread_hu=spectrum.spread(eps),
        spread_at_rms_hu=spectrum.noise_spread if everything_free else spectrum.spread(at_rms),
    )


def _shown(
    found: Survey,
    corrector: Corrector,
    proposer: Proposer | str | None,
    fibre: Series,
    allowed: Spread,
    n: int,
    seeds: RowSeeds,
    response: float,
    progress: Progress | None,
) -> Shown | None:
    if proposer is None or isinstance(proposer, str):
        return None if proposer is None else Shown(NONE_HERE, proposer)
    facts: dict[str, Any] = {"domain": proposer.domain, "weights_sha256": dict(proposer.weights_sha256)}
    if proposer.name == REFERENCE:
        why = "re-scans of f(x) claim no invariance; corrected they are the fibre's samples"
        return Shown(RESCANS, why, series=fibre, **facts)
    generator = proposer.on(found.scene(corrector.noise))
    told = (lambda phrase, share: progress(f"{phrase} {proposer.name}", share)) if progress else None
    if proposer.domain == "target":
        series, _ = propose(generator, n, seeds, progress=told)
        return Shown(NOT_FED_BACK, "its images are outputs, which f does not take", series=series, **facts)
    series, _ = correct(corrector, generator, n, seeds, response=response, progress=told)
    return judge(series, allowed, **facts)


def _allowed(fibre: Series, at_limit_hu: float) -> Spread:
    """The wider of the two: certified samples, or the law at the limit, which is known without sampling error."""
    wider = math.isnan(fibre.certified.hu) or at_limit_hu > fibre.certified.hu
    return Spread(at_limit_hu, 0.0) if wider else fibre.certified


def judge(series: Series, allowed: Spread, *, domain: str, weights_sha256: dict[str, str]) -> Shown:
    """Compare what a generator shows with what the fibre allows.

    It is generator error where the candidates vary more, beyond the sampling error of both, and some of them do not meet the
    tier: candidates that all lie on the fibre are no error, however far they vary.
    """
    excess = series.raw.hu / allowed.hu
    wrong = series.raw_on_fibre < 1.0 and series.raw.exceeds(allowed)
    figures = (
        f"raw spread {series.raw.hu:.3g}, the fibre allows {allowed.hu:.3g}; raw error {100 * series.raw_error:.3g} % "
        f"of the noise response, {100 * series.raw_on_fibre:.3g} % of the raw candidates meet the tier"
    )
    return Shown(GENERATOR_ERROR if wrong else WITHIN, figures, domain, weights_sha256, series, excess)

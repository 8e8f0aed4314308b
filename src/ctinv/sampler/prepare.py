"""Everything about one region that all its samples share: set up once, then 250 samples cost seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ctinv.fibre.correct import Corrector
from ctinv.fibre.covariance import Covariance
from ctinv.fibre.dimension import dimension
from ctinv.fibre.jacobian import Reach
from ctinv.fibre.lesions import lesion_map
from ctinv.generators.contract import Generator
from ctinv.generators.kinds import Domain
from ctinv.progress import Progress
from ctinv.sampler.batch import NoiseModel, Setting
from ctinv.sampler.gain import GainRequest
from ctinv.sampler.survey import Clock, Survey, Wish


@dataclass(frozen=True, eq=False)
class Prepared:
    """One region, ready to sample.

    Attributes:
        setting: What all samples share, with the maps of linear theory.
        corrector: Moves candidates onto the fibre and certifies them.
        covariance: C around the region.
        generator: Proposes candidates.
        noise_source: Where C comes from.
        domain: Which kind of image the generator proposes.
        seconds: Time by stage.
    """

    setting: Setting
    corrector: Corrector
    covariance: Covariance
    generator: Generator
    noise_source: dict[str, Any]
    domain: Domain
    seconds: dict[str, float]

    @property
    def jacobian(self) -> Reach:
        """How far J was taken, and what that misses."""
        return self.corrector.factor.jacobian.reach

    def within(self, most: int) -> Prepared:
        """The same with fewer images through f at once."""
        return replace(self, corrector=self.corrector.within(most))

    def dimension(self, tolerances: Sequence[float]) -> list[dict[str, Any]]:
        """d_eff(ε) and the free shares; see `ctinv.fibre.dimension.dimension`."""
        return dimension(self.corrector, tolerances)


def prepare(found: Survey, wish: Wish, *, progress: Progress | None = None) -> Prepared:
    """Set a region up: what the surroundings say, J, the factor, the maps of linear theory."""
    region, rule = found.region, found.rule
    clock = Clock(progress, found.seconds)
    request = gain_request(found, wish)
    factor = request.build(clock, progress)
    patch = found.clean[region.box.slices][None, None].contiguous()
    corrector = Corrector(region, factor, factor.noise, patch, rule, found.noise_rms, found.quantum)
    clock.stage("maps", "mapping lesions")
    setting = _setting(found, corrector, request.residual)
    clock.stage("")
    return Prepared(
        setting,
        corrector,
        found.covariance,
        wish.proposer.on(found.scene(factor.noise)),
        found.noise_source,
        wish.proposer.domain,
        clock.seconds,
    )


def gain_request(found: Survey, wish: Wish) -> GainRequest:
    """What decides the gain of a region that was surveyed."""
    tolerance = found.rule.tolerance * found.noise_rms
    return GainRequest(
        found.region,
        found.covariance,
        _residual(found),
        tolerance,
        memory_budget=wish.memory_budget,
        cache=wish.cache,
    )


def _residual(found: Survey) -> NDArray[np.float64]:
    """x - ŷ around the region in HU."""
    scan, clean = found.volume.hu[found.region.box.z], found.clean.cpu().numpy()
    return np.asarray((scan - clean)[found.covariance.area.slices], dtype=np.float64)


def _setting(found: Survey, corrector: Corrector, residual: NDArray[np.float64]) -> Setting:
    region, factor, c = corrector.region, corrector.factor, found.covariance
    spread = _array(factor.spread.reshape(region.shape))
    eta, lesion = lesion_map(corrector, spacing_mm=found.volume.spacing[1:])
    scalars = {
        "sigma_out_hu": corrector.rule.sigma_out_hu,
        "sigma_noise_hu": float(
            np.sqrt(np.mean(found.covariance.part(found.covariance.total_sigma, region.box) ** 2))
        ),
        "chi2_per_n_scan": float(corrector.chi2_per_n(region.scan)[0]),
        "chi2_per_n_expected": corrector.chi2_expected,
        "d_eff": factor.d_eff,
        "free_share": 1.0 - factor.d_eff / factor.pixels,
        "spread_theory_hu": float(np.sqrt(np.mean(spread**2))),
        "noise_rms": corrector.noise_rms,
        "jacobian_radius": float(factor.jacobian.reach.radius),
        "jacobian_of": float(factor.jacobian.reach.of),
        "jacobian_error": factor.jacobian.reach.error,
        **lesion,
    }
    return Setting(
        volume=found.volume[region.box],
        fx=_array(corrector.clean[0, 0]),
        fx_output=_array(region.reference_output[0, 0]),
        output_box=region.output_box,
        theory_spread=spread,
        eta=eta,
        scalars=scalars,
        quantum=corrector.quantum,
        context=_array(region.context[0]),
        context_box=region.context_box,
        noise=NoiseModel(c.area, c.sigma, c.spectrum, c.white, residual),
    )


def _array(values: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.cpu().numpy(), dtype=np.float32)

"""Everything about one region that all its samples share: set up once, then 250 samples cost seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.fibre.cache import factor_key, read_factor, write_factor
from ctinv.fibre.correct import QUANTUM_HU, Corrector
from ctinv.fibre.covariance import DenseNoise, SurroundedNoise
from ctinv.fibre.dimension import dimension
from ctinv.fibre.factor import Factor, Gain
from ctinv.fibre.iterative import IterativeGain, TorusNoise
from ctinv.fibre.jacobian import LocalJacobian, probe
from ctinv.fibre.lesions import lesion_map
from ctinv.fibre.memory import is_dense, is_sparse
from ctinv.generators import GENERATORS, Generator
from ctinv.sampler.batch import Setting
from ctinv.sampler.survey import Clock, Progress, Survey, Wish


@dataclass(frozen=True, eq=False)
class Prepared:
    """One region, ready to sample.

    Attributes:
        setting: What all samples share, with the maps of linear theory.
        corrector: Moves candidates onto the fibre and certifies them.
        generator: Proposes candidates.
        noise_source: Where C comes from.
        seconds: Time by stage.
    """

    setting: Setting
    corrector: Corrector
    generator: Generator
    noise_source: dict[str, Any]
    seconds: dict[str, float]

    def dimension(self, tolerances: Sequence[float]) -> list[dict[str, Any]]:
        """d_eff(ε) and the free shares; see `ctinv.fibre.dimension.dimension`."""
        return dimension(self.corrector, tolerances)


def prepare(found: Survey, wish: Wish, *, progress: Progress | None = None) -> Prepared:
    """Set a region up: what the surroundings say, J, the factor, the maps of linear theory."""
    region, rule = found.region, found.rule
    clock = Clock(progress, found.seconds)
    tolerance = rule.tolerance * found.noise_rms
    residual = _residual(found)
    noise: SurroundedNoise
    factor: Gain
    if is_dense(region):
        dense = _dense_factor(found, residual, tolerance, clock, progress, cache=wish.cache)
        noise, factor = dense.noise, dense
    else:
        clock.stage("surroundings", "conditioning the noise on the surroundings")
        torus = TorusNoise.given(found.covariance, region.box, residual, region.context.device)
        clock.stage("jacobian", "taking the Jacobian")
        local = probe(region, progress=progress) if is_sparse(region) else LocalJacobian(region, region.scan)
        clock.stage("factor", "solving for the spread of linear theory")
        noise, factor = torus, IterativeGain.build(local, torus, tolerance)
    patch = found.clean[region.box.slices][None, None].contiguous()
    corrector = Corrector(
        region, factor, noise, patch, rule, found.noise_rms, 0.0 if wish.tier == "T0" else QUANTUM_HU
    )
    clock.stage("maps", "mapping lesions")
    setting = _setting(found, corrector)
    clock.stage("")
    return Prepared(
        setting,
        corrector,
        GENERATORS[wish.generator](region, noise, patch),
        found.noise_source,
        clock.seconds,
    )


def _residual(found: Survey) -> NDArray[np.float64]:
    """x - ŷ around the region in HU."""
    scan, clean = found.volume.hu[found.region.box.z], found.clean.cpu().numpy()
    return np.asarray((scan - clean)[found.covariance.area.slices], dtype=np.float64)


def _dense_factor(
    found: Survey,
    residual: NDArray[np.float64],
    tolerance: float,
    clock: Clock,
    progress: Progress | None,
    *,
    cache: bool,
) -> Factor:
    """The factor of a region, from the cache if it was built before."""
    region, device = found.region, found.region.context.device
    key = ""
    if cache:
        clock.stage("cache")
        denoiser = region.representation.denoiser
        facts = {"tap": region.representation.tap, "boxes": [str(region.box), str(region.context_box)]}
        numbers = {"tolerance": tolerance, "mean": denoiser.mean, "std": denoiser.std, "device": device.type}
        model = [denoiser.network.state_dict()[name] for name in sorted(denoiser.network.state_dict())]
        surroundings = [
            torch.from_numpy(part) for part in (residual, found.covariance.sigma, found.covariance.spectrum)
        ]
        key = factor_key({**facts, **numbers}, region.context, *surroundings, *model)
        kept = read_factor(key, device)
        if kept is not None:
            return kept
    clock.stage("surroundings", "conditioning the noise on the surroundings")
    noise = DenseNoise.given(found.covariance, region.box, residual).to(device)
    clock.stage("jacobian", "taking the Jacobian")
    jacobian = probe(region, progress=progress)
    clock.stage("factor", "factorising")
    factor = Factor.build(jacobian, noise, tolerance)
    if cache:
        clock.stage("cache")
        write_factor(key, factor)
    return factor


def _setting(found: Survey, corrector: Corrector) -> Setting:
    region, factor = corrector.region, corrector.factor
    spread = _array(factor.spread.reshape(region.shape))
    eta, lesion = lesion_map(corrector, spacing_mm=found.volume.spacing[1])
    scalars = {
        "sigma_out_hu": corrector.rule.sigma_out_hu,
        "sigma_noise_hu": float(
            np.sqrt(np.mean(found.covariance.part(found.covariance.total_sigma, region.box) ** 2))
        ),
        "chi2_per_n_scan": float(corrector.chi2_per_n(region.scan)[0]),
        "d_eff": factor.d_eff,
        "free_share": 1.0 - factor.d_eff / factor.pixels,
        "spread_theory_hu": float(np.sqrt(np.mean(spread**2))),
        "noise_rms": corrector.noise_rms,
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
    )


def _array(values: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.cpu().numpy(), dtype=np.float32)

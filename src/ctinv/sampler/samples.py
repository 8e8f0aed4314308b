"""Samples: certified invariances held in memory, and the one summary that memory and store share.

HU, also in the names of figures, stands for the unit of the scan, which is HU for a CT; the summary names it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError
from ctinv.fibre.tiers import NONE, TIERS, WAYS, Certificate
from ctinv.sampler.batch import BLOCK, Batch, Setting
from ctinv.sampler.maps import RunningMaps, rms
from ctinv.sampler.provenance import Provenance


def summarise(
    certificates: Sequence[Certificate],
    scalars: Mapping[str, float],
    *,
    provenance: Provenance,
    spread_hu: float,
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The figures of a set of samples, ready for JSON; what is not known or not finite is None.

    Args:
        certificates: One per sample.
        scalars: Figures of the setting, see `Setting.scalars`.
        provenance: Gives the asked tier, the device and the key.
        spread_hu: RMS over the region of the per-pixel standard deviation over the samples, HU.
        seconds: Time by stage in s.

    Returns:
        ``n`` samples at hand of ``n_asked``, ``passed`` of them at ``tier``; ``unit`` of all that is named ``_hu``;
        ``rmse_hu`` mean and max,
        ``nfe``, ``nfe_raw``, ``chi2_per_n``, ``steps`` and ``passes`` as means; ``tiers`` counts the best tier reached by
        each sample and ``reached`` how they arrived; ``not_reached`` holds the number, the share and the errors of those
        that did not, ``implausible`` the number whose χ²/n lies outside the band of the law. In the ``domain``
        ``"target"`` nothing is fed back: what would judge is None, not 0.
    """
    target = provenance.domain == "target"
    values = {name: [float(getattr(c, name)) for c in certificates] for name in _MEANS}
    means = {name: sum(value) / len(value) if value else math.nan for name, value in values.items()}
    summary = {
        "n": len(certificates),
        "n_asked": provenance.n,
        "domain": provenance.domain,
        "passed": None if target else sum(bool(c.passed) for c in certificates),
        "tier": provenance.tier,
        "unit": provenance.unit,
        "rmse_hu": {"mean": means["rmse_hu"], "max": _largest(values["rmse_hu"])},
        "rmse_hu_raw": means["rmse_hu_raw"],
        "max_hu": _largest([float(c.max_hu) for c in certificates]),
        "nfe_raw": means["nfe_raw"],
        "nfe": means["nfe"],
        "chi2_per_n": means["chi2_per_n"],
        "steps": means["steps"],
        **_arrivals(certificates, fed_back=not target),
        "tiers": None
        if target
        else {tier: sum(c.tier == tier for c in certificates) for tier in (*TIERS, NONE)},
        "spread_hu": spread_hu,
        **{name: float(scalars.get(name, math.nan)) for name in _SCALARS},
        "seconds": {name: float(value) for name, value in seconds.items()},
        "device": provenance.device,
        "key": provenance.key(),
    }
    return {name: _finite(value) for name, value in summary.items()}


def _arrivals(certificates: Sequence[Certificate], *, fed_back: bool) -> dict[str, Any]:
    """How the samples arrived, at what cost, and what did not; older studies do not know the first two."""
    known = [c for c in certificates if c.reached in WAYS]
    judged = [c for c in certificates if c.in_band is not None]
    late = [c.rmse_hu for c in certificates if not c.passed]
    missed = {
        "n": len(late),
        "share": len(late) / len(certificates) if certificates else math.nan,
        "rmse_hu": {"min": min(late, default=math.nan), "max": max(late, default=math.nan)},
    }
    return {
        "passes": sum(c.passes for c in known) / len(known) if known else math.nan,
        "reached": {way: sum(c.reached == way for c in known) for way in WAYS} if known else None,
        "not_reached": missed if fed_back else None,
        "implausible": sum(not c.in_band for c in judged) if judged else None,
    }


def _largest(values: Sequence[float]) -> float:
    """NaN where there is none, or where one is."""
    return math.nan if any(math.isnan(value) for value in values) else max(values, default=math.nan)


_MEANS = ("rmse_hu", "rmse_hu_raw", "nfe_raw", "nfe", "chi2_per_n", "steps")
_SCALARS = (
    "spread_theory_hu",
    "chi2_per_n_scan",
    "chi2_per_n_expected",
    "d_eff",
    "free_share",
    "sigma_out_hu",
)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True, eq=False)
class Samples:
    """Certified invariances in memory; reads like a `Store`.

    Attributes:
        x_tilde: (n, 1, h, w) float32 HU.
        feedback_error: (n, 1, H', W') float32 HU, f(x̃) − f(x) over the output box.
        certificates: One per sample; its `k` is the sample's row number.
        setting: What all samples share.
        provenance: Where they come from.
        seconds: Time by stage in s.
        together: Rows that were computed at once, at the fewest; see `Batch`.
    """

    x_tilde: NDArray[np.float32]
    feedback_error: NDArray[np.float32]
    certificates: tuple[Certificate, ...]
    setting: Setting
    provenance: Provenance
    seconds: dict[str, float] = field(default_factory=dict)
    together: int = BLOCK

    def __post_init__(self) -> None:
        count = len(self.certificates)
        for name, plane in (
            ("x_tilde", self.setting.region),
            ("feedback_error", self.setting.output_box.shape),
        ):
            shape = getattr(self, name).shape
            if shape != (count, 1, *plane):
                raise InputError(
                    f"{name} must be {(count, 1, *plane)} for {count} certificates, got {shape}."
                )

    @classmethod
    def collect(
        cls,
        batches: Iterable[Batch],
        setting: Setting,
        provenance: Provenance,
        *,
        seconds: Mapping[str, float] | None = None,
    ) -> Samples:
        """Gather finished batches, ordered by row."""
        parts = list(batches)
        certificates = [certificate for part in parts for certificate in part.certificates]
        order = sorted(range(len(certificates)), key=lambda index: certificates[index].k)
        planes = {"x_tilde": setting.region, "feedback_error": setting.output_box.shape}
        arrays = {
            name: np.concatenate([np.zeros((0, *plane), np.float32), *(getattr(p, name) for p in parts)])[
                order, None
            ]
            for name, plane in planes.items()
        }
        ordered = tuple(certificates[index] for index in order)
        return cls(
            **arrays,
            certificates=ordered,
            setting=setting,
            provenance=provenance,
            seconds=dict(seconds or {}),
            together=min((part.together for part in parts), default=BLOCK),
        )

    @property
    def rows(self) -> tuple[int, ...]:
        """Row numbers k of the samples at hand, ascending."""
        return tuple(certificate.k for certificate in self.certificates)

    @cached_property
    def _maps(self) -> RunningMaps:
        maps = RunningMaps(
            self.setting.volume.hu[0], self.setting.output_box.shape, quantum=self.setting.quantum
        )
        maps.add(self.x_tilde[:, 0], self.feedback_error[:, 0])
        return maps

    def _index(self, k: int) -> int:
        try:
            return self.rows.index(k)
        except ValueError:
            raise InputError(f"sample {k} is not among the {len(self.rows)} samples at hand.") from None

    def read(self, k: int) -> NDArray[np.float32]:
        """(h, w) HU, sample k."""
        return self.x_tilde[self._index(k), 0]

    def read_error(self, k: int) -> NDArray[np.float32]:
        """(H', W') HU, f(x̃) − f(x) of sample k over the output box."""
        return self.feedback_error[self._index(k), 0]

    def batches(self, *, size: int = 25) -> Iterator[Batch]:
        """The samples again as batches, in the order of their rows."""
        for start in range(0, len(self.rows), size):
            part = slice(start, start + size)
            yield Batch(
                self.rows[part],
                self.x_tilde[part, 0],
                self.feedback_error[part, 0],
                self.certificates[part],
                self.together,
            )

    def lazy(self) -> NDArray[np.float32]:
        """(n, 1, h, w) HU, for a layer; a store gives an array that loads on demand instead."""
        return self.x_tilde

    def lazy_error(self) -> NDArray[np.float32]:
        """(n, 1, H', W') HU, f(x̃) − f(x), likewise."""
        return self.feedback_error

    def probe(self, y: int, x: int) -> NDArray[np.float32]:
        """(n,) HU, every sample at row y and column x of the region."""
        check_pixel(y, x, self.setting.region)
        return self.x_tilde[:, 0, y, x].copy()

    @property
    def has_maps(self) -> bool:
        """Always: they are computed from what is in memory."""
        return True

    def mean(self) -> NDArray[np.float32]:
        """(h, w) mean of x̃ in HU."""
        return self._maps.mean()

    def spread(self) -> NDArray[np.float32]:
        """(h, w) standard deviation of x̃ over the samples in HU (n − 1)."""
        return self._maps.spread()

    def worst(self) -> NDArray[np.float32]:
        """(H', W') largest absolute feed-back error in HU."""
        return self._maps.worst()

    def summary(self) -> dict[str, Any]:
        """The figures that the shell prints, see `summarise`."""
        return summarise(
            self.certificates,
            self.setting.scalars,
            provenance=self.provenance,
            spread_hu=rms(self.spread()),
            seconds=self.seconds,
        )


def check_pixel(y: int, x: int, region: tuple[int, int]) -> None:
    """Raise InputError unless row y and column x lie inside a region of this (h, w)."""
    if not (0 <= y < region[0] and 0 <= x < region[1]):
        raise InputError(f"pixel ({y}, {x}) lies outside the region of {region[0]} x {region[1]} voxels.")

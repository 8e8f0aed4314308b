"""Certificates in words and numbers: the rows of the table, their order, and the lines above it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import SignalGroupDescriptor

from ctinv.errors import StoreError
from ctinv.fibre.tiers import NONE, NOT_FED_BACK, TIERS
from ctinv.sampler.words import TARGET_DOMAIN, verdict, ways
from napari_ctinv.viewing.stamp import warns

if TYPE_CHECKING:
    from ctinv.fibre.tiers import Certificate
    from napari_ctinv.session import Session

COLUMNS = ("k", "RMSE\n[{unit}]", "NFE\nraw", "NFE", "χ²/n", "pas-\nses", "tier")
TIPS = (
    "number of the sample",
    "root mean square of f(x̃) − f(x), in the unit of the scan",
    "feed-back error of the candidate before correction, in units of a re-scan's; 1: no better than re-scanning",
    "the same after correction; 0.5 and more is no invariance",
    "how much like a scan the sample looks; the line above names that of the scan itself",
    "times f was evaluated or differentiated for this sample",
    "strictest tier that is met, or that the asked one was not reached",
)


@dataclass(eq=False)
class CertificatesModel:
    """What stands over the table.

    Attributes:
        session: The session.
        line: How many samples hold; at the end also how well, by which way, and how far apart they lie.
        unit: Unit of the scan.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    line: str = ""
    unit: str = "HU"

    def __post_init__(self) -> None:
        shown = self.session.shown
        shown.events.finished.connect(self._renew)
        shown.events.samples.connect(self._renew)
        self.session.invariances.activity.events.state.connect(self._renew)
        self._renew()

    def _renew(self, _value: Any = None) -> None:
        study, certificates = self.session.shown.study, self.session.shown.certificates
        if study is None or not certificates:
            self.line = ""
            return
        self.unit = study.provenance.unit
        running = self.session.invariances.activity.running
        if not running and study.has_maps:
            try:
                self.line = summary_line(study.summary())
            except StoreError as error:  # it was moved or damaged since it is shown
                self.line = str(error)
        else:
            self.line = progress_line(certificates, tier=study.provenance.tier)


def cells(certificate: Certificate) -> tuple[str, ...]:
    """The row of one sample as text; a tier that was not reached and a χ²/n that no scan has are said so."""
    if certificate.reached == NOT_FED_BACK:
        return (str(certificate.k), *["-"] * (len(COLUMNS) - 2), TARGET_DOMAIN)
    tier = certificate.tier
    if not certificate.passed:
        tier = "not reached" if tier == NONE else f"only {tier}"
    elif certificate.in_band is False:
        tier = "implausible"
    return (
        str(certificate.k),
        f"{certificate.rmse_hu:.3f}",
        f"{certificate.nfe_raw:.2f}",
        f"{certificate.nfe:.3f}",
        f"{certificate.chi2_per_n:.3f}",
        str(certificate.passes) if certificate.passes else "-",
        tier,
    )


def numbers(certificate: Certificate) -> tuple[float, ...]:
    """The same as numbers to sort by: what warns lies behind every tier, what was not measured behind all."""
    tier = TIERS.index(certificate.tier) if certificate.tier in TIERS else len(TIERS)
    return (
        float(certificate.k),
        certificate.rmse_hu,
        certificate.nfe_raw,
        certificate.nfe,
        certificate.chi2_per_n,
        float(certificate.passes) if certificate.passes else math.nan,
        float(tier + 10 * warns(certificate)),
    )


def progress_line(certificates: Sequence[Certificate], *, tier: str) -> str:
    """One line over the table while samples arrive: how many hold."""
    if all(certificate.reached == NOT_FED_BACK for certificate in certificates):
        return f"{len(certificates)} images of the {TARGET_DOMAIN}"
    passed = sum(certificate.passed for certificate in certificates)
    return f"{passed} of {len(certificates)} at {tier}"


def summary_line(summary: Mapping[str, Any]) -> str:
    """What was found, from a study's summary: how many hold, how well, by which way, how far apart, how like a scan."""
    rmse, unit = summary["rmse_hu"], f" {summary['unit']}"
    spread = f"spread {_number(summary['spread_hu'], '.1f', unit)}"
    if summary["domain"] == "target":
        return f"{verdict(summary)}\n{spread}"
    lines = [
        verdict(summary),
        f"RMSE {_number(rmse['mean'], '.3f', unit)}, worst {_number(rmse['max'], '.3f', unit)}",
        f"NFE {_number(summary['nfe_raw'], '.2f')} raw, {_number(summary['nfe'], '.3f')} corrected",
        f"reached by {ways(summary)}",
        f"{spread}, linear theory {_number(summary['spread_theory_hu'], '.1f', unit)}",
        f"χ²/n {_number(summary['chi2_per_n'], '.3f')}, the scan itself {_number(summary['chi2_per_n_scan'], '.3f')}",
    ]
    return "\n".join(lines)


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "unknown" if value is None else f"{value:{form}}{unit}"

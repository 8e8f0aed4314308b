"""The report of a study: collected once, then a record from which every picture and the page follow.

The content of a record holds, beside what `ctinv.report.collect.study.facts` gives:

``images``
    the scan, f(x), mean, spread, worst error and the surroundings of the region, packed;
``recheck``
    whether the stored certificates are those of the images, fed back again for the report;
``shown_samples``
    a few samples, those that stand for all where they were chosen;
``noise``, ``fibre``, ``findings``, ``cost``, ``layers``, ``validation``
    what figures 2 to 8 show, each with one sentence under ``absent`` where it is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctinv.errors import CtinvError, InputError
from ctinv.jsonable import plain
from ctinv.progress import Progress
from ctinv.report.overview import STAMP
from ctinv.report.record import Record, seal_of, sha256, versions

if TYPE_CHECKING:
    from ctinv.analysis.subject import Subject
    from ctinv.denoiser import Denoiser
    from ctinv.sampler import Samples, Store


@dataclass(frozen=True)
class Report:
    """A finished report.

    Attributes:
        record: Everything it is made of.
        pictures: PNG by ``figure/panel``.
        html: The page.
    """

    record: Record
    pictures: dict[str, bytes]
    html: bytes


def build(
    study: Store | Samples,
    *,
    denoiser: Denoiser | None = None,
    absent: str = "",
    analyses: Sequence[str] | None = None,
    seed: int = 0,
    layers: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Make the report of a study.

    Args:
        study: The study, with at least one finished sample.
        denoiser: Its denoiser, on the device to compute on; without one the report says what is missing.
        absent: Why there is no denoiser, in one sentence.
        analyses: Names of `ctinv.analysis.registry.ANALYSES`; all by default.
        seed: Seed of the null distributions.
        layers: JSON that ``ctinv layers`` wrote of the same scan, region and network.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: The study has no sample, an analysis does not exist, or the layer study is of something else.
        StoreError: The study is damaged.
    """
    from ctinv.report.collect import findings

    if not study.certificates:
        raise InputError("the study has no finished sample yet, so there is nothing to report; sample first.")
    names = findings.check_names(analyses)
    content = _collect(study, denoiser, absent, names, seed, layers, progress)
    return draw(content, progress=progress)


def draw(
    content: dict[str, Any], *, drawn_with: dict[str, str] | None = None, progress: Progress | None = None
) -> Report:
    """Draw everything from the content alone, and seal it.

    Args:
        content: That of a record.
        drawn_with: The versions that the page names; those at hand by default.
        progress: Called with a phrase and a finished share.
    """
    from ctinv.report.figures import catalogue
    from ctinv.report.page import render

    if progress is not None:
        progress("drawing", float("nan"))
    figures = catalogue.plates(content)
    pictures = catalogue.draw(figures)
    used, seal = drawn_with or versions(), seal_of(content)
    html = render(content, figures, pictures, seal=seal, drawn_with=used)
    hashes = {name: sha256(picture) for name, picture in pictures.items()}
    return Report(Record(content, hashes, sha256(html), used, seal), pictures, html)


def _collect(
    study: Store | Samples,
    denoiser: Denoiser | None,
    absent: str,
    names: Sequence[str],
    seed: int,
    layers: Path | None,
    progress: Progress | None,
) -> dict[str, Any]:
    from ctinv.report.collect import fibre, findings, noise, outside
    from ctinv.report.collect.study import facts, images, shown_samples

    provenance = study.provenance.to_json()
    measured = None if layers is None else outside.layers(layers, provenance)
    subject, why = _subject(study, denoiser, absent, progress)
    found = findings.findings(subject, names, absent=why, seed=seed, progress=progress)
    content: dict[str, Any] = {
        "use": STAMP,
        **facts(study),
        "images": images(study),
        "recheck": _recheck(study, denoiser, absent, progress),
        "noise": noise.spectra(study, subject, absent=why, seed=seed),
        "fibre": _or_absent(subject, why),
        "findings": found,
        "shown_samples": shown_samples(study, found),
        "report_seed": seed,
        "cost": fibre.costs(study, subject),
        "layers": measured,
        "validation": outside.validation(),
    }
    return dict(plain(content))


def _subject(
    study: Store | Samples, denoiser: Denoiser | None, absent: str, progress: Progress | None
) -> tuple[Subject | None, str]:
    """The study with its denoiser, or why it is not at hand."""
    from ctinv.analysis.subject import Subject

    if denoiser is None:
        return None, absent
    try:
        return Subject.of_study(study, denoiser, progress=progress), ""
    except CtinvError as error:
        return None, str(error)


def _or_absent(subject: Subject | None, why: str) -> dict[str, Any]:
    from ctinv.report.collect.fibre import spectrum

    if subject is None:
        return {"absent": why}
    try:
        return spectrum(subject)
    except InputError as error:
        return {"absent": str(error)}


def _recheck(
    study: Store | Samples, denoiser: Denoiser | None, absent: str, progress: Progress | None
) -> dict[str, Any]:
    """Feed every sample back again: the certificates of the report are then those of this day."""
    from ctinv.sampler.certify import recertify

    if denoiser is None:
        return {"absent": absent}
    if study.provenance.domain == "target":
        return {"absent": "images of the target domain are not fed back."}
    if progress is not None:
        progress("feeding every sample back again", float("nan"))
    try:
        return {"agree": recertify(study, denoiser)[1]}
    except CtinvError as error:
        return {"absent": str(error)}

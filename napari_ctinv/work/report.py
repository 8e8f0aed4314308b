"""The report of a stored study, as a page and its record."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from napari_ctinv.engine.messages import Report

PAGE = "report.html"


@dataclass(frozen=True)
class ReportRequest:
    """Write the report of a study.

    Attributes:
        study: Its folder.
        folder: Where ``report.html`` and ``report.json`` go; made where it is missing.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        names: Analyses in it; None for all.
        seed: Seed of the null distributions.
        own: The user's own denoiser, for a study that was not made with a shipped one.
        trust: sha256 of a denoiser that runs code, where the user has allowed it.
    """

    study: Path
    folder: Path
    device: str
    names: tuple[str, ...] | None = None
    seed: int = 0
    own: str | None = None
    trust: str | None = None


@dataclass(frozen=True)
class Written:
    """A finished report.

    Attributes:
        page: The HTML file.
        stamp: Its verdict in a word or two.
        sentence: Its verdict in a sentence.
    """

    page: Path
    stamp: str
    sentence: str


def report(request: ReportRequest, report: Report) -> Generator[Written, None, None]:
    """Yields the finished report once.

    Raises:
        CtinvError: The study is damaged or empty, or the named denoiser is not the one it was made with.
    """
    report("loading the libraries", math.nan)
    from ctinv.report import words
    from ctinv.report.study import report_on, write_report
    from ctinv.sampler import Store
    from napari_ctinv.work.studies import source_of

    source = source_of(Store.open(request.study).provenance.weights_sha256, request.own)
    options = {} if source is None else {"trust": request.trust}
    made = report_on(
        request.study,
        denoiser=source,
        options=options,
        device=request.device,
        progress=report,
        analyses=request.names,
        seed=request.seed,
    )
    page = request.folder / PAGE
    write_report(made, page, progress=report)
    stamp, sentence = words.stamp(made.record.content)
    yield Written(page, stamp, sentence)

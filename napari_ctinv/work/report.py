"""The report of a stored study, as a page and its record."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctinv.progress import Progress

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
        loading: Of that denoiser: its class, card and the sha256 that may run code, as `ctinv.load_denoiser` takes them.
    """

    study: Path
    folder: Path
    device: str
    names: tuple[str, ...] | None = None
    seed: int = 0
    own: str | None = None
    loading: dict[str, Any] = field(default_factory=dict)


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


def report(request: ReportRequest, report: Progress) -> Generator[Written, None, None]:
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
    options = {} if source is None else request.loading
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

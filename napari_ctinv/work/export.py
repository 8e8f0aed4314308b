"""Exporting a study for other programs; needs neither a network nor torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ctinv.export import Exported, Wanted
from ctinv.progress import Progress
from ctinv.volume import Volume


@dataclass(frozen=True)
class ExportRequest:
    """Write a study, or parts of it, see `ctinv.export.export_study`.

    Attributes:
        study: Folder of the study.
        target: What comes into being.
        to: One of `ctinv.export.FORMATS`.
        wanted: Which samples, images and maps.
        template: DICOM file of the scan, whose identity is taken over.
        take_over_identity: The user has asked for that in words.
        scan: The whole scan, for a panel of a picture.
    """

    study: Path
    target: Path
    to: str
    wanted: Wanted = field(default_factory=Wanted)
    template: Path | None = None
    take_over_identity: bool = False
    scan: Volume | None = None


def export(request: ExportRequest, report: Progress) -> Iterator[Exported]:
    """Yields what was written, once it is whole.

    Raises:
        CtinvError: The request cannot be met.
    """
    report("opening the study", math.nan)
    from ctinv.export import export_study
    from ctinv.sampler import Store

    yield export_study(
        Store.open(request.study),
        request.target,
        to=request.to,
        wanted=request.wanted,
        template=request.template,
        take_over_identity=request.take_over_identity,
        scan=request.scan,
        progress=report,
    )

"""Analysing a stored study, one finding after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ctinv.analysis.finding import Finding
from ctinv.errors import CtinvError
from ctinv.progress import Progress


@dataclass(frozen=True)
class AnalyseRequest:
    """Run analyses on a study.

    Attributes:
        study: Its folder.
        names: Keys of `ctinv.analysis.registry.ANALYSES`.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        seed: Seed of the null distributions.
        own: The user's own denoiser, for a study that was not made with a shipped one.
        loading: Of that denoiser: its class, card and the sha256 that may run code, as `ctinv.load_denoiser` takes them.
    """

    study: Path
    names: tuple[str, ...]
    device: str
    seed: int = 0
    own: str | None = None
    loading: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Analysed:
    """One analysis has ended.

    Attributes:
        name: Its name.
        finding: What it says; None where it could not be made.
        refused: Why it could not be made, in one sentence, or empty.
        seconds: How long it took.
    """

    name: str
    finding: Finding | None
    refused: str
    seconds: float


def analyse(request: AnalyseRequest, report: Progress) -> Iterator[Analysed]:
    """Yields each finding as soon as it stands; an analysis that does not fit the study says why and stops no other.

    Raises:
        CtinvError: The study is damaged, or its denoiser is not at hand.
    """
    report("loading the network of the study", math.nan)
    from ctinv.analysis.registry import analyse_each
    from ctinv.jsonable import plain
    from napari_ctinv.work.studies import subject

    about = subject(
        request.study, own=request.own, loading=request.loading, device=request.device, report=report
    )
    begun = time.monotonic()
    for name, result in analyse_each(request.names, about, seed=request.seed, progress=report):
        seconds = time.monotonic() - begun
        if isinstance(result, CtinvError):
            yield Analysed(name, None, str(result), seconds)
        else:
            finding = replace(result, figures=plain(result.figures), curves=plain(result.curves))
            yield Analysed(name, finding, "", seconds)
        begun = time.monotonic()

"""Looking at a network: what it is, or what it would run if it were trusted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctinv.progress import Progress


@dataclass(frozen=True)
class InspectRequest:
    """Look at a network; the fields are those of `ctinv.denoiser.load_denoiser`.

    Attributes:
        denoiser: Name of a shipped denoiser, bundle folder, file, or ``"module:function"``.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        network: Class of a file of weights.
        card: File of its card; None for the one beside the source.
        trust: sha256 that may run code, where the user has allowed it.
    """

    denoiser: str
    device: str
    network: str | None = None
    card: Path | None = None
    trust: str | None = None


@dataclass(frozen=True)
class TrustQuestion:
    """A network that would run code: what the user has to know to answer.

    Attributes:
        name: Its bare name.
        kind: TorchScript, exported program, pickle or bundle.
        sha256: What trust is given to.
        lines: Everything it would run, one line each, without control characters.
        complete: Whether the list could be made to its end.
    """

    name: str
    kind: str
    sha256: str
    lines: tuple[str, ...]
    complete: bool


@dataclass(frozen=True)
class NetworkFacts:
    """The card of a network.

    Attributes:
        facts: As `ctinv.network_facts.network_facts` finds them.
        origin: Who made it and how it was trained, as far as its bundle says (`ctinv.network_facts.origin`).
    """

    facts: dict[str, Any]
    origin: dict[str, Any]


def inspect(request: InspectRequest, report: Progress) -> Iterator[NetworkFacts | TrustQuestion]:
    """Yields the facts of a network, or the question whether it may run code; then nothing of it was run.

    Raises:
        CtinvError: It cannot be loaded.
    """
    report("loading the network", math.nan)
    from ctinv.errors import TrustError
    from ctinv.network_facts import network_facts, origin
    from napari_ctinv.work import cached

    try:
        denoiser = cached.denoiser(
            request.denoiser, request.device, request.trust, network=request.network, card=request.card
        )
    except TrustError:
        yield _question(Path(request.denoiser))
        return
    report("looking at its layers", math.nan)
    yield NetworkFacts(network_facts(denoiser, report), origin(request.denoiser))


def _question(path: Path) -> TrustQuestion:
    from ctinv.models.would_run import lines_of, what_would_run

    found = what_would_run(path)
    return TrustQuestion(found.name, found.kind, found.sha256, tuple(lines_of(found)[1:]), found.complete)

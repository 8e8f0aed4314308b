"""Where a study's denoiser is, and the study as analyses see it; the last one is kept, as its factor takes a while."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctinv.errors import ModelError
from ctinv.progress import Progress

if TYPE_CHECKING:
    from ctinv.analysis.subject import Subject

_subjects: dict[Any, Subject] = {}


def source_of(weights_sha256: Mapping[str, str], own: str | None) -> str | None:
    """Where a study's denoiser is looked for: among the shipped ones (None) if it is one, else the user's own."""
    from ctinv.models.shipped import find_by_hash

    try:
        find_by_hash(next(iter(weights_sha256.values()), ""))
    except ModelError:
        return own
    return None


def subject(
    study: Path, *, own: str | None, loading: Mapping[str, Any], device: str, report: Progress
) -> Subject:
    """A stored study as analyses see it.

    Args:
        study: Its folder.
        own: The user's own denoiser, for a study that was not made with a shipped one.
        loading: Class, card and trusted sha256 of that denoiser, as `ctinv.load_denoiser` takes them.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        report: Told what is being done.

    Raises:
        CtinvError: The study is damaged, or its denoiser is not at hand.
    """
    from ctinv.analysis.subject import Subject
    from ctinv.sampler import Store
    from ctinv.sampler.network import find_denoiser

    store = Store.open(study)
    wanted = (study, store.provenance.key(), store.rows, own, *loading.values(), device)
    if wanted not in _subjects:
        _subjects.clear()
        weights = store.provenance.weights_sha256
        source = source_of(weights, own)
        denoiser = find_denoiser(weights, source, device=device, **(loading if source else {}))
        _subjects[wanted] = Subject.of_study(store, denoiser, progress=report)
    return _subjects[wanted]

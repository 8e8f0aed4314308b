"""Networks and samplers of the last request, kept in the computing process: another seed reuses the factor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctinv.denoiser import Denoiser
    from ctinv.sampler import InvarianceSampler
    from napari_ctinv.engine.messages import Report

_denoisers: dict[tuple[str, str, str | None], Denoiser] = {}
_samplers: dict[tuple[Any, ...], InvarianceSampler] = {}


def warm(_request: None, _report: Report) -> Iterator[None]:
    """Import what sampling needs, before it is needed."""
    import ctinv.sampler.run

    assert ctinv.sampler.InvarianceSampler is not None  # loaded on first use
    return
    yield


def denoiser(source: str, device: str, trust: str | None = None) -> Denoiser:
    """A denoiser on its device, from the last call if it is the same; one is kept.

    Raises:
        ModelError: It cannot be loaded.
        TrustError: It would run code, and its sha256 is not trusted.
    """
    from ctinv.denoiser import load_denoiser, pick_device

    wanted = (source, device, trust)
    if wanted not in _denoisers:
        _denoisers.clear()
        _samplers.clear()
        _denoisers[wanted] = load_denoiser(source, device=pick_device(device), trust=trust)
    return _denoisers[wanted]


def sampler(
    source: str, *, tap: str, generator: str, tier: str, device: str, trust: str | None = None
) -> InvarianceSampler:
    """A sampler, from the last call if it is the same; one is kept, as its factor may be large."""
    from ctinv.sampler import InvarianceSampler

    wanted = (source, tap, generator, tier, device, trust)
    if wanted not in _samplers:
        network = denoiser(source, device, trust)
        _samplers.clear()
        _samplers[wanted] = InvarianceSampler(network, tap=tap, generator=generator, tier=tier, device=device)
    return _samplers[wanted]

"""Networks and samplers of the last request, kept in the computing process: another seed reuses the factor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctinv.progress import Progress

if TYPE_CHECKING:
    from ctinv.denoiser import Denoiser
    from ctinv.sampler import InvarianceSampler

_REFUSED = (
    "{} would run code and is not trusted, so it was not loaded; choose it in the Denoise tab, which shows what it would "
    "run and asks."
)

_denoisers: dict[tuple[Any, ...], Denoiser] = {}
_samplers: dict[tuple[Any, ...], InvarianceSampler] = {}


def warm(_request: None, _report: Progress) -> Iterator[None]:
    """Import what sampling needs, before it is needed."""
    import ctinv.sampler.run

    assert ctinv.sampler.InvarianceSampler is not None  # loaded on first use
    return
    yield


def denoiser(
    source: str,
    device: str,
    trust: str | None = None,
    *,
    network: str | None = None,
    card: Path | None = None,
) -> Denoiser:
    """A denoiser on its device, from the last call if it is the same, unchanged on disk; one is kept.

    Args:
        source: As for `ctinv.denoiser.load_denoiser`, as are `trust`, `network` and `card`.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        trust: sha256 that may run code.
        network: Class of a file of weights.
        card: File of its card.

    Raises:
        ModelError: It cannot be loaded.
        TrustError: It would run code, and its sha256 is not trusted.
    """
    from ctinv.denoiser import load_denoiser, pick_device
    from ctinv.errors import TrustError

    wanted = (source, device, trust, network, card, _stamp(Path(source)), _stamp(card))
    if wanted not in _denoisers:
        _denoisers.clear()
        _samplers.clear()
        try:
            loaded = load_denoiser(
                source, device=pick_device(device), trust=trust, network=network, card=card
            )
        except TrustError as error:
            raise TrustError(_REFUSED.format(Path(source).name[:40]), sha256=error.sha256) from error
        _denoisers[wanted] = loaded
    return _denoisers[wanted]


def sampler(
    source: str,
    *,
    tap: str,
    generator: str,
    tier: str,
    device: str,
    trust: str | None = None,
    network: str | None = None,
    card: Path | None = None,
) -> InvarianceSampler:
    """A sampler, from the last call if it is the same; one is kept, as its factor may be large."""
    from ctinv.sampler import InvarianceSampler

    found = denoiser(source, device, trust, network=network, card=card)
    wanted = (id(found), tap, generator, tier, device)
    if wanted not in _samplers:
        _samplers.clear()
        _samplers[wanted] = InvarianceSampler(found, tap=tap, generator=generator, tier=tier, device=device)
    return _samplers[wanted]


def _stamp(path: Path | None) -> tuple[tuple[str, int, int], ...]:
    """What tells that a file, or a file of a folder, was written anew: names, sizes and times."""
    if path is None or not path.exists():
        return ()
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    beside = path.parent.glob(f"{path.stem}.card.*") if path.is_file() else ()
    return tuple((one.name, one.stat().st_size, one.stat().st_mtime_ns) for one in (*files, *beside))

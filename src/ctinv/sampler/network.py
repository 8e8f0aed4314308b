"""The denoiser of a stored study, found by the hashes of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ctinv.errors import ModelError

if TYPE_CHECKING:
    from ctinv.denoiser import Denoiser


def find_denoiser(
    weights_sha256: Mapping[str, str],
    source: str | None = None,
    *,
    network: str | None = None,
    card: Path | None = None,
    trust: str | None = None,
    device: str = "cpu",
) -> Denoiser:
    """The denoiser whose weights have these hashes, a shipped one unless a source is given.

    Args:
        weights_sha256: Name to hash, as a study's provenance holds them.
        source: File, bundle or name of the denoiser, for one that is not shipped.
        network: Class of a network whose file holds weights alone.
        card: Its card.
        trust: Hash that the user trusts.
        device: Where it is to compute, ``"auto"`` for the best there is.

    Raises:
        ModelError: No denoiser has them.
        InputError: The device does not exist here.
    """
    from ctinv.denoiser import load_denoiser, pick_device
    from ctinv.models.shipped import find_by_hash

    if not weights_sha256:
        raise ModelError(
            "the study names no weights, so its denoiser cannot be found; name the denoiser it was made with."
        )
    where = pick_device(device)
    if source is None:
        found = load_denoiser(find_by_hash(next(iter(weights_sha256.values()))), device=where)
    else:
        found = load_denoiser(source, device=where, network=network, card=card, trust=trust)
    if sorted(found.weights_sha256.values()) != sorted(weights_sha256.values()):
        same_file = set(found.weights_sha256.values()) & set(weights_sha256.values())
        what = "convention of {} is not that" if same_file else "weights of {} are not those"
        raise ModelError(
            f"the {what.format(found.name)} the study was made with; name another network or its card."
        )
    return found

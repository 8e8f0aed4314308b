"""Which denoisers, taps and generators can be chosen, read from the bundles' JSON without loading a network or torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctinv.errors import ModelError
from ctinv.generators.kinds import TRAINING_FREE
from ctinv.generators.library import entries_for
from ctinv.models.shipped import METADATA, read_config, shipped
from ctinv.resources import bundles_folder

ENDS = ("input", "output")


def taps_of(denoiser: str | Path) -> list[str]:
    """Taps of a shipped denoiser or of a bundle folder, ``"output"`` first because it is the usual choice.

    Of a file of weights or an ONNX file only the two ends are known before it is loaded.

    Raises:
        ModelError: The bundle cannot be read.
    """
    taps = _about(denoiser).get("taps")
    inner = [str(name) for name in taps if str(name) not in ENDS] if isinstance(taps, dict) else []
    return ["output", *inner, "input"]


def generators_of(denoiser: str | Path, tap: str) -> list[str]:
    """Generators that there are for a denoiser at a tap; trained ones belong to the weights of one denoiser."""
    try:
        hashes = _about(denoiser).get("weights_sha256")
    except ModelError:
        return list(TRAINING_FREE)
    return [*TRAINING_FREE, *(entries_for(hashes, tap) if isinstance(hashes, dict) else ())]


def _about(denoiser: str | Path) -> dict[str, Any]:
    """The block ``ctinv`` of a bundle's metadata; empty for a file and for a foreign bundle."""
    folder = bundles_folder() / denoiser if str(denoiser) in shipped() else Path(denoiser)
    if folder.is_file():
        return {}
    if not (folder / METADATA).is_file():
        raise ModelError(
            f"{folder.name!r} is no file and no bundle, as it has no configs/metadata.json; choose another."
        )
    about = read_config(folder, METADATA).get("ctinv")
    return about if isinstance(about, dict) else {}

"""Which denoisers and taps can be chosen, read from the bundles' JSON without loading a network or torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ctinv.errors import ModelError
from ctinv.resources import bundles_folder

ENDS = ("input", "output")


def shipped_denoisers() -> list[str]:
    """Names of the shipped denoisers, in order."""
    folder = bundles_folder()
    return sorted(path.parent.parent.name for path in folder.glob("*/configs/metadata.json"))


def taps_of(denoiser: str | Path) -> list[str]:
    """Taps of a shipped denoiser or of a bundle folder, ``"output"`` first because it is the usual choice.

    Of a file of weights or an ONNX file only the two ends are known before it is loaded.

    Raises:
        ModelError: The bundle cannot be read.
    """
    return ["output", *_inner_taps(_metadata(denoiser)), "input"]


def _metadata(denoiser: str | Path) -> dict[str, Any]:
    folder = bundles_folder() / denoiser if str(denoiser) in shipped_denoisers() else Path(denoiser)
    if folder.is_file():
        return {}
    try:
        metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ModelError(
            f"{folder.name!r} is no file and no bundle, as it has no configs/metadata.json; choose another."
        ) from None
    return metadata if isinstance(metadata, dict) else {}


def _inner_taps(metadata: dict[str, Any]) -> list[str]:
    about = metadata.get("ctinv")
    taps = about.get("taps") if isinstance(about, dict) else None
    if not isinstance(taps, dict):
        return []
    return [str(name) for name in taps if str(name) not in ENDS]

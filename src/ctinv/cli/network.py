"""A network from the options of a command, and what ``ctinv info`` says of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctinv.denoiser import Denoiser

_FILES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pt2", ".onnx", ".ts", ".torchscript", ".jit")


def is_network(source: Path) -> bool:
    """Whether a path or text names a network rather than a scan, told without loading torch."""
    from ctinv.resources import bundles_folder

    if source.is_dir():
        return (source / "configs").is_dir()
    if source.is_file():
        return source.suffix.lower() in _FILES
    return ":" in source.name or (source.parent == Path() and (bundles_folder() / source.name).is_dir())


def load(
    source: str | Path, *, network: str | None, card: Path | None, trust: str | None, device: str = "cpu"
) -> Denoiser:
    """The denoiser that the options of a command name.

    Raises:
        ModelError: It cannot be loaded.
        InputError: The device does not exist here.
    """
    from ctinv.denoiser import load_denoiser, pick_device

    return load_denoiser(str(source), device=pick_device(device), network=network, card=card, trust=trust)


def load_all(sources: list[str]) -> dict[str, Denoiser]:
    """Name to network; two of one name are told apart by a number.

    Raises:
        ModelError: One cannot be loaded.
    """
    found: dict[str, Denoiser] = {}
    for source in sources:
        denoiser = load(source, network=None, card=None, trust=None)
        names = (denoiser.name, *(f"{denoiser.name} #{number}" for number in range(2, len(sources) + 1)))
        found[next(name for name in names if name not in found)] = denoiser
    return found


def facts_for_people(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The same with one line for each tap and each note."""
    from ctinv.cli.tables import flat, number

    rows = flat({name: value for name, value in facts.items() if name not in ("taps", "how", "flat", "kind")})
    flops = facts["flops_per_megapixel"]
    rows["flops per megapixel"] = "-" if flops is None else f"{flops / 1e9:.1f} GFLOP"
    rows["flat images"] = ", ".join(f"{level} → {number(back)}" for level, back in facts["flat"].items())
    for number_, note in enumerate(facts["how"], start=1):
        rows[f"how {number_}"] = note
    for tap, about in facts["taps"].items():
        radius = about["receptive_radius"]
        field = radius if isinstance(radius, str) else f"{2 * radius + 1} × {2 * radius + 1} pixels"
        rows[f"tap {tap}"] = f"{' × '.join(map(str, about['shape'] or '-'))}; sees {field}"
    return rows

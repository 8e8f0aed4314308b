"""Bundles of trained generators, found by kind, denoiser and tap, and read as data.

A generator belongs to the weights of one denoiser: it is found by their sha256, never by a name alone. Reading the library
imports no network.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctinv.errors import ModelError
from ctinv.generators.kinds import KINDS
from ctinv.models.files import inside, read_object
from ctinv.resources import bundles_folder

METADATA, INFERENCE = "configs/metadata.json", "configs/inference.json"


@dataclass(frozen=True)
class Entry:
    """A bundle of trained generators.

    Attributes:
        folder: The bundle.
        about: The block ``ctinv`` of its metadata.
    """

    folder: Path
    about: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """A key of `KINDS`."""
        return str(self.about["kind"])

    @property
    def taps(self) -> tuple[str, ...]:
        """Taps it was trained for."""
        return tuple(self.about["taps"])

    def belongs_to(self, weights_sha256: Mapping[str, str]) -> bool:
        """Whether it was trained for a denoiser with these weights."""
        return bool(set(self.about["denoiser_sha256"].values()) & set(weights_sha256.values()))


def is_generator(source: Path) -> bool:
    """Whether a folder is the bundle of a generator, as its metadata say."""
    if not (source / METADATA).is_file():
        return False
    about = read_object(inside(source, METADATA), bare=f"metadata.json of {source.name}").get("ctinv")
    return isinstance(about, dict) and about.get("role") == "generator"


def generator_facts(entry: Entry) -> dict[str, Any]:
    """What a generator is, and the figures of its last stage at each tap."""
    about, kind = entry.about, KINDS[entry.kind]
    taps = {tap: list(entry.about["taps"][tap]["figures"].values())[-1] for tap in entry.taps}
    return {
        "name": about["name"],
        "generator": entry.kind,
        "what": kind.title,
        "domain": kind.domain,
        "denoiser": about["denoiser"],
        "denoiser_sha256": dict(about["denoiser_sha256"]),
        "weights_sha256": dict(about["weights_sha256"]),
        "freia": about["freia"],
        "taps": taps,
    }


def generators_folder() -> Path:
    """Folder of the shipped generators, one bundle each."""
    return bundles_folder() / "generators"


def shipped_generators() -> list[Entry]:
    """The generators that come with the package."""
    folder = generators_folder()
    if not folder.is_dir():
        return []
    return [read_entry(path) for path in sorted(folder.iterdir()) if (path / METADATA).is_file()]


def read_entry(folder: Path) -> Entry:
    """A bundle's metadata.

    Raises:
        ModelError: It is no bundle of a generator, or one for another version of FrEIA.
    """
    about = read_object(inside(folder, METADATA), bare=f"metadata.json of {folder.name}").get("ctinv")
    if not isinstance(about, dict) or about.get("role") != "generator":
        raise ModelError(
            f"{folder.name} is no bundle of a generator; name a folder that `ctinv train generator` wrote."
        )
    if not _says_all(about):
        raise ModelError(
            f"metadata.json of {folder.name[:60]} names no known kind, no tap or no hashes; get the bundle again."
        )
    here = importlib.metadata.version("FrEIA")
    if about["freia"] != here:
        raise ModelError(
            f"{folder.name[:60]} was trained with FrEIA {about['freia'][:12]}, here is {here}, which computes "
            "another function from the same weights; install that version."
        )
    return Entry(folder, about)


def _says_all(about: Mapping[str, Any]) -> bool:
    """Whether the block says what is read of it here and in `trained`, each in its type."""
    texts = all(isinstance(about.get(key), str) for key in ("name", "kind", "denoiser", "freia"))
    hashes = all(_is_texts(about.get(key)) for key in ("denoiser_sha256", "weights_sha256"))
    taps = about.get("taps")
    return (
        texts
        and about["kind"] in KINDS
        and hashes
        and isinstance(taps, dict)
        and bool(taps)
        and all(_is_tap(tap) for tap in taps.values())
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(part, str) for part in value.values())


def _is_tap(tap: Any) -> bool:
    """Its last figures, and for each part it has a definition and a file."""
    if not isinstance(tap, dict) or not isinstance(tap.get("figures"), dict) or not tap["figures"]:
        return False
    parts = [part for role in ("autoencoder", "flow") if (part := tap.get(role)) is not None]
    return all(_is_texts(part) and {"definition", "file"} <= part.keys() for part in parts)


def entries_for(weights_sha256: Mapping[str, str], tap: str) -> dict[str, Entry]:
    """The shipped generators for a denoiser and a tap, by kind in the order of `KINDS`."""
    found = {
        entry.kind: entry
        for entry in reversed(shipped_generators())
        if tap in entry.taps and entry.belongs_to(weights_sha256)
    }
    return {kind: found[kind] for kind in KINDS if kind in found}

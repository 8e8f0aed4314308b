"""The ladder: every way a network can come in, safest first, and the same questions to each of them.

1. a bundle of this package, by name or folder (`own_bundle`), or a foreign MONAI bundle (`foreign_bundle`): data only;
2. a file of weights into a class of the allow-list (`weights_file`), or one of `ldct_benchmark`: data only;
3. ONNX (`onnx_file`): a graph of known operations, data only;
4. ``module:function`` (`factory`) or a module object: the user's own code;
5. code of others, that is TorchScript, exported programs, pickles that hold more than tensors, bundles with expressions or
   classes of their own: only with the sha256 of the very file or bundle, only in a child process (`trusted`), from which
   data come back.

A network that is no bundle of this package
is then asked for the size of its output, its convention, and what `checks` holds; the answers are its notes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ctinv.errors import CodeError, ModelError, TrustError
from ctinv.models.adapter import INNER, Adapter, adapted
from ctinv.models.build import our_name
from ctinv.models.bundle_tree import read_tree
from ctinv.models.card import Card, Convention, read_card
from ctinv.models.checks import check_behaviour, find_multiple
from ctinv.models.convention import HU, check_flat, guess
from ctinv.models.files import naming, read_bytes, sha256
from ctinv.models.foreign_bundle import read_foreign_bundle
from ctinv.models.found import FoundNetwork, short_name, state_sha256
from ctinv.models.layers import find_taps
from ctinv.models.onnx_file import load_onnx
from ctinv.models.own_bundle import is_own, load_own_bundle
from ctinv.models.shipped import METADATA, read_config, shipped
from ctinv.models.trust import is_trusted
from ctinv.models.trusted import run_bundle, run_file
from ctinv.models.weights import is_exported_program, is_torchscript
from ctinv.models.weights_file import fill_network, read_payload, with_network
from ctinv.models.would_run import Kind
from ctinv.networks import NETWORKS, taps_of
from ctinv.resources import bundles_folder

WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
SCRIPT_SUFFIXES = (".ts", ".torchscript", ".jit")
CONVENTION = (
    "convention"  # stands among the hashes: the same weights in another convention are another denoiser
)
_TRUSTED = "trusted by its sha256, run in a child process and read as ONNX"
_A: dict[Kind, str] = {"TorchScript": "TorchScript", "exported program": "an exported program"}
_LONGEST = 200  # characters of a sentence


@dataclass(frozen=True)
class _Raw:
    """A network as it came, before it was asked anything."""

    network: nn.Module
    stem: str
    hashes: dict[str, str]
    notes: tuple[str, ...]
    target: str | None = None
    convention: Convention | None = None


def find_network(
    source: str | Path | nn.Module,
    *,
    network: str | None = None,
    card: str | Path | Mapping[str, Any] | None = None,
    trust: str | None = None,
) -> FoundNetwork:
    """A network by name, folder, file or as an object, with its convention, taps and hashes.

    Args:
        source: Name of a shipped bundle, bundle folder, file of weights, ONNX or TorchScript file, or a module.
        network: Class that a file of weights belongs to.
        card: Card or its file; by default the one beside the source.
        trust: sha256 of a file or bundle that may run code in a child process; by default those in the list of the user.

    Raises:
        ModelError: It is unknown, damaged, not allowed, or no denoiser that can be studied.
        TrustError: It would run code, and its sha256 is not trusted.
    """
    if isinstance(source, nn.Module):
        hashes = {"state_dict": state_sha256(source)}
        raw = _Raw(source, type(source).__name__, hashes, (f"the object {type(source).__name__}",))
        return _asked(raw, _said(card, network, None))
    path = _path(source)
    with naming(path.name):
        if path.is_dir():
            if (path / METADATA).is_file() and is_own(metadata := read_config(path, METADATA)):
                _refuse_extras(path, card, network)
                return load_own_bundle(path, metadata)
            said = _said(card, network, path)
            return _asked(_from_bundle(path, said, trust), said)
        said = _said(card, network, path)
        return _asked(_from_file(path, said, trust), said)


def _said(card: str | Path | Mapping[str, Any] | None, network: str | None, path: Path | None) -> Card:
    return with_network(read_card(card, path), network)


def _path(source: str | Path) -> Path:
    """Folder of a shipped name, or the path itself."""
    if isinstance(source, str) and source in shipped():
        return bundles_folder() / source
    path = Path(source)
    if not path.exists():
        raise ModelError(
            f"no denoiser {path.name[:60]!r}: it is no file and no bundle folder, and the shipped ones are "
            f"{', '.join(shipped()) or 'none'}."
        )
    return path


def _refuse_extras(folder: Path, card: object, network: str | None) -> None:
    if card is not None or network is not None:
        raise ModelError(
            f"{folder.name} is a bundle of this package and says all of itself; leave card and network out."
        )


def _from_file(path: Path, card: Card, trust: str | None) -> _Raw:
    suffix = path.suffix.lower()
    if suffix not in (".onnx", ".pt2", *SCRIPT_SUFFIXES, *WEIGHT_SUFFIXES):
        raise ModelError(
            f"{path.name[:60]} is no network: a bundle folder, {', '.join(WEIGHT_SUFFIXES[:4])}, .onnx, or module:function "
            "was expected."
        )
    content = read_bytes(path)
    digest = sha256(content)
    hashes = {path.name: digest}
    if suffix == ".onnx":
        return _Raw(load_onnx(content, path.name), path.stem, hashes, ("converted from ONNX",))
    kind = _program_kind(content, suffix)
    if kind is not None:
        _ask_trust(path.name, digest, trust, f"is {_A[kind]}, which can run code when it is loaded")
        program = run_file(content, path.name, kind, slices=card.slices)
        return _Raw(_module(program, path.name), path.stem, hashes, (f"{_A[kind]}, {_TRUSTED}",))
    try:
        payload: Any = read_payload(path, content)
        how: tuple[str, ...] = ()
    except CodeError as error:
        _ask_trust(path.name, digest, trust, error)
        payload = run_file(content, path.name, "pickle", slices=card.slices)
        if isinstance(payload, nn.Module):
            return _Raw(payload, path.stem, hashes, (f"a pickled module, {_TRUSTED}",))
        how = ("a pickle that holds more than tensors, trusted by its sha256 and read in a child process",)
    filled, target, convention, notes = fill_network(payload, path.name, digest, card)
    return _Raw(filled, path.stem, hashes, how + notes, target, convention)


def _from_bundle(path: Path, card: Card, trust: str | None) -> _Raw:
    try:
        network, hashes, note = read_foreign_bundle(path)
    except CodeError as error:
        tree = read_tree(path)
        _ask_trust(path.name, tree.sha256, trust, error)
        network, note = run_bundle(tree, slices=card.slices)
        hashes = {"bundle": tree.sha256}
    return _Raw(network, path.name, hashes, (note,))


def _program_kind(content: bytes, suffix: str) -> Kind | None:
    """What kind of program a file is, whatever it is called; None for a file of weights."""
    if suffix == ".safetensors":
        return None
    if suffix in SCRIPT_SUFFIXES or is_torchscript(content):
        return "TorchScript"
    return "exported program" if suffix == ".pt2" or is_exported_program(content) else None


def _ask_trust(name: str, digest: str, trust: str | None, why: str | CodeError) -> None:
    """Raise TrustError, saying what it would run, unless the user trusts this sha256."""
    if is_trusted(digest, trust, name):
        return
    if isinstance(why, CodeError):
        said = why.cause if name[:30] in why.cause else f"{name[:30]}: {why.cause}"
        text = f"{said}{why.remedy}; `ctinv info` says how to trust it."
        if len(text) > _LONGEST:
            text = f"{said}; `ctinv info` says how to trust it."
    else:
        text = f"{name[:30]} {why}; `ctinv info` shows all of it; then --trust {digest}."
    raise TrustError(text, sha256=digest)


def _module(found: object, name: str) -> nn.Module:
    if not isinstance(found, nn.Module):
        raise ModelError(f"{name[:60]} holds no program; get it again.")
    return found


def _asked(raw: _Raw, card: Card) -> FoundNetwork:
    """Put the card's custom around a network, and ask what has to be known of any network."""
    name = card.name or short_name(raw.stem)
    inner = raw.network.eval().requires_grad_(False).float().cpu()
    notes = list(raw.notes)
    multiple = card.multiple or find_multiple(inner, slices=card.slices, name=name)
    if multiple > 1:
        known = "as the card says" if card.multiple else "found by trying"
        notes.append(f"padded to a multiple of {multiple} pixels, {known}")
    plain = adapted(inner, clip=None, multiple=multiple, padding=card.padding, noise=card.predicts == "noise")
    find_multiple(plain, slices=card.slices, name=name)
    convention = card.convention or raw.convention
    if convention is None:
        if card.unit != HU:
            raise ModelError(
                f"the card of {name} says unit {card.unit!r}; say mean_hu and std_hu in that unit too."
            )
        convention, note = guess(plain, slices=card.slices, name=name)
    else:
        note = f"convention: {convention.text}"
    network = _with_clip(inner, card, convention, multiple)
    check_behaviour(network, convention, slices=card.slices, unit=card.unit, name=name)
    notes.append(note)
    if card.convention or raw.convention:
        notes.append(_flat_note(network, convention, card, name))
    return FoundNetwork(
        network=network,
        name=name,
        mean=convention.mean,
        std=convention.std,
        taps=_taps(network, inner, raw.target, card),
        weights_sha256={**raw.hashes, CONVENTION: _convention_hash(convention, card, multiple)},
        slices=card.slices,
        unit=card.unit,
        notes=tuple(notes),
    )


def _flat_note(network: nn.Module, convention: Convention, card: Card, name: str) -> str:
    if not card.flat_check:
        return "flat images were not checked, as the card says"
    return check_flat(network, convention, slices=card.slices, unit=card.unit, name=name)


def _with_clip(inner: nn.Module, card: Card, convention: Convention, multiple: int) -> nn.Module:
    clip = None
    if card.clip is not None:
        low, high = ((limit - convention.mean) / convention.std for limit in card.clip)
        clip = (low, high)
    return adapted(inner, clip=clip, multiple=multiple, padding=card.padding, noise=card.predicts == "noise")


def _taps(network: nn.Module, inner: nn.Module, target: str | None, card: Card) -> dict[str, str]:
    """The card's taps, or those of the registry, or those that are found; as paths of the adapted network."""
    name = None if target is None else our_name(target)
    if card.taps is not None:
        taps = card.taps
    elif name is not None:
        taps = taps_of(NETWORKS[name], inner)
    else:
        taps = find_taps(inner, slices=card.slices)
    modules = dict(inner.named_modules())
    for tap, path in taps.items():
        if path not in modules or tap in ("input", "output"):
            raise ModelError(f"the card's tap {tap[:40]!r} must be a new name for a layer of the network.")
    prefix = f"{INNER}." if isinstance(network, Adapter) else ""
    return {tap: prefix + path for tap, path in taps.items()}


def _convention_hash(convention: Convention, card: Card, multiple: int) -> str:
    """sha256 of all that turns the weights into a denoiser of HU."""
    said: list[Any] = [
        convention.mean,
        convention.std,
        card.clip,
        card.slices,
        multiple,
        card.padding,
        card.predicts,
        card.unit,
    ]
    said += [card.network, sorted(card.arguments.items(), key=lambda item: item[0])]
    return sha256(json.dumps(said).encode())

"""A file of weights and the class they belong to: said by the user or a card, or recognised by the tensors' names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from ctinv.errors import ModelError
from ctinv.models import ldct_benchmark
from ctinv.models.build import build, our_name, rebuild_lost_buffers
from ctinv.models.card import Card, Convention
from ctinv.models.convention import LDCT_BENCHMARK
from ctinv.models.weights import State, fill, fitting, nearest, read_pickled, read_safetensors
from ctinv.networks import NETWORKS

Filled = tuple[
    nn.Module, str, Convention | None, tuple[str, ...]
]  # network, class, convention of its kind, notes
_ALIKE = {"REDCNN", "DUGAN"}  # one network, two trainings


def read_payload(path: Path, content: bytes) -> Any:
    """What a file of weights holds, as data.

    Args:
        path: Of the file; its suffix says safetensors or torch.
        content: Of the file.

    Raises:
        ModelError: The file is damaged.
        CodeError: It holds more than data.
    """
    safe = path.suffix.lower() == ".safetensors"
    return (read_safetensors if safe else read_pickled)(content, path.name)


def fill_network(payload: Any, name: str, file_sha256: str, card: Card) -> Filled:
    """The network that a checkpoint fills.

    Args:
        payload: What its file holds.
        name: Bare name of the file.
        file_sha256: Of the file.
        card: Says the class, or leaves it to the tensors' names.

    Raises:
        ModelError: No class is known or fits.
    """
    known = ldct_benchmark.recognise(payload, file_sha256)
    wanted = None if card.network is None else (our_name(card.network) or card.network)
    if known is not None and (wanted in (None, known.target) or {wanted, known.target} <= _ALIKE):
        target = wanted or known.target
        note = (
            known.note
            if wanted in (None, known.target)
            else f"a {known.method} of ldct-benchmark, read as {target}"
        )
        network = _filled(target, known.arguments, known.tensors, name)
        return network, target, LDCT_BENCHMARK, (note,)
    if wanted is not None:
        return _of_class(wanted, card, payload, name)
    return _of_registry(payload, name)


def _of_class(target: str, card: Card, payload: Any, name: str) -> Filled:
    network = build(target, card.arguments)
    tensors = fitting(payload, network) or nearest(payload, network, name)
    fill(network, tensors, name, cast=True)
    rebuild_lost_buffers(network, target, card.arguments)
    return network, target, None, (f"weights of {target}",)


def _of_registry(payload: Any, name: str) -> Filled:
    """The one class of this package that the tensors fit at its default size."""
    for target in NETWORKS:
        network = build(target, {})
        tensors = fitting(payload, network)
        if tensors is not None:
            fill(network, tensors, name, cast=True)
            alike = "; DUGAN has the same layers" if target in _ALIKE else ""
            return network, target, None, (f"recognised as {target} by the tensors' names and shapes{alike}",)
    raise ModelError(
        f"the tensors of {name} are those of no network of this package at its published size; say its class, --network "
        "or network in a card, docs/networks.md."
    )


def _filled(target: str, arguments: dict[str, Any], tensors: State, name: str) -> nn.Module:
    network = build(target, arguments)
    fill(network, tensors, name, cast=True)
    return network


def with_network(card: Card, network: str | None) -> Card:
    """The card with the class that was asked for by hand.

    Raises:
        ModelError: The card says another one.
    """
    if network is None:
        return card
    if card.network is not None and (our_name(card.network) or card.network) != (
        our_name(network) or network
    ):
        raise ModelError(
            f"the class {network[:40]!r} was asked for, but the card says {card.network[:40]!r}; say one."
        )
    return replace(card, network=network)

"""Generators of candidates x_c, one per file, behind one contract (method §5).

To add one: write a class with `candidates` in a file of its own and add its row to `GENERATORS`; a trained one is a row of
`TRAINED` and comes out of a bundle (`ctinv.generators.trained`).
"""

from __future__ import annotations

from pathlib import Path

from ctinv.errors import InputError
from ctinv.generators.contract import Domain, Generator, Proposer, Scene, TrainingFree
from ctinv.generators.renoise import Renoise
from ctinv.representation import Representation

__all__ = ["GENERATORS", "Domain", "Generator", "Proposer", "Scene", "available", "find_generator"]

GENERATORS: dict[str, type] = {"renoise": Renoise}
"""Training-free generators: name to a class that takes a `Scene`."""


def find_generator(source: str | Path, representation: Representation) -> Proposer:
    """The generator that a request names.

    Args:
        source: A name of `GENERATORS`.
        representation: Φ, for which a trained generator must have been made.

    Raises:
        InputError: There is no such generator, or none for this denoiser and tap; the message says which there are.
    """
    name = str(source)
    if name in GENERATORS:
        return TrainingFree(name, GENERATORS[name])
    raise InputError(f"there is no generator {name!r}; choose one of {', '.join(GENERATORS)}.")


def available(representation: Representation) -> list[str]:
    """Names of the generators that there are for a denoiser at its tap."""
    return list(GENERATORS)

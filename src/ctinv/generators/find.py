"""The generators there are, and the one that a request names."""

from __future__ import annotations

from pathlib import Path

from ctinv.errors import InputError, ModelError
from ctinv.generators.contract import Proposer, TrainingFree
from ctinv.generators.kinds import KINDS, check_condition
from ctinv.generators.library import entries_for, read_entry
from ctinv.generators.metamer import Metamer
from ctinv.generators.renoise import Renoise
from ctinv.representation import Representation

GENERATORS: dict[str, type] = {"renoise": Renoise, "metamer": Metamer}
"""Training-free generators: name to a class that takes a `Scene`."""


def find_generator(source: str | Path, representation: Representation) -> Proposer:
    """The generator that a request names.

    Args:
        source: A name of `GENERATORS` or of `ctinv.generators.kinds.KINDS`, or the bundle folder of a trained one.
        representation: Φ, for which a trained generator must have been made.

    Raises:
        InputError: There is no such generator, or none for this denoiser and tap; the message says which there are.
        ModelError: The bundle is damaged, or belongs to another denoiser.
    """
    name, denoiser = str(source), representation.denoiser
    if name in GENERATORS:
        return TrainingFree(name, GENERATORS[name])
    if name in KINDS:
        entry = entries_for(denoiser.weights_sha256, representation.tap).get(name)
        if entry is None:
            raise InputError(
                f"no {name} was trained for {denoiser.name} at {representation.tap!r}; there are "
                f"{', '.join(available(representation))}, or train it with `ctinv train generator`."
            )
    elif Path(source).is_dir():
        entry = read_entry(Path(source))
        if not entry.belongs_to(denoiser.weights_sha256):
            raise ModelError(
                f"{entry.folder.name} was trained for {entry.about.get('denoiser')} with other weights than those of "
                f"{denoiser.name}; name the denoiser it belongs to."
            )
        if representation.tap not in entry.taps:
            raise InputError(
                f"{entry.folder.name} was trained at {', '.join(entry.taps)}, not at {representation.tap!r}; choose one."
            )
    else:
        known = ", ".join([*GENERATORS, *KINDS])
        raise InputError(
            f"there is no generator {Path(name).name[:40]!r}; choose one of {known}, or a bundle folder."
        )
    if entry.about["taps"][representation.tap].get("sees_output"):
        check_condition(representation)
    from ctinv.generators.trained import Trained  # imports the networks

    return Trained(entry, representation.tap)


def available(representation: Representation) -> list[str]:
    """Names of the generators that there are for a denoiser at a tap."""
    return [*GENERATORS, *entries_for(representation.denoiser.weights_sha256, representation.tap)]

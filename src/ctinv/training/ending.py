"""What is kept, and what is said, of a run that could not go on."""

from __future__ import annotations

from typing import Protocol

from ctinv.errors import InputError, ModelError, ResourceError
from ctinv.training.fit import FitResult
from ctinv.training.memory import ran_out, too_little


class Save(Protocol):
    """Writes the checkpoint of a state; ``diverged`` says why more steps are of no use."""

    def __call__(self, step: int, *, diverged: str = "") -> None:
        """Write it."""


def check_end(result: FitResult, save: Save, *, saved: int, batch: int, patch: int) -> None:
    """Write the last good state of a run that came to a bad end, and raise; do nothing after a good one.

    Args:
        result: How the loop ended; modules and optimisers are in the state of ``result.step``.
        save: Writes that state.
        saved: Steps of the newest checkpoint.
        batch, patch: Of the settings, for the sentence.

    Raises:
        InputError: A batch was not finite.
        ModelError: A loss or a gradient was not finite.
        ResourceError: Memory was not enough.
    """
    if result.ended == "memory":
        raise too_little(batch, patch, _kept(_saved_again(result, save, saved)))
    if result.ended != "nan":
        return
    if result.problem == "the batch":
        _saved_again(result, save, saved)
        raise InputError(
            f"the batch of step {result.failed} holds NaN or infinite values; check scans and denoiser, then the same "
            "command goes on."
        )
    text = (
        f"{result.problem} was NaN or infinite in step {result.failed}; lower the learning rate and begin anew in another "
        f"folder. {_kept(result.step)}"
    )
    save(result.step, diverged=text)
    raise ModelError(text)


def _saved_again(result: FitResult, save: Save, saved: int) -> int:
    """Write the state if it is newer than the newest checkpoint; steps of the newest one afterwards."""
    if result.step <= saved:
        return saved
    try:
        save(result.step)
    except ResourceError:  # the sentence of what ended the run is the one to be read
        return saved
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        return saved
    return result.step


def _kept(step: int) -> str:
    return f"The checkpoint of step {step} is kept." if step else "No step was complete."

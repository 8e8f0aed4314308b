"""NaN, infinity and memory that is not enough: the run stops, says what to do, and leaves a checkpoint that is good."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import GENERATOR, checkpoints, outcome, train, write_data
from torch import Tensor

from ctinv.errors import CtinvError, InputError, ModelError, ResourceError
from ctinv.training.checkpoint import all_finite, newest_whole
from ctinv.training.fit import Batch, Turn, _Loop

Gradient = Callable[..., tuple[float, str]]
OUT_OF_MEMORY = {
    "the GPU's allocator": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "Python": MemoryError,
    "the CPU's allocator": lambda: RuntimeError(
        "[enforce fail at alloc_cpu.cpp:125] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
    ),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What uninterrupted runs leave."""
    found = {}
    for kind in ("average", "duel", GENERATOR):
        out = tmp_path_factory.mktemp(kind)
        train(kind, data, out)
        found[kind] = outcome(out)
    return found


def poison(where: str, value: float) -> Callable[[Turn, Batch], tuple[Turn, Batch]]:
    """Put a value into a loss, a gradient or a batch."""

    def into_loss(turn: Turn, batch: Batch) -> tuple[Turn, Batch]:
        return replace(turn, loss=lambda b, g: turn.loss(b, g) * value), batch

    def into_gradient(turn: Turn, batch: Batch) -> tuple[Turn, Batch]:
        def loss(b: Batch, g: torch.Generator) -> Tensor:
            found = turn.loss(b, g) * 1.0
            found.register_hook(lambda slope: slope * value)
            return found

        return replace(turn, loss=loss), batch

    def into_batch(turn: Turn, batch: Batch) -> tuple[Turn, Batch]:
        bad = batch[0].clone()
        bad[0, 0, bad.shape[-2] // 2, bad.shape[-1] // 2] = value
        return turn, (bad, *batch[1:])

    return {"loss": into_loss, "gradient": into_gradient, "batch": into_batch}[where]


def at_step(
    patch: pytest.MonkeyPatch,
    number: int,
    change: Callable[[Turn, Batch], tuple[Turn, Batch]],
    turn_name: str = "",
) -> None:
    """Change what a turn of one step sees."""
    original: Gradient = _Loop._gradient

    def gradient(self: _Loop, turn: Turn, batch: Batch, seed: int, step: int, name: str, repeat: int) -> Any:
        if step == number and turn_name in ("", name):
            turn, batch = change(turn, batch)
        return original(self, turn, batch, seed, step, name, repeat)

    patch.setattr(_Loop, "_gradient", gradient)


def newest(out: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    parts, warning = newest_whole(checkpoints(out)[-1])
    assert not warning
    return parts


def check_sentence(error: CtinvError) -> None:
    assert len(str(error)) <= 200
    assert str(error).endswith(".")


@pytest.mark.parametrize(
    ("kind", "step", "where", "value"),
    [
        *[("average", 7, where, value) for where in ("loss", "gradient") for value in (math.nan, math.inf)],
        (GENERATOR, 3, "loss", math.inf),
        (GENERATOR, 3, "gradient", math.nan),
    ],
)
def test_a_loss_that_is_not_finite_ends_the_run_and_going_on_says_what_to_change(
    data: Path, tmp_path: Path, kind: str, step: int, where: str, value: float
) -> None:
    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        at_step(patch, step, poison(where, value))
        with pytest.raises(
            ModelError, match=rf"NaN or infinite in step {step + 1}; lower the learning rate"
        ) as told:
            train(kind, data, tmp_path, callback=lambda event: seen.append(event.step))
    check_sentence(told.value)
    assert max(seen) == step  # the step itself was never complete
    header, tensors = newest(tmp_path)
    assert all_finite(tensors)
    assert header["step"] <= step
    with pytest.raises(ModelError, match="lower the learning rate") as again:
        train(kind, data, tmp_path)
    assert str(again.value) == str(told.value)


@pytest.mark.parametrize(
    ("kind", "step", "value"), [("average", 7, math.nan), ("average", 7, math.inf), (GENERATOR, 3, math.nan)]
)
def test_a_batch_that_is_not_finite_is_named_and_the_run_goes_on_once_it_is_mended(
    data: Path, tmp_path: Path, whole: dict[str, Any], kind: str, step: int, value: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        at_step(patch, step, poison("batch", value))
        with pytest.raises(InputError, match=f"the batch of step {step + 1} holds NaN or infinite") as told:
            train(kind, data, tmp_path)
    check_sentence(told.value)
    header, tensors = newest(tmp_path)
    assert header["step"] == step
    assert all_finite(tensors)
    train(kind, data, tmp_path)
    assert outcome(tmp_path) == whole[kind]


@pytest.mark.parametrize(
    ("kind", "turn", "kept", "who"),
    [
        *[("average", "", 7, who) for who in OUT_OF_MEMORY],
        ("duel", "denoiser", 6, "the GPU's allocator"),  # a critic that moved is not a whole step
        (GENERATOR, "", 3, "the CPU's allocator"),
    ],
)
def test_memory_that_is_not_enough_keeps_the_last_whole_step_and_names_what_to_lower(
    data: Path, tmp_path: Path, whole: dict[str, Any], kind: str, turn: str, kept: int, who: str
) -> None:
    step = 3 if kind == GENERATOR else 7

    def refuse(turn: Turn, batch: Batch) -> tuple[Turn, Batch]:
        raise OUT_OF_MEMORY[who]()

    with pytest.MonkeyPatch.context() as patch:
        at_step(patch, step, refuse, turn)
        with pytest.raises(
            ResourceError, match="batches of 2 patches of 32 pixels; free some, or lower"
        ) as told:
            train(kind, data, tmp_path)
    check_sentence(told.value)
    assert f"The checkpoint of step {kept} is kept." in str(told.value)
    assert newest(tmp_path)[0]["step"] == kept
    train(kind, data, tmp_path)  # the same batch: a smaller one would be another training
    assert outcome(tmp_path) == whole[kind]


def test_memory_that_a_transform_of_monai_lacks_is_recognised_behind_its_own_error(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("ctinv.training.data.neighbours", refuse)
    with pytest.raises(ResourceError, match="batches of 2 patches of 32 pixels"):
        train("average", data, tmp_path)


def test_another_runtime_error_is_not_taken_for_memory(data: Path, tmp_path: Path) -> None:
    def fail(turn: Turn, batch: Batch) -> tuple[Turn, Batch]:
        raise RuntimeError("the size of tensor a must match")

    with pytest.MonkeyPatch.context() as patch:
        at_step(patch, 2, fail)
        with pytest.raises(RuntimeError, match="must match"):
            train("average", data, tmp_path)


def test_weights_that_overflow_are_never_kept_as_the_best(data: Path, tmp_path: Path) -> None:
    (data / "wild.toml").write_text((data / "average.toml").read_text().replace("1e-3", "1e30"))
    from ctinv.training import train_denoiser

    with pytest.raises(ModelError, match="lower the learning rate"):
        train_denoiser(data / "wild.toml", data_folder=data / "pairs", out=tmp_path)
    if (tmp_path / "best.safetensors").exists():
        from safetensors.torch import load_file

        assert all_finite(load_file(tmp_path / "best.safetensors"))

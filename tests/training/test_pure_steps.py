"""A step is a function of the seed and its number: dropout, patches and MONAI's transforms across a resume."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ctinv.training.checkpoint import load_checkpoint, save_checkpoint
from ctinv.training.data import Augmentation, Pair, PairedPatches, step_seed
from ctinv.training.fit import Batch, Turn, fit

STEPS = 8


def forgetful() -> list[Turn]:
    """A network with dropout, and a loss that draws from the global generator as well."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.Dropout2d(0.5), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(4, 1, 3)
        )

    def loss(batch: Batch, _generator: torch.Generator) -> Tensor:
        return (model(batch[0]) - batch[1] + 0.1 * torch.randn(())).square().mean()

    return [Turn("denoiser", model, torch.optim.Adam(model.parameters(), lr=1e-2), loss, repeats=2)]


def batches(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step_seed(5, step))
    return torch.randn(2, 1, 12, 12, generator=generator), torch.randn(2, 1, 8, 8, generator=generator)


def interrupted(path: Path) -> list[Turn]:
    turns = forgetful()
    fit(turns, batches, steps=STEPS, callback=lambda step, _losses: step == 3)
    save_checkpoint(path, turns, step=3, config={})
    torch.rand(7)  # what else the process draws meanwhile
    again = forgetful()
    fit(again, batches, steps=STEPS, start=load_checkpoint(path, again, config={}).step)
    return again


def equal(one: list[Turn], two: list[Turn]) -> bool:
    pairs = zip(one[0].module.parameters(), two[0].module.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_resumed_run_with_dropout_is_the_uninterrupted_one(tmp_path: Path) -> None:
    whole = forgetful()
    fit(whole, batches, steps=STEPS)
    assert equal(whole, interrupted(tmp_path / "c.safetensors"))


def test_without_seeding_the_global_generator_it_would_be_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = sys.modules["ctinv.training.fit"]  # the package names its function alike
    monkeypatch.setattr(loop, "seeded", lambda *_key, device: nullcontext())
    with torch.random.fork_rng(devices=[]):
        whole = forgetful()
        fit(whole, batches, steps=STEPS)
        assert not equal(whole, interrupted(tmp_path / "c.safetensors"))


def test_the_callers_random_numbers_are_not_touched_even_by_a_step_that_fails() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        expected = torch.rand(4)
        torch.manual_seed(11)
        seen: list[Tensor] = []
        fit(forgetful(), batches, steps=2, callback=lambda _step, _losses: seen.append(torch.rand(1)))
        assert torch.equal(torch.cat(seen), expected[:2])

        def broken(_step: int) -> Batch:
            return (torch.zeros(1, 1, 2, 2),)  # smaller than the filters

        with pytest.raises(RuntimeError):
            fit(forgetful(), broken, steps=1)
        assert torch.equal(torch.rand(2), expected[2:])


@pytest.mark.parametrize("remembers", [False, True])
def test_a_step_that_lacks_memory_leaves_a_state_from_which_the_run_is_the_same(remembers: bool) -> None:
    """Where running means move with the forward pass alone, it is the last copy that is whole."""

    def start() -> list[Turn]:
        (turn,) = forgetful()
        layers = [*turn.module.children(), *([nn.BatchNorm2d(1)] if remembers else [])]
        model = nn.Sequential(*layers)

        def loss(batch: Batch, _generator: torch.Generator) -> Tensor:
            found = (model(batch[0]) - batch[1]).square().mean()
            if failing:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return found

        return [Turn("denoiser", model, torch.optim.Adam(model.parameters(), lr=1e-2), loss)]

    failing = False
    whole, turns = start(), start()
    fit(whole, batches, steps=STEPS)

    def fail_next(step: int, _losses: dict[str, float]) -> None:
        nonlocal failing
        failing = step == 5

    ended = fit(turns, batches, steps=STEPS, callback=fail_next, keep_every=2)
    assert (ended.ended, ended.step, ended.failed) == ("memory", 4 if remembers else 5, 6)
    failing = False
    fit(turns, batches, steps=STEPS, start=ended.step)
    for name, value in whole[0].module.state_dict().items():
        assert torch.equal(value, turns[0].module.state_dict()[name]), name


def test_a_batch_is_the_same_whatever_was_drawn_before_it() -> None:
    rng = np.random.default_rng(0)
    volumes = [rng.normal(0, 300, (3, 40, 40)).astype(np.float32) for _ in range(4)]
    pairs = [Pair("a", volumes[0], volumes[1]), Pair("b", volumes[2], volumes[3])]

    def patches(seed: int = 4) -> PairedPatches:
        return PairedPatches(pairs, patch=16, batch=3, seed=seed, augmentation=Augmentation(True, (0.5, 1.5)))

    straight, resumed = patches(), patches()
    order = [straight(step) for step in range(9)]
    for step in (6, 7, 8, 2, 2, 0):  # a run that goes on at 6, then anything
        assert all(torch.equal(a, b) for a, b in zip(order[step], resumed(step), strict=True)), step
    assert not torch.equal(order[0][0], patches(seed=5)(0)[0])
    assert straight.fingerprint() == patches().fingerprint() != patches(seed=5).fingerprint()
    changed = [pairs[0], Pair("b", volumes[2] + 1, volumes[3])]
    others = PairedPatches(changed, patch=16, batch=3, seed=4, augmentation=Augmentation(True, (0.5, 1.5)))
    assert others.fingerprint() != straight.fingerprint()


def test_a_slice_that_is_not_finite_is_named() -> None:
    from ctinv.errors import InputError

    low = np.zeros((2, 16, 16), np.float32)
    low[1, 3, 4] = np.nan
    patches = PairedPatches([Pair("a", low, np.zeros_like(low))], patch=16, batch=8, seed=0)
    with pytest.raises(
        InputError, match="slice 2 of the pair a or a neighbour of it holds NaN or infinite HU"
    ):
        patches(0)

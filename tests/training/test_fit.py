"""Laws of the training loop: resuming changes nothing, NaN loses nothing, the caller can stop it."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ctinv.errors import ModelError, ResourceError
from ctinv.training.checkpoint import load_checkpoint, save_checkpoint, write_atomic
from ctinv.training.data import step_generator
from ctinv.training.fit import Batch, Ema, cosine, fit
from ctinv.training.start import build

STEPS = 12


def batches(step: int) -> tuple[Tensor, Tensor]:
    clean = 3 * nn.functional.avg_pool2d(
        torch.randn(4, 1, 20, 20, generator=step_generator(3, step)), 5, stride=1
    )
    return clean + 0.3 * torch.randn(4, 1, 16, 16, generator=step_generator(4, step)), clean


def squared_error(model: nn.Module, batch: Batch) -> Tensor:
    return nn.functional.mse_loss(model(batch[0]), batch[1])


def start(seed: int = 0) -> tuple[nn.Module, torch.optim.Optimizer, Ema]:
    model = build("CNN10", seed=seed)
    return model, torch.optim.Adam(model.parameters()), Ema(model, decay=0.9)


RATE = cosine(first=1e-3, last=1e-5, steps=STEPS, warm_up=3)
CONFIG = {"seed": 0, "lr": 1e-3}


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("cut", [1, 7])
def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(tmp_path: Path, cut: int):
    whole, optimizer, whole_ema = start()
    fit(
        whole,
        batches,
        loss=squared_error,
        optimizer=optimizer,
        steps=STEPS,
        learning_rate=RATE,
        ema=whole_ema,
    )

    path = tmp_path / "checkpoint.safetensors"
    model, optimizer, ema = start()

    def save_and_stop(step: int, _loss: float) -> bool:
        if step == cut:
            save_checkpoint(
                path, model=model, optimizer=optimizer, ema=ema, step=step, config=CONFIG, notes={"a": 1}
            )
        return step == cut

    first = fit(
        model,
        batches,
        loss=squared_error,
        optimizer=optimizer,
        steps=STEPS,
        learning_rate=RATE,
        ema=ema,
        callback=save_and_stop,
    )
    assert (first.ended, first.step) == ("stopped", cut)

    other, optimizer, ema = start(seed=99)
    found = load_checkpoint(path, model=other, optimizer=optimizer, ema=ema, config=CONFIG)
    assert (found.step, found.notes) == (cut, {"a": 1})
    fit(
        other,
        batches,
        loss=squared_error,
        optimizer=optimizer,
        steps=STEPS,
        start=found.step,
        learning_rate=RATE,
        ema=ema,
    )
    for name, value in whole.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
        assert torch.equal(whole_ema.state[name], ema.state[name]), name


def test_training_lowers_the_loss_and_leaves_global_random_state_alone():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002  # the state under test
    model, optimizer, _ = start()
    seen: list[float] = []
    fit(
        model,
        batches,
        loss=squared_error,
        optimizer=optimizer,
        steps=40,
        learning_rate=lambda _step: 1e-3,
        callback=lambda _step, loss: seen.append(loss),
    )
    assert np.mean(seen[-5:]) < 0.7 * np.mean(seen[:5])
    assert torch.equal(torch_state, torch.get_rng_state())
    assert (numpy_state == np.random.get_state()[1]).all()  # noqa: NPY002


@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_nan_stops_and_the_last_good_state_is_back(bad: str):
    model, optimizer, ema = start()
    good: dict[str, Tensor] = {}

    def loss(network: nn.Module, batch: Batch) -> Tensor:
        value = squared_error(network, batch)
        if calls == 6:
            # the square root has an infinite slope at 0, so that the loss is finite and its gradient is not
            return value * math.nan if bad == "loss" else value + torch.sqrt((value - value.detach()).abs())
        return value

    calls = 0

    def count(step: int, _loss: float) -> None:
        nonlocal calls
        calls = step
        if step == 5:
            good.update({name: value.clone() for name, value in model.state_dict().items()})

    result = fit(
        model,
        batches,
        loss=loss,
        optimizer=optimizer,
        steps=STEPS,
        ema=ema,
        callback=count,
        keep_every=5,
    )
    assert (result.ended, result.step) == ("nan", 5)
    assert math.isfinite(result.loss)
    for name, value in model.state_dict().items():
        assert torch.equal(value, good[name]), name


def test_an_exception_of_the_callback_passes_through_and_leaves_whole_steps():
    model, optimizer, _ = start()

    def cancel(step: int, _loss: float) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(
            model,
            batches,
            loss=squared_error,
            optimizer=optimizer,
            steps=STEPS,
            learning_rate=RATE,
            callback=cancel,
        )
    twin, optimizer, _ = start()
    fit(twin, batches, loss=squared_error, optimizer=optimizer, steps=2, learning_rate=RATE)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


def test_clipping_bounds_the_step_of_plain_gradient_descent():
    model, _, _ = start()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    fit(
        model,
        batches,
        loss=lambda m, b: 1e4 * squared_error(m, b),
        optimizer=optimizer,
        steps=1,
        clip_norm=0.01,
    )
    after = [parameter.detach() for parameter in model.parameters()]
    moved = math.sqrt(sum(float(((a - b) ** 2).sum()) for a, b in zip(before, after, strict=True)))
    assert moved == pytest.approx(0.01, rel=1e-3)


def test_the_schedule_warms_up_and_falls_to_its_last_value():
    rates = [cosine(first=1e-3, last=1e-5, steps=100, warm_up=10)(step) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[10] == pytest.approx(1e-3)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    assert rates[100] == pytest.approx(1e-5)


def test_a_checkpoint_of_other_settings_is_refused_by_name(tmp_path: Path):
    model, optimizer, _ = start()
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, model=model, optimizer=optimizer, step=0, config=CONFIG)
    with pytest.raises(ModelError, match=r"lr = 0\.001, now 0\.1"):
        load_checkpoint(path, model=model, optimizer=optimizer, config={**CONFIG, "lr": 0.1})


def test_a_truncated_checkpoint_is_refused_and_a_bad_one_never_replaces_a_good_one(tmp_path: Path):
    model, optimizer, _ = start()
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, model=model, optimizer=optimizer, step=4, config=CONFIG)
    good = path.read_bytes()
    with torch.no_grad():
        next(iter(model.parameters()))[0] = math.nan
    with pytest.raises(ModelError, match="not finite"):
        save_checkpoint(path, model=model, optimizer=optimizer, step=5, config=CONFIG)
    assert path.read_bytes() == good
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(ModelError, match="not a readable checkpoint"):
        load_checkpoint(path, model=model, optimizer=optimizer, config=CONFIG)


@pytest.mark.parametrize("network", ["CNN10", "WGANVGG"])
def test_the_start_is_near_the_identity_and_a_pure_function_of_the_seed(network: str):
    x = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    model = build(network, seed=5)
    with torch.no_grad():
        error = (model(x) - x).square().mean().sqrt()
    assert 0 < error < 0.1 * x.std()
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.parameters(), build(network, seed=5).parameters(), strict=True)
    )
    assert not torch.equal(next(model.parameters()), next(build(network, seed=6).parameters()))


def test_a_full_disk_gets_one_sentence_and_keeps_the_older_file(tmp_path: Path):
    path = tmp_path / "old.bin"
    write_atomic(path, b"old")
    code = f"""
import resource, signal
from pathlib import Path
from ctinv.training.checkpoint import write_atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_atomic(Path({str(path)!r}), bytes(5000))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ResourceError.__name__ in answer.stderr
    assert "old.bin could not be written (File too large)" in answer.stderr
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["old.bin"]

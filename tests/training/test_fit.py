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

from ctinv.atomic import write_atomic
from ctinv.errors import ModelError, ResourceError
from ctinv.networks import NETWORKS
from ctinv.training.checkpoint import load_checkpoint, previous, save_checkpoint
from ctinv.training.data import step_seed
from ctinv.training.fit import Batch, Ema, Turn, cosine, fit, turn_generator
from ctinv.training.start import build

STEPS = 12


def generator_of(seed: int, step: int) -> torch.Generator:
    return torch.Generator().manual_seed(step_seed(seed, step))


def batches(step: int) -> tuple[Tensor, Tensor]:
    clean = 3 * nn.functional.avg_pool2d(
        torch.randn(4, 1, 20, 20, generator=generator_of(3, step)), 5, stride=1
    )
    return clean + 0.3 * torch.randn(4, 1, 16, 16, generator=generator_of(4, step)), clean


def squared_error(model: nn.Module, batch: Batch) -> Tensor:
    return nn.functional.mse_loss(model(batch[0]), batch[1])


def turn(model: nn.Module, loss=squared_error, optimizer: torch.optim.Optimizer | None = None) -> Turn:
    adam = optimizer or torch.optim.Adam(model.parameters(), lr=1e-3)
    return Turn("denoiser", model, adam, lambda batch, _generator: loss(model, batch))


def start(seed: int = 0) -> tuple[list[Turn], Ema]:
    model = build("CNN10", seed=seed)
    return [turn(model)], Ema(model, decay=0.9)


def duel(seed: int = 0) -> tuple[list[Turn], Ema]:
    """A denoiser and a critic that weighs what is left, with random weights, twice in a step."""
    model = build("CNN10", seed=seed)
    critic = nn.Conv2d(1, 1, 3, padding=1)
    with torch.no_grad():
        critic.weight.normal_(generator=torch.Generator().manual_seed(seed))
        critic.bias.zero_()

    def judge(batch: Batch, generator: torch.Generator) -> Tensor:
        share = torch.rand((), generator=generator)
        return -(share * critic(model(batch[0]).detach() - batch[1])).square().mean().clamp(max=10.0)

    def denoise(batch: Batch, _generator: torch.Generator) -> Tensor:
        return critic(model(batch[0]) - batch[1]).square().mean() + squared_error(model, batch)

    turns = [
        Turn("critic", critic, torch.optim.Adam(critic.parameters(), lr=1e-3), judge, repeats=2),
        Turn("denoiser", model, torch.optim.Adam(model.parameters(), lr=1e-3), denoise),
    ]
    return turns, Ema(model, decay=0.9)


RATE = cosine(last=1e-2, steps=STEPS, warm_up=3)
CONFIG = {"seed": 0, "lr": 1e-3}


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("begin", [start, duel])
@pytest.mark.parametrize("cut", [1, 7])
def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(tmp_path: Path, cut: int, begin):
    whole, whole_ema = begin()
    fit(whole, batches, steps=STEPS, learning_rate=RATE, ema=whole_ema)

    path = tmp_path / "checkpoint.safetensors"
    turns, ema = begin()

    def save_and_stop(step: int, _losses: dict[str, float]) -> bool:
        if step == cut:
            save_checkpoint(path, turns, ema=ema, step=step, config=CONFIG, notes={"a": 1})
        return step == cut

    first = fit(turns, batches, steps=STEPS, learning_rate=RATE, ema=ema, callback=save_and_stop)
    assert (first.ended, first.step) == ("stopped", cut)

    other, ema = begin(seed=99)
    found = load_checkpoint(path, other, ema=ema, config=CONFIG)
    assert (found.step, found.notes) == (cut, {"a": 1})
    fit(other, batches, steps=STEPS, start=found.step, learning_rate=RATE, ema=ema)
    for one, two in zip(whole, other, strict=True):
        for name, value in one.module.state_dict().items():
            assert torch.equal(value, two.module.state_dict()[name]), name
    assert all(torch.equal(value, ema.state[name]) for name, value in whole_ema.state.items())


def test_a_turn_moves_its_own_module_only_as_often_as_it_says():
    turns, _ = duel()
    critic, denoiser = (turn.module for turn in turns)
    seen: list[tuple[bool, bool]] = []

    def watched(loss):
        def call(batch: Batch, generator: torch.Generator) -> Tensor:
            seen.append(tuple(next(m.parameters()).requires_grad for m in (critic, denoiser)))
            return loss(batch, generator)

        return call

    watching = [Turn(t.name, t.module, t.optimizer, watched(t.loss), t.repeats) for t in turns]
    fit(watching, batches, steps=1)
    assert seen == [(True, False), (True, False), (False, True)]
    assert int(turns[0].optimizer.state[critic.weight]["step"]) == 2


def test_the_random_numbers_of_a_turn_depend_on_seed_step_turn_and_repeat_alone():
    def draw(*key: object) -> float:
        return float(torch.rand((), generator=turn_generator(*key, torch.device("cpu"))))  # type: ignore[arg-type]

    assert draw(0, 3, "critic", 1) == draw(0, 3, "critic", 1)
    keys = [
        (0, 3, "critic", 1),
        (1, 3, "critic", 1),
        (0, 4, "critic", 1),
        (0, 3, "x", 1),
        (0, 3, "critic", 0),
    ]
    assert len({draw(*key) for key in keys}) == 5


def test_training_lowers_the_loss_and_leaves_global_random_state_alone():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002  # the state under test
    turns, _ = start()
    seen: list[float] = []
    fit(turns, batches, steps=40, callback=lambda _step, losses: seen.append(losses["denoiser"]))
    assert np.mean(seen[-5:]) < 0.7 * np.mean(seen[:5])
    assert torch.equal(torch_state, torch.get_rng_state())
    assert (numpy_state == np.random.get_state()[1]).all()  # noqa: NPY002


@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_nan_stops_and_the_last_good_state_is_back(bad: str):
    model = build("CNN10", seed=0)
    ema = Ema(model, decay=0.9)
    good: dict[str, Tensor] = {}

    def loss(network: nn.Module, batch: Batch) -> Tensor:
        value = squared_error(network, batch)
        if calls == 6:
            # the square root has an infinite slope at 0, so that the loss is finite and its gradient is not
            return value * math.nan if bad == "loss" else value + torch.sqrt((value - value.detach()).abs())
        return value

    calls = 0

    def count(step: int, _losses: dict[str, float]) -> None:
        nonlocal calls
        calls = step
        if step == 5:
            good.update({name: value.clone() for name, value in model.state_dict().items()})

    result = fit([turn(model, loss)], batches, steps=STEPS, ema=ema, callback=count, keep_every=5)
    assert (result.ended, result.step) == ("nan", 5)
    assert math.isfinite(result.losses["denoiser"])
    for name, value in model.state_dict().items():
        assert torch.equal(value, good[name]), name


def test_an_exception_of_the_callback_passes_through_and_leaves_whole_steps():
    turns, _ = start()

    def cancel(step: int, _losses: dict[str, float]) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(turns, batches, steps=STEPS, learning_rate=RATE, callback=cancel)
    twin, _ = start()
    fit(twin, batches, steps=2, learning_rate=RATE)
    pairs = zip(turns[0].module.parameters(), twin[0].module.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_clipping_bounds_the_step_of_plain_gradient_descent():
    model = build("CNN10", seed=0)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    descent = turn(model, lambda m, b: 1e4 * squared_error(m, b), torch.optim.SGD(model.parameters(), lr=1.0))
    fit([descent], batches, steps=1, clip_norm=0.01)
    after = [parameter.detach() for parameter in model.parameters()]
    moved = math.sqrt(sum(float(((a - b) ** 2).sum()) for a, b in zip(before, after, strict=True)))
    assert moved == pytest.approx(0.01, rel=1e-3)


def test_the_schedule_warms_up_and_falls_to_its_last_value():
    rates = [cosine(last=1e-2, steps=100, warm_up=10)(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == pytest.approx(1.0)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    assert rates[100] == pytest.approx(1e-2)


def test_a_checkpoint_of_other_settings_is_refused_by_name(tmp_path: Path):
    turns, _ = start()
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, turns, step=0, config=CONFIG)
    with pytest.raises(ModelError, match=r"lr = 0\.001, now 0\.1"):
        load_checkpoint(path, turns, config={**CONFIG, "lr": 0.1})


def test_a_damaged_checkpoint_gives_way_to_the_one_before_and_a_bad_one_never_replaces_a_good_one(
    tmp_path: Path,
):
    turns, _ = start()
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, turns, step=4, config=CONFIG)
    good = path.read_bytes()
    with torch.no_grad():
        next(iter(turns[0].module.parameters()))[0] = math.nan
    with pytest.raises(ModelError, match="not finite"):
        save_checkpoint(path, turns, step=5, config=CONFIG)
    assert path.read_bytes() == good
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name, f"{path.name}.sha256"]

    turns, _ = start(seed=1)
    save_checkpoint(path, turns, step=6, config=CONFIG)
    newest = bytearray(path.read_bytes())
    newest[-3] ^= 0x10  # one flipped bit in a weight, which the format itself does not notice
    path.write_bytes(newest)
    found = load_checkpoint(path, turns, config=CONFIG)
    assert found.step == 4
    assert found.warning == "checkpoint.safetensors is damaged; the one before it, of step 4, is taken."
    path.write_bytes(good[: len(good) // 2])
    assert load_checkpoint(path, turns, config=CONFIG).step == 4
    previous(path).unlink()
    with pytest.raises(ModelError, match="nor is the one before it"):
        load_checkpoint(path, turns, config=CONFIG)


@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_the_start_is_near_the_identity_and_a_pure_function_of_the_seed(network: str):
    x = torch.randn(1, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    arguments = {"channels": 16} if network in ("REDCNN", "DUGAN", "NoiseSubtractionResNet") else {}
    model = build(network, seed=5, arguments=arguments).eval()
    with torch.no_grad():
        error = (model(x) - x).square().mean().sqrt()
        level = (model(x + 3.0) - model(x) - 3.0)[..., 22:26, 22:26].abs().max()
    assert 0 < error < 0.1 * x.std()
    assert level < 0.02  # the random filters do not see the level
    twin = build(network, seed=5, arguments=arguments)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))
    assert not torch.equal(
        next(model.parameters()), next(build(network, seed=6, arguments=arguments).parameters())
    )


def test_a_full_disk_gets_one_sentence_and_keeps_the_older_file(tmp_path: Path):
    path = tmp_path / "old.bin"
    write_atomic(path, b"old")
    code = f"""
import resource, signal
from pathlib import Path
from ctinv.atomic import write_atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_atomic(Path({str(path)!r}), bytes(5000))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ResourceError.__name__ in answer.stderr
    assert "old.bin could not be written (File too large)" in answer.stderr
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["old.bin"]

"""Memory that is too short costs time, not samples: fewer at once, the same but for rounding, and on record."""

from __future__ import annotations

import gc
import logging
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ctinv.cli.scan import study_facts
from ctinv.denoiser import Denoiser, load_denoiser
from ctinv.errors import ResourceError
from ctinv.fibre.memory import is_out_of_memory
from ctinv.fibre.rows import RowSeeds
from ctinv.io.dicom import read_series
from ctinv.resources import ct_folder
from ctinv.sampler import Batch, InvarianceSampler, Store
from ctinv.sampler.drawing import Drawer, as_memory_allows
from ctinv.sampler.run import sample_into
from ctinv.volume import Box, Volume

BOX = Box(10, 210, 226, 150, 166)
N = 30
# images that fit to rows that are then computed at once
LIMITS = {19: 12, 13: 12, 12: 12, 11: 6, 7: 6, 6: 6, 5: 3, 3: 3, 2: 1, 1: 1}
WORDS = {
    "cuda": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "numpy": lambda: MemoryError("Unable to allocate 2.00 GiB for an array"),
    "cpu": lambda: RuntimeError(
        "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"
    ),
    "windows": lambda: RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
}


class Small(nn.Module):
    """A network that has room for so many images at once."""

    def __init__(self, network: nn.Module, limit: int, error: str = "cuda") -> None:
        super().__init__()
        self.network, self.limit, self.error = network, limit, error
        self.failed: list[weakref.ref[Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 4 and len(x) > self.limit:
            self.failed.append(weakref.ref(x))
            raise WORDS[self.error]()
        answer: Tensor = self.network(x)
        return answer


def short(limit: int, error: str = "cuda") -> Denoiser:
    whole = load_denoiser("cnn10")
    network = Small(whole.network, limit, error)
    return Denoiser(
        network, name="cnn10", mean=whole.mean, std=whole.std, weights_sha256=whole.weights_sha256
    )


@pytest.fixture(scope="module")
def scan() -> Volume:
    return read_series(ct_folder() / "quarter_dose")


@pytest.fixture(scope="module")
def whole(scan: Volume) -> list[Batch]:
    return list(InvarianceSampler(load_denoiser("cnn10"), device="cpu").batches(scan, BOX, n=N, seed=1))


def images(batches: list[Batch]) -> np.ndarray:
    return np.concatenate([batch.x_tilde for batch in batches])


@pytest.mark.parametrize(
    ("limit", "together"),
    [pytest.param(*pair, marks=() if pair[0] in (6, 1) else pytest.mark.slow) for pair in LIMITS.items()],
)
def test_any_limit_from_one_image_on_completes_with_the_same_samples(
    scan: Volume, whole: list[Batch], tmp_path: Path, limit: int, together: int
) -> None:
    sampler = InvarianceSampler(short(limit), device="cpu")
    found = list(sample_into(tmp_path / "s.zarr", sampler, scan, BOX, n=N, seed=1))
    assert [batch.rows for batch in found] == [batch.rows for batch in whole]
    assert {batch.together for batch in found} == {together}
    # A value that lies on a rounding edge may fall to the other side: one step, seldom, and the certificate follows.
    steps = np.abs(images(found) - images(whole))
    assert set(np.unique(steps)) <= {0.0, 0.125}
    assert (steps > 0).mean() <= 1e-3
    for one, other in zip(found, whole, strict=True):
        for mine, theirs in zip(one.certificates, other.certificates, strict=True):
            assert (mine.tier, mine.passed, mine.reached) == (theirs.tier, theirs.passed, theirs.reached)
            assert mine.rmse_hu == pytest.approx(theirs.rmse_hu, abs=2e-3)
    store = Store.open(tmp_path / "s.zarr")
    assert [run["together"] for run in store.runs] == [together]
    assert study_facts(tmp_path / "s.zarr")["together"] == together
    assert store.verify() == []


@pytest.mark.parametrize("together", [12, 6, 3, 1])
def test_before_rounding_samples_agree_to_a_hundred_thousandth(scan: Volume, together: int) -> None:
    prepared = InvarianceSampler(load_denoiser("cnn10"), device="cpu").prepare(scan, BOX)
    exact = replace(prepared, corrector=replace(prepared.corrector, quantum=0.0))
    seeds = RowSeeds(1, "0" * 64, str(BOX))
    full, few = (Drawer(exact, seeds, size).block(0, range(25)) for size in (25, together))
    assert (full.together, few.together) == (25, together)
    assert np.abs(full.x_tilde - few.x_tilde).max() <= 1e-5 * np.abs(full.x_tilde).max()


def test_with_room_enough_nothing_changes(scan: Volume, whole: list[Batch]) -> None:
    same = list(InvarianceSampler(short(10**6), device="cpu").batches(scan, BOX, n=N, seed=1))
    assert images(same).tobytes() == images(whole).tobytes()
    assert [batch.certificates for batch in same] == [batch.certificates for batch in whole]
    assert {batch.together for batch in whole} == {25}


def test_an_interrupted_run_goes_on_with_the_same_samples(scan: Volume, tmp_path: Path) -> None:
    one, other = tmp_path / "one.zarr", tmp_path / "other.zarr"
    list(sample_into(one, InvarianceSampler(short(6), device="cpu"), scan, BOX, n=N, seed=1))
    run = sample_into(other, InvarianceSampler(short(6), device="cpu"), scan, BOX, n=N, seed=1)
    next(run)
    run.close()
    list(sample_into(other, InvarianceSampler(short(6), device="cpu"), scan, BOX, n=N, seed=1))
    for file in ("journal.jsonl", "x_tilde/c/0/0/0/0", "x_tilde/c/1/0/0/0", "spread/c/0/0"):
        assert (one / file).read_bytes() == (other / file).read_bytes()


def test_what_the_failed_try_held_is_let_go_before_the_next(
    scan: Volume, caplog: pytest.LogCaptureFixture
) -> None:
    denoiser = short(6)
    network = denoiser.network
    assert isinstance(network, Small)
    held: list[bool] = []

    def call(most: int) -> int:
        held.append(any(reference() is not None for reference in network.failed))
        denoiser(torch.zeros(most, 1, 32, 32))
        return most

    gc.disable()
    try:
        with caplog.at_level(logging.WARNING):
            assert as_memory_allows(call, 25, lambda: "") == (6, 6)
    finally:
        gc.enable()
    assert held == [False, False, False]
    assert [record.getMessage() for record in caplog.records] == [
        "out of memory with 25 images at once; going on with 12",
        "out of memory with 12 images at once; going on with 6",
    ]


@pytest.mark.parametrize("error", WORDS)
def test_a_region_that_does_not_fit_at_all_is_refused_with_the_numbers(scan: Volume, error: str) -> None:
    with pytest.raises(
        ResourceError, match=r"16 x 16 voxels.*one image at a time, .* GiB are free"
    ) as caught:
        list(InvarianceSampler(short(0, error), device="cpu").batches(scan, BOX, n=1))
    assert len(str(caught.value)) <= 200
    prepared = InvarianceSampler(load_denoiser("cnn10"), device="cpu").prepare(scan, BOX)

    class Full:
        def candidates(self, *_: object) -> Tensor:
            raise WORDS[error]()

    with pytest.raises(ResourceError, match=r"needs about .* GiB and does not fit .* GiB are free") as caught:
        Drawer(replace(prepared, generator=Full()), RowSeeds(0, "0" * 64, "")).block(0, [0])
    assert len(str(caught.value)) <= 200


def test_other_errors_are_not_taken_for_it() -> None:
    assert all(is_out_of_memory(make()) for make in WORDS.values())
    for error in (RuntimeError("shape mismatch"), ValueError("not enough memory"), KeyboardInterrupt()):
        assert not is_out_of_memory(error)

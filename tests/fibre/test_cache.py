"""A factor is built once: another session, another seed find it; what is damaged is not believed."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from ctinv.denoiser import Denoiser
from ctinv.fibre import cache
from ctinv.sampler import gain
from ctinv.sampler.sampler import InvarianceSampler
from ctinv.volume import Box, Volume

BOX = Box(1, 34, 50, 36, 52)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CTINV_CACHE", str(tmp_path))
    return tmp_path / "factors"


def forbid_building(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gain, "take_jacobian", lambda *_, **__: pytest.fail("the Jacobian was taken again"))


def test_a_later_session_finds_the_factor(
    small_denoiser: Denoiser, phantom_scan: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = InvarianceSampler(small_denoiser, device="cpu").sample(phantom_scan, BOX, n=3, seed=5)
    forbid_building(monkeypatch)
    later = InvarianceSampler(small_denoiser, device="cpu")
    again = later.sample(phantom_scan, BOX, n=3, seed=5)
    assert np.array_equal(built.x_tilde, again.x_tilde)
    assert built.certificates == again.certificates
    assert built.setting.scalars == pytest.approx(again.setting.scalars)
    assert later.sample(phantom_scan, BOX, n=1, seed=6).certificates[0] != again.certificates[0]


def test_another_request_is_not_mistaken_for_it(
    small_denoiser: Denoiser, phantom_scan: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    InvarianceSampler(small_denoiser, device="cpu").prepare(phantom_scan, BOX)
    called = []
    real = gain.take_jacobian
    monkeypatch.setattr(
        gain, "take_jacobian", lambda *args, **kwargs: called.append(1) or real(*args, **kwargs)
    )
    InvarianceSampler(small_denoiser, device="cpu", tier="T1").prepare(phantom_scan, BOX)
    InvarianceSampler(small_denoiser, device="cpu", tap="conv1").prepare(phantom_scan, BOX)
    InvarianceSampler(small_denoiser, device="cpu").prepare(phantom_scan, Box(1, 35, 51, 36, 52))
    changed = phantom_scan.with_hu(phantom_scan.hu + (np.arange(96) == 47).astype(np.float32))
    InvarianceSampler(small_denoiser, device="cpu").prepare(changed, BOX)
    assert len(called) == 4


def test_a_damaged_factor_is_built_again(
    small_denoiser: Denoiser, phantom_scan: Volume, folder: Path
) -> None:
    first = InvarianceSampler(small_denoiser, device="cpu").prepare(phantom_scan, BOX)
    (path,) = folder.glob("*.factor")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    second = InvarianceSampler(small_denoiser, device="cpu").prepare(phantom_scan, BOX)
    assert second.setting.scalars == pytest.approx(first.setting.scalars)
    (path,) = folder.glob("*.factor")
    assert path.read_bytes() != bytes(content)


def test_no_flipped_bit_no_cut_and_no_other_name_is_believed(
    small_denoiser: Denoiser, phantom_scan: Volume, folder: Path
) -> None:
    InvarianceSampler(small_denoiser, device="cpu").prepare(phantom_scan, BOX)
    (path,) = folder.glob("*.factor")
    good, rng, cpu = path.read_bytes(), random.Random(0), torch.device("cpu")
    assert cache.read_factor(path.stem, cpu) is not None
    damages = [good[: rng.randrange(len(good))] for _ in range(20)] + [b"", good + b"x"]
    for _ in range(60):
        place, bit = rng.randrange(len(good)), 1 << rng.randrange(8)
        damages.append(good[:place] + bytes([good[place] ^ bit]) + good[place + 1 :])
    for damaged in damages:
        path.write_bytes(damaged)
        assert cache.read_factor(path.stem, cpu) is None
        assert not path.exists()
    other = path.with_stem("0" * 64)
    other.write_bytes(good)
    assert cache.read_factor(other.stem, cpu) is None


def test_two_writers_and_what_a_killed_one_left_do_no_harm(
    small_denoiser: Denoiser, phantom_scan: Volume, folder: Path
) -> None:
    InvarianceSampler(small_denoiser, device="cpu").prepare(phantom_scan, BOX)
    (path,) = folder.glob("*.factor")
    good = path.read_bytes()
    factor = cache.read_factor(path.stem, torch.device("cpu"))
    assert factor is not None
    young, old = folder / ".a.factor.00000000.part", folder / ".b.factor.00000000.part"
    for part in (young, old):
        part.write_bytes(good[:100])
    os.utime(old, (0, 0))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: cache.write_factor(path.stem, factor), range(16)))
    assert path.read_bytes() == good
    assert [part.name for part in folder.glob(".*")] == [young.name]  # its writer may still live


def test_the_cache_stays_small(
    small_denoiser: Denoiser, phantom_scan: Volume, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    InvarianceSampler(small_denoiser, device="cpu").prepare(phantom_scan, BOX)
    size = next(folder.glob("*.factor")).stat().st_size
    monkeypatch.setattr(cache, "LIMIT_BYTES", int(2.5 * size))
    for shift in range(4):
        InvarianceSampler(small_denoiser, device="cpu").prepare(
            phantom_scan, Box(1, 30 + shift, 46 + shift, 36, 52)
        )
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 2.5 * size
    assert not list(folder.glob("*.part"))


def test_without_a_cache_nothing_is_written(
    small_denoiser: Denoiser, phantom_scan: Volume, folder: Path
) -> None:
    InvarianceSampler(small_denoiser, device="cpu", cache=False).prepare(phantom_scan, BOX)
    assert not folder.exists()

"""Patches: a pure function of (seed, step), both doses from one place, none of air; checked settings."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from ctinv.errors import InputError
from ctinv.training.config import DenoiserConfig
from ctinv.training.data import Pair, PairedPatches, open_pairs

CONFIGS = Path(__file__).parents[2] / "configs"


def pair(name: str = "a", *, slices: int = 3, size: int = 40) -> Pair:
    """Every voxel of the full-dose side has a value of its own; the low-dose side is 0.25 HU above it."""
    full = np.arange(slices * size * size, dtype=np.float32).reshape(slices, size, size)
    return Pair(name, full + np.float32(0.25), full)


def test_a_batch_depends_on_seed_and_step_alone():
    patches = PairedPatches([pair()], patch=8, batch=4, seed=1)
    third = patches(3)[0]
    patches(0)
    assert torch.equal(third, patches(3)[0])
    assert torch.equal(third, PairedPatches([pair()], patch=8, batch=4, seed=1)(3)[0])
    assert not torch.equal(third, patches(4)[0])
    assert not torch.equal(third, PairedPatches([pair()], patch=8, batch=4, seed=2)(3)[0])


def test_both_doses_come_from_the_same_place_turned_alike():
    low, full = PairedPatches([pair()], patch=8, batch=64, seed=0)(0)
    assert low.shape == full.shape == (64, 1, 8, 8)
    assert low.dtype == torch.float32
    assert torch.equal(low, full + 0.25)


def test_all_slices_of_all_pairs_and_all_eight_symmetries_occur():
    pairs = [pair("a", slices=3), pair("b", slices=1)]
    pairs[1] = Pair("b", pairs[1].low + 96_000, pairs[1].full + 96_000)
    _, full = PairedPatches(pairs, patch=8, batch=400, seed=0)(0)
    slices = (full[:, 0].amin(dim=(1, 2)).long() // 1600).unique(return_counts=True)
    assert len(slices[0]) == 4
    assert slices[1].min() > 60  # 100 expected of each
    down, right = full[:, 0, 1, 0] - full[:, 0, 0, 0], full[:, 0, 0, 1] - full[:, 0, 0, 0]
    assert {(int(a), int(b)) for a, b in zip(down, right, strict=True)} == {
        *((a, b) for a in (-40, 40) for b in (-1, 1)),
        *((a, b) for a in (-1, 1) for b in (-40, 40)),
    }


def test_patches_of_air_are_rejected():
    full = np.full((2, 64, 64), -1000.0, dtype=np.float32)
    full[:, 16:48, 16:48] = 40.0
    low, drawn = PairedPatches([Pair("a", full, full)], patch=16, batch=50, seed=0, body=0.5)(0)
    assert ((drawn > -950).float().mean(dim=(1, 2, 3)) >= 0.5).all()
    assert low.shape[0] == 50


def test_unusable_pairs_get_one_sentence(tmp_path: Path):
    np.save(tmp_path / "a_low.npy", np.zeros((2, 8, 8), np.float32))
    np.save(tmp_path / "a_full.npy", np.zeros((3, 8, 8), np.float32))
    np.save(tmp_path / "b_low.npy", np.array([{"x": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"no pair c; it has a, b\."):
        open_pairs(tmp_path, ["c"])
    with pytest.raises(InputError, match="both need the same"):
        open_pairs(tmp_path, ["a"])
    with pytest.raises(InputError, match=r"b_low\.npy"):  # a pickle is never opened
        open_pairs(tmp_path, ["b"])
    with pytest.raises(InputError, match="smaller than a patch"):
        PairedPatches([pair(size=8)], patch=16, batch=1, seed=0)
    with pytest.raises(InputError, match="at least one pair"):
        PairedPatches([], patch=16, batch=1, seed=0)


@pytest.mark.parametrize("name", ["cnn10", "wganvgg"])
def test_the_shipped_settings_read_and_split_by_patient(name: str):
    config = DenoiserConfig.read(CONFIGS / f"{name}.toml")
    assert config.name == name
    assert not set(config.train) & {*config.validate, *config.test}


GOOD = {"name": "a", "network": "CNN10", "mean": -350, "std": 500.0, "train": ["p"], "validate": ["q"]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"network": "os.system"}, "unknown; choose one of CNN10"),
        ({"stepps": 3}, "unknown key 'stepps'"),
        ({"steps": "many"}, "steps must be of type int"),
        ({"steps": True}, "steps must be of type int"),
        ({"train": "p"}, "train must be of type list of texts"),
        ({"steps": 0}, "at least 1"),
        ({"std": 0}, "std and learning_rate must be positive"),
        ({"margin": 40, "patch": 80}, "enlarge the patch"),
        ({"validate": []}, "one to validate on"),
        ({"test": ["p"]}, "split by patient"),
    ],
)
def test_wrong_settings_get_one_sentence(change: dict[str, object], says: str):
    DenoiserConfig.from_table(GOOD)
    with pytest.raises(InputError, match=re.escape(says)):
        DenoiserConfig.from_table({**GOOD, **change})


def test_missing_settings_are_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"lacks network, mean, std, train, validate\."):
        DenoiserConfig.from_table({"name": "a"})
    (tmp_path / "c.toml").write_text("name = ")
    for name in ("c.toml", "none.toml"):
        with pytest.raises(InputError, match=name):
            DenoiserConfig.read(tmp_path / name)

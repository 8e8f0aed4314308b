"""Patches: a pure function of (seed, step), both doses from one place, none of air; checked settings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from ctinv.errors import InputError
from ctinv.training.config import DenoiserConfig
from ctinv.training.data import Augmentation, Pair, PairedPatches, part_of
from ctinv.training.typed import from_table

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
    turned = Augmentation(flip=True)
    low, full = PairedPatches([pair()], patch=8, batch=64, seed=0, augmentation=turned)(0)
    assert low.shape == full.shape == (64, 1, 8, 8)
    assert low.dtype == torch.float32
    assert torch.equal(low, full + 0.25)


def orientations(full: torch.Tensor) -> set[tuple[int, int]]:
    """Rise of the voxel number down and to the right."""
    down, right = full[:, 0, 1, 0] - full[:, 0, 0, 0], full[:, 0, 0, 1] - full[:, 0, 0, 0]
    return {(int(a), int(b)) for a, b in zip(down, right, strict=True)}


def test_all_slices_of_all_pairs_occur_and_nothing_is_turned_by_default():
    pairs = [pair("a", slices=3), pair("b", slices=1)]
    pairs[1] = Pair("b", pairs[1].low + 96_000, pairs[1].full + 96_000)
    _, full = PairedPatches(pairs, patch=8, batch=400, seed=0)(0)
    slices = (full[:, 0].amin(dim=(1, 2)).long() // 1600).unique(return_counts=True)
    assert len(slices[0]) == 4
    assert slices[1].min() > 60  # 100 expected of each
    assert orientations(full) == {(40, 1)}


def test_flips_bring_all_eight_symmetries():
    _, full = PairedPatches([pair()], patch=8, batch=100, seed=0, augmentation=Augmentation(flip=True))(0)
    assert orientations(full) == {
        *((a, b) for a in (-40, 40) for b in (-1, 1)),
        *((a, b) for a in (-1, 1) for b in (-40, 40)),
    }


def test_the_noise_level_scales_the_inserted_noise_alone():
    louder = Augmentation(noise_level=(0.5, 1.5))
    low, full = PairedPatches([pair()], patch=8, batch=100, seed=0, augmentation=louder)(0)
    plain = PairedPatches([pair()], patch=8, batch=100, seed=0)(0)
    assert torch.equal(full, plain[1])
    factor = (low - full).mean(dim=(1, 2, 3)) / 0.25
    assert 0.5 <= factor.min() < 0.6
    assert 1.4 < factor.max() <= 1.5


def test_an_independent_target_has_noise_uncorrelated_with_the_low_dose():
    """Full dose n, inserted √3·z at a quarter of the dose, both of the same covariance: the target is n − z/√3."""
    rng = np.random.default_rng(0)
    noise, inserted = rng.normal(0, 10, (2, 4, 64, 64)).astype(np.float32)
    scan = Pair("a", noise + np.sqrt(3, dtype=np.float32) * inserted, noise)
    drawn = {
        target: PairedPatches([scan], patch=64, batch=4, seed=0, target=target, dose=0.25)(0)
        for target in ("full", "independent")
    }
    correlation = {
        target: float(np.corrcoef(low.numpy().ravel(), goal.numpy().ravel())[0, 1])
        for target, (low, goal) in drawn.items()
    }
    assert correlation["full"] == pytest.approx(0.5, abs=0.03)
    assert abs(correlation["independent"]) < 0.03


def test_neighbouring_slices_come_with_the_middle_one_and_the_ends_are_repeated():
    low, full = PairedPatches([pair(slices=3)], patch=40, batch=60, seed=0, slices=3)(0)
    assert low.shape == (60, 3, 40, 40)
    assert torch.equal(low[:, 1:2], full + 0.25)
    steps = {tuple((stack[:, 0, 0] - stack[1, 0, 0]).tolist()) for stack in low}
    assert steps == {(0.0, 0.0, 1600.0), (-1600.0, 0.0, 1600.0), (-1600.0, 0.0, 0.0)}


def test_a_part_of_a_pair_is_its_slices():
    part = part_of(pair(slices=5), 1, 3)
    assert (part.full == pair(slices=5).full[1:3]).all()
    with pytest.raises(InputError, match="has 5 slices, 3:9"):
        part_of(pair(slices=5), 3, 9)


def test_patches_of_air_are_rejected():
    full = np.full((2, 64, 64), -1000.0, dtype=np.float32)
    full[:, 16:48, 16:48] = 40.0
    low, drawn = PairedPatches([Pair("a", full, full)], patch=16, batch=50, seed=0, body=0.5)(0)
    assert ((drawn > -950).float().mean(dim=(1, 2, 3)) >= 0.5).all()
    assert low.shape[0] == 50


def test_unusable_pairs_get_one_sentence():
    with pytest.raises(InputError, match="smaller than a patch"):
        PairedPatches([pair(size=8)], patch=16, batch=1, seed=0)
    with pytest.raises(InputError, match="at least one pair"):
        PairedPatches([], patch=16, batch=1, seed=0)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_settings_in_the_repository_read(path: Path):
    assert DenoiserConfig.read(path).name == path.stem.removesuffix("_published")


GOOD = {"name": "a", "network": "CNN10", "mean": -350, "std": 500.0, "train": ["p"], "validate": ["q"]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"network": "os.system"}, "unknown; choose one of CNN10"),
        ({"stepps": 3}, "unknown key 'stepps'"),
        ({"steps": "many"}, "steps must be a whole number"),
        ({"steps": True}, "steps must be a whole number"),
        ({"train": "p"}, "train must be a list of texts"),
        ({"steps": 0}, "at least 1"),
        ({"std": 0}, "std and learning_rate must be positive"),
        ({"margin": 40, "patch": 80}, "enlarge the patch"),
        ({"validate": []}, "one to validate on"),
        ({"arguments": {"width": 3}}, "do not fit the network CNN10"),
        ({"target": "half"}, "target must be one of full, independent"),
        ({"objective": {"name": "WGAN-VGG", "lambda": 1.0}}, "unknown key 'lambda'"),
        ({"noise_level": [1]}, "noise_level must be a list of two numbers"),
        ({"slices": 2}, "slices must be odd"),
        ({"photons": True}, "photons must be a number or a text"),
    ],
)
def test_wrong_settings_get_one_sentence(change: dict[str, object], says: str):
    from_table(DenoiserConfig, GOOD, where="c.toml")
    with pytest.raises(InputError, match=re.escape(says)):
        from_table(DenoiserConfig, {**GOOD, **change}, where="c.toml")


def test_missing_settings_are_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"lacks network, mean, std\."):
        from_table(DenoiserConfig, {"name": "a"}, where="c.toml")
    (tmp_path / "c.toml").write_text("name = ")
    for name in ("c.toml", "none.toml"):
        with pytest.raises(InputError, match=name):
            DenoiserConfig.read(tmp_path / name)


def test_prepared_pairs_are_checked_against_their_sha256(tmp_path: Path):
    from ctinv.training.data import open_pair
    from ctinv.training.digest import digest_of_facts

    low, full, facts = (tmp_path / name for name in ("a_low.npy", "a_full.npy", "a.json"))
    for path in (low, full):
        np.save(path, np.zeros((2, 8, 8), np.float32))
    told = {"spacing_mm": [2.5, 0.7, 0.7], "patient": "p"}
    facts.write_text(json.dumps({**told, "sha256": digest_of_facts(told, low, full)}))
    assert open_pair("a", low, full).spacing_mm == 0.7
    good = full.read_bytes()
    full.write_bytes(good[:-1] + b"\x01")
    with pytest.raises(InputError, match="the pair a are not what their sha256 says") as told_by:
        open_pair("a", low, full)
    assert len(str(told_by.value)) <= 200
    full.write_bytes(good)
    facts.write_text(facts.read_text().replace("0.7", "0.8"))
    with pytest.raises(InputError, match="sha256"):
        open_pair("a", low, full)

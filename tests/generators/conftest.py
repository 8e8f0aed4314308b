"""Pairs, finished trainings, and a scene to propose on; made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from generator_runs import small_config, write_pairs

from ctinv.denoiser import load_denoiser
from ctinv.fibre.region import Region
from ctinv.generators.contract import Scene
from ctinv.representation import Representation
from ctinv.training.generator import train_generator
from ctinv.volume import Box


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="session")
def trained(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The bundle of a kind, trained for a few steps on first use."""
    made: dict[str, Path] = {}

    def bundle(kind: str) -> Path:
        if kind not in made:
            out = tmp_path_factory.mktemp(kind)
            made[kind] = Path(train_generator(small_config(kind), data_folder=pairs, out=out)["bundle"])
        return made[kind]

    return bundle


@pytest.fixture(scope="session")
def scene(pairs: Path) -> Callable[..., Scene]:
    """A region of patient b; generators under test do not look at the noise."""
    denoiser = load_denoiser("cnn10")
    low = torch.from_numpy(np.load(pairs / "b_low.npy")[:1])

    def make(box: Box, *, tap: str = "output", height: int = 96) -> Scene:
        scan = low[:, :height]
        region = Region.in_slice(Representation(denoiser, tap), scan, box)
        with torch.inference_mode():
            clean = denoiser(scan[None])[0, 0]
        return Scene(region, None, scan, clean, 5.0)  # type: ignore[arg-type]

    return make

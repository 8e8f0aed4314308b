"""A small scan, a small denoiser and a small study for the tests of the command line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_shell import BOX, Ran, command_line, environment


@pytest.fixture
def ctinv(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command line in this process, which has torch loaded already."""
    from ctinv.cli import main

    def run(*arguments: object) -> Ran:
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        written = capfd.readouterr()
        code = left.value.code
        assert isinstance(code, int)
        return Ran(code, written.out, written.err)

    return run


@pytest.fixture
def ctinv_process() -> Callable[..., Ran]:
    """Run the command line in a process of its own."""

    def run(*arguments: object, **settings: Any) -> Ran:
        done = subprocess.run(
            command_line(*arguments),
            capture_output=True,
            text=True,
            env=environment(),
            timeout=120,
            **settings,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A noisy water cylinder with a denser insert, three slices of 96 x 96 voxels, as .npy in HU."""
    from dataclasses import replace

    from ctinv.simulate import simulate_low_dose, water_phantom

    phantom = water_phantom(size=96, pixel_mm=1.0, diameter_mm=80.0, slices=3)
    hu = phantom.hu.copy()
    hu[:, 44:52, 40:48] += 60.0
    noisy = simulate_low_dose(replace(phantom, hu=hu), dose=0.02, seed=3, photons=100_000.0)
    path = tmp_path_factory.mktemp("scan") / "scan.npy"
    np.save(path, noisy.hu)
    return path


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a small CNN-10 that smooths and bends: not trained, but a denoiser."""
    import torch

    from ctinv.bundle import export_bundle
    from ctinv.networks import CNN10

    network = CNN10(channels=(6, 4))
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
        rows = torch.arange(-4, 5, dtype=torch.float32)
        bell = torch.exp(-(rows[:, None] ** 2 + rows[None] ** 2) / 3.0)
        network.conv1.weight[0, 0] += bell / bell.sum()
        network.conv1.bias[0] += 2.0  # keeps air, which the network sees as -1, above the ReLU
        network.conv2.weight[0, 0, 1, 1] += 1.0
        network.conv3.weight[0, 0, 2, 2] += 1.0
        network.conv3.bias -= 2.0
    folder = tmp_path_factory.mktemp("bundle") / "small"
    return export_bundle(
        folder,
        network=network,
        target="CNN10",
        name="small",
        mean=0.0,
        std=1000.0,
        taps={"conv1": "relu1"},
        arguments={"channels": [6, 4]},
    )


@pytest.fixture(scope="session")
def study(scan: Path, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of six samples; not to be written to."""
    out = tmp_path_factory.mktemp("study") / "study.zarr"
    words = ("sample", scan, "--denoiser", bundle, "--box", BOX, "--n", 6, "--photons", 2000, "--out", out)
    subprocess.run(command_line(*words), check=True, capture_output=True, env=environment(), timeout=300)
    return out

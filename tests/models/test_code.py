"""Code runs only where the user names it: a factory of their own, or a file whose sha256 they trust."""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign import HERE, bundle
from torch import nn

from ctinv.denoiser import load_denoiser
from ctinv.errors import ModelError, TrustError
from ctinv.models.factory import is_factory
from ctinv.models.trusted import run_file
from ctinv.training.start import build

FACTORIES = """
from torch import nn
from ctinv import Denoiser
from ctinv.training.start import build

def network():
    return build("CNN10", seed=3)

def denoiser():
    return Denoiser(nn.Conv2d(1, 1, 1), name="whole", std=7.0)

def number():
    return 3

def fails():
    raise KeyError("no such scan")
"""


@pytest.fixture
def my_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_networks.py").write_text(FACTORIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "my_networks"


def test_a_factory_returns_a_module_or_a_whole_denoiser(my_package: str):
    found = load_denoiser(f"{my_package}:network", card=HERE)
    hu = 100 * torch.randn(1, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    expected = build("CNN10", seed=3)
    with torch.no_grad():
        assert torch.allclose(found(hu), expected((hu + 350) / 500) * 500 - 350, atol=1e-3)
    assert found.taps == ("input", "relu1", "relu2", "output")
    same = load_denoiser(f"{my_package}:network", card=HERE)
    assert found.weights_sha256 == same.weights_sha256  # the same weights, whoever makes them
    whole = load_denoiser(f"{my_package}:denoiser")
    assert (whole.name, whole.std) == ("whole", 7.0)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("number", "returned a int; an nn.Module"),
        ("fails", "failed with KeyError: 'no such scan'"),
        ("absent", "cannot be imported"),
    ],
)
def test_factories_that_make_no_network_get_one_sentence(my_package: str, name: str, says: str):
    with pytest.raises(ModelError, match=says):
        load_denoiser(f"{my_package}:{name}")
    with pytest.raises(ModelError, match="put it on PYTHONPATH"):
        load_denoiser(f"no_such_package_here:{name}")


def test_only_a_module_and_a_function_are_a_factory():
    assert is_factory("a.b:c")
    for text in ("a:b:c", "a:", ":b", "C:\\nets\\a.pt", "a b:c", "a:b()", "../a:b", Path("a:b")):
        assert not is_factory(text), text


def test_a_bundle_or_card_cannot_name_a_factory(my_package: str, tmp_path: Path):
    path = bundle(tmp_path / "zoo", {"network_def": {"_target_": f"{my_package}:network"}})
    with pytest.raises(ModelError, match="not allowed"):
        load_denoiser(path)
    torch.save(build("CNN10", seed=0).state_dict(), tmp_path / "net.pt")
    with pytest.raises(ModelError, match="not allowed"):
        load_denoiser(tmp_path / "net.pt", card={**HERE, "network": f"{my_package}:network"})


@pytest.fixture(params=["net.ts", "net.pt", "net.pth"])
def scripted(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """TorchScript comes under any name; what counts is what it is."""
    path = tmp_path / request.param
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        network = build("CNN10", seed=3).requires_grad_(False)
        torch.jit.trace(network, torch.zeros(1, 1, 32, 32)).save(str(path))
    return path


def test_torchscript_is_loaded_only_with_the_sha256_of_the_file(
    scripted: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("torch.jit.load", lambda *a, **k: pytest.fail("it was loaded in this process"))
    monkeypatch.setattr("ctinv.models.ladder.run_file", _counted(run_file, calls := []))
    digest = hashlib.sha256(scripted.read_bytes()).hexdigest()
    found = load_denoiser(scripted, card=HERE, trust=digest)
    assert found.taps == ("input", "nodes.relu1_Relu", "nodes.relu2_Relu", "output")
    hu = 100 * torch.randn(1, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = build("CNN10", seed=3)((hu + 350) / 500) * 500 - 350
    assert torch.allclose(found(hu), expected, atol=1e-3)
    with pytest.raises(ModelError, match=f"can run code when it is loaded.*{digest}"):
        load_denoiser(scripted, card=HERE)
    with pytest.raises(ModelError, match="another one than the file that is trusted; nothing was loaded"):
        load_denoiser(scripted, card=HERE, trust="0" * 64)
    with pytest.raises(ModelError, match="64 hexadecimal digits"):
        load_denoiser(scripted, card=HERE, trust="yes")
    assert calls == [scripted.name]  # without trust no child was asked


def _counted(function: Callable[..., Any], calls: list[str]) -> Callable[..., Any]:
    def counted(content: bytes, name: str, *rest: Any, **more: Any) -> Any:
        calls.append(name)
        return function(content, name, *rest, **more)

    return counted


def test_pickles_and_exported_programs_ask_for_trust_as_well(tmp_path: Path):
    network = build("CNN10", seed=3).requires_grad_(False)
    torch.save(network, tmp_path / "module.pt")
    with zipfile.ZipFile(tmp_path / "program.pt2", "w") as archive:  # as torch.export.save names its parts
        for part in ("archive_format", "models/model.json", "data/sample_inputs/model.pt"):
            archive.writestr(f"program/{part}", b"pt2")
    for name, says in (
        ("module.pt", "would have to run"),
        ("program.pt2", "an exported program, which can run code"),
    ):
        with pytest.raises(TrustError, match=says):
            load_denoiser(tmp_path / name)


def test_a_damaged_torchscript_file_gets_one_sentence(tmp_path: Path):
    content = b"no archive at all"
    (tmp_path / "net.ts").write_bytes(content)
    with pytest.raises(ModelError, match="damaged or no TorchScript"):
        load_denoiser(tmp_path / "net.ts", trust=hashlib.sha256(content).hexdigest())


def test_a_network_object_keeps_its_numbers():
    """An object from a notebook is asked the same questions as a file."""
    with pytest.raises(ModelError, match=r"Conv2d gives \(1, 1, 62, 62\)"):
        load_denoiser(nn.Conv2d(1, 1, 3))

"""Code of others runs in a child once its sha256 is trusted, and what comes back is data with the program's own numbers."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from foreign import HERE, bundle
from torch import Tensor, nn

from ctinv.child import TaskError
from ctinv.denoiser import Denoiser, load_denoiser
from ctinv.errors import ModelError, TrustError
from ctinv.models import trusted
from ctinv.models.probes import PROBES, check_answers, probe
from ctinv.models.trust import forget, read_trust, remember, trust_file
from ctinv.models.would_run import lines_of, what_would_run
from ctinv.training.start import build

FREE = {**HERE, "flat_check": False}


class Rich(nn.Module):
    """What scripts are full of: padding by mode, batch and group norm, two grids, a size that is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1, padding_mode="reflect")
        self.group, self.batch = nn.GroupNorm(2, 8), nn.BatchNorm2d(8)
        self.down, self.up = (
            nn.Conv2d(8, 8, 3, stride=2, padding=1),
            nn.Upsample(scale_factor=2, mode="bilinear"),
        )
        self.last, self.bend = nn.Conv2d(16, 1, 1), nn.LeakyReLU(0.1)

    def forward(self, image: Tensor) -> Tensor:
        wide = self.bend(self.group(self.first(image)))
        deep = self.up(torch.relu(self.batch(self.down(wide))))
        return image + self.last(torch.cat([wide, deep], 1))


class BySize(nn.Module):
    """Adds one to large images."""

    def forward(self, image: Tensor) -> Tensor:
        if image.shape[-1] > 100:
            return image + 1.0
        return image * 1.0


class ByChance(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image + torch.rand_like(image)


class Two(nn.Module):
    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return image, image


class Unheard(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return torch.special.bessel_j0(image)


def seeded(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network.eval().requires_grad_(False)


def scripted(network: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(network.eval()).save(str(path))
    return path


def loaded(path: Path, card: dict[str, Any] = FREE) -> Denoiser:
    return load_denoiser(path, card=card, trust=what_would_run(path).sha256)


def same(found: Denoiser, network: nn.Module) -> bool:
    hu = 100 * torch.randn(2, 1, 48, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return torch.allclose(found(hu), network((hu + 350) / 500) * 500 - 350, atol=2e-3)


def test_a_script_with_loops_and_branches_inside_becomes_a_graph_of_known_operations(tmp_path: Path):
    network = seeded(Rich())
    found = loaded(scripted(network, tmp_path / "net.ts"))
    assert same(found, network)
    assert found.taps == ("input", "nodes.LeakyRelu", "nodes.Relu", "output")
    assert found.activation(torch.zeros(1, 1, 32, 32), found.taps[1]).shape == (1, 8, 32, 32)
    assert not any(isinstance(part, torch.jit.ScriptModule) for part in found.modules())


def test_an_exported_program_becomes_a_graph_of_known_operations(tmp_path: Path):
    network, size = build("CNN10", seed=3).requires_grad_(False), torch.export.Dim("size", min=16, max=4096)
    other = torch.export.Dim("other", min=16, max=4096)
    program = torch.export.export(
        network, (torch.zeros(1, 1, 64, 64),), dynamic_shapes={"image": {2: size, 3: other}}
    )
    torch.export.save(program, str(tmp_path / "net.pt2"))
    found = loaded(tmp_path / "net.pt2")
    assert same(found, network)
    assert len(found.taps) == 4


def test_a_pickled_module_becomes_a_graph_and_a_pickled_checkpoint_its_tensors(tmp_path: Path):
    network = build("CNN10", seed=3).requires_grad_(False)
    torch.save(network, tmp_path / "module.pt")
    assert same(loaded(tmp_path / "module.pt"), network)
    about = {"best": np.float64(3.0), "where": Path("x"), "optimizer": {"state": {0: torch.zeros(2)}}}
    torch.save({"state_dict": network.state_dict(), **about}, tmp_path / "run.ckpt")
    found = loaded(tmp_path / "run.ckpt")
    assert same(found, network)
    assert found.taps == ("input", "conv1", "conv2", "output")  # a class of ours, as from any file of weights
    assert set(found.weights_sha256) == {"run.ckpt", "convention"}


@pytest.mark.slow
def test_a_bundle_with_expressions_comes_down_to_a_class_and_one_with_its_own_code_to_a_graph(tmp_path: Path):
    narrow = build("CNN10", seed=3, arguments={"channels": (16, 8)})
    config = {
        "imports": ["$import math"],
        "width": "$int(math.sqrt(64))",
        "network_def": {"_target_": "ctinv.networks.CNN10", "channels": ["$@width * 2", "@width"]},
    }
    found = loaded(bundle(tmp_path / "wide", config, narrow.state_dict()))
    assert same(found, narrow)
    assert found.taps == ("input", "relu1", "relu2", "output")
    path = bundle(tmp_path / "own", {"network_def": {"_target_": "scripts.net.Net"}}, narrow.state_dict())
    (path / "scripts").mkdir()
    (path / "scripts" / "__init__.py").touch()
    (path / "scripts" / "net.py").write_text(
        "from ctinv.networks import CNN10\n\nclass Net(CNN10):\n    def __init__(self):\n        super().__init__((16, 8))\n"
    )
    found = loaded(path)
    assert same(found, narrow)
    assert found.taps[1:3] == ("nodes.relu1_Relu", "nodes.relu2_Relu")
    assert found.weights_sha256["bundle"] == what_would_run(path).sha256


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (BySize(), "ONNX operation Greater, If"),
        (ByChance(), "another result each time"),
        (Two(), "gives a tuple; one image was expected"),
        (Unheard(), r"cannot be written as ONNX \(aten::special_bessel_j0\)"),
    ],
    ids=["by size", "by chance", "two images", "no ONNX operation"],
)
def test_programs_that_cannot_be_data_are_refused_in_one_sentence(
    tmp_path: Path, network: nn.Module, says: str
):
    path = scripted(network, tmp_path / "net.ts")
    with pytest.raises(ModelError, match=says) as refused:
        loaded(path)
    assert str(refused.value).startswith("net.ts ")
    assert len(str(refused.value)) <= 200


def test_a_trace_that_branches_by_size_where_no_one_sees_it_is_found_out():
    """A trace has no branches: its answers at several sizes are compared with those of what it came from."""
    answers = {number: BySize()(probe(number, 1)) for number in range(len(PROBES))}
    check_answers(BySize(), answers, "net.pt", 1)
    with pytest.raises(
        ModelError, match=r"net\.pt answers 1 image of 192 x 128 pixels otherwise than its ONNX form"
    ):
        check_answers(nn.Identity(), answers, "net.pt", 1)
    with pytest.raises(ModelError, match=r"or of no other size, so its answers cannot be compared"):
        check_answers(nn.Identity(), {0: answers[0]}, "net.pt", 1)


def test_where_the_system_promises_nothing_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = scripted(seeded(Rich()), tmp_path / "net.ts")
    monkeypatch.setattr(trusted, "NEEDED", frozenset({"files", "network", "a promise no system makes"}))
    monkeypatch.setattr("ctinv.child.Child.call", lambda *_: pytest.fail("it was asked"))
    with pytest.raises(ModelError, match="this system cannot keep it from files and network"):
        loaded(path)


GRAPH = {"shapes": [[1, 1, 64, 64]] * 6}
ANSWERS: dict[str, tuple[dict[str, Any], list[bytes]]] = {
    "nothing": ({}, []),
    "no ONNX": (GRAPH, [b"no graph"]),
    "tree of numbers that are none": ({"tree": {"a": 7}}, [b"\x02\0\0\0\0\0\0\0{}"]),
    "tree without tensors": ({"tree": {"a": 0}}, [b"x"]),
    "deep": ({"tree": [[[]]]}, [b"\x02\0\0\0\0\0\0\0{}"]),
    "shapes of words": ({"shapes": "abc"}, [b""]),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_is_none_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str):
    """The child has run a stranger's program: what it sends is a stranger's word."""
    path = scripted(seeded(Rich()), tmp_path / "net.ts")
    monkeypatch.setattr(trusted, "_ask", lambda *_, **__: ANSWERS[answer])
    with pytest.raises(ModelError, match=r"net\.ts"):
        loaded(path)


def test_what_a_program_says_of_itself_is_shown_without_tricks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def lie(*_: object) -> None:
        raise TaskError("\x1b[2Jall is well\nerror: trust me " + 500 * "x")

    path = scripted(seeded(Rich()), tmp_path / "net.ts")
    monkeypatch.setattr("ctinv.child.Child.call", lie)
    with pytest.raises(ModelError, match=r"^net\.ts: \\x1b\[2Jall is well\\nerror") as refused:
        loaded(path)
    assert len(str(refused.value)) <= 200


def test_trust_is_kept_by_content_and_shows_what_it_is_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CTINV_CONFIG", str(tmp_path / "config"))
    network = build("CNN10", seed=3).requires_grad_(False)
    path = tmp_path / "run.pt"
    torch.save({"state_dict": network.state_dict(), "best": np.float64(3.0)}, path)
    with pytest.raises(TrustError, match=r"names 'numpy.*`ctinv info` says how to trust it") as refused:
        load_denoiser(path, card=FREE)
    found = what_would_run(path)
    assert refused.value.sha256 == found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.kind == "pickle"
    assert "numpy.dtype" in found.globals
    assert any("numpy.dtype" in line for line in lines_of(found))
    remember(found.sha256, kind=found.kind, name=found.name)
    assert same(load_denoiser(path, card=FREE), network)
    assert len(trust_file().read_text().splitlines()) == 3  # one line for each
    moved = path.rename(tmp_path / "other.pt")
    load_denoiser(moved, card=FREE)  # by content, not by name
    torch.save({"state_dict": network.state_dict(), "best": np.float64(4.0)}, moved)
    with pytest.raises(TrustError):
        load_denoiser(moved, card=FREE)
    forget(found.sha256)
    assert read_trust() == {}
    with pytest.raises(ModelError, match="is not among the trusted"):
        forget(found.sha256)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"no hash": {}}', json.dumps({64 * "a": True}), json.dumps({64 * "a": {"kind": "x"}})],
)
def test_a_damaged_list_of_trust_is_refused_not_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
):
    monkeypatch.setenv("CTINV_CONFIG", str(tmp_path))
    (tmp_path / "trust.json").write_text(content)
    path = tmp_path / "net.pt"
    torch.save(build("CNN10", seed=3), path)
    for ask in (lambda: load_denoiser(path), lambda: remember(64 * "b", kind="", name=""), read_trust):
        with pytest.raises(ModelError, match=r"trust\.json in your configuration folder, is damaged"):
            ask()
    assert (tmp_path / "trust.json").read_text() == content
    torch.save(build("CNN10", seed=3).state_dict(), path)
    load_denoiser(path, card=HERE)  # what needs no trust does not ask the list


def test_a_bundle_is_trusted_as_a_whole(tmp_path: Path):
    """Every file that would be read or run counts; what describes it does not."""
    path = bundle(tmp_path / "zoo", {"network_def": "$f()"}, build("CNN10", seed=3).state_dict())
    (path / "docs").mkdir()
    before = what_would_run(path)
    assert before.expressions == ("$f()",)
    assert set(before.files) == {"configs/inference.json", "configs/metadata.json", "models/model.pt"}
    (path / "docs" / "README.md").write_text("x")
    assert what_would_run(path).sha256 == before.sha256
    (path / "helper.py").write_text("import os")
    after = what_would_run(path)
    assert after.sha256 != before.sha256
    assert after.code == {"helper.py": "import os"}
    with pytest.raises(ModelError, match="another one than the file that is trusted"):
        load_denoiser(path, card=FREE, trust=before.sha256)


def test_the_listing_of_code_has_no_tricks_for_the_terminal(tmp_path: Path):
    path = bundle(tmp_path / "zoo", {"network_def": {"_target_": "m\u043enai.networks.nets.UNet"}})
    (path / "x.py").write_text("a = 1 \x1b[1A\u202e evil()\n")
    torch.save({}, path / "models" / "model.pt")
    text = "\n".join(lines_of(what_would_run(path)))
    assert text.isascii()
    assert "m\\u043enai" in text
    assert "\\x1b[1A\\u202e evil()" in text


def test_functional_padding_of_a_script_is_followed(tmp_path: Path):
    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3)

        def forward(self, image: Tensor) -> Tensor:
            size = image.shape[-2:]
            inner = self.conv(F.pad(image, [1, 1, 1, 1], mode="replicate"))
            return F.interpolate(F.avg_pool2d(inner, 2), size=[size[0], size[1]], mode="nearest")

    network = seeded(Padded())
    assert same(loaded(scripted(network, tmp_path / "net.pt")), network)

"""ONNX files: the same gradients as autograd, layers as taps, and nothing else is let in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx_graphs import cnn10, model, save

from ctinv.denoiser import load_denoiser
from ctinv.errors import ModelError
from ctinv.models.onnx_file import load_onnx
from ctinv.training.start import build

node = helper.make_node
RNG = np.random.default_rng(0)


def floats(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def whole(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


X = floats(2, 4, 8, 12)


def test_gradients_are_those_of_the_same_network_in_torch(tmp_path: Path):
    network = build("CNN10", seed=3)
    path = save(cnn10(network), tmp_path / "net.onnx")
    denoiser = load_denoiser(path, card={"mean_hu": -350, "std_hu": 500})
    expected = load_denoiser(network, card={"mean_hu": -350, "std_hu": 500})
    image = torch.from_numpy(200 * floats(1, 1, 24, 20)).requires_grad_(True)
    other = image.detach().clone().requires_grad_(True)
    assert torch.allclose(denoiser(image), expected(other), atol=1e-3)
    denoiser(image).square().sum().backward()
    expected(other).square().sum().backward()
    assert image.grad is not None
    assert other.grad is not None
    assert other.grad.abs().max() > 0
    assert torch.allclose(image.grad, other.grad, rtol=1e-4, atol=1e-2)


def test_layers_of_a_graph_are_taps(tmp_path: Path):
    network = build("CNN10", seed=3)
    denoiser = load_denoiser(
        save(cnn10(network), tmp_path / "net.onnx"), card={"mean_hu": -350, "std_hu": 500}
    )
    assert denoiser.taps == ("input", "nodes.relu1_Relu", "nodes.relu2_Relu", "output")
    image = torch.from_numpy(200 * floats(2, 1, 24, 20))
    expected = network.relu1(network.conv1((image + 350) / 500))
    assert torch.allclose(denoiser.activation(image, "nodes.relu1_Relu"), expected, atol=1e-5)
    assert sum(p.numel() for p in denoiser.parameters()) == 24_513


def test_a_network_in_double_precision_stays_exact(tmp_path: Path):
    """Receptive fields are probed in float64: no constant may fall back to float32."""
    nodes = [node("Constant", [], ["c"], value_float=0.1), node("Cast", ["x"], ["a"], to=TensorProto.FLOAT)]
    made = model([*nodes, node("Mul", ["a", "c"], ["y"])], channels=4)
    network = load_onnx(made.SerializeToString(), "m.onnx")
    assert network.double()(torch.from_numpy(X).double()).dtype == torch.float64


@pytest.mark.parametrize(
    ("nodes", "constants", "says"),
    [
        ([node("NonMaxSuppression", ["x", "x"], ["y"])], {}, "NonMaxSuppression, which is not supported"),
        ([node("Relu", ["x"], ["y"], domain="my.ops")], {}, r"my\.ops\.Relu"),
        ([node("Relu", ["nowhere"], ["y"])], {}, "no valid ONNX model"),
    ],
)
def test_unknown_operations_and_broken_graphs_get_one_sentence(
    nodes: list[Any], constants: dict[str, Any], says: str
):
    with pytest.raises(ModelError, match=says) as refused:
        load_onnx(model(nodes, constants).SerializeToString(), "m.onnx")
    assert len(str(refused.value)) <= 200


@pytest.mark.parametrize(
    ("nodes", "constants", "says"),
    [
        (
            [node("Resize", ["x", "", "s"], ["y"], mode="linear", antialias=1)],
            {"s": np.ones(4, np.float32)},
            "antialias",
        ),
        ([node("Resize", ["x", "", "s"], ["y"])], {"s": np.array([1, 1, 1.5, 1.5], np.float32)}, "nearest"),
    ],
)
def test_variants_that_are_not_understood_are_said_not_approximated(
    nodes: list[Any], constants: dict[str, Any], says: str
):
    network = load_onnx(model(nodes, constants, opset=18, channels=4).SerializeToString(), "m.onnx")
    with pytest.raises(ModelError, match=says):
        network(torch.from_numpy(X))


def test_batch_statistics_in_a_graph_are_refused():
    nodes = [node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y", "p", "q"], training_mode=1)]
    ones = {key: np.ones(4, np.float32) for key in "sbmv"}
    network = load_onnx(model(nodes, ones, opset=15, channels=4).SerializeToString(), "m.onnx")
    with pytest.raises(ModelError, match="hangs on the batch"):
        network(torch.from_numpy(X))


@pytest.mark.parametrize("location", ["weights.bin", "../../etc/hostname", "/etc/hostname"])
def test_tensors_in_other_files_are_never_opened(tmp_path: Path, location: str):
    (tmp_path / "weights.bin").write_bytes(np.zeros(1, np.float32).tobytes())
    made = model([node("Add", ["x", "c"], ["y"])], {"c": np.zeros(1, np.float32)})
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path = save(made, tmp_path / "net.onnx")
    with pytest.raises(ModelError, match=r"net\.onnx keeps tensors in other files"):
        load_denoiser(path)


def test_damaged_files_and_several_images_get_one_sentence(tmp_path: Path):
    content = cnn10(build("CNN10", seed=0)).SerializeToString()
    for name, broken in (("empty", b""), ("cut", content[: len(content) // 2]), ("noise", b"\x00\xff" * 100)):
        with pytest.raises(ModelError, match=name):
            load_onnx(broken, name)
    two = model([node("Add", ["x", "z"], ["y"])])
    two.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", "c", "h", "w"]))
    with pytest.raises(ModelError, match="2 inputs and 1 outputs"):
        load_onnx(two.SerializeToString(), "m.onnx")


def test_a_tensor_that_claims_to_be_huge_is_refused_before_it_is_built():
    made = model([node("Add", ["x", "c"], ["y"])], {"c": np.zeros(1, np.float32)})
    made.graph.initializer[0].dims[:] = [10**9]
    with pytest.raises(ModelError, match="1,000,000,000 numbers"):
        load_onnx(made.SerializeToString(), "m.onnx")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install 'napari-ctinv\[onnx\]'"):
        load_onnx(b"", "m.onnx")


def test_float16_weights_become_float32():
    made = model([node("Add", ["x", "c"], ["y"])])
    made.graph.initializer.append(numpy_helper.from_array(np.float16([1.5]), "c"))
    network = load_onnx(made.SerializeToString(), "m.onnx")
    assert [p.dtype for p in network.parameters()] == [torch.float32]

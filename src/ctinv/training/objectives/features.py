"""Perceptual features: the last convolution of a VGG trained on photographs, from weights on disk.

Two files are known. ``vgg16_hed.safetensors``, written by ``scripts/fetch_feature_weights.py``, holds the thirteen
convolutions of VGG16 as fine-tuned for edge detection, almost untouched; a training with it says *VGG16 conv5_3
variant*; it is checked against its sha256 whenever it is read. A user who has torchvision's VGG19 weights gives that file
and has the published loss, VGG19 conv5_4.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn

from ctinv.errors import InputError
from ctinv.resources import feature_weights_folder

DEFAULT_WEIGHTS = "vgg16_hed.safetensors"
DEFAULT_SHA256 = "b5a14b917fc9815f77ab88ebce806657d746b02349000264529d62eca3a7dcee"
"""Of names, shapes and values, see `sha256_of`."""
_BLOCKS = {13: (2, 2, 3, 3, 3), 16: (2, 2, 4, 4, 4)}
_TITLES = {13: "VGG16 conv5_3 variant", 16: "VGG19 conv5_4"}
_CHANNELS = (64, 128, 256, 512, 512)
_MEAN_BGR = (104.007, 116.669, 122.679)  # of the photographs, on 0 … 255
_LOW_HU, _HIGH_HU = -1000.0, 1000.0  # shown to the features as 0 and 255, not clipped


class VggFeatures(nn.Module):
    """The output of the last convolution of VGG16 or VGG19, before its ReLU; frozen.

    Args:
        convolutions: 13 for VGG16, 16 for VGG19.

    References:
        Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, ICLR 2015.
    """

    mean: Tensor

    def __init__(self, convolutions: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for block, (count, width) in enumerate(zip(_BLOCKS[convolutions], _CHANNELS, strict=True)):
            layers += [nn.MaxPool2d(2)] if block else []
            for _ in range(count):
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
                before = width
        self.layers = nn.Sequential(*layers[:-1])
        self.register_buffer("mean", torch.tensor(_MEAN_BGR)[None, :, None, None])

    def forward(self, hu: Tensor) -> Tensor:
        """(B, 1, H, W) HU to (B, 512, H/16, W/16)."""
        features: Tensor = self.layers(self.grey(hu))
        return features

    def grey(self, hu: Tensor) -> Tensor:
        """(B, 1, H, W) HU to the (B, 3, H, W) that the first layer takes."""
        scaled = (hu - _LOW_HU) * (255.0 / (_HIGH_HU - _LOW_HU))
        return scaled.expand(-1, 3, -1, -1) - self.mean


@dataclass(frozen=True)
class FeatureWeights:
    """A file of feature weights, read and recognised.

    Attributes:
        title: ``"VGG16 conv5_3 variant"`` or ``"VGG19 conv5_4"``.
        sha256: Of the file.
        features: With its weights, frozen, in eval mode.
    """

    title: str
    sha256: str
    features: VggFeatures


def read_features(path: str = "") -> FeatureWeights:
    """Read feature weights.

    Args:
        path: ``.safetensors``, or a state dict of torchvision (``features.N.weight``); empty for the default one
            in the user's cache.

    Raises:
        InputError: The file is not there, or holds neither VGG; or the default one is damaged.
    """
    file = Path(path) if path else feature_weights_folder() / DEFAULT_WEIGHTS
    if not file.is_file():
        raise InputError(
            f"the perceptual loss needs the feature weights {file.name}; run scripts/fetch_feature_weights.py, or name "
            "torchvision's VGG19 weights as feature_weights."
        )
    content = file.read_bytes()
    try:
        tensors = (
            load(content)
            if file.suffix == ".safetensors"
            else torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        )
    except Exception as error:  # whatever a foreign file raises, the sentence is the same
        raise InputError(
            f"expected {file.name} to hold the 13 convolutions of VGG16 or the 16 of VGG19; it does not."
        ) from error
    if not path and sha256_of(tensors) != DEFAULT_SHA256:
        raise InputError(
            f"the feature weights {file.name} are damaged; run scripts/fetch_feature_weights.py, which replaces them."
        )
    try:
        pairs = _convolutions(tensors)
        with torch.device("meta"):
            features = VggFeatures(len(pairs))
        features.mean = torch.tensor(_MEAN_BGR)[None, :, None, None]
        convolutions = [layer for layer in features.layers if isinstance(layer, nn.Conv2d)]
        for layer, (weight, bias) in zip(convolutions, pairs, strict=True):
            layer.load_state_dict({"weight": weight, "bias": bias}, assign=True)
    except Exception as error:  # whatever a foreign file raises, the sentence is the same
        raise InputError(
            f"expected {file.name} to hold the 13 convolutions of VGG16 or the 16 of VGG19; it does not."
        ) from error
    features.eval().requires_grad_(False)
    return FeatureWeights(_TITLES[len(pairs)], hashlib.sha256(content).hexdigest(), features)


def sha256_of(tensors: dict[str, Tensor]) -> str:
    """sha256 of names, shapes and values, whatever layout a file gives them."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _convolutions(tensors: dict[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases in the order of the layers; the first layer of torchvision's sees RGB, ours BGR."""
    numbered = {
        int(key.split(".")[1]): key.removesuffix(".weight")
        for key in tensors
        if key.startswith("features.") and key.endswith(".weight")
    }
    pairs = [(tensors[f"{numbered[n]}.weight"], tensors[f"{numbered[n]}.bias"]) for n in sorted(numbered)]
    if "order_bgr" not in tensors and pairs:
        # torchvision: RGB in units of the photographs' standard deviation on 0 … 1
        scale = 1.0 / (255.0 * torch.tensor([0.229, 0.224, 0.225]))[None, :, None, None]
        pairs[0] = ((pairs[0][0] * scale).flip(1), pairs[0][1])
    if len(pairs) not in _BLOCKS:
        raise ValueError(f"{len(pairs)} convolutions")
    return pairs

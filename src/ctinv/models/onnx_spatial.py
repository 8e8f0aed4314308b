"""ONNX operations on images: convolution, pooling, padding, resizing, normalisation; two spatial dimensions.

References:
    ONNX operators, https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ctinv.models.onnx_ops import Attributes, Operation, bounded, numbers, refuse

_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}


def _pads(a: Attributes, x: Tensor, kernel: list[int]) -> tuple[int, int, int, int]:
    """Padding (left, right, top, bottom) as torch orders it."""
    auto = a.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", "VALID"):
        top, left, bottom, right = a.get("pads", (0, 0, 0, 0)) if auto == "NOTSET" else (0, 0, 0, 0)
        return left, right, top, bottom
    both = []
    for size, k, stride, dilation in zip(
        x.shape[-2:], kernel, _pair(a, "strides"), _pair(a, "dilations"), strict=True
    ):
        total = max((-(-size // stride) - 1) * stride + dilation * (k - 1) + 1 - size, 0)
        small = total // 2
        both.append((small, total - small) if auto == "SAME_UPPER" else (total - small, small))
    (top, bottom), (left, right) = both
    return left, right, top, bottom


def _pair(a: Attributes, name: str) -> list[int]:
    return list(a.get(name, (1, 1)))


def _conv(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if weight.ndim != 4:
        raise refuse("Conv", f"{weight.ndim - 2} spatial dimensions")
    left, right, top, bottom = _pads(a, x, list(weight.shape[2:]))
    padding = (top, left)
    if (left, top) != (right, bottom):
        x, padding = F.pad(x, (left, right, top, bottom)), (0, 0)
    return F.conv2d(x, weight, bias, _pair(a, "strides"), padding, _pair(a, "dilations"), a.get("group", 1))


def _conv_transpose(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if weight.ndim != 4 or a.get("output_shape") is not None or a.get("auto_pad", "NOTSET") != "NOTSET":
        raise refuse("ConvTranspose", "an output shape, automatic padding or another dimension than 2")
    top, left, bottom, right = a.get("pads", (0, 0, 0, 0))
    extra = list(a.get("output_padding", (0, 0)))
    whole = F.conv_transpose2d(
        x, weight, bias, _pair(a, "strides"), (0, 0), extra, a.get("group", 1), _pair(a, "dilations")
    )
    return whole[..., top : whole.shape[-2] - bottom, left : whole.shape[-1] - right]


def _max_pool(a: Attributes, x: Tensor) -> Tensor:
    kernel = list(a["kernel_shape"])
    x = F.pad(x, _pads(a, x, kernel), value=float("-inf"))
    return F.max_pool2d(x, kernel, _pair(a, "strides"), 0, _pair(a, "dilations"), bool(a.get("ceil_mode", 0)))


def _average_pool(a: Attributes, x: Tensor) -> Tensor:
    kernel, pads = list(a["kernel_shape"]), _pads(a, x, list(a["kernel_shape"]))
    if a.get("ceil_mode", 0) or _pair(a, "dilations") != [1, 1]:
        raise refuse("AveragePool", "ceil_mode or dilations")
    pooled = F.avg_pool2d(F.pad(x, pads), kernel, _pair(a, "strides"))
    if a.get("count_include_pad", 0) or not any(pads):
        return pooled
    share = F.avg_pool2d(F.pad(torch.ones_like(x[:1, :1]), pads), kernel, _pair(a, "strides"))
    return pooled / share


def _pad(
    a: Attributes,
    x: Tensor,
    pads: Tensor | None = None,
    value: Tensor | None = None,
    axes: Tensor | None = None,
) -> Tensor:
    given, mode = numbers(a, "pads", pads) or [], a.get("mode", "constant")
    dims = numbers(a, "axes", axes) or list(range(x.ndim))
    if mode not in _MODES:
        raise refuse("Pad", f"the mode {mode!r}")
    amounts = {dim % x.ndim: (given[i], given[i + len(dims)]) for i, dim in enumerate(dims)}
    if any(any(amounts.get(dim, (0, 0))) for dim in range(x.ndim - 2)):
        raise refuse("Pad", "padding of batch or channels")
    flat = [amount for dim in (x.ndim - 1, x.ndim - 2) for amount in amounts.get(dim, (0, 0))]
    bounded("Pad", [*x.shape[:-2], x.shape[-1] + flat[0] + flat[1], x.shape[-2] + flat[2] + flat[3]], x)
    if mode == "constant":
        return F.pad(x, flat, value=float(a.get("value", 0.0) if value is None else value))
    return F.pad(x, flat, mode=_MODES[mode])


def _resize(
    a: Attributes,
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
) -> Tensor:
    mode, where = a.get("mode", "nearest"), a.get("coordinate_transformation_mode", "half_pixel")
    if a.get("antialias", 0) or a.get("axes") is not None or a.get("exclude_outside", 0):
        raise refuse("Resize", "antialias, axes or exclude_outside")
    if sizes is not None and sizes.numel():
        wanted = [int(size) for size in sizes.tolist()[-2:]]
    elif scales is not None and scales.numel():
        wanted = [int(size * scale) for size, scale in zip(x.shape[-2:], scales.tolist()[-2:], strict=True)]
    else:
        raise refuse("Resize", "neither sizes nor scales")
    bounded("Resize", [*x.shape[:-2], *wanted], x)
    if mode == "nearest":
        return _nearest(x, wanted, where, a.get("nearest_mode", "round_prefer_floor"))
    if mode in ("linear", "cubic") and where in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        if mode == "cubic" and a.get("cubic_coeff_a", -0.75) != -0.75:
            raise refuse("Resize", "another cubic kernel than a = -0.75")
        kind = "bilinear" if mode == "linear" else "bicubic"
        return F.interpolate(x, size=wanted, mode=kind, align_corners=where == "align_corners")
    raise refuse("Resize", f"mode {mode!r} and coordinates {where!r}")


def _nearest(x: Tensor, wanted: list[int], where: str, rounding: str) -> Tensor:
    """Nearest neighbour, where it does not hang on how halves are rounded: by whole factors, or as torch has it."""
    whole = all(size % old == 0 for size, old in zip(wanted, x.shape[-2:], strict=True))
    upwards = where in ("half_pixel", "pytorch_half_pixel") or (where, rounding) == ("asymmetric", "floor")
    if not (whole and upwards) and (where, rounding) != ("asymmetric", "floor"):
        raise refuse("Resize", f"nearest, coordinates {where!r} and rounding {rounding!r}")
    return F.interpolate(x, size=wanted, mode="nearest")


def _upsample(a: Attributes, x: Tensor, scales: Tensor | None = None) -> Tensor:
    if a.get("mode", "nearest") != "nearest":
        raise refuse("Upsample", "another mode than nearest")
    factors = torch.tensor(a["scales"]) if scales is None else scales
    return _resize(
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        x,
        None,
        factors,
    )


def _batch_norm(
    a: Attributes, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    if a.get("training_mode", 0):
        raise refuse("BatchNormalization", "training_mode, whose result hangs on the batch,")
    return F.batch_norm(x, mean, variance, scale, bias, training=False, eps=a.get("epsilon", 1e-5))


def _instance_norm(a: Attributes, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return F.instance_norm(x, weight=scale, bias=bias, eps=a.get("epsilon", 1e-5))


def _group_norm(a: Attributes, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    groups, channels = a["num_groups"], x.shape[1]
    if scale.numel() != channels:  # one factor per group in operator set 18
        scale, bias = (part.repeat_interleave(channels // groups) for part in (scale, bias))
    return F.group_norm(x, groups, scale, bias, a.get("epsilon", 1e-5))


def _layer_norm(a: Attributes, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    axis = a.get("axis", -1) % x.ndim
    return F.layer_norm(x, x.shape[axis:], scale, bias, a.get("epsilon", 1e-5))


def _depth_to_space(a: Attributes, x: Tensor) -> Tensor:
    size, (batch, channels, height, width) = a["blocksize"], x.shape
    if a.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, size)
    blocks = x.reshape(batch, size, size, channels // size**2, height, width)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(batch, -1, height * size, width * size)


def _space_to_depth(a: Attributes, x: Tensor) -> Tensor:
    size, (batch, channels, height, width) = a["blocksize"], x.shape
    blocks = x.reshape(batch, channels, height // size, size, width // size, size)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(batch, -1, height // size, width // size)


CONVOLUTIONS: dict[str, Operation] = {"Conv": _conv, "ConvTranspose": _conv_transpose}
SPATIAL: dict[str, Operation] = {
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": lambda a, x: x.mean((-2, -1), keepdim=True),
    "GlobalMaxPool": lambda a, x: x.amax((-2, -1), keepdim=True),
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _upsample,
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "LayerNormalization": _layer_norm,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}

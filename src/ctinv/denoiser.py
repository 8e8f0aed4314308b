"""Denoiser: a frozen network under study, HU in and HU out, with taps at its layers.

The method's f. HU are normalised here and nowhere else: ``f(x) = std * network((x - mean) / std) + mean``.

A denoiser of MR or PET images works in their unit instead; wherever HU stands here, read that unit.

A 2.5-D network sees a slice between its neighbours: an odd number S of slices goes in as channels, the middle one is the
slice that is denoised, and one channel comes out. Beyond the first and the last slice of a volume that slice is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ctinv.errors import InputError, ModelError

INPUT, OUTPUT = "input", "output"
SLICES = (1, 3, 5, 7)
_BORDER_PROBES = (
    96,
    128,
)  # sides of two images; a border that is the same on both is one of unpadded convolutions


class _TapReached(Exception):
    """Ends a forward pass once the tapped layer has spoken; carries its activation."""

    def __init__(self, activation: Tensor) -> None:
        self.activation = activation


class Denoiser(nn.Module):
    """A frozen network with named taps and its HU normalisation.

    Args:
        network: Normalised slices in, normalised image out, (B, S, H, W) to (B, 1, H, W). It is put in eval mode and
            frozen.
        name: Short name for provenance, layer names and messages.
        mean: HU value that the network sees as 0.
        std: HU that the network sees as 1.
        taps: Public tap name to submodule path. ``"input"`` and ``"output"`` are added.
        weights_sha256: File name to sha256 of every weight file, for provenance.
        slices: S, how many neighbouring slices the network sees: 1, 3, 5 or 7. The middle one is denoised.
        unit: Unit of the images it was made for, ``"HU"`` for CT; empty where that is not known.
        notes: How the network came in and how its convention is known, one sentence each.

    Raises:
        InputError: A tap has a reserved name, or the number of slices is none of these.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        mean: float = 0.0,
        std: float = 1.0,
        taps: Mapping[str, str] | None = None,
        weights_sha256: Mapping[str, str] | None = None,
        slices: int = 1,
        unit: str = "",
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        if slices not in SLICES:
            raise InputError(f"expected a network of {', '.join(map(str, SLICES))} slices, got {slices}.")
        # Convolutions on a CPU run up to 1.7 times faster on weights laid out this way; the numbers agree to rounding.
        self.network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.name = name
        self.mean = float(mean)
        self.std = float(std)
        self.tap_paths = dict(taps or {})
        for tap, path in self.tap_paths.items():
            if tap in (INPUT, OUTPUT):
                raise InputError(
                    f"the tap name {tap!r} is reserved; choose another name for the submodule {path!r}."
                )
            network.get_submodule(path)
        self.weights_sha256 = dict(weights_sha256 or {})
        self.slices = slices
        self.notes = notes
        self.unit = unit
        self._borders: dict[str, int] = {}

    @property
    def taps(self) -> tuple[str, ...]:
        """All tap names in the order of the data flow."""
        return (INPUT, *self.tap_paths, OUTPUT)

    def check_tap(self, tap: str) -> None:
        """Raise InputError, listing the taps, unless this denoiser has this one."""
        if tap not in self.taps:
            raise InputError(
                f"the denoiser {self.name} has no tap {tap!r}; choose one of {', '.join(self.taps)}."
            )

    def check_unit(self, unit: str) -> None:
        """Raise InputError if this denoiser is known to be made for images in another unit than this one."""
        if self.unit and self.unit != unit:
            raise InputError(
                f"{self.name} was made for images in {self.unit}, and this image is in {unit}; choose another denoiser."
            )

    def train(self, mode: bool = True) -> Denoiser:
        """A denoiser under study stays in eval mode whatever is asked."""
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        """Denoise the middle slice, (B, S, H, W) HU to (B, 1, H, W) HU.

        Raises:
            InputError: Another number of slices came.
            ModelError: The network's output is no single image of the input's size.
        """
        middle = self.middle(x)
        output: Tensor = self.network((x - self.mean) / self.std)
        if output.shape != middle.shape:
            raise ModelError(
                f"{self.name} made {tuple(output.shape)} of {tuple(x.shape)}; one image of the same size was expected."
            )
        return output * self.std + self.mean

    def middle(self, x: Tensor) -> Tensor:
        """The slice that is denoised, (B, S, H, W) to (B, 1, H, W).

        Raises:
            InputError: Another number of slices came.
        """
        if x.shape[-3] != self.slices:
            raise InputError(
                f"{self.name} denoises the middle one of {self.slices} slices, got {x.shape[-3]}; give (B, "
                f"{self.slices}, H, W)."
            )
        return x if self.slices == 1 else x.narrow(-3, self.slices // 2, 1)

    def activation(self, x: Tensor, tap: str) -> Tensor:
        """Φ(x) at a tap: (B, S, H, W) HU to (B, C, H', W').

        It is in HU at ``"input"``, the middle slice, and at ``"output"``, else in the network's own unit. A layer behind
        unpadded convolutions lacks an equal border on all sides; it is put back on the image's grid with zeros there,
        which do not depend on x. Other grids stay as they are.
        The pass ends at the tapped layer, and the hook is removed whatever happens.
        """
        self.check_tap(tap)
        if tap == INPUT:
            return self.middle(x)
        if tap == OUTPUT:
            return self(x)
        activation = self._tapped(x, tap)
        if activation.shape[-2:] == x.shape[-2:]:
            return activation
        border = self._border(tap)
        return F.pad(activation, [border] * 4) if border else activation

    def with_tap_of(self, x: Tensor, other: Tensor, tap: str) -> Tensor:
        """f(x) with an inner layer made to say what it says of another image; both (B, S, H, W) HU."""
        said = self._tapped(other, tap)
        layer = self.network.get_submodule(self.tap_paths[tap])
        handle = layer.register_forward_hook(lambda _module, _inputs, _output: said)
        try:
            output: Tensor = self(x)
        finally:
            handle.remove()
        return output

    def _border(self, tap: str) -> int:
        """Pixels that unpadded convolutions take off each side before a tap; 0 where its grid differs otherwise."""
        if tap not in self._borders:
            weight = next(self.parameters(), torch.empty(0))
            lost = set()
            for side in _BORDER_PROBES:
                with torch.inference_mode():
                    shape = self._tapped(weight.new_zeros(1, self.slices, side, side), tap).shape
                lost |= {side - shape[-2], side - shape[-1]}
            only = lost.pop() if len(lost) == 1 else 0
            self._borders[tap] = only // 2 if only > 0 and only % 2 == 0 else 0
        return self._borders[tap]

    def _tapped(self, x: Tensor, tap: str) -> Tensor:
        """What the tapped layer gives, on its own grid."""

        def stop(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            raise _TapReached(output)

        handle = self.network.get_submodule(self.tap_paths[tap]).register_forward_hook(stop)
        try:
            self.network((x - self.mean) / self.std)
        except _TapReached as reached:
            return reached.activation
        finally:
            handle.remove()
        raise InputError(
            f"the layer {self.tap_paths[tap]!r} of {self.name} did not run, so nothing can be tapped there."
        )


def pick_device(device: str) -> torch.device:
    """``"auto"`` is the GPU if there is one, else the CPU.

    Raises:
        InputError: The device does not exist here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"there is no device {device!r}; choose auto, cpu, cuda or cuda:0.") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"the device {device!r} was asked for, but no CUDA GPU is available; use --device cpu."
        )
    return chosen


def slice_stack(hu: NDArray[np.float32], z: int, slices: int) -> NDArray[np.float32]:
    """Slice z of (Z, H, W) between its neighbours, in the order of the volume: (S, H, W).

    Beyond its ends the first or last slice is repeated, as there is nothing else to show a 2.5-D network there.
    """
    reach = slices // 2
    return np.ascontiguousarray(hu[np.clip(np.arange(z - reach, z + reach + 1), 0, len(hu) - 1)])


def denoise_slices(
    denoiser: nn.Module,
    hu: NDArray[np.float32],
    *,
    first: int = 0,
    last: int | None = None,
    batch_size: int = 1,
) -> Iterator[NDArray[np.float32]]:
    """f of slices in turn, (H, W) HU each, on the device the denoiser is on.

    Args:
        denoiser: A `Denoiser`, or any module from (B, 1, H, W) to (B, 1, H, W) HU.
        hu: (Z, H, W) HU, the whole scan: the neighbours that a 2.5-D network sees are taken from it, and at its ends
            the first or last slice is repeated.
        first, last: Slices first to last (exclusive) are denoised; all by default.
        batch_size: Slices per pass.
    """
    weight = next(denoiser.parameters(), None)
    slices = int(getattr(denoiser, "slices", 1))
    last = len(hu) if last is None else last
    for start in range(first, last, batch_size):
        stacks = [slice_stack(hu, z, slices) for z in range(start, min(start + batch_size, last))]
        with torch.inference_mode():
            images = torch.from_numpy(np.stack(stacks)).to("cpu" if weight is None else weight.device)
            denoised: NDArray[np.float32] = denoiser(images)[:, 0].cpu().numpy()
        yield from denoised


def load_denoiser(
    source: str | Path | nn.Module,
    *,
    device: str | torch.device = "cpu",
    network: str | None = None,
    card: str | Path | Mapping[str, Any] | None = None,
    trust: str | None = None,
) -> Denoiser:
    """Load a denoiser: a shipped one by its name (``"cnn10"``), or the user's own; safe by default.

    Bundles, files of weights and ONNX files are read as data. Code runs only where it is named by the user:
    ``"module:function"`` calls an installed function. Code of others (TorchScript, ``.pt2``, pickles, bundles with
    expressions) needs its sha256 as ``trust`` or in the user's list, and runs in a child process with limits.

    Args:
        source: Shipped name, bundle folder, file of weights (``.safetensors``, ``.pt``, ``.pth``, ``.ckpt``), ``.onnx``,
            ``"module:function"``, or a module.
        device: Where the denoiser goes.
        network: Class that a file of weights belongs to: a key of ``ctinv.networks.NETWORKS`` or ``monai.networks.nets.…``.
        card: What the file does not say of itself, as a mapping or the path of a TOML or JSON file (`ctinv.models.card`);
            by default the card beside the source, if there is one.
        trust: sha256 of a file or bundle that runs code (`ctinv.models.would_run` says which).

    Raises:
        ModelError: The network is unknown, damaged, not allowed, or no denoiser that can be studied.
        TrustError: It would run code, and its sha256 is not trusted.
    """
    from ctinv.models.factory import call_factory, is_factory  # only this function reads files
    from ctinv.models.ladder import find_network

    if isinstance(source, str) and is_factory(source):
        source = call_factory(source)
    if isinstance(source, Denoiser):
        if network is not None or card is not None:
            raise ModelError(f"{source.name} is a whole denoiser already; leave network and card out.")
        return source.to(device)
    found = find_network(source, network=network, card=card, trust=trust)
    denoiser = Denoiser(
        found.network,
        name=found.name,
        mean=found.mean,
        std=found.std,
        taps=found.taps,
        weights_sha256=found.weights_sha256,
        slices=found.slices,
        unit=found.unit,
        notes=found.notes,
    )
    return denoiser.to(device)

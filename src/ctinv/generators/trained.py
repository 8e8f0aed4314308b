"""A trained generator on a scan: the window it sees, the numbers it draws, the candidates it proposes.

It works on a window around the region, aligned to the latent's grid of the slice and wide enough that the window's border is
not felt inside. What the latents are drawn from, the embedding and the trunk of f(x), is computed once per region.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ctinv.denoiser import OUTPUT
from ctinv.errors import InputError, ModelError
from ctinv.fibre.region import grow
from ctinv.fibre.rows import CANDIDATE, RowSeeds
from ctinv.generators.contract import Scene
from ctinv.generators.kinds import KINDS, Domain
from ctinv.generators.library import INFERENCE, Entry
from ctinv.generators.model import GeneratorModel
from ctinv.models.files import inside, naming, read_bytes, read_object, sha256
from ctinv.models.literals import Definition
from ctinv.models.weights import fill, read_safetensors
from ctinv.networks.autoencoders import AUTOENCODERS
from ctinv.networks.flows import FLOWS
from ctinv.volume import Box

_MISFITS = (TypeError, ValueError, ArithmeticError, RuntimeError, AssertionError, AttributeError, LookupError)
MARGIN = 16  # pixels of the window beyond what is used; what D sees further away moves a pixel little
_PIXELS_PER_PASS = {"cpu": 2**19, "cuda": 2**23}
_MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    "autoencoder": ("ctinv.networks.autoencoders.", dict(AUTOENCODERS)),
    "flow": ("ctinv.networks.flows.", dict(FLOWS)),
}


@dataclass(frozen=True)
class Trained:
    """A trained generator at one tap, before it has seen a scan.

    Attributes:
        entry: Its bundle.
        tap: One of the bundle's.
    """

    entry: Entry
    tap: str

    @property
    def name(self) -> str:
        """Its kind."""
        return self.entry.kind

    @property
    def domain(self) -> Domain:
        """Which kind of image it proposes."""
        return KINDS[self.entry.kind].domain

    @property
    def weights_sha256(self) -> Mapping[str, str]:
        """The files of this tap."""
        hashes = self.entry.about["weights_sha256"]
        return {file: str(hashes[file]) for file in self._files()}

    def on(self, scene: Scene) -> TrainedGenerator:
        """The generator of one region."""
        return TrainedGenerator(self.load(scene.clean.device), scene)

    def load(self, device: torch.device) -> GeneratorModel:
        """The networks, read as data.

        Raises:
            ModelError: The bundle is damaged, or asks for more than a registered class and literals.
        """
        with naming(self.entry.folder.name):
            return self._load(device)

    def _load(self, device: torch.device) -> GeneratorModel:
        about = self.entry.about
        parts = {role: self._part(role) for role in _MODULES}
        try:
            model = GeneratorModel(
                self.entry.kind,
                autoencoder=parts["autoencoder"],
                flow=parts["flow"],
                mean=float(about["mean_hu"]),
                std=float(about["std_hu"]),
                scale=float(about["scale_hu"]),
            )
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise ModelError(f"the bundle {self.entry.folder.name} is damaged; get it again.") from error
        return model.to(device).eval().requires_grad_(False)

    def _files(self) -> list[str]:
        parts = self.entry.about["taps"][self.tap]
        return [str(parts[role]["file"]) for role in _MODULES if parts.get(role)]

    def _part(self, role: str) -> Any:
        """Autoencoder or flow with its weights, None where the kind has none."""
        part = self.entry.about["taps"][self.tap].get(role)
        if not part:
            return None
        folder = self.entry.folder
        config = read_object(inside(folder, INFERENCE), bare=f"inference.json of {folder.name}")
        target, arguments = Definition(config).read(part["definition"])
        prefix, known = _MODULES[role]
        kind = known.get(target.removeprefix(prefix)) if target.startswith(prefix) else None
        if kind is None:
            raise ModelError(f"{target[:60]!r} is not allowed as {role}; get the bundle again.")
        try:
            with torch.random.fork_rng(devices=[]):
                network = kind(**arguments)
        except _MISFITS as error:
            raise ModelError(
                f"the arguments of {target[:60]} do not fit the class; get the bundle again."
            ) from error
        file = str(part["file"])
        if Path(file).name != file:
            raise ModelError(f"{file[:60]!r} is no file of the bundle; get it again.")
        content = read_bytes(inside(folder, f"models/{file}"))
        if sha256(content) != self.entry.about["weights_sha256"].get(file):
            raise ModelError(
                f"{file} of {self.entry.folder.name} is not the file that its metadata name; get it again."
            )
        fill(network, read_safetensors(content, file), file, cast=True)  # some are stored in half precision
        return network


class TrainedGenerator:
    """Candidates of a trained generator on one region.

    Args:
        model: The networks.
        scene: The region.

    Raises:
        InputError: The generator makes patches of one size, and the region does not fit into one.
    """

    def __init__(self, model: GeneratorModel, scene: Scene) -> None:
        self.model, self.scene = model, scene
        self.window = _window(model, scene)
        self._padding = _padding(self.window, (int(scene.clean.shape[0]), int(scene.clean.shape[1])))
        with torch.inference_mode():
            self.frame = model.frame(self._cut(scene.clean[None, None]), self._phi())

    def candidates(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        """One candidate per row, (B, 1, h, w) HU."""
        return self._proposed(rows, seeds, self.scene.region.box)

    def around(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        """The same candidates with their own surroundings, (B, 1, H2, W2) HU on the region's context box."""
        return self._proposed(rows, seeds, self.scene.region.context_box)

    def reconstruct(self) -> Tensor:
        """(1, 1, h, w) HU: D(E(x)) on the region, what the autoencoder alone makes of the scan."""
        middle = self.scene.region.representation.denoiser.middle(self.scene.scan[None])
        with torch.inference_mode():
            return self._part(self.model.reconstruct(self._cut(middle), self.frame), self.scene.region.box)

    def _proposed(self, rows: Sequence[int], seeds: RowSeeds, box: Box) -> Tensor:
        shape = self.model.latent_shape(self.frame.size)
        device = self.scene.clean.device
        pixels = self.frame.size[0] * self.frame.size[1]
        most = max(1, _PIXELS_PER_PASS.get(device.type, _PIXELS_PER_PASS["cpu"]) // pixels)
        found = []
        for start in range(0, len(rows), most):
            part = rows[start : start + most]
            size = int(torch.Size(shape).numel())
            v = torch.from_numpy(seeds.normal(part, size, CANDIDATE)).to(device).reshape(len(part), *shape)
            with torch.inference_mode():
                found.append(self._part(self.model.propose(v, self.frame), box).clone())
        return torch.cat(found)

    def _phi(self) -> Tensor:
        """Φ(x) on the window, computed with all that it sees of the slice."""
        representation = self.scene.region.representation
        if representation.tap == OUTPUT:
            return self._cut(self.scene.clean[None, None])
        shape = (int(self.scene.clean.shape[0]), int(self.scene.clean.shape[1]))
        inside = grow(self.window, 0, shape)
        seen = grow(inside, max(self.scene.region.tap_radius, 1), shape)
        phi = representation(self.scene.scan[None, :, seen.slices[0], seen.slices[1]])
        top, left = inside.y0 - seen.y0, inside.x0 - seen.x0
        height, width = inside.shape
        return F.pad(phi[..., top : top + height, left : left + width], self._padding, mode="replicate")

    def _cut(self, image: Tensor) -> Tensor:
        """The window of (1, 1, H, W), its last pixels repeated beyond the slice."""
        height, width = image.shape[-2:]
        inside = grow(self.window, 0, (int(height), int(width)))
        part = image[..., inside.slices[0], inside.slices[1]].contiguous()
        return F.pad(part, self._padding, mode="replicate")

    def _part(self, images: Tensor, box: Box) -> Tensor:
        top, left = box.y0 - self.window.y0, box.x0 - self.window.x0
        height, width = box.shape
        return images[..., top : top + height, left : left + width]


def _window(model: GeneratorModel, scene: Scene) -> Box:
    """The window: the context box with its margin, on the grid of the latent; it may end beyond the slice."""
    wanted = scene.region.context_box
    if model.patch is not None:
        return _patch(model.patch, wanted, (int(scene.clean.shape[0]), int(scene.clean.shape[1])))
    step = model.multiple
    grown = grow(wanted, MARGIN, cast(tuple[int, int], tuple(scene.clean.shape)))
    return Box(
        grown.z,
        grown.y0 // step * step,
        -(-grown.y1 // step) * step,
        grown.x0 // step * step,
        -(-grown.x1 // step) * step,
    )


def _patch(edge: int, wanted: Box, shape: tuple[int, int]) -> Box:
    """The one patch of this edge around a box, inside the slice."""
    if max(wanted.shape) > edge or min(shape) < edge:
        raise InputError(
            f"this generator makes patches of {edge} x {edge} pixels; with what f sees around it, the region takes "
            f"{wanted.shape[0]} x {wanted.shape[1]}: choose a smaller one."
        )
    y0 = min(max((wanted.y0 + wanted.y1 - edge) // 2, 0), shape[0] - edge)
    x0 = min(max((wanted.x0 + wanted.x1 - edge) // 2, 0), shape[1] - edge)
    return Box(wanted.z, y0, y0 + edge, x0, x0 + edge)


def _padding(window: Box, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Pixels of the window beyond the slice: left, right, top, bottom; it begins inside."""
    return (0, max(0, window.x1 - shape[1]), 0, max(0, window.y1 - shape[0]))

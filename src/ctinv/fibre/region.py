"""A region inside its slice, and what f does to it (method §4, last paragraph).

The outside of the region stays the scan. Changing the region changes f on the region and on a halo of the
receptive-field radius r around it, the *output box*; to compute f there exactly, the inputs of two radii around the
region are needed, the *context box*. At the border of the slice both are clipped and the network's own padding acts as
it does on the whole slice.

A 2.5-D network also sees neighbouring slices. They are the patient as scanned, a fixed context like the outside of the
region: only the middle slice's region varies, and C is the noise of that slice.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ctinv.denoiser import OUTPUT
from ctinv.errors import InputError, ModelError
from ctinv.fibre.heard import Heard, unheard
from ctinv.representation import Representation
from ctinv.volume import Box

LARGEST_RADIUS = 64
MOST = 25
"""Images through f at once, at the most."""
# Measured at 92 x 92 pixels: five images per pass keep the activations in a CPU's cache, 1.7 times faster than 25.
_PIXELS_PER_PASS = {"cpu": 5 * 96 * 96, "cuda": 25 * 256 * 256}


def receptive_radius(representation: Representation, *, trials: int = 4) -> int:
    """Radius of the receptive field in pixels, found by probing.

    One pixel of a random image is changed and the outputs that move are collected, in float64 so that rounding cannot be
    mistaken for influence. Several backgrounds are tried, as a ReLU that is off hides a path. For a network of several
    slices the pixel lies in the middle one, the only one that varies.

    Raises:
        ModelError: The tap has another grid than the image, or every output moves: the network is not local.
    """
    probe = Representation(copy.deepcopy(representation.denoiser).double().cpu(), representation.tap)
    for limit in (
        12,
        32,
        LARGEST_RADIUS,
    ):  # small images first: most networks are local and this takes milliseconds
        reach = max(_reach(probe, limit + 1, torch.Generator().manual_seed(trial)) for trial in range(trials))
        if reach <= limit:
            return reach
    raise ModelError(
        f"{representation.denoiser.name} at {representation.tap!r} sees more than {LARGEST_RADIUS} pixels "
        "around each pixel; only networks with a smaller receptive field can be studied in a region."
    )


def _reach(probe: Representation, margin: int, generator: torch.Generator) -> int:
    """How far one changed pixel is felt on an image with this margin around it."""
    size = 2 * margin + 1
    shape = (1, probe.denoiser.slices, size, size)
    image = 400.0 * torch.randn(shape, generator=generator, dtype=torch.float64) - 200.0
    moved = image.clone()
    probe.denoiser.middle(moved)[..., margin, margin] += 700.0
    with torch.inference_mode():
        difference = (probe(moved) - probe(image)).abs().amax(dim=(0, 1))
    if difference.shape != (size, size):
        raise ModelError(
            f"the tap {probe.tap!r} of {probe.denoiser.name} has a grid of {tuple(difference.shape)} for an image of "
            f"{size} x {size}; only taps on the image's own grid can be studied."
        )
    rows, columns = torch.nonzero(difference > 1e-12 * difference.max(), as_tuple=True)
    return max(int((rows - margin).abs().max()), int((columns - margin).abs().max())) if len(rows) else 0


def grow(box: Box, radius: int, shape: tuple[int, int]) -> Box:
    """A box grown on all sides by a radius and clipped to a slice of this (H, W) shape."""
    height, width = shape
    return Box(
        box.z,
        max(box.y0 - radius, 0),
        min(box.y1 + radius, height),
        max(box.x0 - radius, 0),
        min(box.x1 + radius, width),
    )


@dataclass(frozen=True, eq=False)
class Region:
    """One region of one slice together with the network that looks at it.

    Attributes:
        representation: Φ, the denoiser at its tap.
        box: The region, in the voxels of the slice.
        output_box: The region and its halo, where f may change.
        context_box: What must be known of the slice to compute f on the output box.
        radius: Receptive-field radius of f at its output.
        tap_radius: Receptive-field radius of Φ.
        context: (1, S, H2, W2) HU, the scan on the context box: the slice between the neighbours that f sees.
        reference: (1, C, H', W') Φ(x) on the output box, z0.
        reference_output: (1, 1, H', W') f(x) on the output box in HU.
        most: Images that may go through f at once, where memory is short.
    """

    representation: Representation
    box: Box
    output_box: Box
    context_box: Box
    radius: int
    tap_radius: int
    context: Tensor
    reference: Tensor
    reference_output: Tensor
    most: int = MOST

    @classmethod
    def in_slice(cls, representation: Representation, scan: Tensor, box: Box) -> Region:
        """Prepare a region of a slice.

        Args:
            representation: Φ.
            scan: (H, W) float32, the whole slice in HU, on the device to compute on; for a network of S slices
                (S, H, W), the slice between its neighbours (`ctinv.denoiser.slice_stack`).
            box: The region.

        Raises:
            InputError: The slice holds values that are not finite.
            ModelError: The network is not local, or computes something else on the region than on the whole slice.
        """
        if not bool(torch.isfinite(scan).all()):
            raise InputError(
                "the slice holds values that are not finite; a CT number was expected in every voxel."
            )
        scan = scan if scan.ndim == 3 else scan[None]
        shape = (int(scan.shape[1]), int(scan.shape[2]))
        output = Representation(representation.denoiser, OUTPUT)
        radius = receptive_radius(output)
        tap_radius = radius if representation.tap == OUTPUT else receptive_radius(representation)
        reach = max(radius, tap_radius)
        output_box, context_box = grow(box, reach, shape), grow(box, 2 * reach, shape)
        context = scan[None, :, context_box.slices[0], context_box.slices[1]].contiguous()
        inner = _inside(output_box, context_box)
        with torch.inference_mode():
            reference_output = output(context)[..., inner[0], inner[1]].clone()
            reference = (
                reference_output
                if representation.tap == OUTPUT
                else representation(context)[..., inner[0], inner[1]].clone()
            )
            whole = output(scan[None])[..., output_box.slices[0], output_box.slices[1]]
        deviation = float((whole - reference_output).abs().max())
        if not deviation <= 1e-5 * (float(scan.abs().max()) + representation.denoiser.std):
            raise ModelError(
                f"{representation.denoiser.name} gives another result on a region than on its slice "
                f"(by {deviation:.3g}); a network that uses the whole image cannot be studied in a region."
            )
        return cls(
            representation,
            box,
            output_box,
            context_box,
            radius,
            tap_radius,
            context,
            reference,
            reference_output,
        )

    @property
    def scan(self) -> Tensor:
        """(1, 1, h, w) HU: the scan on the region, x."""
        rows, columns = _inside(self.box, self.context_box)
        return self.representation.denoiser.middle(self.context)[..., rows, columns]

    @property
    def images_per_pass(self) -> int:
        """Images that go through f at once: fixed by their size, so a row's arithmetic never depends on n."""
        pixels = _PIXELS_PER_PASS.get(self.context.device.type, _PIXELS_PER_PASS["cpu"])
        return max(1, min(self.most, pixels // self.context[0, 0].numel()))

    def within(self, most: int) -> Region:
        """The same region with fewer images through f at once."""
        return self if most >= self.most else replace(self, most=most)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the region."""
        return self.box.shape

    def embed(self, patches: Tensor) -> Tensor:
        """Put (B, 1, h, w) patches of the region into the scan: (B, S, H2, W2)."""
        images = self.context.expand(patches.shape[0], -1, -1, -1).clone()
        rows, columns = _inside(self.box, self.context_box)
        self.representation.denoiser.middle(images)[..., rows, columns] = patches
        return images

    def at(self, scan: Tensor) -> Region:
        """The same region with another scan on it, (1, 1, h, w) HU: the surroundings stay, Φ and f are taken anew."""
        context = self.embed(scan.to(self.context))
        with torch.inference_mode():
            output = self.look(context, OUTPUT).clone()
            inner = output if self.representation.tap == OUTPUT else self.look(context).clone()
        return replace(self, context=context, reference=inner, reference_output=output)

    def between_neighbours(self, slices: Tensor) -> Tensor:
        """Put (B, 1, H2, W2) images of the slice on the context box between its neighbours: (B, S, H2, W2)."""
        images = self.context.expand(slices.shape[0], -1, -1, -1).clone()
        self.representation.denoiser.middle(images)[...] = slices
        return images

    def look(self, images: Tensor, tap: str | None = None) -> Tensor:
        """Φ, or another tap, of images on the context box: (B, S, H2, W2) to (B, C, H', W')."""
        rows, columns = _inside(self.output_box, self.context_box)
        activation = self.representation.denoiser.activation(
            images, self.representation.tap if tap is None else tap
        )
        return activation[..., rows, columns]

    def errors(self, patches: Tensor, *, heard: Heard = unheard) -> tuple[Tensor, Tensor]:
        """Feed patches back: f(x̃) - f(x) and Φ(x̃) - Φ(x) on the output box.

        Args:
            patches: (B, 1, h, w) HU.
            heard: Called before each pass.

        Returns:
            (B, 1, H', W') in HU and (B, C, H', W') in the tap's unit; the same tensor twice at the output.
        """
        out, inner = [], []
        with torch.inference_mode():
            for part in patches.split(self.images_per_pass):
                heard()
                images = self.embed(_filled(part, self.images_per_pass))
                error = (self.look(images, OUTPUT) - self.reference_output)[: len(part)]
                out.append(error)
                if self.representation.tap != OUTPUT:
                    inner.append((self.look(images) - self.reference)[: len(part)])
        output = torch.cat(out)
        return output, torch.cat(inner) if inner else output

    @property
    def halo(self) -> tuple[slice, slice]:
        """Where the region lies in the output box."""
        return _inside(self.box, self.output_box)


def _inside(inner: Box, outer: Box) -> tuple[slice, slice]:
    top, left = inner.y0 - outer.y0, inner.x0 - outer.x0
    height, width = inner.shape
    return slice(top, top + height), slice(left, left + width)


def _filled(part: Tensor, count: int) -> Tensor:
    """Fill a short batch up with its last image."""
    missing = count - len(part)
    return torch.cat([part, part[-1:].expand(missing, -1, -1, -1)]) if missing else part

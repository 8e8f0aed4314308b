"""J as a matrix, by coloured probing.

Pixels that lie 2r+1 apart in both directions share no output within r pixels of them. One forward-mode product (JVP) with
ones at all of them therefore yields all their columns at once, and (2r+1)² products yield the whole J of a network whose
receptive-field radius is r (Curtis, Powell and Reid, IMA J. Appl. Math. 13, 1974).

With an r below the receptive-field radius R the products are fewer, and J_r is J with two errors: entries beyond r are
lost (truncation), and what a pixel does there is booked on the pixel probed with it that is nearest (alias). How small
they are is measured in `ctinv.fibre.reach`; nothing is truncated here that was not asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ctinv.fibre.jacobian import LocalJacobian, Reach, SparseJacobian
from ctinv.fibre.region import Region, grow
from ctinv.progress import Progress
from ctinv.volume import Box

Colour = tuple[int, int]
_Entries = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


def probe(region: Region, *, radius: int | None = None, progress: Progress | None = None) -> SparseJacobian:
    """J_r at the scan, by (2r+1)² products.

    Args:
        region: The region.
        radius: r; by default the receptive-field radius of the tap, which gives the whole J.
        progress: Called with a phrase and the finished share.
    """
    whole = radius is None or radius >= region.tap_radius
    near = region if radius is None or whole else narrowed(region, radius)
    period = 2 * near.tap_radius + 1
    height, width = region.shape
    colours = [(y, x) for y in range(min(period, height)) for x in range(min(period, width))]
    parts = []
    for done, (colour, answer) in enumerate(answers(near, colours, period)):
        if progress is not None:
            progress("taking the Jacobian", done / len(colours))
        parts.append(_entries(answer, colour, near, region))
    rows, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    shape = (int(np.prod(region.reference.shape[1:])), height * width)
    reach = Reach(near.tap_radius, region.tap_radius, 0.0 if whole else float("nan"))
    return SparseJacobian.from_entries(rows, columns, values, shape, reach).to(region.scan.device)


def answers(
    region: Region, colours: Sequence[Colour], period: int
) -> Iterator[tuple[Colour, NDArray[np.float32]]]:
    """The (C, H', W') answer of Φ's linearisation to ones at every `period`-th pixel, for each colour (y, x)."""
    jacobian = LocalJacobian(region, region.scan)
    size = jacobian.columns_per_pass
    for start in range(0, len(colours), size):
        group = colours[start : start + size]
        probes = region.scan.new_zeros(len(group), 1, *region.shape)
        for index, (y, x) in enumerate(group):
            probes[index, 0, y::period, x::period] = 1.0
        pushed = jacobian.apply(probes.reshape(len(group), -1).T).T
        images = pushed.reshape(len(group), *region.reference.shape[1:]).cpu().numpy()
        yield from zip(group, images, strict=True)


def narrowed(region: Region, radius: int) -> Region:
    """The same region with outputs only within a radius of it, and no more context than these need.

    Args:
        region: The region.
        radius: Below the tap's receptive-field radius R. The context is R wider than the outputs, so that the outputs
            that remain are what they were.
    """
    output_box, context_box = (
        grow(region.box, reach, (outer.y1, outer.x1))  # clipped where the region's own boxes are
        for reach, outer in (
            (radius, region.output_box),
            (radius + region.tap_radius, region.context_box),
        )
    )
    return replace(
        region,
        output_box=output_box,
        context_box=context_box,
        tap_radius=radius,
        context=_part(region.context, context_box, region.context_box).contiguous(),
        reference=_part(region.reference, output_box, region.output_box),
        reference_output=_part(region.reference_output, output_box, region.output_box),
    )


def _part(images: Tensor, inner: Box, outer: Box) -> Tensor:
    top, left = inner.y0 - outer.y0, inner.x0 - outer.x0
    return images[..., top : top + inner.shape[0], left : left + inner.shape[1]]


def _entries(answer: NDArray[np.float32], colour: Colour, near: Region, region: Region) -> _Entries:
    """Attribute the (C, H', W') answer of the near outputs to the pixels of a colour: entries of the region's J."""
    height, width = region.shape
    top, left = near.halo[0].start, near.halo[1].start
    pixel_rows, row_ok = _nearest(answer.shape[1], top, colour[0], height, near.tap_radius)
    pixel_columns, column_ok = _nearest(answer.shape[2], left, colour[1], width, near.tap_radius)
    values = np.where(row_ok[:, None] & column_ok[None, :], answer, 0.0)
    channel, y, x = np.nonzero(values)
    down, right = region.halo[0].start - top, region.halo[1].start - left
    _, all_rows, all_columns = region.reference.shape[1:]
    rows = (channel * all_rows + y + down) * all_columns + x + right
    return rows, pixel_rows[y] * width + pixel_columns[x], values[channel, y, x]


def _nearest(
    outputs: int, origin: int, colour: int, pixels: int, radius: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For each output along one axis the probed pixel within the radius, and whether there is one."""
    position = np.arange(outputs) - origin
    period = 2 * radius + 1
    pixel = colour + period * np.round((position - colour) / period).astype(np.int64)
    ok = (pixel >= 0) & (pixel < pixels) & (np.abs(position - pixel) <= radius)
    return np.clip(pixel, 0, pixels - 1), ok

"""The Jacobian J of Φ at the scan, from the pixels of the region to the outputs of the output box.

A network with receptive-field radius r has a J with at most (2r+1)² entries in a row. *Coloured probing*: pixels that lie
2r+1 apart in both directions share no output, so one forward-mode product (JVP) with ones at all of them yields all
their columns at once, and (2r+1)² products yield the whole J (Curtis, Powell and Reid, IMA J. Appl. Math. 13, 1974).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.fibre.region import Region

Progress = Callable[[str, float], None]
_OUTPUTS_AT_ONCE = 80
_PROBES_PER_IMAGE = (
    3  # measured: directions at one point are pushed fastest in threes for each image of a pass
)


class Jacobian(Protocol):
    """J of a region as a linear map between columns."""

    @property
    def outputs(self) -> int:
        """Outputs of Φ on the output box, m."""
        ...

    def apply(self, directions: Tensor) -> Tensor:
        """J d for (n, B) columns: (m, B)."""
        ...

    def adjoint(self, residuals: Tensor) -> Tensor:
        """Jᵀ r for (m, B) columns: (n, B)."""
        ...


@dataclass(frozen=True, eq=False)
class LocalJacobian:
    """J without a matrix, by forward- and reverse-mode differentiation (JVP and VJP).

    Attributes:
        region: The region.
        at: Where J is taken: (1, 1, h, w) HU for one point, or (B, 1, h, w) for a point of its own for each column.
    """

    region: Region
    at: Tensor

    @property
    def outputs(self) -> int:
        """Outputs of Φ on the output box, m."""
        return self.region.reference[0].numel()

    def apply(self, directions: Tensor) -> Tensor:
        """J d for (n, B) columns: (m, B)."""
        parts = []
        for points, columns in self._parts(directions):
            images = columns.T.reshape(points.shape)
            parts.append(self._push(points, images).reshape(len(points), -1).T)
        return torch.cat(parts, dim=1)

    def _push(self, points: Tensor, images: Tensor) -> Tensor:
        if len(self.at) > 1:
            pushed: Tensor = torch.func.jvp(self._look, (points.contiguous(),), (images,))[1]
            return pushed.detach()

        def push(image: Tensor) -> Tensor:  # one point for all: what depends on it alone is computed once
            tangent: Tensor = torch.func.jvp(self._look, (self.at,), (image[None],))[1]
            return tangent[0]

        together: Tensor = torch.func.vmap(push)(images)
        return together.detach()

    def adjoint(self, residuals: Tensor) -> Tensor:
        """Jᵀ r for (m, B) columns: (n, B)."""
        parts = []
        for points, columns in self._parts(residuals):
            leaf = points.detach().clone().requires_grad_(True)
            with torch.enable_grad():
                answer = self._look(leaf)
                (gradient,) = torch.autograd.grad(answer, leaf, columns.T.reshape(answer.shape))
            parts.append(gradient.reshape(len(points), -1).T)
        return torch.cat(parts, dim=1)

    def _look(self, patches: Tensor) -> Tensor:
        return self.region.look(self.region.embed(patches))

    def _parts(self, columns: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        points = self.at.expand(columns.shape[1], -1, -1, -1)
        step = self.region.images_per_pass * (1 if len(self.at) > 1 else _PROBES_PER_IMAGE)
        for start in range(0, len(points), step):
            yield points[start : start + step], columns[:, start : start + step]


@dataclass(frozen=True, eq=False)
class SparseJacobian:
    """J as a sparse matrix with int32 indices.

    Attributes:
        matrix: (m, n) sparse CSR, m = C·H'·W' outputs and n = h·w pixels, tap unit per HU.
        transposed: (n, m) sparse CSR, the same entries.
    """

    matrix: Tensor
    transposed: Tensor

    @classmethod
    def from_entries(
        cls,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        values: NDArray[np.float32],
        shape: tuple[int, int],
    ) -> SparseJacobian:
        """Build from coordinates without repetition."""
        from scipy import sparse  # here, as only this constructor sorts entries

        matrix = sparse.coo_array((values, (rows, columns)), shape=shape).tocsr()
        return cls(_to_torch(matrix), _to_torch(matrix.T.tocsr()))

    def to(self, device: torch.device) -> SparseJacobian:
        """The same matrix on a device."""
        return SparseJacobian(self.matrix.to(device), self.transposed.to(device))

    @property
    def outputs(self) -> int:
        """Outputs of Φ on the output box, m."""
        return int(self.matrix.shape[0])

    def apply(self, directions: Tensor) -> Tensor:
        """J d for (n, B) columns: (m, B)."""
        return self.matrix @ directions

    def adjoint(self, residuals: Tensor) -> Tensor:
        """Jᵀ r for (m, B) columns: (n, B)."""
        return self.transposed @ residuals

    def times_lower(self, root: Tensor) -> Tensor:
        """J L for a lower triangular (n, n) float64 L: (m, n) float64.

        A run of outputs sees a band of pixels only, and L reaches no column beyond its row: the products are small dense
        ones, eight times faster than a sparse product.
        """
        product = root.new_zeros(self.outputs, len(root))
        starts, columns = self.matrix.crow_indices().tolist(), self.matrix.col_indices()
        for first in range(0, self.outputs, _OUTPUTS_AT_ONCE):
            last = min(first + _OUTPUTS_AT_ONCE, self.outputs)
            begin, end = starts[first], starts[last]
            if begin == end:
                continue
            low, high = int(columns[begin:end].min()), int(columns[begin:end].max()) + 1
            counts = self.matrix.crow_indices()[first : last + 1].diff()
            band = root.new_zeros(last - first, high - low)
            rows = torch.repeat_interleave(torch.arange(last - first, device=root.device), counts)
            band[rows, columns[begin:end] - low] = self.matrix.values()[begin:end].double()
            product[first:last, :high] = band @ root[low:high, :high]
        return product


def csr(rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A sparse CSR tensor with int32 indices."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Sparse CSR tensor support is in beta", category=UserWarning
        )
        return torch.sparse_csr_tensor(
            rows.to(torch.int32), columns.to(torch.int32), values, size=shape, check_invariants=False
        )


def _to_torch(matrix: Any) -> Tensor:
    parts = (matrix.indptr, matrix.indices, matrix.data)
    rows, columns, values = (torch.from_numpy(np.ascontiguousarray(part)) for part in parts)
    return csr(rows, columns, values, matrix.shape)


def probe(region: Region, *, progress: Progress | None = None) -> SparseJacobian:
    """The whole J at the scan by coloured probing, (2r+1)² products.

    Args:
        region: The region; its tap radius r sets the colours.
        progress: Called with a phrase and the finished share.
    """
    height, width = region.shape
    radius = region.tap_radius
    period = 2 * radius + 1
    colours = [(y, x) for y in range(min(period, height)) for x in range(min(period, width))]
    jacobian = LocalJacobian(region, region.scan)
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
    group_size = region.images_per_pass * _PROBES_PER_IMAGE
    for start in range(0, len(colours), group_size):
        if progress is not None:
            progress("taking the Jacobian", start / len(colours))
        group = colours[start : start + group_size]
        probes = region.scan.new_zeros(len(group), 1, height, width)
        for index, (y, x) in enumerate(group):
            probes[index, 0, y::period, x::period] = 1.0
        answers = (
            jacobian.apply(probes.reshape(len(group), -1).T)
            .T.reshape(len(group), *region.reference.shape[1:])
            .cpu()
            .numpy()
        )
        parts.extend(_columns(answers[index], colour, region) for index, colour in enumerate(group))
    rows, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    shape = (int(np.prod(region.reference.shape[1:])), height * width)
    return SparseJacobian.from_entries(rows, columns, values, shape).to(region.scan.device)


def _columns(
    answer: NDArray[np.float32], colour: tuple[int, int], region: Region
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Attribute the (C, H', W') answer to one colour to its pixels: coordinates and values of the entries."""
    height, width = region.shape
    top, left = region.halo[0].start, region.halo[1].start
    pixel_rows, row_ok = _nearest(answer.shape[1], top, colour[0], height, region.tap_radius)
    pixel_columns, column_ok = _nearest(answer.shape[2], left, colour[1], width, region.tap_radius)
    values = np.where(row_ok[:, None] & column_ok[None, :], answer, 0.0)
    channel, y, x = np.nonzero(values)
    rows = (channel * answer.shape[1] + y) * answer.shape[2] + x
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

"""The Jacobian J of Φ at the scan, from the pixels of the region to the outputs of the output box: two forms of one map.

`LocalJacobian` differentiates anew for each product. `SparseJacobian` is a matrix: a network with receptive-field radius R
has at most (2R+1)² entries in a row. How the matrix is found is the business of `ctinv.fibre.probing`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.fibre.heard import Heard, unheard
from ctinv.fibre.region import MOST, Region

_OUTPUTS_AT_ONCE = 80
_PROBES_PER_IMAGE = (
    3  # measured: directions at one point are pushed fastest in threes for each image of a pass
)


@dataclass(frozen=True)
class Reach:
    """How much of J is known.

    Attributes:
        radius: Pixels on each side up to which J was taken, r.
        of: Radius of the receptive field, R; J is exact, to rounding, where r = R.
        error: RMS of (J_r - J) n on the output box for noise n of the scan, in the tap's unit, measured; 0 where r = R.
    """

    radius: int
    of: int
    error: float = 0.0


class Jacobian(Protocol):
    """J of a region as a linear map between columns."""

    @property
    def reach(self) -> Reach:
        """How much of J is known."""
        ...

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

    def within(self, most: int) -> Jacobian:
        """The same with fewer images through f at once, where memory is short."""
        ...


@dataclass(frozen=True, eq=False)
class LocalJacobian:
    """J without a matrix, by forward- and reverse-mode differentiation (JVP and VJP).

    Attributes:
        region: The region.
        at: Where J is taken: (1, 1, h, w) HU for one point, or (B, 1, h, w) for a point of its own for each column.
        heard: Called before each pass.
    """

    region: Region
    at: Tensor
    heard: Heard = unheard

    @property
    def reach(self) -> Reach:
        """All of it."""
        return Reach(self.region.tap_radius, self.region.tap_radius)

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

    @property
    def columns_per_pass(self) -> int:
        """Columns that `apply` pushes through f at once."""
        several = len(self.at) == 1 and self.region.most == MOST
        return self.region.images_per_pass * (_PROBES_PER_IMAGE if several else 1)

    def within(self, most: int) -> LocalJacobian:
        """The same with fewer images through f at once."""
        return replace(self, region=self.region.within(most))

    def _parts(self, columns: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        points = self.at.expand(columns.shape[1], -1, -1, -1)
        step = self.columns_per_pass
        for start in range(0, len(points), step):
            self.heard()
            yield points[start : start + step], columns[:, start : start + step]


@dataclass(frozen=True, eq=False)
class SparseJacobian:
    """J as a sparse matrix with int32 indices.

    Attributes:
        matrix: (m, n) sparse CSR, m = C·H'·W' outputs and n = h·w pixels, tap unit per HU.
        transposed: (n, m) sparse CSR, the same entries.
        reach: How much of J it holds.
    """

    matrix: Tensor
    transposed: Tensor
    reach: Reach

    @classmethod
    def from_entries(
        cls,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        values: NDArray[np.float32],
        shape: tuple[int, int],
        reach: Reach,
    ) -> SparseJacobian:
        """Build from coordinates without repetition."""
        from scipy import sparse  # here, as only this constructor sorts entries

        matrix = sparse.coo_array((values, (rows, columns)), shape=shape).tocsr()
        return cls(_to_torch(matrix), _to_torch(matrix.T.tocsr()), reach)

    def to(self, device: torch.device) -> SparseJacobian:
        """The same matrix on a device."""
        return SparseJacobian(self.matrix.to(device), self.transposed.to(device), self.reach)

    def within(self, most: int) -> SparseJacobian:
        """Itself: its products send nothing through f."""
        return self

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

    def times_lower(self, root: Tensor, *, most: int) -> Iterator[Tensor]:
        """J L for a lower triangular (n, n) float64 L, in blocks of at most `most` rows: (rows, n) float64.

        A run of outputs sees a band of pixels only, and L reaches no column beyond its row: the products are small dense
        ones, eight times faster than a sparse product. An inner tap has so many outputs that the whole would not fit.
        """
        step = max(most // _OUTPUTS_AT_ONCE, 1) * _OUTPUTS_AT_ONCE
        for start in range(0, self.outputs, step):
            yield self._rows_times_lower(root, start, min(start + step, self.outputs))

    def _rows_times_lower(self, root: Tensor, start: int, stop: int) -> Tensor:
        product = root.new_zeros(stop - start, len(root))
        starts, columns = self.matrix.crow_indices().tolist(), self.matrix.col_indices()
        for first in range(start, stop, _OUTPUTS_AT_ONCE):
            last = min(first + _OUTPUTS_AT_ONCE, stop)
            begin, end = starts[first], starts[last]
            if begin == end:
                continue
            low, high = int(columns[begin:end].min()), int(columns[begin:end].max()) + 1
            counts = self.matrix.crow_indices()[first : last + 1].diff()
            band = root.new_zeros(last - first, high - low)
            rows = torch.repeat_interleave(torch.arange(last - first, device=root.device), counts)
            band[rows, columns[begin:end] - low] = self.matrix.values()[begin:end].double()
            product[first - start : last - start, :high] = band @ root[low:high, :high]
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

"""How fast this machine is now, by a few timed primitives; together they take a few tenths of a second."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ctinv.fibre.jacobian import LocalJacobian, Reach, SparseJacobian
from ctinv.fibre.region import Region

_SIZE, _LARGE = 1024, 1536  # of square matrices
_COLUMNS = 25
_SIDE, _ENTRIES = 4096, 200_000
_BYTES = 1 << 23
_ENOUGH_S, _CALLS = 0.02, 20


@dataclass(frozen=True)
class Speed:
    """Operations or bytes for each second, and seconds for each entry; a multiplication and an addition are two operations.

    Attributes:
        product: Of float64 matrices.
        cholesky: Of a float64 matrix.
        triangular: Solution of float32 triangular systems with many right sides.
        thin: Product of a float32 matrix with a block of samples.
        copy: Bytes copied.
        digest: Bytes hashed.
        normal_s: Seconds for each standard normal number.
        entry_s: Seconds for each entry of a sparse matrix while it is built.
        sparse_s: Seconds for each entry of a sparse matrix and each column it is multiplied with.
    """

    product: float
    cholesky: float
    triangular: float
    thin: float
    copy: float
    digest: float
    normal_s: float
    entry_s: float
    sparse_s: float

    @classmethod
    def here(cls, device: torch.device) -> Speed:
        """Measured now: linear algebra on the device, the rest on the CPU."""
        draw = np.random.default_rng(0)
        square = torch.from_numpy(draw.standard_normal((_SIZE, _SIZE))).to(device)
        lower = (square / _SIZE).tril().float() + 2 * torch.eye(_SIZE, device=device)
        single = square.float()
        large = (
            torch.eye(_LARGE, dtype=torch.float64, device=device) + 1.0 / _LARGE
        )  # a large one: a small one is far from the speed of those of a region
        block = single[:, :_COLUMNS].contiguous()
        content = bytes(_BYTES)
        flat = np.ones(_BYTES // 8)
        rows, columns = draw.integers(0, _SIDE, (2, _ENTRIES))
        values = draw.standard_normal(_ENTRIES, dtype=np.float32)

        def build() -> SparseJacobian:
            return SparseJacobian.from_entries(rows, columns, values, (_SIDE, _SIDE), Reach(0, 0))

        matrix = build().to(device)
        sparse_block = torch.ones(_SIDE, _COLUMNS, device=device)
        cube = float(_SIZE) ** 3

        def seconds(call: Callable[[], object]) -> float:
            return seconds_of(call, device)

        return cls(
            product=2 * cube / seconds(lambda: square @ square),
            cholesky=float(_LARGE) ** 3 / 3 / seconds(lambda: torch.linalg.cholesky(large)),
            triangular=cube / seconds(lambda: torch.linalg.solve_triangular(lower, single, upper=False)),
            thin=2 * _SIZE**2 * _COLUMNS / seconds(lambda: single @ block),
            copy=_BYTES / seconds(flat.copy),
            digest=_BYTES / seconds(lambda: hashlib.sha256(content).digest()),
            normal_s=seconds(lambda: draw.standard_normal(_ENTRIES)) / _ENTRIES,
            entry_s=seconds(build) / _ENTRIES,
            sparse_s=seconds(lambda: matrix.apply(sparse_block)) / _ENTRIES / _COLUMNS,
        )


def seconds_of(call: Callable[[], object], device: torch.device) -> float:
    """The mean over at least two calls and some milliseconds, in which other programs take turns as they will later."""
    _finish(device, call)
    since, calls = time.perf_counter(), 0
    while calls < 2 or (calls < _CALLS and time.perf_counter() - since < _ENOUGH_S):
        _finish(device, call)
        calls += 1
    return max((time.perf_counter() - since) / calls, 1e-9)


def _finish(device: torch.device, call: Callable[[], object]) -> None:
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def pass_s(region: Region) -> float:
    """Seconds of one pass of f over as many images as go through it at once."""
    patches = region.scan.expand(region.images_per_pass, -1, -1, -1)

    def look() -> Tensor:
        with torch.inference_mode():
            return region.look(region.embed(patches))

    return seconds_of(look, region.context.device)


def jacobian_pass_s(region: Region) -> tuple[float, int]:
    """Seconds of one product with J by differentiation, and how many columns it has."""
    jacobian = LocalJacobian(region, region.scan)
    columns = jacobian.columns_per_pass
    ones = region.scan.new_ones(region.shape[0] * region.shape[1], columns)
    return seconds_of(lambda: jacobian.apply(ones), region.context.device), columns

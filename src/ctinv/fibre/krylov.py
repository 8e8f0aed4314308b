"""Conjugate gradients for many right-hand sides at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ctinv.errors import ResourceError
from ctinv.fibre.heard import Heard, unheard

Operator = Callable[[Tensor], Tensor]


def conjugate_gradients(
    apply: Operator,
    right: Tensor,
    precondition: Operator,
    *,
    residual_share: float = 1e-5,
    iterations: int = 2000,
    heard: Heard = unheard,
) -> Tensor:
    """Solve A x = b for (n, B) columns and a symmetric positive definite A.

    Args:
        apply: A, on columns.
        right: b.
        precondition: A rough inverse of A, symmetric and positive definite too.
        residual_share: Residual, as a share of b, at which a column counts as solved.
        iterations: Most iterations.
        heard: Called at each iteration.

    Raises:
        ResourceError: It did not converge.
    """
    solution, taken = truncated_gradients(
        apply, right, precondition, residual_share=residual_share, iterations=iterations, heard=heard
    )
    if taken < iterations:
        return solution
    raise ResourceError(
        f"the equations of this region did not converge in {iterations} iterations; choose a smaller region."
    )


def truncated_gradients(
    apply: Operator,
    right: Tensor,
    precondition: Operator,
    *,
    residual_share: float,
    iterations: int,
    heard: Heard = unheard,
) -> tuple[Tensor, int]:
    """The same, ended after a given cost: every iterate lowers xᵀA x/2 - bᵀx, so an early one still is a descent.

    Returns:
        x, (n, B), and the iterations taken, as many products with A; `iterations` of them if a column is not solved.
    """
    solution = torch.zeros_like(right)
    residual = right.clone()
    scaled = precondition(residual)
    direction = scaled
    energy = (residual * scaled).sum(0)
    limit = residual_share * torch.linalg.vector_norm(right, dim=0).clamp_min(1e-30)
    for taken in range(iterations):
        heard()
        if bool((torch.linalg.vector_norm(residual, dim=0) <= limit).all()):
            return solution, taken
        image = apply(direction)
        step = energy / (direction * image).sum(0).clamp_min(1e-30)
        solution = solution + step * direction
        residual = residual - step * image
        scaled = precondition(residual)
        following = (residual * scaled).sum(0)
        direction = scaled + (following / energy.clamp_min(1e-30)) * direction
        energy = following
    return solution, iterations

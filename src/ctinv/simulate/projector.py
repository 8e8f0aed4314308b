"""Line integrals of a slice, and filtered back-projection as a linear operator whose noise is known in
closed form.

With ``h`` the ramp filter times an apodisation window, detector spacing ``d`` and ``V`` views, the
reconstruction is

    μ(p) = π / (V·d) · Σ_θ Σ_s h(t_p(θ) − s) · P(θ, s).

``h`` is evaluated between the detector elements by band-limited interpolation, rounded to 1/8 element. As
this is a plain sum over rays, independent ray noise of variance ``v(θ, s)`` gives exactly

    Var μ(p) = (π / (V·d))² · Σ_θ Σ_s h(t_p(θ) − s)² · v(θ, s),

and, where ``v`` changes slowly across the reach of ``h``, the covariance at lag Δ around p is, with ``ρ = h
⋆ h``,

    Cov μ(p, p + Δ) = (π / (V·d))² · Σ_θ v(θ, t_p) · ρ(Δ·n_θ).

References:
    A. C. Kak, M. Slaney, Principles of Computerized Tomographic Imaging, 1988, chapters 3 and 5.
    S. J. Riederer, N. J. Pelc, D. A. Chesler, The noise power spectrum in computed X-ray tomography, Phys
    Med Biol 23, 1978.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ctinv.errors import InputError
from ctinv.simulate.geometry import ParallelGeometry
from ctinv.volume import Box

Array = NDArray[np.float32]
KERNELS = ("hann", "ramp")
PROJECTORS = ("scikit-image", "astra")
_UP = 8  # steps per detector element in back-projection


def forward_project(mu: Array, geometry: ParallelGeometry, *, projector: str = "scikit-image") -> Array:
    """Line integrals through a slice.

    Args:
        mu: (H, W) linear attenuation in 1/mm.
        geometry: Views and rays.
        projector: ``"scikit-image"``, or ``"astra"`` if the extra is installed. scikit-image works on a
            slice smoothed to half resolution at every second view and interpolates: noise needs the
            integrals only through exp(−P), and it is six times faster.

    Returns:
        (views, rays) float32, dimensionless.

    Raises:
        InputError: The projector is unknown or not installed.
    """
    if mu.shape != geometry.shape:
        raise InputError(f"expected a slice of shape {geometry.shape}, got {mu.shape}.")
    if projector == "scikit-image":
        return _forward_skimage(mu, geometry)
    if projector == "astra":
        return _forward_astra(mu, geometry)
    raise InputError(f"unknown projector {projector!r}; choose from {', '.join(PROJECTORS)}.")


def fbp(
    sinogram: Array, geometry: ParallelGeometry, *, kernel: str = "hann", box: Box | None = None
) -> Array:
    """Filtered back-projection of a slice or, much faster, of a box of it.

    Args:
        sinogram: (views, rays), dimensionless.
        geometry: Views and rays.
        kernel: ``"hann"`` is ramp times Hann window, which ends at the Nyquist frequency and looks like a
            soft-tissue kernel; ``"ramp"`` is unapodised and much noisier.
        box: Part of the slice to reconstruct; its z is not used.

    Returns:
        (H, W) or the box's shape, float32, 1/mm.
    """
    response = _response(geometry.rays, kernel)
    spectrum = fft.rfft(sinogram, n=2 * (response.size - 1), axis=1) * response
    spectrum[:, -1] *= 0.5  # the Nyquist bin is shared by two frequencies after upsampling
    table = fft.irfft(spectrum, n=_UP * 2 * (response.size - 1), axis=1)[:, : _UP * geometry.rays] * _UP
    return _back_project(table, geometry, box) * np.float32(np.pi / (geometry.views * geometry.pixel_mm))


def fbp_variance(
    variance: Array, geometry: ParallelGeometry, *, kernel: str = "hann", box: Box | None = None
) -> Array:
    """Exact pixel variance of `fbp` for independent ray noise; arguments as there.

    Args:
        variance: (views, rays) variance of each ray, dimensionless.
        geometry: Views and rays.
        kernel: As in `fbp`.
        box: As in `fbp`.

    Returns:
        (H, W) or the box's shape, float32, 1/mm².
    """
    scale = np.pi / (geometry.views * geometry.pixel_mm)
    return _back_project(_variance_table(variance, geometry, kernel), geometry, box) * np.float32(scale**2)


def fbp_autocovariance(
    variance: Array, geometry: ParallelGeometry, *, at: tuple[int, int], radius: int, kernel: str = "hann"
) -> Array:
    """Local covariance of the noise of `fbp` around one pixel, as a function of the lag.

    Args:
        variance: (views, rays) variance of each ray, dimensionless.
        geometry: Views and rays.
        at: Row and column of the pixel.
        radius: Largest lag in pixels.
        kernel: As in `fbp`.

    Returns:
        (2·radius + 1, 2·radius + 1) float32, 1/mm², lag zero in the middle. Its discrete Fourier transform
        is the local noise power spectrum, with the aliasing of the pixel grid.
    """
    response = _response(geometry.rays, kernel)
    power = response**2
    rho = fft.irfft(np.append(power[:-1], power[-1] / 4), n=_UP * 2 * (response.size - 1)) * _UP
    if 2 * np.sqrt(2) * radius * _UP > rho.size - 2 * _UP:
        largest = int(rho.size / _UP / 3)
        raise InputError(f"the largest lag for slices of shape {geometry.shape} is {largest}, got {radius}.")
    y, x = at
    box = Box(0, y, y + 1, x, x + 1)
    box.check_inside((1, *geometry.shape))
    # The ray variance at p, averaged over the reach of h, view by view.
    rows, columns = _ray_terms(
        geometry, np.array([y - geometry.centre[0]]), np.array([x - geometry.centre[1]])
    )
    origins = np.rint(_UP * (rows + columns + geometry.rays // 2)).astype(np.intp)
    weights = np.take_along_axis(_variance_table(variance, geometry, kernel), origins, axis=1) / rho[0]
    lags = np.arange(-radius, radius + 1)
    half = int(np.ceil(np.sqrt(2) * radius)) + 1
    table = np.roll(rho, _UP * half)[: _UP * (2 * half + 1)].astype(np.float32) * weights.astype(np.float32)
    scale = np.pi / (geometry.views * geometry.pixel_mm)
    return _gather(table, *_ray_terms(geometry, lags, lags), half) * np.float32(scale**2)


@lru_cache(maxsize=8)
def _response(rays: int, kernel: str) -> NDArray[np.float64]:
    """(n / 2 + 1,) frequency response of ramp times window, in units of one detector element."""
    if kernel not in KERNELS:
        raise InputError(f"unknown kernel {kernel!r}; choose from {', '.join(KERNELS)}.")
    size = fft.next_fast_len(2 * rays, real=True)
    size += size % 2
    n = np.minimum(np.arange(size), size - np.arange(size))
    # The ramp sampled in space, not in frequency, so that the mean of a large object is right (eq. 3.61).
    ramp = np.where(n % 2 == 1, -1.0 / (np.pi * np.maximum(n, 1)) ** 2, 0.0)
    ramp[0] = 0.25
    response = fft.rfft(ramp).real
    if kernel == "hann":
        response *= 0.5 * (1 + np.cos(np.pi * np.linspace(0, 1, response.size)))
    response.setflags(write=False)
    return response


def _variance_table(variance: Array, geometry: ParallelGeometry, kernel: str) -> Array:
    """(views, 8·rays) Σ_s h(t − s)²·v(s) at every step t of back-projection."""
    response = _response(geometry.rays, kernel)
    size = 2 * (response.size - 1)
    halved = np.append(response[:-1], response[-1] / 2)
    phases = (fft.irfft(halved, n=_UP * size) * _UP).reshape(size, _UP)
    kernels = fft.rfft(phases.T**2, axis=1)  # one squared kernel per step between two detector elements
    spectrum = fft.rfft(variance, n=size, axis=1)
    table = np.empty((geometry.views, geometry.rays, _UP), dtype=np.float32)
    for step in range(_UP):
        table[:, :, step] = fft.irfft(spectrum * kernels[step], n=size, axis=1)[:, : geometry.rays]
    return table.reshape(geometry.views, -1)


def _back_project(table: Array, geometry: ParallelGeometry, box: Box | None) -> Array:
    """Sum of a (views, 8·rays) table over the rays through each pixel."""
    if box is None:
        box = Box(0, 0, geometry.shape[0], 0, geometry.shape[1])
    box.check_inside((box.z + 1, *geometry.shape))
    rows = np.arange(box.y0, box.y1) - geometry.centre[0]
    columns = np.arange(box.x0, box.x1) - geometry.centre[1]
    return _gather(table, *_ray_terms(geometry, rows, columns), geometry.rays // 2)


def _ray_terms(
    geometry: ParallelGeometry, rows: NDArray[np.int_], columns: NDArray[np.int_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(views, n) parts of t, in pixels, that rows and columns counted from the axis contribute."""
    return -np.sin(geometry.angles)[:, None] * rows, np.cos(geometry.angles)[:, None] * columns


def _gather(table: Array, rows: NDArray[np.float64], columns: NDArray[np.float64], origin: int) -> Array:
    """Σ_θ table[θ, 8·(rows + columns + origin)] at the nearest step, cheaper than to interpolate."""
    total = np.zeros((rows.shape[1], columns.shape[1]), dtype=np.float32)
    index = np.empty(total.shape, dtype=np.intp)
    found = np.empty_like(total)
    down = (_UP * (rows + origin) + 0.5).astype(np.float32)[:, :, None]
    across = (_UP * columns).astype(np.float32)[:, None, :]
    for view, line in enumerate(np.ascontiguousarray(table, dtype=np.float32)):
        np.add(down[view], across[view], out=index, casting="unsafe")
        np.take(line, index, out=found, mode="clip")
        total += found
    return total


def _forward_skimage(mu: Array, geometry: ParallelGeometry) -> Array:
    """scikit-image's rotation-based projector at half resolution, interpolated to all views and rays."""
    from skimage.transform import radon

    half_rays = 2 * ((geometry.rays // 2 + 1) // 2) + 1
    square = np.zeros(
        (2 * half_rays - 1, 2 * half_rays - 1), dtype=np.float32
    )  # its middle pixel is the axis
    top, left = (half_rays - 1 - centre for centre in geometry.centre)
    square[top : top + mu.shape[0], left : left + mu.shape[1]] = mu
    small = _halve(_halve(square).T).T
    coarse = radon(small, np.degrees(geometry.angles[::2]), circle=True, preserve_range=True).T * (
        2 * geometry.pixel_mm
    )
    fine: Array = np.empty((geometry.views, half_rays), dtype=np.float32)
    fine[::2] = coarse
    # Half a turn later the detector is mirrored.
    fine[1::2] = (coarse + np.vstack([coarse[1:], coarse[:1, ::-1]])) / 2
    rays = (np.arange(geometry.rays) - geometry.rays // 2) / 2 + half_rays // 2
    lower = np.floor(rays).astype(np.intp)
    upper = np.minimum(lower + 1, half_rays - 1)
    share = (rays - lower).astype(np.float32)
    return np.asarray(fine[:, lower] * (1 - share) + fine[:, upper] * share, dtype=np.float32)


def _halve(array: Array) -> Array:
    """Every second row of an odd number, smoothed by (1, 2, 1) / 4; the middle row stays the middle."""
    padded = np.pad(array, ((1, 1), (0, 0)))
    return np.asarray((padded[:-2:2] + 2 * padded[1:-1:2] + padded[2::2]) / 4, dtype=np.float32)


def _forward_astra(mu: Array, geometry: ParallelGeometry) -> Array:
    """The ``linear`` projector of the ASTRA toolbox."""
    try:
        import astra
    except ImportError as error:
        raise InputError(
            "the projector 'astra' is not installed; install it with pip install 'napari-ctinv[astra]'."
        ) from error
    size = geometry.rays
    square = np.zeros((size, size), dtype=np.float32)
    top, left = (size // 2 - centre for centre in geometry.centre)
    square[top : top + mu.shape[0], left : left + mu.shape[1]] = mu
    volume_geometry = astra.create_vol_geom(size, size)
    # ASTRA's y axis points up, so its angles already run as ours do on an image whose rows point down.
    projections = astra.create_proj_geom("parallel", 1.0, size, geometry.angles)
    identity = astra.create_projector("linear", projections, volume_geometry)
    try:
        data_id, sinogram = astra.create_sino(square, identity)
        astra.data2d.delete(data_id)
    finally:
        astra.projector.delete(identity)
    return np.asarray(sinogram, dtype=np.float32) * np.float32(geometry.pixel_mm)

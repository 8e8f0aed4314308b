"""Does inserted noise have the size, the colour and the dose law that theory demands? Measured on water.

A noise-free water cylinder gets the noise of a full-dose scan and then, by `simulate_low_dose`, that of
lower doses. The sum is compared with the closed-form variance and power spectrum of filtered back-projection
at the lower dose.

    python benchmarks/water_phantom.py [--out docs/img/water_phantom.png]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctinv.simulate import (
    HU_PER_MU,
    MU_WATER_PER_MM,
    ParallelGeometry,
    counts,
    fbp_autocovariance,
    fbp_variance,
    line_integrals,
    noise_image,
    scan_variance,
    simulate_low_dose,
    slice_generator,
    water_phantom,
)
from ctinv.volume import Volume

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Setup:
    """One experiment: a cylinder, a scanner, doses."""

    size: int = 512
    pixel_mm: float = 0.7
    diameter_mm: float = 300.0
    views: int = 720
    photons: float = 350_000.0
    slices: int = 40
    region: int = 64  # pixels of the square in which the power spectrum is measured
    doses: tuple[float, ...] = (0.5, 0.25, 0.1)
    seed: int = 7
    workers: int = 2

    @property
    def geometry(self) -> ParallelGeometry:
        return ParallelGeometry((self.size, self.size), self.pixel_mm, self.views)

    def masks(self) -> dict[str, NDArray[np.bool_]]:
        """Where the noise is measured: within 0.15 of the radius, and in a ring at 0.8 to 0.9 of it."""
        axis = (np.arange(self.size) - self.size // 2) * (2 * self.pixel_mm / self.diameter_mm)
        radius = np.hypot(axis[:, None], axis[None, :])
        return {"centre": radius < 0.15, "edge": (radius > 0.8) & (radius < 0.9)}


@dataclass(frozen=True)
class Row:
    """Measured against theory at one dose."""

    dose: float
    std: dict[str, float]
    std_theory: dict[str, float]
    shift: dict[str, float]


@dataclass(frozen=True)
class Spectrum:
    """Radially averaged noise power spectra in HU² mm²; frequency in 1/mm."""

    frequency: Array
    measured: Array
    theory: Array
    closed_form: Array


def full_dose(setup: Setup) -> tuple[Volume, Array]:
    """The phantom with the noise of a full-dose scan, and its line integrals."""
    water = water_phantom(
        size=setup.size, pixel_mm=setup.pixel_mm, diameter_mm=setup.diameter_mm, slices=setup.slices
    )
    geometry = setup.geometry
    integrals = line_integrals(water.hu[0], geometry)
    variance = scan_variance(counts(integrals, geometry, photons=setup.photons))
    generators = [slice_generator(setup.seed, z) for z in range(setup.slices)]
    noise = np.stack([noise_image(variance, geometry, generator) for generator in generators])
    return replace(water, hu=water.hu + noise), integrals


def theory_std(setup: Setup, integrals: Array, dose: float) -> Array:
    """(H, W) HU, exact for independent rays."""
    variance = scan_variance(counts(integrals, setup.geometry, photons=setup.photons * dose))
    return np.sqrt(fbp_variance(variance, setup.geometry)) * np.float32(HU_PER_MU)


def closed_form_std(setup: Setup, dose: float) -> float:
    """HU at the centre, from nothing but the numbers: σ² = π²/(V·d²) · 1/(aN) · 2∫ f²·cos⁴(πf) df."""
    photons = dose * setup.photons * 720 / setup.views * np.exp(-MU_WATER_PER_MM * setup.diameter_mm)
    f = np.linspace(0, 0.5, 20_001)
    integral = 2 * np.trapezoid(f**2 * np.cos(np.pi * f) ** 4, f)
    ray = (1 + 10 / photons) / photons
    return float(HU_PER_MU * np.pi / setup.pixel_mm * np.sqrt(ray * integral / setup.views))


def measure(setup: Setup) -> tuple[list[Row], Spectrum, dict[float, Array]]:
    """All doses; the spectrum belongs to the dose in the middle. Also one slice per dose for the figure."""
    full, integrals = full_dose(setup)
    truth = water_phantom(size=setup.size, pixel_mm=setup.pixel_mm, diameter_mm=setup.diameter_mm).hu[0]
    rows, shown = [], {}
    for dose in (1.0, *setup.doses):
        low = full
        if dose < 1:
            low = simulate_low_dose(
                full,
                dose=dose,
                seed=setup.seed + 1,
                photons=setup.photons,
                views=setup.views,
                workers=setup.workers,
            )
        rows.append(_row(setup, dose, low.hu - truth, theory_std(setup, integrals, dose)))
        shown[dose] = low.hu[0]
        if dose == setup.doses[len(setup.doses) // 2]:
            spectrum = _spectrum(setup, low.hu - truth, integrals, dose)
    return rows, spectrum, shown


def slope(rows: list[Row], where: str) -> float:
    """Exponent of the std as a power of the dose."""
    doses, stds = [row.dose for row in rows], [row.std[where] for row in rows]
    return float(np.polyfit(np.log(doses), np.log(stds), 1)[0])


def _row(setup: Setup, dose: float, noise: Array, theory: Array) -> Row:
    masks = setup.masks()
    return Row(
        dose,
        {name: float(np.sqrt(np.mean(noise[:, mask] ** 2))) for name, mask in masks.items()},
        {name: float(np.sqrt(np.mean(theory[mask] ** 2))) for name, mask in masks.items()},
        {name: float(noise[:, mask].mean()) for name, mask in masks.items()},
    )


def _spectrum(setup: Setup, noise: Array, integrals: Array, dose: float) -> Spectrum:
    n, middle = setup.region, setup.size // 2
    part = slice(middle - n // 2, middle + n // 2)
    area = setup.pixel_mm**2
    measured = np.mean(np.abs(np.fft.fft2(noise[:, part, part])) ** 2, axis=0) * area / n**2
    theory = _expected_periodogram(setup, integrals, dose) * area
    f = np.fft.fftfreq(n)
    radius = np.hypot(f[:, None], f[None, :])
    edges = np.arange(0.5, n // 2) / n
    bins = np.digitize(radius, edges)
    rings = range(1, len(edges))
    frequency = np.array([radius[bins == k].mean() for k in rings])
    ray = closed_form_std(setup, dose) ** 2
    shape = frequency * np.cos(np.pi * frequency) ** 4
    fine = np.linspace(0, 0.5, 20_001)
    norm = 2 * np.pi * np.trapezoid(fine**2 * np.cos(np.pi * fine) ** 4, fine)
    return Spectrum(
        frequency / setup.pixel_mm,
        np.array([measured[bins == k].mean() for k in rings]),
        np.array([theory[bins == k].mean() for k in rings]),
        ray * shape / norm * area,
    )


def _expected_periodogram(setup: Setup, integrals: Array, dose: float) -> Array:
    """(n, n) HU², the mean of |FFT|²/n² over noise, from the covariance at nine points of the region."""
    n, middle = setup.region, setup.size // 2
    variance = scan_variance(counts(integrals, setup.geometry, photons=setup.photons * dose))
    points = [(middle + dy, middle + dx) for dy in (-n // 3, 0, n // 3) for dx in (-n // 3, 0, n // 3)]
    lags = np.mean(
        [fbp_autocovariance(variance, setup.geometry, at=point, radius=n - 1) for point in points], axis=0
    )
    taper = 1 - np.abs(np.arange(1 - n, n)) / n  # pairs of pixels at this lag inside the region
    lags = lags * taper[:, None] * taper[None, :] * HU_PER_MU**2
    phase = np.exp(-2j * np.pi * np.outer(np.fft.fftfreq(n), np.arange(1 - n, n)))
    return (phase @ lags @ phase.T).real


def table(setup: Setup, rows: list[Row], spectrum: Spectrum) -> str:
    """The figures as a Markdown table."""
    lines = ["| dose | where | std HU | theory | ratio | mean shift HU |", "|---|---|---|---|---|---|"]
    for row in rows:
        for name in row.std:
            ratio = row.std[name] / row.std_theory[name]
            figures = (
                f"{row.std[name]:.2f} | {row.std_theory[name]:.2f} | {ratio:.3f} | {row.shift[name]:+.2f}"
            )
            lines.append(f"| {row.dose:g} | {name} | {figures} |")
    lines.append("")
    for row in rows:
        closed = closed_form_std(setup, row.dose)
        lines.append(
            f"- closed form at the centre, dose {row.dose:g}: {closed:.2f} HU, got {row.std['centre']:.2f}"
        )
    peak, rms = peak_ratio(spectrum), rms_ratio(spectrum)
    lines.append(
        f"- NPS at dose {setup.doses[len(setup.doses) // 2]:g}: peak {peak:.3f}, rms {rms:.3f} of theory"
    )
    lines.append(f"- slope in log dose: centre {slope(rows, 'centre'):.3f}, edge {slope(rows, 'edge'):.3f}")
    return "\n".join(lines)


def peak_ratio(spectrum: Spectrum) -> float:
    """Measured over theoretical power around the peak (above 80 % of it)."""
    peak = spectrum.theory > 0.8 * spectrum.theory.max()
    return float(spectrum.measured[peak].mean() / spectrum.theory[peak].mean())


def rms_ratio(spectrum: Spectrum) -> float:
    """Ratio of the standard deviations the two spectra integrate to."""
    power = [float(np.sum(s * spectrum.frequency)) for s in (spectrum.measured, spectrum.theory)]
    return float(np.sqrt(power[0] / power[1]))


def figure(setup: Setup, rows: list[Row], spectrum: Spectrum, shown: dict[float, Array], path: Path) -> None:
    """Slices, spectrum and dose law as one picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    middle_dose = setup.doses[len(setup.doses) // 2]
    fig, axes = plt.subplots(1, 4, figsize=(17, 4.2), constrained_layout=True)
    for axis, dose in zip(axes[:2], (1.0, middle_dose), strict=True):
        image = axis.imshow(shown[dose], cmap="gray", vmin=-150, vmax=150)
        axis.set_title(f"water, dose {dose:g}")
        axis.set_axis_off()
    fig.colorbar(image, ax=axes[1], label="HU", shrink=0.8)
    axes[2].plot(spectrum.frequency, spectrum.measured, "o", ms=4, label="measured")
    axes[2].plot(spectrum.frequency, spectrum.theory, label="theory, this region")
    axes[2].plot(spectrum.frequency, spectrum.closed_form, "--", label="closed form, centre")
    axes[2].set(
        xlabel="frequency (1/mm)", ylabel="noise power (HU² mm²)", title=f"spectrum, dose {middle_dose:g}"
    )
    doses = [row.dose for row in rows]
    for name, colour in (("centre", "C0"), ("edge", "C1")):
        axes[3].loglog(doses, [row.std[name] for row in rows], "o", color=colour, label=f"{name}, measured")
        axes[3].loglog(doses, [row.std_theory[name] for row in rows], color=colour, label=f"{name}, theory")
    axes[3].set(xlabel="dose fraction", ylabel="std (HU)", title="dose law")
    axes[3].set_xticks(doses, [f"{dose:g}" for dose in doses])
    axes[3].set_yticks((20, 30, 50, 75), ("20", "30", "50", "75"))
    axes[3].minorticks_off()
    for axis in axes[2:]:
        axis.legend(frameon=False)
        axis.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    docs = Path(__file__).parent.parent / "docs" / "img" / "water_phantom.png"
    parser.add_argument("--out", type=Path, default=docs, help="where the figure goes")
    setup = Setup()
    options = parser.parse_args()
    rows, spectrum, shown = measure(setup)
    print(table(setup, rows, spectrum))
    figure(setup, rows, spectrum, shown, options.out)


if __name__ == "__main__":
    main()

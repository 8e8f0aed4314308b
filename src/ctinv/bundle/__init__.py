"""MONAI bundles: writing a trained denoiser as one, and checking our own with MONAI's verifiers."""

from __future__ import annotations

from ctinv.bundle.export import export_bundle, export_run

__all__ = ["export_bundle", "export_run"]

"""The kinds of trained generators, as rows: what each is made of (method §5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ctinv.errors import InputError

if TYPE_CHECKING:
    from ctinv.representation import Representation

Domain = Literal["input", "target"]
"""``"input"``: candidates are scans, which f takes. ``"target"``: they are images as f should make them; feeding those back
has no meaning, so they are shown as what they are and never certified."""

TRAINING_FREE = ("renoise", "metamer")
"""Names of `ctinv.generators.find.GENERATORS`, for who only wants to list them."""


@dataclass(frozen=True)
class Kind:
    """One kind of trained generator; None means that both are allowed.

    Attributes:
        title: In words.
        autoencoder: Whether it has E and D.
        conditional: Whether it sees f(x) itself, besides the embedding of Φ(x).
        flow: Whether a cINN draws its latents; else they are drawn from N(0, I).
        domain: Which kind of image it makes.
    """

    title: str
    autoencoder: bool
    conditional: bool | None
    flow: bool | None
    domain: Domain = "input"


KINDS: dict[str, Kind] = {
    "pca": Kind("PCA of blocks and a linear Gaussian law of its components", True, False, True),
    "vae_cinn": Kind("VAE and conditional INN", True, False, True),
    "cvae_cinn": Kind("VAE conditioned on f(x), and conditional INN", True, True, True),
    "cvae": Kind("VAE conditioned on f(x), sampled directly", True, True, False),
    "vae_y": Kind("VAE of the target domain", True, None, None, "target"),
    "inn": Kind("lossless conditional INN on image space", False, True, True),
}


def check_condition(representation: Representation) -> None:
    """Raise InputError where a generator that sees f(x) would learn more than Φ(x) says.

    A decoder that is given f(x) knows what connections around the tap carried past it; what it then shows is not what the
    tap leaves open.
    """
    if not representation.determines_output():
        raise InputError(
            f"a generator that sees f(x) cannot be used at {representation.tap!r} of {representation.denoiser.name}: other "
            "connections pass that tap by; use vae_cinn or pca, or the tap output."
        )

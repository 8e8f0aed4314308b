"""The iterative residual-artifact learning network: a cascade whose stages each remove what the last one left."""

from __future__ import annotations

from torch import Tensor, nn

from ctinv.errors import InputError


class ResidualArtifactStage(nn.Module):
    """3x3 convolutions with ReLU between them that predict the noise and artifacts r of an image.

    Args:
        filters: Filters of the hidden layers.
        depth: Convolutions, at least 2.
    """

    def __init__(self, filters: int, depth: int) -> None:
        super().__init__()
        self.depth = depth
        for layer in range(1, depth):
            self.add_module(f"conv{layer}", nn.Conv2d(1 if layer == 1 else filters, filters, 3, padding=1))
            self.add_module(f"relu{layer}", nn.ReLU())
        self.add_module(f"conv{depth}", nn.Conv2d(filters, 1, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        """r of a normalised image, (B, 1, H, W) to (B, 1, H, W)."""
        hidden = image
        for layer in range(1, self.depth):
            hidden = self.get_submodule(f"relu{layer}")(self.get_submodule(f"conv{layer}")(hidden))
        residual: Tensor = self.get_submodule(f"conv{self.depth}")(hidden)
        return residual


class IRLNet(nn.Module):
    """K stages, each subtracting the residual it sees: x ← x − r_k(x), k = 1 … K; 85,059 parameters.

    The idea is the paper's. Its full text was not at hand, so the numbers of stages, layers and filters are ours, and so is
    the reading of its two trained variants, T-Net and A-Net, as trained on the thorax and on the abdomen.

    Args:
        stages: K.
        filters: Filters of the hidden layers of a stage.
        depth: Convolutions of a stage, at least 2.

    References:
        Wang et al., Iterative quality enhancement via residual-artifact learning networks for low-dose CT,
        Phys. Med. Biol. 63, 215004, 2018, doi 10.1088/1361-6560/aae511.
    """

    def __init__(self, stages: int = 3, filters: int = 32, depth: int = 5) -> None:
        super().__init__()
        if stages < 1 or filters < 1 or depth < 2:
            raise InputError(
                f"expected at least 1 stage, 1 filter and 2 layers, got {stages}, {filters}, {depth}."
            )
        self.stages = stages
        for stage in range(1, stages + 1):
            self.add_module(f"stage{stage}", ResidualArtifactStage(filters, depth))
            self.add_module(f"image{stage}", nn.Identity())  # a name for the image after a stage, to tap it

    def forward(self, image: Tensor) -> Tensor:
        """Denoise a normalised image, (B, 1, H, W) to (B, 1, H, W)."""
        for stage in range(1, self.stages + 1):
            residual = self.get_submodule(f"stage{stage}")(image)
            image = self.get_submodule(f"image{stage}")(image - residual)
        return image

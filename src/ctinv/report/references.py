"""What the report rests on, with DOIs."""

from __future__ import annotations

REFERENCES: tuple[tuple[str, str], ...] = (
    (
        "E. Eulig, F. Jäger, J. Maier, B. Ommer, M. Kachelrieß: Reconstructing and analyzing the invariances of "
        "low-dose CT "
        "image denoising networks. Medical Physics 52, 2025.",
        "10.1002/mp.17413",
    ),
    (
        "R. Rombach, P. Esser, B. Ommer: Making sense of CNNs: interpreting deep representations and their "
        "invariances with "
        "INNs. ECCV 2020.",
        "10.1007/978-3-030-58520-4_38",
    ),
    (
        "J. M. Bardsley, A. Solonen, H. Haario, M. Laine: Randomize-then-optimize: a method for sampling from "
        "posterior "
        "distributions in nonlinear inverse problems. SIAM J. Sci. Comput. 36, 2014.",
        "10.1137/140964023",
    ),
    (
        "H. Chen et al.: Low-dose CT denoising with convolutional neural network. ISBI 2017.",
        "10.1109/ISBI.2017.7950488",
    ),
    (
        "Q. Yang et al.: Low-dose CT image denoising using a generative adversarial network with Wasserstein "
        "distance and "
        "perceptual loss. IEEE TMI 37, 2018.",
        "10.1109/TMI.2018.2827462",
    ),
    (
        "E. Samei et al.: Performance evaluation of computed tomography systems: summary of AAPM Task Group 233. "
        "Medical Physics 46, 2019.",
        "10.1002/mp.13763",
    ),
    (
        "C. K. Abbey, H. H. Barrett: Human- and model-observer performance in ramp-spectrum noise: effects of "
        "regularization "
        "and object variability. JOSA A 18, 2001.",
        "10.1364/JOSAA.18.000473",
    ),
    (
        "Y. Benjamini, Y. Hochberg: Controlling the false discovery rate. J. R. Stat. Soc. B 57, 1995.",
        "10.1111/j.2517-6161.1995.tb02031.x",
    ),
)
"""Text and DOI."""

"""How a network comes in: shipped, from a bundle, from a file, from the user's own code; safe by default.

`ctinv.denoiser.load_denoiser` is the public way; `ctinv.models.ladder` has the order and what is asked of each network.
"""

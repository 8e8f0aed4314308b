"""Image quality of a CT: pixels, noise texture, edges, regions of interest; pure functions with units.

`fidelity` compares pixel by pixel, `noise` measures the noise power spectrum of homogeneous squares, `edges` the rise of
real edges, `measure` does all three for several images of one patient at the same places, and `roi` reads what is drawn.
Import from the submodules: `roi` and `squares` need NumPy alone.
"""

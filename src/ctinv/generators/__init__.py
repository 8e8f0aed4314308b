"""Generators of candidates x_c, one per file, behind one contract (method §5).

| file | holds |
|---|---|
| `contract` | what a generator is given and must give |
| `find` | the registry `GENERATORS` of training-free ones, and the generator that a request names |
| `kinds` | the kinds of trained ones; light to import |
| `library` | their bundles, found by kind, denoiser and tap; light to import |
| `model`, `trained` | their networks, and how they work on a scan |
| `renoise`, `metamer` | the training-free ones |
| `mixture` | several anatomies with their probabilities given Φ(x); for scripts, as it takes the anatomies and the factor |

To add one: write a class with `candidates` in a file of its own and add its row to `GENERATORS`. A trained one is a row of
`KINDS` and comes out of a bundle.
"""

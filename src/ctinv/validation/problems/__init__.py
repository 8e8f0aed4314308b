"""Problems with known answers: the sampler is proven on them, not believed (method §6).

| file | holds |
|---|---|
| `contract` | what a problem is |
| `find` | the problems by name; light to import |
| `setup` | a region, its noise and its corrector, set up as the product sets them up |
| `gaussian` | any f that is linear where the law lives, and its closed form |
| `linear`, `wiener`, `nullspace` | G1, G1b and G4 |
| `mixture` | G2 |
| `sphere` | G3 |
| `quantities` | what simulation-based calibration looks at |

To add one: write a class that meets `contract.Problem` and add its row to `find.PROBLEMS`.
"""

"""One denoiser, or several, over many patients: the same regions in each, one table, intervals over patients.

`folder` opens what lies in a folder without naming anyone, `run` measures region by region into a file (`results`),
`summary` takes means and intervals over patients, `table` makes the page of it.
"""

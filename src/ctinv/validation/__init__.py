"""The sampler held against known answers: `ctinv validate` and the same checks as tests (method §6).

| file | holds |
|---|---|
| `problems` | laws that are known exactly, beside the product's own path to them |
| `checks` | one measure per rule, and the rules |
| `calibration` | rank statistics and TARP over many simulated scans |
| `suite` | all problems, their wrong samplers, and what is only approximate |
| `results`, `page`, `figures` | the result as JSON, as Markdown, as pictures |
"""

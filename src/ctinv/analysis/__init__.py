"""What the samples and the fibre of a region show: findings with a null distribution each (method §7).

Import from the submodules: `ctinv.analysis.registry` lists the analyses and imports no torch.
"""

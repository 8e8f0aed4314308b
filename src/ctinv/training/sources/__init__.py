"""Training data as users have it: found, opened once, proven to be pairs, and split by patient.

A *source* is one scan at two doses, or at full dose with the low dose to be simulated. Four layouts of folders are known
(see `find`); `find_pairs` turns a folder into sources without reading an image, `open_pair_source` reads one into memory
maps, and `choose_pairs` does both for a training, after a `split` in which no patient is in two sets.

Names are neutral: a public id (C121), a name the user chose for the purpose, or a number with a hash. Folder names,
which may be those of patients, are in no name, message or cache file.
"""

from __future__ import annotations

from ctinv.training.sources.choose import choose_pairs
from ctinv.training.sources.find import LAYOUTS, PairSource, find_pairs
from ctinv.training.sources.opening import open_pair_source
from ctinv.training.sources.split import Part, Split, split

__all__ = [
    "LAYOUTS",
    "PairSource",
    "Part",
    "Split",
    "choose_pairs",
    "find_pairs",
    "open_pair_source",
    "split",
]

"""The scoreboard: every generator of candidates on the same patients, regions and rows, before and after certification.

A generator claims that its images are invariances, a certificate says whether they are, and held-out re-scans say whether
they look like scans of this patient. None of the three replaces another: noise-free copies of f(x) would feed back well and
look like no scan, another patient's scan looks like a scan and feeds back badly.

`board.run` measures cases one by one into a file (`results`), `table` makes the page of it.
"""

"""Several denoisers on one region of one scan: what each leaves free, and which of it they share.

A sample of one network is fed through all others. Entry (i, i) of that matrix is the certificate; entry (i, j) says whether
network i tells apart what network j does not.

`ground` settles what all networks are measured against, `look` measures one of them, `cross` feeds samples through the
others, `compare` does it all, and `words` says it.
"""

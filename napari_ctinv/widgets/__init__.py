"""One widget per file; each is a form over one core call."""

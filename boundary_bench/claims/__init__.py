"""Claims and published numbers of the literature as data, and the verdicts of a study's tables on the claims."""

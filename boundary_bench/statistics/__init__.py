"""Estimates from verdict counts and token sums: pure functions on numpy arrays, no files, no models.

Array names end in their axes: P problems, K values of k, B bootstrap resamples, A distinct answers.
"""

"""Group Sequence Policy Optimization and its negative half."""

from __future__ import annotations

from boundary_bench.algorithms.advantage import Signs
from boundary_bench.algorithms.aggregation import SequenceMean
from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.algorithms.surrogate import Clipped

GSPO = Algorithm(surrogate=Clipped(ratio="sequence", clip_low=3e-4, clip_high=4e-4), aggregation=SequenceMean())
"""Group Sequence Policy Optimization (Zheng et al., arXiv 2507.18071): length-normalised sequence ratio.

Clip 3e-4 / 4e-4 as in the paper; every sequence weighs the same. Differs from the paper: unbiased standard
deviation.
"""

GSPO_N = GSPO.model_copy(update={"signs": Signs(kind="negative")})
"""GSPO on relative negative advantages only (arXiv 2510.04028); masked as GRPO-N is."""

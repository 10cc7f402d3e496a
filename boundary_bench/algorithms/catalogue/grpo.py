"""Group Relative Policy Optimization and its negative half."""

from __future__ import annotations

from boundary_bench.algorithms.advantage import Signs
from boundary_bench.algorithms.algorithm import Algorithm

GRPO = Algorithm()
"""Group Relative Policy Optimization (Shao et al., arXiv 2402.03300), token ratio, clip 0.2.

Differs from the paper: the loss is the mean over all tokens of the minibatch (as in DAPO and OpenRLHF),
not the mean over sequences of token means; no KL term; the standard deviation is the unbiased one.
"""

GRPO_N = Algorithm(signs=Signs(kind="negative"))
"""GRPO on relative negative advantages only (Yao et al., arXiv 2510.04028).

The published text leaves open what is settled here: samples with a positive advantage are masked (they stay
in the denominators), the group's standard deviation is kept, there is no dual clip. Differs from NSR (Zhu et
al., arXiv 2506.01347): a wrong answer weighs sqrt(p/(1-p)) instead of 1, and groups without a correct answer
contribute nothing.
"""

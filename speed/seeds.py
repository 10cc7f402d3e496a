"""How often intervals of a mean over training seeds hold the truth, on simulated problems, seeds and samples.

A checkpoint has the base's log-odds, plus a gain, an effect of its seed, and one of every seed and problem. Three
intervals of the difference of pass@k, and the truth that each is held against:

these seeds   that of ``low`` and ``high``; the mean over all seeds and problems, which it does not promise
other seeds   that of ``other_seeds_low`` and ``_high``; the same
seeds alone   Student's t over the differences of the seeds; the mean over all seeds on this very set of problems

    python speed/seeds.py                        # on one core
"""

from __future__ import annotations

import os

# before numpy is imported
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

from itertools import product

import numpy as np
from scipy.special import expit, logit, stdtrit
from scipy.stats import norm

from boundary_bench.statistics.intervals import mean_draws, percentiles, resample, typical_change
from boundary_bench.statistics.passk import pass_at_k
from boundary_bench.statistics.training_seeds import over_seeds

KS, N, RESAMPLES, LEVEL = (1, 16, 64), 256, 500, 0.95
STUDIES = 1000
GAIN, APART = 0.3, 0.3
PROBLEMS, SEEDS = (48, 200), (2, 3, 5)
#: One seed in ten loses so much in log-odds.
COLLAPSE, RARE = -2.0, 0.1
#: Estimates of pass@k by the number of correct samples.
TABLE_CK = pass_at_k([N] * (N + 1), np.arange(N + 1), KS)
#: Equally likely values of a normal deviate, for means over all seeds.
NODES = norm.ppf((np.arange(41) + 0.5) / 41)


def solved(p_P: np.ndarray) -> np.ndarray:
    """True pass@k, mean over the problems."""
    return np.array([np.mean(1 - (1 - p_P) ** k) for k in KS])


def truth(p_P: np.ndarray, effects: list[tuple[float, float, float]]) -> np.ndarray:
    """The difference over all seeds on these problems; effects as a mixture of weight, mean and deviation."""
    whole = -solved(p_P)
    for weight, mean, deviation in effects:
        spread = np.hypot(deviation, APART)
        whole = whole + weight * np.mean([solved(expit(logit(p_P) + GAIN + mean + spread * z)) for z in NODES], 0)
    return whole


def held(problems: int, seeds: int, deviation: float | None) -> list[str]:
    """Percent of studies in which each interval holds its truth, at every k; no deviation: rare collapses."""
    rng = np.random.default_rng(0)
    mixture = [(1.0, 0.0, deviation)] if deviation is not None else [(1 - RARE, 0.0, 0.0), (RARE, COLLAPSE, 0.0)]
    everywhere, counts = truth(rng.beta(0.6, 0.6, 20_000).clip(1e-9, 1 - 1e-9), mixture), np.zeros((3, len(KS)))
    for study in range(STUDIES):
        p_P = rng.beta(0.6, 0.6, problems).clip(1e-9, 1 - 1e-9)
        effect_S = COLLAPSE * (rng.random(seeds) < RARE) if deviation is None else rng.normal(0, deviation, seeds)
        p_SP = expit(logit(p_P) + GAIN + effect_S[:, None] + rng.normal(0, APART, (seeds, problems)))
        value_SPK = TABLE_CK[rng.binomial(N, p_SP)] - TABLE_CK[rng.binomial(N, p_P)]
        value_PK, each_SK = value_SPK.mean(0), value_SPK.mean(1)
        size_K = typical_change(value_PK)
        low_K, high_K = percentiles(mean_draws(value_PK, resample(problems, RESAMPLES, study), -size_K, size_K), LEVEL)
        wide = over_seeds(each_SK, low_K, high_K, LEVEL)
        half_K = stdtrit(seeds - 1, (1 + LEVEL) / 2) * wide.deviation_K / seeds**0.5
        counts[0] += (low_K <= everywhere) & (everywhere <= high_K)
        counts[1] += (wide.low_K <= everywhere) & (everywhere <= wide.high_K)
        counts[2] += np.abs(each_SK.mean(0) - truth(p_P, mixture)) <= half_K
    return [" / ".join(f"{100 * count / STUDIES:.0f}" for count in count_K) for count_K in counts]


def main() -> None:
    """Print the table."""
    print(f"{STUDIES} studies a row; k = {' / '.join(map(str, KS))}\n")
    header = ["P", "seeds", "seeds differ by", "these seeds", "other seeds", "seeds alone"]
    for line in (header, ["---"] * len(header)):
        print(f"| {' | '.join(line)} |")
    for problems, deviation, seeds in product(PROBLEMS, (0.0, 0.2, 0.6, None), SEEDS):
        apart = "one in ten collapses" if deviation is None else f"{deviation:g}"
        cells = [str(problems), str(seeds), apart, *held(problems, seeds, deviation)]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

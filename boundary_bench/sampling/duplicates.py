"""Equal responses: their number against the number that their log-probabilities predict.

Two independent samples of a policy are the same token sequence with probability c = sum_x p(x)^2 = E[p(x)], so the
log-probabilities of the samples give the expected number of equal pairs. An engine that ignores seeds, or uses a seed
twice, makes far more of them.

Axes: S samples, T tokens of all samples one after another.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from boundary_bench.core.errors import EngineError

COLUMNS = ["problem_id", "tokens", "logprob"]
#: Allowed excess of equal pairs: in standard deviations, as a share of the expected number (log-probabilities are
#: rounded), and as a share of the samples (a 32-bit seed is drawn twice now and then).
DEVIATIONS, OF_EXPECTED, OF_SAMPLES = 8.0, 0.05, 0.01
FEWEST_PAIRS = 3
_ODD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def sequence_keys(tokens: pa.ListArray) -> np.ndarray:
    """A 64-bit key of every token sequence: the sum of a mixed (token, position) over it.

    Among a million sequences, two different ones have the same key with chance 3e-8.
    """
    start_S, length_S = tokens.offsets.to_numpy()[:-1], pc.list_value_length(tokens).to_numpy()
    token_T = tokens.flatten().to_numpy().astype(np.uint64)
    position_T = (np.arange(len(token_T)) - np.repeat(start_S - tokens.offsets[0].as_py(), length_S)).astype(np.uint64)
    with np.errstate(over="ignore"):
        mixed_T = (token_T + np.uint64(1)) * _ODD[0] + (position_T + np.uint64(1)) * _ODD[1]
        mixed_T = (mixed_T ^ (mixed_T >> np.uint64(31))) * _ODD[2]
        mixed_T ^= mixed_T >> np.uint64(29)
        sum_T = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed_T, dtype=np.uint64)])
        begin_S = start_S - tokens.offsets[0].as_py()
        return sum_T[begin_S + length_S] - sum_T[begin_S]


def equal_pairs(key_S: np.ndarray, probability_S: np.ndarray, rarer_than: float) -> np.ndarray:
    """Pairs of equal sequences among the samples of one problem: found, expected, and the variance of their difference.

    With n samples, q = p where p < ``rarer_than`` and 0 elsewhere, and c the mean of q: found is the sum of m(m - 1)/2
    over the m-fold sequences with p < ``rarer_than``, expected n(n - 1)/2 c. Their difference per pair has variance
    Var(q)/n + 2c(1 - c)/(n(n - 1)), from the two terms of Hoeffding's decomposition (1948).
    """
    n, rare_S = len(key_S), probability_S < rarer_than
    pairs = n * (n - 1) / 2
    _, times_U = np.unique(key_S[rare_S], return_counts=True)
    q_S = np.where(rare_S, probability_S, 0)
    mean = q_S.mean()
    return np.array(
        [(times_U * (times_U - 1) / 2).sum(), pairs * mean, pairs**2 * q_S.var() / n + pairs * mean * (1 - mean)]
    )


@dataclass
class Sequences:
    """Keys and probabilities of a campaign's token sequences so far, by problem."""

    by_problem: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def add(self, rows: pa.Table) -> None:
        """Enter the samples of a file."""
        self.by_problem |= self._with(rows)

    def check(self, rows: pa.Table, name: str) -> None:
        """Enter the samples of a file before it is written.

        Raises:
            EngineError: far more sequences of its problems are equal than their probabilities predict.
        """
        changed = self._with(rows)
        samples = sum(len(key_S) for key_S, _ in changed.values())
        # all pairs reveal one sample many times; pairs of rare sequences, which chance hardly moves, many samples twice
        for share in (np.inf, 1.0):
            counted = [equal_pairs(*both, share / len(both[0])) for both in changed.values()]
            found, expected, variance = np.sum(counted, axis=0)
            allowed = DEVIATIONS * variance**0.5 + OF_EXPECTED * expected + OF_SAMPLES * samples + FEWEST_PAIRS
            if found - expected <= allowed:
                continue
            raise EngineError(
                f"{name} is not stored: found {found:.0f} pairs of equal responses among the {samples} samples of its "
                f"{len(changed)} problems so far, expected {expected:.1f} from their probabilities, and {allowed:.0f} "
                "more at most. The engine repeats samples, as one does that ignores seeds: use another version of it, "
                "and move the stored samples of this policy away if the same one drew them"
            )
        self.by_problem |= changed

    def _with(self, rows: pa.Table) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Keys and probabilities of a file's problems; the file's samples come after the earlier ones."""
        # chunk by chunk: an array holds 2^31 tokens at most
        key_S = np.concatenate([sequence_keys(chunk) for chunk in rows.column("tokens").chunks])
        probability_S = np.exp(rows.column("logprob").to_numpy().astype(np.float64)).clip(max=1)
        coded = rows.column("problem_id").combine_chunks().dictionary_encode()
        code_S, found = coded.indices.to_numpy(), {}
        by_code = np.split(np.argsort(code_S, kind="stable"), np.bincount(code_S).cumsum()[:-1])
        for problem, mine in zip(coded.dictionary.to_pylist(), by_code, strict=True):
            before = self.by_problem.get(problem, (np.zeros(0, np.uint64), np.zeros(0)))
            found[problem] = np.append(before[0], key_S[mine]), np.append(before[1], probability_S[mine])
        return found

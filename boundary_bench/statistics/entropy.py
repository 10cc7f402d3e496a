"""How spread out a policy is: over the answers to one problem, and over the next token. All in nats."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from boundary_bench.errors import StatisticsError


def answer_entropy(count_A: ArrayLike) -> float:
    """The plug-in Shannon entropy of the answers to one problem: -sum (m_a / m) ln (m_a / m).

    Biased downwards, by about (A-1) / (2m) for A answers that occur; compare only where m is alike.

    Args:
        count_A: how often each distinct answer was given; zeros are allowed.

    Returns:
        Nats; NaN where no response held an answer, since there is no distribution then.

    Raises:
        StatisticsError: a count is negative.
    """
    count_A = _counts(count_A)
    share_A = count_A / count_A.sum() if len(count_A) else count_A
    return float(-(share_A * np.log(share_A)).sum() + 0.0) if len(count_A) else float("nan")


def miller_madow(count_A: ArrayLike) -> float:
    """The plug-in entropy of m answers, A of them distinct, plus (A-1) / (2m), its first-order bias.

    Miller 1955, "Note on the bias of information estimates".

    Returns:
        Nats; NaN where no response held an answer.

    Raises:
        StatisticsError: a count is negative.
    """
    count_A = _counts(count_A)
    return answer_entropy(count_A) + (len(count_A) - 1) / (2 * count_A.sum()) if len(count_A) else float("nan")


def per_token(sum_P: ArrayLike, tokens_P: ArrayLike) -> float:
    """A mean over tokens of what was summed over responses: sum of the sums / sum of the tokens.

    Of ``entropy`` it is the token entropy, the mean entropy of the next-token distribution along the policy's
    own responses. Of ``-logprob`` it is the negative log-likelihood of the sampled tokens, which estimates
    the same number from the draws alone. Long responses weigh more than short ones.

    Returns:
        Nats per token; NaN where there is no token.
    """
    tokens = float(np.sum(tokens_P))
    return float(np.sum(sum_P)) / tokens if tokens else float("nan")


def _counts(count_A: ArrayLike) -> np.ndarray:
    found = np.atleast_1d(np.asarray(count_A, np.float64))
    if len(found) and found.min() < 0:
        raise StatisticsError(f"answer {int(found.argmin())}: found count {found.min():g}, expected 0 or more")
    return found[found > 0]

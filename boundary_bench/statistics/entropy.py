"""Entropies of a policy: of the answers to one problem, of whole responses, of the next token; and maj@k.

All entropies are in nats. Axes: P problems, A distinct answers, S samples, G groups of samples, K values of k.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from boundary_bench.core.errors import StatisticsError

NO_ANSWER = -1


def answer_entropy(count_A: ArrayLike) -> float:
    """The plug-in Shannon entropy of the answers to one problem: -sum (m_a / m) ln (m_a / m).

    Biased downwards, by about (A-1) / (2m) for A answers that occur; compare only at equal m.

    Args:
        count_A: count of each distinct answer; zeros are allowed.

    Returns:
        Nats; NaN if no response has an answer, since there is no distribution then.

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
        Nats; NaN if no response has an answer.

    Raises:
        StatisticsError: a count is negative.
    """
    count_A = _counts(count_A)
    return answer_entropy(count_A) + (len(count_A) - 1) / (2 * count_A.sum()) if len(count_A) else float("nan")


def chao_shen(count_A: ArrayLike) -> float:
    """The coverage-adjusted entropy of the answers to one problem, for policies with mostly rare answers.

    Chao & Shen 2003, "Nonparametric estimation of Shannon's index of diversity when there are unseen species"
    (Environmental and Ecological Statistics 10). Of m answers f_1 were given once. Good's coverage C = 1 - f_1 / m is
    the probability of the answers that were seen, so their shares are scaled to q_a = C m_a / m; each term is divided
    by 1 - (1 - q_a)^m, the probability that its answer is seen at all (Horvitz & Thompson 1952):
    -sum q_a ln q_a / (1 - (1 - q_a)^m). Less biased than ``answer_entropy`` and ``miller_madow`` if many answers are
    unseen, at the price of a larger variance.

    Args:
        count_A: count of each distinct answer; zeros are allowed.

    Returns:
        Nats; NaN if no response has an answer. If every answer was given once, C would be 0: f_1 = m - 1 is used
        instead (as in the R package ``entropy`` of Hausser & Strimmer), which makes a single answer 0 nats.

    Raises:
        StatisticsError: a count is negative.
    """
    count_A = _counts(count_A)
    if not len(count_A):
        return float("nan")
    m, once = count_A.sum(), np.count_nonzero(count_A == 1)
    q_A = (1 - min(once, m - 1) / m) * count_A / m
    with np.errstate(divide="ignore"):  # one answer only: it is certain to be seen
        seen_A = -np.expm1(m * np.log1p(-q_A))
    return float(-(q_A * np.log(q_A) / seen_A).sum() + 0.0)


def majority_at_k(answer_S: ArrayLike, correct_S: ArrayLike, ks: Sequence[int]) -> np.ndarray:
    """maj@k of one problem: how often the most frequent answer of k samples is correct (Wang et al. 2022, 2203.11171).

    The mean over the floor(S / k) disjoint groups of k consecutive samples. Ties are broken at random in expectation: a
    group counts the share of its most frequent answers that are correct. The groups are independent and identically
    distributed, so the mean is unbiased; it needs no random numbers. Samples after the last whole group are not used.

    Args:
        answer_S: a whole number for each distinct answer, in the order of the sample indices; -1 for a response
            without an answer, which never votes.
        correct_S: whether the sample is correct; if samples with the same answer differ (a grader that reads the
            response), the answer counts by their share.
        ks: sizes of the vote.

    Returns:
        majority_K, in [0, 1]; a group without any answer counts 0. At k = 1 it is the share of samples that have an
        answer and are correct.

    Raises:
        StatisticsError: the arrays differ in length, an answer is below -1, there is no k, or a k is outside 1..S.
    """
    answer_S, correct_S = np.asarray(answer_S), np.asarray(correct_S, bool)
    if answer_S.ndim != 1 or answer_S.shape != correct_S.shape:
        raise StatisticsError(f"found {answer_S.shape} answers and {correct_S.shape} verdicts, expected as many")
    if len(answer_S) and (answer_S.min() < NO_ANSWER or np.any(answer_S != np.floor(answer_S))):
        raise StatisticsError(f"found answers {answer_S}, expected whole numbers from 0 up, and -1 for no answer")
    if not len(ks) or min(ks) < 1 or max(ks) > len(answer_S):
        raise StatisticsError(
            f"found k = {list(ks)}, expected numbers from 1 to {len(answer_S)}; draw more samples or drop these k"
        )
    _, code_S = np.unique(answer_S, return_inverse=True)
    return np.array([_majority(code_S, answer_S != NO_ANSWER, correct_S, int(k)) for k in ks])


def _majority(code_S: np.ndarray, votes_S: np.ndarray, correct_S: np.ndarray, k: int) -> float:
    groups, width = len(code_S) // k, int(code_S.max()) + 1
    used = np.flatnonzero(votes_S[: groups * k])
    # U: the pairs of a group and an answer that occurs in it, so that memory stays linear in the samples
    key_U, at = np.unique(used // k * width + code_S[used], return_inverse=True)
    group_U, votes_U = key_U // width, np.bincount(at, minlength=len(key_U))
    right_U = np.bincount(at, correct_S[used], len(key_U)) / votes_U
    most_G = np.zeros(groups, votes_U.dtype)
    np.maximum.at(most_G, group_U, votes_U)
    tied_U = votes_U == most_G[group_U]
    tied_G = np.bincount(group_U, tied_U, groups)
    return float(np.mean(np.bincount(group_U, right_U * tied_U, groups) / np.maximum(tied_G, 1)))


def per_token(sum_P: ArrayLike, tokens_P: ArrayLike) -> float:
    """A mean over tokens from sums over responses: sum of the sums / sum of the tokens.

    For ``entropy`` it is the token entropy, the mean entropy of the next-token distribution along the policy's own
    responses. For ``-logprob`` it is the negative log-likelihood of the sampled tokens, the "sampled-token estimate" of
    the same number from the draws alone, under the condition in ``sequence_entropy``. Long responses weigh more than
    short ones.

    Returns:
        Nats per token; NaN without tokens.
    """
    tokens = float(np.sum(tokens_P))
    return float(np.sum(sum_P)) / tokens if tokens else float("nan")


def sequence_entropy(logprob_P: ArrayLike, samples_P: ArrayLike) -> np.ndarray:
    """The entropy over whole responses to each problem: the mean of -log p(response) over its samples.

    H = E[-log p] over draws from p, so the mean is unbiased at any number of samples, unlike the entropy of counted
    responses. That holds only if log-probabilities are logged under the sampling distribution: if temperature or top-p
    is not 1, the engine must log them after these are applied (vLLM: ``logprobs_mode=processed_logprobs``, its default
    is raw). Otherwise the result is the cross-entropy of the raw policy under the sampled one, which is no entropy of
    either. A truncated response gives the entropy of the cut-off text.

    Args:
        logprob_P: log p of the responses, summed over tokens and over the samples of a problem.
        samples_P: number of responses of each problem.

    Returns:
        entropy_P in nats a response; NaN for a problem without samples.

    Raises:
        StatisticsError: the arrays differ in length, or a number of samples is negative.
    """
    logprob_P, samples_P = np.asarray(logprob_P, np.float64), np.asarray(samples_P, np.float64)
    if logprob_P.ndim != 1 or logprob_P.shape != samples_P.shape:
        raise StatisticsError(f"found {logprob_P.shape} sums for {samples_P.shape} problems, expected as many")
    negative = np.flatnonzero(samples_P < 0)
    if len(negative):
        i = negative[0]
        raise StatisticsError(f"problem {i}: found {samples_P[i]:g} samples, expected 0 or more")
    return np.divide(-logprob_P, samples_P, out=np.full(len(samples_P), np.nan), where=samples_P > 0) + 0.0


def _counts(count_A: ArrayLike) -> np.ndarray:
    found = np.atleast_1d(np.asarray(count_A, np.float64))
    if len(found) and found.min() < 0:
        raise StatisticsError(f"answer {int(found.argmin())}: found count {found.min():g}, expected 0 or more")
    return found[found > 0]

"""The tables of ``measure`` and ``probe``: results of one policy on one benchmark."""

from __future__ import annotations

from boundary_bench.tables.table import CHECKPOINT_KEYS, CURVE, INTERVAL, POLICY, SAMPLED, SETTINGS, VERDICTS, Table

MEASURED = (
    Table(
        name="pass_at_k",
        stage="measure",
        each="policy, benchmark, stratum and k",
        keys=(*CHECKPOINT_KEYS, "k"),
        caption="pass@k: the share of problems that a policy solves within k attempts, by its unbiased estimate under "
        "the sampling design. low and high are its interval over problems and samples at one k, band_low and band_high "
        "hold at all k at once, samples_only speaks of this very set of problems. null is pass@k of uniformly random "
        "valid responses.",
        described={
            **POLICY,
            "k": "attempts",
            "estimate": "pass@k: mean over problems of its unbiased estimate under the sampling design",
            **CURVE,
            **SAMPLED,
            "null": "pass@k of uniformly random valid responses, where the benchmark knows its chances",
            "majority majority_low majority_high": "maj@k, from the first round, and its interval over problems",
            **SETTINGS,
        },
        paper=True,
    ),
    Table(
        name="cover",
        stage="measure",
        each="policy, benchmark, stratum and threshold",
        keys=(*CHECKPOINT_KEYS, "threshold"),
        caption="Cover at a rate: the share of problems that a policy solves at least so often, with its interval over "
        "problems.",
        described={
            **POLICY,
            "threshold": "a success rate tau: .01, .05, .1, .25, .5, .75, .9",
            "share": "Cover@tau: problems whose estimated success rate is at least tau",
            "low high": "its interval over problems",
            **INTERVAL,
            **SAMPLED,
            **SETTINGS,
        },
    ),
    Table(
        name="summary",
        stage="measure",
        each="policy, benchmark and stratum",
        keys=CHECKPOINT_KEYS,
        caption="Of every policy on every benchmark: greedy accuracy, entropies over tokens, responses and answers (in "
        "nats), distinct answers, and how many samples have each verdict. truncated ones were cut off and count as not "
        "solved.",
        described={
            **POLICY,
            **SAMPLED,
            "first_round": "n_1: samples of each problem behind the entropies, distinct answers and responses, and "
            "`mean_tokens`",
            "greedy greedy_low greedy_high": "accuracy of the greedy responses and its interval over problems",
            **INTERVAL,
            "greedy_correct greedy_wrong greedy_unparsable greedy_truncated greedy_timeout": "how many greedy "
            "responses have that verdict",
            "token_entropy": "entropy of the next-token distribution, mean over all tokens of the first round, in nats",
            "nll": "negative log-likelihood of the sampled tokens, mean over tokens: estimates the same number from "
            "the draws alone",
            "sequence_entropy": "entropy over whole responses: -log probability of a response, mean over samples, then "
            "over problems, in nats",
            "answer_entropy": "plug-in entropy of the extracted answers to a problem, mean over problems with answers, "
            "in nats; depends on n_1",
            "answer_entropy_miller_madow": "the same with the first-order correction of its bias",
            "answer_entropy_chao_shen": "the same adjusted for answers that were not seen",
            "problems_with_answers": "problems where at least one sample of the first round holds an answer",
            "distinct_answers": "distinct answers to a problem, mean over problems; depends on n_1",
            "distinct_responses_share": "distinct response texts of each problem, summed, over samples; depends on n_1",
            "mean_tokens": "tokens of a sample, the end token included",
            "drawn": "sample indices up to the stopping points, `unscored` ones included",
            "correct wrong unparsable timeout": "how many of them have that [verdict](sampling.md#verdicts); with "
            "`truncated` they add up to `drawn`",
            "correct_share wrong_share unparsable_share truncated_share timeout_share": "the same over `drawn`. Hard "
            "problems are sampled longer: `correct_share` is not pass@1",
            **SETTINGS,
        },
    ),
    Table(
        name="graders",
        stage="measure",
        each="policy, benchmark, [grader](grading.md#the-second-grader) and k, on the first round of every problem",
        keys=(*CHECKPOINT_KEYS, "grader", "k"),
        caption="The same samples judged by several graders: their verdicts, pass@k by each, and how often two of them "
        "disagree.",
        described={
            **POLICY,
            "grader": "name and version of the grader",
            "k": "attempts",
            "estimate low high": "pass@k by this grader; empty where a problem has fewer than k of its verdicts",
            **INTERVAL,
            "problems": "problems of the benchmark",
            "samples": "those that it has scored",
            VERDICTS: "its verdicts",
            "reasons": '[why](grading.md#why-it-has-its-grade), with how many, the most frequent first: "310 equal '
            'text; 12 no answer found"',
            "compared disagreements": "responses that both graders have decided; those that one calls correct and the "
            "other not",
            "disagreement disagreement_low disagreement_high": "their share, mean over the problems, and its interval",
            "stopped_by": "the grader that the samples were drawn with",
            **SETTINGS,
        },
    ),
)

PROBED = (
    Table(
        name="contamination",
        stage="probe",
        each="base model, benchmark and fraction, where the study has a [probe](probe.md)",
        keys=("model", "algorithm", "seed", "step", "policy", "benchmark", "fraction"),
        caption="How much of a problem's statement the base model writes when it is shown the beginning. Generated "
        "benchmarks are the control.",
        described={
            "model algorithm seed step": POLICY["model algorithm seed step"],
            "policy": "its name",
            "benchmark": "whose problems",
            "origin": "`generated`: the control; `set`: published; `file`: from the study's `data`",
            "fraction": "how much of each statement was given",
            "problems": "problems whose statements could be divided: every share below is of these",
            "too_short": "problems left out: less than two characters, or nothing in the given part that the tokenizer "
            "knows",
            "by_characters": "how many of `problems` were divided between characters",
            "exact exact_low exact_high": "whose rest was written word for word: mean over problems, and its interval",
            "rouge_l rouge_l_low rouge_l_high": "F1 of the longest common subsequence with the rest (ROUGE-L)",
            "accuracy accuracy_low accuracy_high": "answered correctly, though not asked; without `timeout`",
            **INTERVAL,
            VERDICTS: "verdicts on the answers",
            **SETTINGS,
        },
        optional=True,
    ),
)

"""The tables of ``compare`` and ``report``: checkpoints against their base, means over seeds, and the rest."""

from __future__ import annotations

from boundary_bench.tables.table import (
    CHANGES,
    CHECKPOINT,
    CHECKPOINT_KEYS,
    CROSSOVER,
    DIFFERENCE,
    FORMS,
    INTERVAL,
    MEAN,
    MEAN_KEYS,
    POLICY,
    RUN_KEYS,
    SAMPLED,
    SAMPLED_BOTH,
    SETTINGS,
    WHOLE,
    Table,
)

#: Verdicts on a course; the last one of no problem that has values.
COURSES = ("falls, then rises", "rises, then falls", "falls", "rises", "no change seen", "unknown")

COMPARED = (
    Table(
        name="differences",
        stage="compare",
        each="checkpoint, benchmark, stratum and k",
        keys=(*CHECKPOINT_KEYS, "k"),
        caption="pass@k of a checkpoint minus that of its base, on the same problems, with paired intervals. change is "
        "the verdict at one k: shrunk, expanded, unchanged within the study's margin, or undecided.",
        described={**CHECKPOINT, **DIFFERENCE, **SAMPLED_BOTH, **SETTINGS},
        verdicts={"change": CHANGES},
    ),
    Table(
        name="boundary",
        stage="compare",
        each="checkpoint, benchmark and stratum",
        keys=CHECKPOINT_KEYS,
        caption="Where the curve of a checkpoint crosses that of its base, and how many problems it has gained and "
        "lost for sure. A crossover of inf is none up to the largest k.",
        described={
            **CHECKPOINT,
            **CROSSOVER,
            "efficiency_gap": "the base's pass@k at the largest k minus the checkpoint's pass@1: what sampling could "
            "still give (Yue et al. 2025)",
            "efficiency_gap_low efficiency_gap_high": "its paired interval over problems",
            **INTERVAL,
            "gained lost": "problems whose success rate is higher, lower, than the base's by a test each",
            "false_discovery_rate": "at most this share of the gained and lost are false finds, on average: "
            "1 - `level`",
            **SAMPLED_BOTH,
            **SETTINGS,
        },
        paper=True,
    ),
    Table(
        name="coverage",
        stage="compare",
        each="checkpoint, benchmark, stratum and rule",
        keys=(*CHECKPOINT_KEYS, "hits"),
        caption="Which problems the base and a checkpoint solve: both, one alone, neither. null_at_half is how many of "
        "them change sides by luck alone, between two halves of the base's own samples.",
        described={
            **CHECKPOINT,
            "hits": "the rule: a problem is solved if at least that many of its samples are correct (1 and 3)",
            "detection_limit": "the success rate that this rule misses with probability 5 % in `n_max` samples",
            "both base_only checkpoint_only neither": "how many problems are solved by whom; they add up to `problems`",
            "support_retention": "both / (both + base only)",
            "net_discovery": "checkpoint only / (both + checkpoint only)",
            "support_dynamic": "harmonic mean of the two",
            "net_support_change": "(checkpoint only - base only) / (both + checkpoint only + base only)",
            "expansion": "checkpoint only / (checkpoint only + neither)",
            "shrinkage preservation": "base only, both / (both + base only)",
            "consolidation": "of the problems in `both`, the share whose pass@1 rose",
            "base_only_at_half checkpoint_only_at_half": "expected sizes of the two sets with half of each policy's "
            "samples",
            "null_at_half": "what either would be by luck alone: the base against itself, half of its samples against "
            "the other half",
            **SAMPLED,
            **SETTINGS,
        },
    ),
    Table(
        name="stages",
        stage="compare",
        each="run, benchmark, stratum and measure: pass@k at every k, `token entropy`, `answer entropy` (Chao-Shen)",
        keys=(*RUN_KEYS, "benchmark", "stratum", "measure", "k"),
        caption="Whether a measure falls, rises or turns over training, with the chance that luck alone shows as much: "
        "fall_p and rise_p pay for picking the clearest pair of checkpoints.",
        described={
            "model algorithm seed": "the run",
            "benchmark": "whose problems",
            "stratum": POLICY["stratum"],
            "measure k": "what is followed over training; entropies have no k",
            "course": "`falls, then rises`, `rises, then falls`, `falls`, `rises`, `no change seen`; `unknown` without "
            "a problem that has values",
            "turn turn_low turn_high": "step at the turn and its interval; empty without a turn",
            "first": "value of the base, mean over problems (token entropy too, where `summary.csv` has the mean over "
            "tokens)",
            "lowest lowest_step highest highest_step": "extremes and where they are",
            "last": "value of the last checkpoint, mean over problems",
            "change change_low change_high": "last minus first, and its paired interval over problems; of pass@k it is "
            "the row of the last step in `differences.csv`",
            "fall_from fall_to fall_change": "the clearest fall: two steps, and the change of the mean; above 0 where "
            "no pair falls",
            "fall_p": "how often chance makes the clearest of all pairs as clear as that",
            "rise_from rise_to rise_change rise_p": "the same of the clearest rise",
            **INTERVAL,
            "problems": "problems for which every checkpoint has a value",
            **SETTINGS,
        },
        forms={**FORMS, "k": f"({WHOLE})?"},
        verdicts={"course": COURSES},
    ),
)

REPORTED = (
    Table(
        name="mean_differences",
        stage="report",
        each="model, algorithm, step, benchmark and k, over all problems: **the numbers to quote** where there are "
        "several training seeds, and those that the figures show",
        keys=(*MEAN_KEYS, "k"),
        caption="The mean over the training seeds of pass@k less the base's, on the same problems. low and high hold "
        "for other problems with these very seeds, other_seeds_low and other_seeds_high for other seeds too.",
        described={
            **MEAN,
            **DIFFERENCE,
            "checkpoint_low checkpoint_high checkpoint_band_low checkpoint_band_high": "interval and band of "
            "`checkpoint`, the mean pass@k",
            "seeds": "how many training seeds there are",
            "seed_lowest seed_highest": "the differences of the seeds go from here to there",
            "seed_deviation": "their standard deviation; empty with one seed",
            "other_seeds_low other_seeds_high": "an interval of the mean for [other training "
            "seeds](statistics.md#training-seeds) too, at this k; empty with one seed. All other intervals, and "
            "`change`, are for these very seeds",
            **SAMPLED_BOTH,
            **SETTINGS,
        },
        verdicts={"change": CHANGES},
    ),
    Table(
        name="mean_boundary",
        stage="report",
        each="model, algorithm, step and benchmark: where the curve of `mean_differences.csv` crosses 0",
        keys=MEAN_KEYS,
        caption="Where the mean curve of an algorithm, over its training seeds, crosses that of the base. A crossover "
        "of inf is none up to the largest k.",
        described={
            **MEAN,
            **CROSSOVER,
            **INTERVAL,
            "seeds": "how many training seeds there are",
            **SAMPLED_BOTH,
            **SETTINGS,
        },
    ),
    Table(
        name="problems",
        stage="report",
        each="benchmark, and one for the training set (`training`)",
        keys=("benchmark",),
        caption="Of each benchmark and the training set: rows that were read, problems that they became, and why the "
        "others were left out.",
        described={
            "benchmark": "its name",
            "kind split": "what the problems are",
            "rows problems": "rows that were read, and problems that they became; of a generator both are the problems",
            "no_reference skipped repeated too_long not_chosen": "rows that became none, [by "
            "reason](benchmarks.md#what-is-left-out): together `rows` less `problems`",
            "other_answer": "problems that ask what an earlier one asks, but for case and white space, for another "
            "answer",
            "duplicates": "all problems that ask what an earlier one asks",
            "grader": "name and version",
            "settings": "fingerprint of the problems' settings",
        },
    ),
    Table(
        name="training",
        stage="report",
        each="run and step: the [step log](training.md#the-step-log) without its times",
        keys=(*RUN_KEYS, "step"),
        caption="The step log of every run: reward, entropy, clipping, gradient norm and length of the rollouts.",
        described={
            "model algorithm seed": "the run",
            "step": "rollout step, from 1 on",
            "reward": "mean reward of the rollouts",
            "entropy": "mean entropy of the next-token distribution over the tokens of the rollouts, in nats",
            "clip_fraction": "share of tokens (sequences, where the ratio is of sequences) at which the clip is active",
            "gradient_norm": "mean over the updates, before clipping",
            "response_length": "mean tokens of a response",
            "truncated": "share of responses cut off at `max_tokens`",
            "live_groups": "share of prompts whose responses did not all get the same reward",
            "positive_mass negative_mass": "sum of the positive, and of the negative, advantages, over responses",
            "updates": "optimizer updates of the step",
        },
    ),
    Table(
        name="ours_vs_published",
        stage="report",
        each="[published number](results.md#ours-beside-published-numbers) and cell of ours",
        keys=("paper", "where", "benchmark", "algorithm", "step", "k", "our_model", "our_algorithm", "our_benchmark"),
        caption="Numbers of this study beside those of the literature, with the settings that differ.",
        described={
            "paper arxiv where": "where the number stands",
            "form read": "`table`, `figure` (inexact), `text` or `unknown`; read in the `paper`, its `repository`, or "
            "in `notes` on it",
            "benchmark algorithm step k": "theirs; no step where none is given",
            "published deviation": "their pass@k, from 0 to 1; the standard deviation over repeats, where they give "
            "one",
            "our_model our_algorithm our_benchmark our_step": "the cell of ours",
            "seeds problems": "what ours is the mean over; a base has no seeds",
            "ours low high samples_only_low samples_only_high": "our pass@k, the mean over the training seeds, and its "
            "[intervals](results.md#intervals)",
            "difference": "ours minus published",
            "inside inside_samples_only": "`yes` or `no`: the published number is within our interval",
            "differs": "settings that differ: `name: theirs vs ours`, separated by `; `",
            "unknown": "settings of theirs that are not known; they may differ too",
            "missing": "the first thing that this study lacks for a counterpart; everything of ours is empty then",
            **INTERVAL,
            **SETTINGS,
        },
        paper=True,
    ),
)

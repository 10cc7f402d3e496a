"""The declaration of a table, and the meanings of columns that several tables share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from boundary_bench.study.blocks import NAME

BASE = "base"
ALL = "all"
Row = dict[str, str]

RUN_KEYS = ("model", "algorithm", "seed")
CHECKPOINT_KEYS = (*RUN_KEYS, "step", "benchmark", "stratum")
MEAN_KEYS = ("model", "algorithm", "step", "benchmark", "stratum")
WHOLE = r"[0-9]{1,18}"
#: The form of cells that name a row: tables may come from anywhere, names become paths, and all of them are printed.
FORMS = {"model": NAME, "algorithm": NAME, "seed": f"({WHOLE})?", "step": WHOLE, "benchmark": NAME, "k": WHOLE}
#: Verdicts on a change at one k.
CHANGES = ("shrunk", "expanded", "unchanged", "undecided")


@dataclass(frozen=True)
class Table:
    """A table of a study.

    Attributes:
        name: name of the file in ``tables/``, and of its fragments in the stage's folders.
        stage: stage that makes the rows; ``report`` makes them from the rows of other stages.
        each: the unit of a row.
        keys: the columns that name a row.
        caption: how to read the table.
        described: meaning by column, in order; columns with the same meaning are separated by spaces.
        paper: whether it is also written as LaTeX.
        optional: whether only some studies have it.
        forms: regular expressions of key columns.
        verdicts: columns that hold a verdict, and the words for it.
    """

    name: str
    stage: str
    each: str
    keys: tuple[str, ...]
    caption: str
    described: dict[str, str]
    paper: bool = False
    optional: bool = False
    forms: dict[str, str] = field(default_factory=lambda: FORMS)
    verdicts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns in their order."""
        return tuple(name for names in self.described for name in names.split())


POLICY = {
    "model algorithm seed step": "the policy; a base model has algorithm `base`, no seed, step 0",
    "policy": "its name",
    "benchmark": "whose problems",
    "stratum": "`all`, or a stratum where the benchmark has several (countdown: how many numbers)",
}
CHECKPOINT = {
    "model algorithm seed step": "the checkpoint; it is compared with the base of its model",
    "benchmark": "whose problems",
    "stratum": POLICY["stratum"],
}
MEAN = {
    "model algorithm step": "the checkpoint, as the mean over the training seeds",
    "benchmark": "whose problems",
    "stratum": "`all`",
}
INTERVAL = {"level interval": "confidence level, and how intervals over problems are made"}
SAMPLED = {
    "problems": "problems in the stratum",
    "n_max": "most samples a problem: the largest k",
    "samples": "scored samples of all problems up to their [stopping points](sampling.md#the-sequential-design)",
    "truncated": "how many of them were cut off at `max_tokens`; they count as not solved",
    "unscored": "samples beside them that the grader gave no verdict on (`timeout`)",
}
SAMPLED_BOTH = {**SAMPLED, "samples_base": "`samples` of the base"}
SETTINGS = {"settings": "fingerprint of what the row depends on, as in `provenance.json`"}
VERDICTS = "correct wrong unparsable truncated timeout"
CURVE = {
    "low high": "its problem+sample interval, at this k",
    "band_low band_high": "the same at all k at once",
    "samples_only_low samples_only_high": "its sample-only interval: this very set, sampled again",
    **INTERVAL,
}
DIFFERENCE = {
    "k": "attempts",
    "base checkpoint": "pass@k of the two",
    "difference": "checkpoint minus base, on the same problems",
    "low high": "its paired problem+sample interval, at this k",
    "band_low band_high": "the same at all k at once",
    "samples_only_low samples_only_high": "its sample-only interval",
    **INTERVAL,
    "margin": "`analysis.margin`: smaller differences count as unchanged",
    "equivalence_low equivalence_high": "the interval of the equivalence test (at `level` .95 the 90 % one)",
    "detectable": "smallest true difference that an interval of its own would have shown four times in five",
    "change": "the [verdict](statistics.md#paired-differences): `shrunk`, `expanded`, `unchanged`, `undecided`",
}
CROSSOVER = {
    "leader": "who is ahead at the smallest k with a difference: `checkpoint` or `base`; empty where all are 0",
    "crossover": "k at which the leader is overtaken, interpolated in log k; `inf`: not up to the largest k",
    "crossover_low crossover_high": "its interval; 0: the leader may not lead at any k; `inf`: it may never be "
    "overtaken",
}

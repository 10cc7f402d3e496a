"""The sets of the Hugging Face hub that can be named in a study.

A commit stands here only where independent public projects pin the same one for that set; elsewhere the study must name
it. Columns are those of that commit. Counts are the rows of a split, before repeats are left out.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from boundary_bench.benchmarks.base import Kind, Source
from boundary_bench.benchmarks.hub import (
    Fields,
    after_hashes,
    hub_kind,
    in_box,
    in_column,
    in_list,
    letter,
    text,
    texts,
)

SUBJECTS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)
BOXED = "LaTeX in \\boxed{}"


def arc_options(row: dict[str, Any]) -> list[str]:
    """The options of a row of ARC."""
    return texts(dict(row["choices"])["text"], "choices.text")


def arc_place(row: dict[str, Any]) -> int:
    """The right option of a row of ARC, whose labels are letters or numbers."""
    labels = texts(dict(row["choices"])["label"], "choices.label")
    key = text(row, "answerKey")
    if key not in labels or len(labels) != len(arc_options(row)):
        raise ValueError(f"answerKey: found {key!r}, expected one of {labels}, as many as there are options")
    return labels.index(key)


def mmlu_pro_options(row: dict[str, Any]) -> list[str]:
    """The options of a row of MMLU-Pro."""
    return texts(row["options"], "options")


def mmlu_pro_place(row: dict[str, Any]) -> int:
    """The right option of a row of MMLU-Pro."""
    place = row["answer_index"]
    if type(place) is not int:
        raise ValueError(f"answer_index: found {place!r}, expected a whole number")
    return place


MATH = hub_kind(
    "math",
    Source(
        "EleutherAI/hendrycks_math",
        {"train": "train", "test": "test"},
        {"train": 7500, "test": 5000},
        "MIT",
        BOXED,
        SUBJECTS,
    ),
    Fields(
        "problem",
        partial(in_box, "solution"),
        {"problem": "text", "solution": "text with the answer in its last \\boxed{}", "level": "text", "type": "text"},
        ("type", "level"),
    ),
    revision="21a5633873b6a120296cce3e2df9d5550074f4a3",
)
MATH_500 = hub_kind(
    "math-500",
    Source("HuggingFaceH4/MATH-500", {"test": "test"}, {"test": 500}, "that of MATH (MIT)", BOXED),
    Fields(
        "problem",
        partial(in_column, "answer"),
        {"problem": "text", "answer": "text", "subject": "text", "level": "whole number"},
        ("subject", "level"),
    ),
    revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
)
AIME_2024 = hub_kind(
    "aime-2024",
    Source("HuggingFaceH4/aime_2024", {"test": "train"}, {"test": 30}, "none given", "0 to 999 in \\boxed{}"),
    Fields("problem", partial(in_column, "answer"), {"problem": "text", "answer": "whole number, as text"}),
    revision="2fe88a2f1091d5048c0f36abc874fb997b3dd99a",
)
AIME_2025 = hub_kind(
    "aime-2025",
    Source("math-ai/aime25", {"test": "test"}, {"test": 30}, "Apache 2.0", "0 to 999 in \\boxed{}"),
    Fields("problem", partial(in_column, "answer"), {"problem": "text", "answer": "whole number, as text"}),
    revision="563bb8404243c5f09de6ec262f2db674fe5bce9b",
)
AMC_2023 = hub_kind(
    "amc-2023",
    Source("math-ai/amc23", {"test": "test"}, {"test": 40}, "see its card", "a number in \\boxed{}"),
    Fields("question", partial(in_column, "answer"), {"question": "text", "answer": "number"}),
)
MINERVA_MATH = hub_kind(
    "minerva-math",
    Source("math-ai/minervamath", {"test": "test"}, {"test": 272}, "see its card", BOXED),
    Fields("question", partial(in_column, "answer"), {"question": "text", "answer": "text"}),
)
OLYMPIADBENCH = hub_kind(
    "olympiadbench",
    Source(
        "Hothan/OlympiadBench",
        {"test": "train"},
        {"test": 674},
        "Apache 2.0",
        BOXED + ", all answers where there are several",
        ("OE_TO_maths_en_COMP",),
    ),
    Fields(
        "question",
        partial(in_list, "final_answer"),
        {"question": "text", "final_answer": "list of texts", "subfield": "text"},
        ("subfield",),
        context="context",
    ),
)
GSM8K = hub_kind(
    "gsm8k",
    Source(
        "openai/gsm8k",
        {"train": "train", "test": "test"},
        {"train": 7473, "test": 1319},
        "MIT",
        "a number in \\boxed{} or after ####",
        ("main",),
    ),
    Fields(
        "question",
        partial(after_hashes, "answer"),
        {"question": "text", "answer": "worked solution that ends in #### and a number"},
    ),
    grader="numeric",
    revision="cc7b047b6e5bb11b4f1af84efc572db110a51b3c",
)
ARC_CHALLENGE = hub_kind(
    "arc-challenge",
    Source(
        "allenai/ai2_arc",
        {"train": "train", "dev": "validation", "test": "test"},
        {"train": 1119, "dev": 299, "test": 1172},
        "CC BY-SA 4.0",
        "a letter in \\boxed{}",
        ("ARC-Challenge",),
    ),
    Fields(
        "question",
        partial(letter, arc_options, arc_place),
        {"question": "text", "choices": "mapping of text and label, two lists", "answerKey": "one of the labels"},
        options=arc_options,
    ),
    grader="choice",
    revision="210d026faf9955653af8916fad021475a3f00453",
)
MMLU_PRO = hub_kind(
    "mmlu-pro",
    Source(
        "TIGER-Lab/MMLU-Pro",
        {"dev": "validation", "test": "test"},
        {"dev": 70, "test": 12032},
        "MIT",
        "a letter in \\boxed{}",
    ),
    Fields(
        "question",
        partial(letter, mmlu_pro_options, mmlu_pro_place),
        {"question": "text", "options": "list of texts", "answer_index": "whole number", "category": "text"},
        ("category",),
        options=mmlu_pro_options,
    ),
    grader="choice",
    revision="527feea0afed1de15a8c115abf7be4c912123315",
)

HUB_SETS: tuple[Kind, ...] = (
    MATH,
    MATH_500,
    AIME_2024,
    AIME_2025,
    AMC_2023,
    MINERVA_MATH,
    OLYMPIADBENCH,
    GSM8K,
    ARC_CHALLENGE,
    MMLU_PRO,
)

"""Sets of rows for a study: sets of the Hugging Face hub, and plain kinds for a user's files.

A commit is given here only if independent public projects pin the same one for that set; otherwise the study must name
it. Columns are those of that commit. Counts are the rows of a split, before any is left out.
"""

from __future__ import annotations

from boundary_bench.benchmarks.answers import SOLUTION
from boundary_bench.benchmarks.base import Kind, Source
from boundary_bench.benchmarks.hub import Fields, row_kind

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
ANSWER = "text, number, or worked solution with \\boxed{} or ####"
NUMBER = "number, or worked solution with #### and a number"
WORKED = {SOLUTION: "worked solution, where there is no answer"}
RIGHT = "letter or label of the right option, its place from 0, or its text"
OPTIONS = "list of texts, of {label, text}, {text: list, label: list}, or letter: text"

MATH = row_kind(
    "math",
    Fields(
        {"problem": "text", "answer": ANSWER, **WORKED, "type": "text", "level": "text"},
        ("answer", SOLUTION),
        ("type", "level"),
    ),
    source=Source(
        "EleutherAI/hendrycks_math",
        {"train": "train", "test": "test"},
        {"train": 7500, "test": 5000},
        "MIT",
        BOXED,
        SUBJECTS,
    ),
    revision="21a5633873b6a120296cce3e2df9d5550074f4a3",
)
MATH_500 = row_kind(
    "math-500",
    Fields(
        {"problem": "text", "answer": ANSWER, **WORKED, "subject": "text", "level": "whole number"},
        ("answer", SOLUTION),
        ("subject", "level"),
    ),
    source=Source("HuggingFaceH4/MATH-500", {"test": "test"}, {"test": 500}, "that of MATH (MIT)", BOXED),
    revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
)
AIME_2024 = row_kind(
    "aime-2024",
    Fields({"problem": "text", "answer": "whole number", **WORKED}, ("answer", SOLUTION)),
    source=Source("HuggingFaceH4/aime_2024", {"test": "train"}, {"test": 30}, "none given", "0 to 999 in \\boxed{}"),
    revision="2fe88a2f1091d5048c0f36abc874fb997b3dd99a",
)
AIME_2025 = row_kind(
    "aime-2025",
    Fields({"problem": "text", "answer": "whole number", **WORKED}, ("answer", SOLUTION)),
    source=Source("math-ai/aime25", {"test": "test"}, {"test": 30}, "Apache 2.0", "0 to 999 in \\boxed{}"),
    revision="563bb8404243c5f09de6ec262f2db674fe5bce9b",
)
AIME_2026, HMMT_FEB_2025, BRUMO_2025 = (
    row_kind(
        name,
        Fields({"problem": "text", "answer": answer, **WORKED}, ("answer", SOLUTION)),
        source=Source(f"MathArena/{hub}", {"test": "train"}, {"test": 30}, "see its card", form),
    )
    for name, hub, answer, form in (
        ("aime-2026", "aime_2026", "whole number", "0 to 999 in \\boxed{}"),
        ("hmmt-feb-2025", "hmmt_feb_2025", ANSWER, BOXED),
        ("brumo-2025", "brumo_2025", ANSWER, BOXED),
    )
)
MATH_BEYOND = row_kind(
    "math-beyond",
    Fields({"problem": "text", "answer": ANSWER, **WORKED}, ("answer", SOLUTION)),
    source=Source("brendel-group/MATH-Beyond", {"test": "test"}, {"test": 181}, "see its card", BOXED),
)
AMC_2023 = row_kind(
    "amc-2023",
    Fields({"question": "text", "answer": "number", **WORKED}, ("answer", SOLUTION)),
    source=Source("math-ai/amc23", {"test": "test"}, {"test": 40}, "see its card", "a number in \\boxed{}"),
)
MINERVA_MATH = row_kind(
    "minerva-math",
    Fields({"question": "text", "answer": ANSWER, **WORKED}, ("answer", SOLUTION)),
    source=Source("math-ai/minervamath", {"test": "test"}, {"test": 272}, "see its card", BOXED),
)
OLYMPIADBENCH = row_kind(
    "olympiadbench",
    Fields(
        {
            "question": "text",
            "final_answer": "list of answers, or text",
            "answer": "the same",
            **WORKED,
            "subfield": "text",
        },
        ("final_answer", "answer", SOLUTION),
        ("subfield",),
        several=True,
        context="context",
    ),
    source=Source(
        "Hothan/OlympiadBench",
        {"test": "train"},
        {"test": 674},
        "Apache 2.0",
        BOXED + ", all answers where there are several",
        ("OE_TO_maths_en_COMP",),
    ),
)
GSM8K = row_kind(
    "gsm8k",
    Fields(
        {"question": "text", "answer": NUMBER, **WORKED},
        ("answer", SOLUTION),
    ),
    grader="numeric",
    source=Source(
        "openai/gsm8k",
        {"train": "train", "test": "test"},
        {"train": 7473, "test": 1319},
        "MIT",
        "a number in \\boxed{} or after ####",
        ("main",),
    ),
    revision="cc7b047b6e5bb11b4f1af84efc572db110a51b3c",
)
ARC_CHALLENGE = row_kind(
    "arc-challenge",
    Fields({"question": "text", "choices": OPTIONS, "answerKey": RIGHT}, ("answerKey",), options="choices"),
    grader="choice",
    source=Source(
        "allenai/ai2_arc",
        {"train": "train", "dev": "validation", "test": "test"},
        {"train": 1119, "dev": 299, "test": 1172},
        "CC BY-SA 4.0",
        "a letter in \\boxed{}",
        ("ARC-Challenge",),
    ),
    revision="210d026faf9955653af8916fad021475a3f00453",
)
MMLU_PRO = row_kind(
    "mmlu-pro",
    Fields(
        {"question": "text", "options": OPTIONS, "answer_index": RIGHT, "answer": "the same", "category": "text"},
        ("answer_index", "answer"),
        ("category",),
        options="options",
        none=("N/A",),
    ),
    grader="choice",
    source=Source(
        "TIGER-Lab/MMLU-Pro",
        {"dev": "validation", "test": "test"},
        {"dev": 70, "test": 12032},
        "MIT",
        "a letter in \\boxed{}",
    ),
    revision="527feea0afed1de15a8c115abf7be4c912123315",
)

HUB_SETS: tuple[Kind, ...] = (
    MATH,
    MATH_500,
    AIME_2024,
    AIME_2025,
    AIME_2026,
    HMMT_FEB_2025,
    BRUMO_2025,
    MATH_BEYOND,
    AMC_2023,
    MINERVA_MATH,
    OLYMPIADBENCH,
    GSM8K,
    ARC_CHALLENGE,
    MMLU_PRO,
)
STRATUM = {"stratum": "text"}
PLAIN: tuple[Kind, ...] = (
    row_kind(
        "qa-math",
        Fields({"question": "text", "answer": ANSWER, **WORKED, **STRATUM}, ("answer", SOLUTION), ("stratum",)),
    ),
    row_kind(
        "qa-numeric",
        Fields({"question": "text", "answer": NUMBER, **WORKED, **STRATUM}, ("answer", SOLUTION), ("stratum",)),
        grader="numeric",
    ),
    row_kind(
        "qa-choice",
        Fields(
            {"question": "text", "options": OPTIONS, "answer": RIGHT, **STRATUM},
            ("answer",),
            ("stratum",),
            options="options",
        ),
        grader="choice",
    ),
)
"""Kinds for files of one's own; each names the grader."""

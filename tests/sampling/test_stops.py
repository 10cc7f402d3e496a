"""Strings that end a response: what is kept of it, whatever the engine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from boundary_bench.benchmarks.countdown import COUNTDOWN
from boundary_bench.grading import Verdict
from boundary_bench.models.tokenizer import MARK
from boundary_bench.sampling.block import BlockGrading, graded
from boundary_bench.sampling.engine import Responses
from boundary_bench.sampling.stops import cut

PIECES = ["a", "b", "\n", "ab", "\n\n", "b\n", "<|im_end|>"]
SPECIAL = 6


def tokenizer_of(pieces: list[str], *special: str) -> Tokenizer:
    """A tokenizer whose texts are its tokens, one after the other."""
    found = Tokenizer(models.WordLevel({piece: token for token, piece in enumerate(pieces)}, unk_token=pieces[0]))
    found.decoder = decoders.Fuse()
    found.add_special_tokens(list(special))
    return found


TOKENIZER = tokenizer_of(PIECES, PIECES[SPECIAL])


def decode(tokens: list[int]) -> str:
    return "".join(MARK if token == SPECIAL else PIECES[token] for token in tokens)


def responses(rows: list[list[int]], finished: list[bool]) -> Responses:
    width = max(map(len, rows))
    token_ST = np.array([row + [0] * (width - len(row)) for row in rows])
    length_S = np.array([len(row) for row in rows])
    kept_ST = np.arange(width) < length_S[:, None]
    number_ST = np.where(kept_ST, -1.0 - np.arange(width), 0).astype(np.float32)
    return Responses(np.zeros(len(rows), int), token_ST, number_ST, -number_ST, length_S, np.array(finished))


def test_a_response_keeps_the_tokens_up_to_its_string_and_the_text_before_it() -> None:
    drawn = responses([[0, 1, 2, 2, 0], [0, 5, 2, 1], [0, 1], [4, 0]], [False, True, False, True])
    found, texts = cut(
        drawn,
        [decode(row[:n].tolist()) for row, n in zip(drawn.token_ST, drawn.length_S, strict=True)],
        ["\n\n"],
        TOKENIZER,
    )
    assert texts == ["ab", "ab", "ab", ""]
    assert found.length_S.tolist() == [4, 3, 2, 1] and found.finished_S.tolist() == [True, True, False, True]
    assert found.logprob_ST.sum(1).tolist() == [-10, -6, -3, -1] and found.entropy_ST.sum(1).tolist() == [10, 6, 3, 1]
    assert found.token_ST[0].tolist() == [0, 1, 2, 2, 0] and found.logprob_ST[0, 4] == 0
    assert drawn.length_S.tolist() == [5, 4, 2, 2], "what was given stays"


def test_a_special_token_is_a_stop_string_too_and_stands_in_no_text() -> None:
    """A base model ends a turn by a token that is not its end token, and goes on with the next one."""
    drawn = responses([[0, SPECIAL, 1, SPECIAL], [0, 1, 0, 0]], [False, False])
    texts = [decode(row.tolist()) for row in drawn.token_ST]
    found, texts = cut(drawn, texts, ["<|im_end|>"], TOKENIZER)
    assert texts == ["a", "abaa"] and found.finished_S.tolist() == [True, False] and found.length_S.tolist() == [2, 4]


def test_a_string_may_go_on_after_a_special_token() -> None:
    drawn = responses([[0, SPECIAL, 1, SPECIAL, 2, 0]], [False])
    found, texts = cut(drawn, ["never read"], ["<|im_end|>\n"], TOKENIZER)
    assert texts == [f"a{MARK}b"] and found.length_S.tolist() == [5] and found.finished_S.tolist() == [True]


@given(
    st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=12), min_size=1, max_size=5),
    st.sampled_from([["\n"], ["\n\n", "ba"], ["b\nb"]]),
)
def test_the_shortest_beginning_with_a_string_is_kept(rows: list[list[int]], stop: list[str]) -> None:
    found, texts = cut(responses(rows, [False] * len(rows)), [decode(row) for row in rows], stop, TOKENIZER)
    for row, length, finished, text in zip(rows, found.length_S, found.finished_S, texts, strict=True):
        beginnings = [n for n in range(1, len(row) + 1) if any(string in decode(row[:n]) for string in stop)]
        assert (length, finished) == ((beginnings[0], True) if beginnings else (len(row), False))
        assert decode(row).startswith(text) and not any(string in text for string in stop)


@pytest.mark.parametrize(("stop", "verdict"), [((), "truncated"), (("\n",), "correct")])
def test_a_response_that_is_cut_at_a_string_has_ended(stop: tuple[str, ...], verdict: str) -> None:
    """The answer stands before the string, and what follows does not matter."""

    problem = COUNTDOWN.generate("test", 0, COUNTDOWN.options)[0]
    drawn = responses([list(map(ord, problem.solution + "\nand so on"))], [False])
    grading = BlockGrading(COUNTDOWN.grader, lambda grader, pairs: [grader.judge(*pair) for pair in pairs], stop)
    table, verdicts = graded(grading, [problem], tokenizer_of([*map(chr, range(128))]), drawn, np.zeros(1, int))
    assert verdicts == [verdict] == [str(Verdict(verdict))]
    assert len(table.column("tokens")[0]) == len(problem.solution) + (1 if stop else len("\nand so on"))

r"""Extraction of the answer from a response: text in, text out, in time linear in its length.

In this order: the last box that is not empty, with adjacent boxes that form a list with it; the text after "the answer
is" or ``Answer:``. A final answer stated after the last box takes precedence over the box. Text after the start of
another question is ignored.
"""

from __future__ import annotations

import re
from collections import deque

from boundary_bench.grading import NO_ANSWER, Nothing
from boundary_bench.grading.boxes import LONGEST_LINE, boxes, first_box
from boundary_bench.grading.number_text import first_number, last_number, numeric_content
from boundary_bench.grading.sentences import places_of, said, says_something
from boundary_bench.grading.sieve import unreadable

#: The beginning of another question, since base models continue with text like their training data.
NEXT_QUESTION = re.compile(
    r"\n[ \t]{0,4}(?:#{1,6} ?|\*\*)?(?:(?:question|problem|exercise|example|q)(?: ?#?\d{1,4})?\s?(?:[.:：]|\*\*|\n)"
    r"|(?:human|user|instruction)\s?[:：])"
    r"|<\|(?:im_start|im_end|endoftext|eot_id|start_header_id|user|assistant)\|>|</s>|\[/?INST\]"
    r"|<(?:start|end)_of_turn>|<｜[A-Za-z▁ ]{1,40}｜>"
    # the user's turn after a special token, which is a mark in the text
    r"|\N{REPLACEMENT CHARACTER}\s?(?:user|human)\b",
    re.IGNORECASE,
)
ANSWERED = re.compile(r"(?<=<)answer>|\banswers?(?: (?:is|are)\b|\W{0,4}[:：=])", re.IGNORECASE)
MARKED = re.compile(r"####\s?\S")
MARK = re.compile("####(?!#)")
#: Text after ``####`` that is the title of a section.
HEADING = re.compile(
    r"\s*+(?:\**\d{1,3}[.)]\s|(?!\s*(?:the |final |answer|is\b|[A-Z]{3}\s?\d|US\$))[A-Za-z*])", re.IGNORECASE
)
BEGINS_AS_FORMULA = re.compile(r"[-+$\\\d(\[{.√π∞±−]|[A-Za-z]\s*(?:=|$)")
MOST_MARKS = 8


def own(response: str, begun: int | None = None) -> str:
    """A response up to the start of another question, if it has given an answer by then.

    Args:
        begun: end of an answer at the beginning of the response.
    """
    marked = MARKED.search(response)
    cues = (ANSWERED.match(response, place) for place in places_of(["answer"], response))
    cue = next((match for match in cues if match), None)
    ends = (begun, first_box(response), marked and marked.end(), cue and cue.end())
    places = [place for place in ends if place is not None]
    other = NEXT_QUESTION.search(response, min(places)) if places else None
    return response[: other.start()] if other else response


def mathematics(response: str) -> str | Nothing:
    """The answer to a mathematics question."""
    response = own(response)
    chain = boxes(response)
    if chain:
        after = response[chain[-1].stop :]
        final = next((each for each in said(after, final=True) if BEGINS_AS_FORMULA.match(each)), None)
        content = response[chain[0].first : chain[-1].stop] if len(chain) > 1 else chain[0].content
        return _readable(final or content)
    return _readable(next((each for each in said(response) if says_something(each)), None))


def numeric(response: str) -> str | Nothing:
    """A number: the first after the last ``####``, in the last box, the first after "answer is", or the last of all."""
    response = own(response)
    ends = deque((mark.end() for mark in MARK.finditer(response)), MOST_MARKS)
    marks = (response[end : end + LONGEST_LINE].split("\n")[0] for end in ends)
    for line in reversed([line for line in marks if not HEADING.match(line)]):
        if found := first_number(line):
            return _readable(found)
    if chain := boxes(response):
        return _readable(numeric_content(chain[-1].content[:LONGEST_LINE]))
    found = next((number for each in said(response) if (number := first_number(each))), None)
    return _readable(found or last_number(response))


def exact(response: str) -> str | Nothing:
    """The whole response."""
    return _readable(response.strip() or None)


def _readable(answer: str | None) -> str | Nothing:
    if not answer:
        return NO_ANSWER
    limit = unreadable(answer)
    return Nothing(f"limit: {limit}") if limit else answer

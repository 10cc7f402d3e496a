r"""Where in a response its answer is: text in, text out, in time linear in its length.

In this order: the last box that is not empty, with those beside it that make one list; what follows "the answer is" or
``Answer:``. A final answer that is said after the last box counts more than the box. What a response says once it has
begun another question is not its answer.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from boundary_bench.grading import NO_ANSWER, Nothing
from boundary_bench.grading.limits import LONGEST, unreadable
from boundary_bench.grading.number_text import first_number, last_number, numeric_content

BOX = re.compile(
    r"\\(?:boxed|fbox)(?:\s?\{|\s{0,4}(?P<bare>[-+]?(?:\d[\d,.]*(?:/\d+)?|\\[a-zA-Z]+(?:\{[^{}\n]{0,99}\}){0,2}))"
    r"|\s{1,4}(?P<letter>[a-zA-Z])(?![a-zA-Z]))|\\.|[{}]",
    re.DOTALL,
)
#: Between boxes that are one answer: separators, "and", and at most a name as in ``y =``.
BESIDE = re.compile(r"[\s$,;&()\\\[\]]*(?:(?:and|or)\b|\\text\{\s*(?:and|or)\s*\})?[\s$]*(?:\$?[A-Za-z]\w?\s*=)?[\s$]*")
MOST_BESIDE = 40  # characters
#: The beginning of another question, as base models go on with their training data.
NEXT_QUESTION = re.compile(
    r"\n[ \t]{0,4}(?:#{1,4} ?|\*\*)?(?:(?:Question|Problem|Exercise|Q)\s?\d{0,3}\s?[.:]|(?:Human|User|Instruction)\s?:)"
    r"|<\|(?:im_start|im_end|endoftext|eot_id|start_header_id)\|>|</s>"
)
ANSWERED = re.compile(r"####\s?\S|\\(?:boxed|fbox)\b|\banswer(?: is\b|\W{0,4}:)", re.IGNORECASE)

#: ``Final Answer: The final answer is X. I hope it is correct.`` (Minerva), what looks like it, and other languages.
CUE = re.compile(
    r"(?P<doubt>\b(?:this|that|my|your)\s)?(?P<final>\bfinal\s)?"
    r"\banswer(?:\s(?:is|would be|must be|should be)\b|\)?[ *_]{0,4}[:：])"
    r"|\b(?:antwort|respuesta|réponse|risposta|resposta)(?:\s(?:ist|es|est|è|é)\b|[ *_]{0,4}[:：])"
    r"|答案(?:是|为|[ *]{0,4}[:：])",
    re.IGNORECASE,
)
MOST_CUES = 8
LONGEST_LINE = 4 * LONGEST
LEADING = ":： *_\t\n\r"
CUE_END = re.compile(r"\n|\.?\s?I hope it is correct|[.。!](?:\s|[*_]{1,3}|$)")
#: Where the sentence goes on after the answer.
GOES_ON = re.compile(
    r"(?:[,;]\s|\s)(?:because|since|as|so|which|where|when|given|thus|therefore|hence|but|after|if|assuming|meaning)\b"
    r"|(?<=[\d)}$]),\s(?!and\b|or\b)(?-i:[a-z]{3})"
    r"|\s\((?:see|as|since|because|by|from|which|rounded)\b|\s[–—]\s|\s--\s",
    re.IGNORECASE,
)
#: Words before the answer itself.
FILLER = re.compile(
    r"(?:(?:therefore|thus|hence|so|then|simply|just|exactly|approximately|about|roughly|around|clearly|obviously|"
    r"indeed|actually|equal to|given by|found to be|in fact|definitely|probably|most likely|likely|I think|I believe)\b"
    r"[\s,:]*)+",
    re.IGNORECASE,
)
#: Words that speak of an answer and are none.
COMMENT = re.compile(
    r"(?:given|shown|as|above|below|in|helpful|correct|right|clear|obvious|not|of|to|that|what|this|it|what|found|a)\b",
    re.IGNORECASE,
)
SPANS = (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$"))
JOIN = re.compile(r"\s{0,4}(?:,?\s?(?:and|or)\b|,|;)\s{0,4}")
SAYS_SOMETHING = re.compile(r"[\d\\^=+*/<>]|^.$")


@dataclass(frozen=True)
class Box:
    """A box of a response: its beginning and end there, and what it holds."""

    first: int
    stop: int
    content: str


def own(response: str) -> str:
    """A response up to where it begins another question, if it has given an answer by then."""
    answered = ANSWERED.search(response)
    other = NEXT_QUESTION.search(response, answered.end()) if answered else None
    return response[: other.start()] if other else response


def boxed(response: str) -> str | None:
    r"""The content of the last ``\boxed{...}`` that is closed and not empty, the inner one of two; None without one.

    An escaped brace opens and closes nothing, as in LaTeX.

    >>> boxed(r"\boxed{1}, no: \boxed{\frac{1}{2}}. I put it in \boxed{}.")
    '\\frac{1}{2}'
    """
    found = boxes(response)
    return found[-1].content if found else None


def boxes(response: str) -> list[Box]:
    """The last box that is closed and not empty, after those beside it that make one answer with it."""
    last = max(response.rfind("\\boxed"), response.rfind("\\fbox"))
    if last < 0:
        return []
    # nearly always the last boxes are closed; where they are not, one pass over everything finds those that are
    found = _closed(response, max(0, last - LONGEST_LINE)) or _closed(response, 0)
    chain = found[-1:]
    for box in reversed(found[:-1]):
        between = response[box.stop : chain[0].first]
        if box.stop > chain[0].first or len(between) > MOST_BESIDE or BESIDE.fullmatch(between) is None:
            break
        chain.insert(0, box)
    return chain


def _closed(response: str, start: int) -> list[Box]:
    """Boxes from a place on that are closed and not empty, in the order in which they begin."""
    opened: list[re.Match[str] | None] = []
    found = []
    for match in BOX.finditer(response, start):
        token = match[0]
        if bare := match["bare"] or match["letter"]:
            found.append(Box(match.start(), match.end(), bare.rstrip(".,")))
        elif token == "}":
            opening = opened.pop() if opened else None
            if opening is not None:
                content = response[opening.end() : match.start()].strip()
                found.append(Box(opening.start(), match.end(), content))
        elif token.endswith("{") and token != "\\{":
            opened.append(match if len(token) > 1 else None)
    return sorted((box for box in found if box.content), key=lambda box: box.first)


def said(response: str, final: bool = False) -> Iterator[str]:
    """What follows "the answer is" or "answer:", up to where the answer ends, from the last such words on.

    Args:
        final: only what is said to be the final answer.
    """
    cues = deque((match for match in CUE.finditer(response) if match["final"] or not final), MOST_CUES)
    for match in sorted(reversed(cues), key=lambda cue: cue["doubt"] is not None):
        if answer := _sentence(response[match.end() : match.end() + LONGEST_LINE].lstrip(LEADING)):
            yield answer


def _sentence(line: str) -> str:
    """The answer at the beginning of a line: its first formulas, or its words up to where they end."""
    line = line[match.end() :] if (match := FILLER.match(line)) else line
    if formula := _formulas(line):
        return formula
    line = line[: end.start()] if (end := CUE_END.search(line)) else line
    line = line[: on.start()] if (on := GOES_ON.search(line)) else line
    start = min((place for place in (line.find(opening) for opening, _ in SPANS) if place >= 0), default=-1)
    if start > 0 and not SAYS_SOMETHING.search(line[:start]) and (formula := _formulas(line[start:])):
        return formula
    return line.strip().rstrip(".*_ ").strip()


def _formulas(line: str) -> str:
    """The formula that a line begins with, without its dollars, or several with them that are one list."""
    spans: list[tuple[int, int, int]] = []
    place = 0
    while span := _span(line, place):
        spans.append(span)
        join = JOIN.match(line, span[2])
        if join is None:
            break
        place = join.end()
    if len(spans) == 1:
        opening, closing = spans[0][0], spans[0][1]
        return line[opening:closing].strip()
    return line[: spans[-1][2]] if spans else ""


def _span(line: str, place: int) -> tuple[int, int, int] | None:
    """Where the formula at a place of a line begins, where it ends, and where its mark ends."""
    for opening, closing in SPANS:
        if line.startswith(opening, place):
            first = place + len(opening)
            last = line.find(closing, first)
            while last > 0 and closing[0] == "$" and line[last - 1] == "\\":  # a currency
                last = line.find(closing, last + 1)
            if last > first and line[first:last].strip():
                return first, last, last + len(closing)
    return None


def mathematics(response: str) -> str | Nothing:
    """The answer to a question of mathematics."""
    response = own(response)
    chain = boxes(response)
    if chain:
        after = response[chain[-1].stop :]
        final = next((each for each in said(after, final=True) if SAYS_SOMETHING.search(each)), None)
        content = response[chain[0].first : chain[-1].stop] if len(chain) > 1 else chain[0].content
        return _readable(final or content)
    useful = (each for each in said(response) if SAYS_SOMETHING.search(each) or COMMENT.match(each) is None)
    return _readable(next(useful, None))


def numeric(response: str) -> str | Nothing:
    """A number: the first after the last ``####``, in the last box, the first after "answer is", or the last of all."""
    response = own(response)
    place = response.rfind("####")
    if place >= 0 and (found := first_number(response[place + 4 : place + LONGEST_LINE].split("\n")[0])):
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

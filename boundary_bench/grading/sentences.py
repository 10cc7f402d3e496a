r"""Answers stated in a sentence of a response: after "the answer is", ``Answer:`` or ``<answer>``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from boundary_bench.grading.boxes import LONGEST_LINE
from boundary_bench.grading.units import is_unit, known, unit_of

#: ``Final Answer: The final answer is X. I hope it is correct.`` (Minerva), similar phrases, and other languages.
CUE = re.compile(
    r"\banswers?(?:\s(?:is|are|equals?|would be|must be|should be|comes (?:out )?to|turns out to be)\b"
    r"|\)?[ *_]{0,4}[:：=])|\bans\s?[:：=]"
    r"|(?P<heading>answer[ *_:]{0,4}(?=\n))|(?P<tag>answer>)"
    r"|\b(?:antwort|respuesta|réponse|risposta|resposta)(?:\s(?:ist|es|est|è|é)\b|[ *_]{0,4}[:：])"
    r"|答案(?:是|为|[ *]{0,4}[:：])",
    re.IGNORECASE,
)
#: First letters of all cues, in lower case, as a faster first search.
BEGINNINGS = ("ans", "antwort", "respuesta", "réponse", "risposta", "resposta", "答案")
BEFORE_CUE = re.compile(
    r"(?P<heading>(?:\A|(?<=\n))[ #*_]{1,8}(?:final\s)?\Z)"
    r"|(?P<doubt>\b(?:this|that|my|your)\s)?(?P<final>\bfinal\s)?\Z",
    re.IGNORECASE,
)
LONGEST_BEFORE = 20  # characters
MOST_CUES = 8
LEADING = ":： *_\t\n\r"
CUE_END = re.compile(r"\n|</answer>|\.?\s?I hope it is correct|[.。!](?:\s|[*_]{1,3}|$)")
#: Continuations of the sentence after the answer.
GOES_ON = re.compile(
    r"(?:[,;]\s|\s)(?:because|since|as|so|which|where|when|given|thus|therefore|hence|but|after|if|assuming|meaning)\b"
    r"|(?<=[\d)}$]),\s(?!and\b|or\b)(?-i:[a-z]{3})"
    r"|\s\((?:see|as|since|because|by|from|which|rounded)\b|\s[–—]\s|\s--\s",
    re.IGNORECASE,
)
#: Words before the answer itself.
FILLER = re.compile(
    r"(?:(?:therefore|thus|hence|so|then|simply|just|exactly|approximately|about|roughly|around|clearly|obviously|"
    r"indeed|actually|equal to|given by|found to be|in fact|definitely|probably|most likely|likely|I think|I believe|"
    r"expressed as|written as|simplified to|now|also)\b[\s,:]*)+",
    re.IGNORECASE,
)
NEGATIVE = re.compile(r"(?:negative|minus)\s+(?=[\d$\\.])", re.IGNORECASE)
#: Words before a formula that make it a different answer.
CHANGED = re.compile(
    r"\b(?:not|no|never|cannot|at|least|most|less|more|greater|fewer|larger|smaller|under|over|above|below|between|from|up|"
    r"twice|half|double|triple|thrice|times|multiples?|factors?|divi\w+|powers?|squared?|root|negative|minus|plus|"
    r"opposite|inverse|reciprocal|except|either|neither|nor|if|modulo|sum|product|difference|quotient)\b|n't\b",
    re.IGNORECASE,
)
#: Text after a formula that is part of the answer.
FURTHER = re.compile(
    r"\s*(?:[-+*/×·^=<>±!%−]|\\[a-zA-Z%]|(?:times|plus|minus|divided|multiplied|over|mod|modulo|factorial|squared|cubed|percent|"
    r"dozen|hundred|thousand|lakh|million|crore|billion|trillion)\b|(?:or|and|to)\s+[-$\\\d])",
    re.IGNORECASE,
)
#: Words about an answer that are no answer.
COMMENT = re.compile(
    r"(?:given|shown|as|above|below|in|helpful|correct|right|wrong|incorrect|clear|obvious|not|of|to|that|what|this|it|"
    r"found|an?|consistent|positive|negative|odd|even|accurate|reasonable|valid|verified|unique|rational|whole|integers?|independent|"
    r"well|simple|sensible|plausible|small|large|smaller|larger|less|greater|rounded|always)\b",
    re.IGNORECASE,
)
REMARK = re.compile(
    r"(?:obtained|derived|computed|calculated|based|consistent|verified|expected|supposed|required|correct|rounded|checked|"
    r"confirmed|independent|in the (?:form|range)|from|within|by)\b",
    re.IGNORECASE,
)
SPANS = (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$"))
JOIN = re.compile(r"\s{0,4}(?:,?\s?(?:and|or)\b|,|;)\s{0,4}")
#: An amount in dollars and the words after it, if another dollar sign follows later.
CURRENCY = re.compile(r"\d[\d,.]*(?:\s?|[.,;]\s+)[A-Za-z]{2}")
SAYS_SOMETHING = re.compile(r"[\d\\^=+*/<>]|^.$")
PLAIN_UNIT = re.compile(r"([-+]?\d[\d,.]*)\s([A-Za-z]{1,2})")


@dataclass(frozen=True)
class Cue:
    """Words that announce an answer: their end, whether it is someone's answer ("my"), whether it is the final one."""

    stop: int
    doubt: bool
    final: bool


def said(response: str, final: bool = False) -> Iterator[str]:
    """The answers after "the answer is" or "answer:", the last such words first.

    Args:
        final: whether to take only answers announced as final.
    """
    cues = islice((cue for cue in _cues(response) if cue.final or not final), MOST_CUES)
    for cue in sorted(cues, key=lambda each: each.doubt):
        if answer := _sentence(response[cue.stop : cue.stop + LONGEST_LINE].lstrip(LEADING)):
            yield answer


def places_of(words: Sequence[str], response: str) -> Iterator[int]:
    """The places of lower-case words in a response, in any case."""
    lower = response.lower()
    lower = lower if len(lower) == len(response) else response  # lower() turns some Turkish letters into two
    for word in words:
        place = lower.find(word)
        while place >= 0:
            yield place
            place = lower.find(word, place + 1)


def _cues(response: str) -> Iterator[Cue]:
    """The cues of a response, the last first."""
    for place in sorted(places_of(BEGINNINGS, response), reverse=True):
        match = CUE.match(response, place)
        before = match and BEFORE_CUE.search(response, max(0, place - LONGEST_BEFORE), place)
        if match is None or before is None or (match["heading"] and before["heading"] is None):
            continue
        if match["tag"] and response[place - 1 : place] != "<":
            continue
        named = before["final"] or "final" in (before["heading"] or "").lower()
        yield Cue(match.end(), bool(before["doubt"]), bool(match["tag"] or named))


def _sentence(line: str) -> str:
    """The answer at the beginning of a line: its first formulas, or its words up to the end of the answer."""
    line = line[match.end() :] if (match := FILLER.match(line)) else line
    line = NEGATIVE.sub("-", line, count=1) if NEGATIVE.match(line) else line
    formula, stop = _formulas(line)
    if formula:
        return _with_what_follows(line, formula, stop)
    line = _ended(line)
    start = min((place for place in (line.find(opening) for opening, _ in SPANS) if place >= 0), default=-1)
    words = line[:start]
    if start > 0 and not SAYS_SOMETHING.search(words) and not CHANGED.search(words):
        formula, stop = _formulas(line[start:])
        if formula:
            return _with_what_follows(line[start:], formula, stop)
    line = line.strip().rstrip(".*_ ").strip()
    unit = PLAIN_UNIT.fullmatch(line)
    return f"{unit[1]}\\text{{ {unit[2]}}}" if unit and known(unit[2]) else line


def _ended(line: str) -> str:
    """A line up to the end of its sentence, or to a continuation after the answer."""
    line = line[: end.start()] if (end := CUE_END.search(line)) else line
    return line[: on.start()] if (on := GOES_ON.search(line)) else line


def _with_what_follows(line: str, formula: str, stop: int) -> str:
    """The first formula of a line, with the following text if that is part of the answer or its unit."""
    rest = _ended(line[stop:])
    if FURTHER.match(rest):
        return line[: stop + len(rest)].strip().rstrip(".*_ ")
    words = rest.strip().rstrip(".*_ ")
    return f"{formula}\\text{{ {words}}}" if is_unit(f" {words}") and unit_of(words).powers is not None else formula


def _formulas(line: str) -> tuple[str, int]:
    """The first formula of a line without dollars, or several that form a list, with dollars; and their end."""
    spans: list[tuple[int, int, int]] = []
    place = 0
    while span := _span(line, place):
        spans.append(span)
        join = JOIN.match(line, span[2])
        if join is None:
            break
        place = join.end()
    if len(spans) == 1:
        first, last, stop = spans[0]
        return line[first:last].strip(), stop
    return (line[: spans[-1][2]], spans[-1][2]) if spans else ("", 0)


def _span(line: str, place: int) -> tuple[int, int, int] | None:
    """Start and stop of the formula at a place of a line, and the stop of its closing mark; None without a formula."""
    for opening, closing in SPANS:
        if line.startswith(opening, place):
            first = place + len(opening)
            last = line.find(closing, first)
            while last > 0 and closing[0] == "$" and line[last - 1] == "\\":  # a currency
                last = line.find(closing, last + 1)
            currency = opening == "$" and CURRENCY.match(line[first:last])
            if last > first and line[first:last].strip() and not currency:
                return first, last, last + len(closing)
    return None


def says_something(sentence: str) -> bool:
    """Whether a sentence is an answer, and not only a remark about one."""
    return not REMARK.match(sentence) and bool(SAYS_SOMETHING.search(sentence) or not COMMENT.match(sentence))

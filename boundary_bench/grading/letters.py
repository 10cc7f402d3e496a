"""Extraction of the choice from a response: one letter from A to J, never the first of several.

In this order: the last box, if it holds letters; the text after "the answer is", the last such words first; a sentence
that calls an option correct; a last line that is a letter or begins with a label. A letter counts alone or as a label:
``(B)``, ``B.``, ``B: text``. Lower case counts in boxes, in brackets and after "the answer is".
"""

from __future__ import annotations

import re
import unicodedata

from boundary_bench.grading import NO_ANSWER, Nothing
from boundary_bench.grading.boxes import LONGEST_LINE, boxes
from boundary_bench.grading.extract import own
from boundary_bench.grading.sentences import places_of, said

SEVERAL = Nothing("several letters")
STYLE = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:rm|bf|it|sf|tt)|boldsymbol|bm|boxed|fbox)\s?\{|[{}$*_`\"~]|\\[()\[\] ,]"
)
NAMED = r"(?:(?:the\s)?(?:option|choice|letter|answer|alternative)s?\s?:?\s*)?"
#: A letter in brackets or with the mark of a label.
LABEL = r"(?:\(\s*([A-J])\s*\)|\[\s*([A-J])\s*\]|([A-J])(?:\s*[).:](?!\w)|\s[-–—](?=\s)))"
ALONE = re.compile(rf"{NAMED}(?:{LABEL}|([A-J]))[\s.,;:!-]*", re.IGNORECASE)
WITH_TEXT = re.compile(rf"{NAMED}{LABEL}\s*(?=\S)", re.IGNORECASE)
#: A capital letter followed by a remark; an A or I before a word may be a word itself.
AND_WORDS = re.compile(
    r"([B-HJ])(?=[\s,;](?!\w\b|[\s,;]*[=+\-*/^_<>]))|([AI])(?=[,;]|\s\(|\s+(?:because|since|as|is|for|so|which|with|by|due|meaning)\b)"
)
LETTER = r"\(?\s?[A-J]\s?\)?(?![A-Za-z])"
LIST = re.compile(
    rf"(?:both\s|either\s)?{NAMED}{LETTER}(?:\s*(?:,|;|/|&|\band\b|\bor\b)\s*)+(?!(?-i:a|i)\s[a-z]){NAMED}{LETTER}",
    re.IGNORECASE,
)
SPACED = re.compile(r"[A-J](?:\s+[A-J])+", re.IGNORECASE)
FURTHER_LABEL = re.compile(r"(?<![\w°])(?:\([A-J]\)|[A-J][).:](?=\s|$))")
CALLED_CORRECT = re.compile(
    r"(?<![A-Za-z])(?:\(([A-J])\)|([A-J]))\)?\s(?:is|would be|must be)\s(?:the\s|indeed\s)?(?:correct|right|best)\b"
    r"|\b(?:correct|right|best|final)\s(?:option|choice|alternative|letter)\s(?:is|would be|must be)\s?:?\s*"
    r"(?:\(([A-J])\)|([A-J])(?![A-Za-z]))"
    r"|\b(?:choose|select|pick)\s(?:option\s|choice\s|answer\s)?(?:\(([A-J])\)|([A-J])(?![A-Za-z]))"
)
#: One of these words is in every match of CALLED_CORRECT.
CALLING = ("correct", "right", "best", "final", "choose", "select", "pick")
#: A line that is a letter or begins with its label.
LINE = re.compile(
    rf"^[ \t>#*_-]{{0,6}}(?:{NAMED}(?:{LABEL}(?:[ \t*_]*(?=\S)|[ \t*_]*$)|([A-J])[ \t.*_]*$))", re.MULTILINE
)
#: A response that begins with its choice, as base models often write it.
AT_ONCE = re.compile(rf"\s*(?:{LABEL}|[A-J](?=[.\s]{{0,4}}\n))", re.IGNORECASE)
AT_THE_END = re.compile(r"[^()]*\(([A-J])\)[\s.]*")


def choice(response: str) -> str | Nothing:
    """The letter that a response chooses, in upper case."""
    # a token that is no text divides words, as a blank does
    response = response.replace("\N{REPLACEMENT CHARACTER}", " ")
    at_once = AT_ONCE.match(response)
    response = own(response, at_once and at_once.end())
    contents = [_plain(box.content[:LONGEST_LINE]) for box in boxes(response)]
    if len({match[0] for match in map(ALONE.fullmatch, contents) if match}) > 1:
        return SEVERAL
    for place in (*contents[-1:], *map(_plain, said(response))):
        found = _in_place(place)
        if found is not None:
            return found
    plain = STYLE.sub("", response)
    called = next(places_of(CALLING, plain), None) is not None
    for match in reversed(list(CALLED_CORRECT.finditer(plain)) if called else []):
        return _letter(match)
    return _in_line(plain) or NO_ANSWER


def _plain(place: str) -> str:
    return STYLE.sub("", unicodedata.normalize("NFKC", place)).strip()


def _letter(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group).upper()


def _in_place(text: str) -> str | Nothing | None:
    """The letter of a box or a sentence; None if it contains something else."""
    if LIST.match(text) or SPACED.fullmatch(text):
        return SEVERAL
    if match := ALONE.fullmatch(text):
        return _letter(match)
    if match := WITH_TEXT.match(text):
        return SEVERAL if FURTHER_LABEL.search(text, match.end()) else _letter(match)
    match = AND_WORDS.match(re.sub(rf"^{NAMED}", "", text, flags=re.IGNORECASE)) or AT_THE_END.fullmatch(text)
    return _letter(match) if match else None


def _in_line(response: str) -> str | None:
    """The letter of the first or last line, if no other letter labels a line; several labels are the options."""
    lines = [line.strip()[:LONGEST_LINE] for line in response.splitlines() if line.strip()]
    labelled = {_letter(match) for line in lines if (match := LINE.match(line))}
    if len(labelled) != 1 or not any(LINE.match(line) for line in (lines[0], lines[-1])):
        return None
    line = next(line for line in (lines[-1], lines[0]) if LINE.match(line))
    match = LINE.match(line)
    several = LIST.match(line) or (match and FURTHER_LABEL.search(line, match.end()))
    return None if several else labelled.pop()

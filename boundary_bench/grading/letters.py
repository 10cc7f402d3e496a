"""Where in a response its choice is: one letter from A to J, never the first of several.

In this order: the last box, if it holds letters; what follows "the answer is", from the last such words on; a sentence
that calls an option correct; a last line that is a letter or begins with a label. A letter counts alone or as a label:
``(B)``, ``B.``, ``B: text``. Lower case counts in boxes, in brackets and after "the answer is".
"""

from __future__ import annotations

import re
import unicodedata

from boundary_bench.grading import NO_ANSWER, Nothing
from boundary_bench.grading.extract import LONGEST_LINE, boxes, own, said

SEVERAL = Nothing("several letters")
STYLE = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:rm|bf|it|sf|tt)|boldsymbol|bm|boxed|fbox)\s?\{|[{}$*_`\"~]|\\[()\[\] ,]"
)
NAMED = r"(?:(?:the\s)?(?:option|choice|letter|answer|alternative)s?\s?:?\s*)?"
#: A letter in brackets or with the mark of a label.
LABEL = r"(?:\(\s*([A-J])\s*\)|\[\s*([A-J])\s*\]|([A-J])\s*[).:](?!\w))"
ALONE = re.compile(rf"{NAMED}(?:{LABEL}|([A-J]))[\s.,;:!]*", re.IGNORECASE)
WITH_TEXT = re.compile(rf"{NAMED}{LABEL}\s*(?=\S)", re.IGNORECASE)
#: A capital letter and what is said of it; an A or I before a word may be a word itself.
AND_WORDS = re.compile(
    r"([B-HJ])(?=[\s,;](?!\w\b|[\s,;]*[=+\-*/^_<>]))|([AI])(?=[\s,;]+(?:because|since|as|is|for|so|which|with|by|due|meaning)\b)"
)
LETTER = r"\(?\s?[A-J]\s?\)?(?![A-Za-z])"
LIST = re.compile(
    rf"(?:both\s|either\s)?{NAMED}{LETTER}(?:\s*(?:,|;|/|&|\band\b|\bor\b)\s*)+{NAMED}{LETTER}", re.IGNORECASE
)
SPACED = re.compile(r"[A-J](?:\s+[A-J])+", re.IGNORECASE)
FURTHER_LABEL = re.compile(r"(?<!\w)(?:\([A-J]\)|[A-J][).:](?=\s|$))")
CALLED_CORRECT = re.compile(
    r"(?<![A-Za-z])(?:\(([A-J])\)|([A-J]))\)?\s(?:is|would be|must be)\s(?:the\s|indeed\s)?(?:correct|right|best)\b"
    r"|\b(?:correct|right|best|final)\s(?:option|choice|alternative|letter)\s(?:is|would be|must be)\s?:?\s*"
    r"(?:\(([A-J])\)|([A-J])(?![A-Za-z]))"
    r"|\b(?:choose|select|pick)\s(?:option\s|choice\s|answer\s)?(?:\(([A-J])\)|([A-J])(?![A-Za-z]))"
)


def choice(response: str) -> str | Nothing:
    """The letter that a response chooses, as a capital."""
    response = own(response)
    places = [box.content[:LONGEST_LINE] for box in boxes(response)[-1:]]
    for place in (*places, *said(response)):
        found = _in_place(_plain(place))
        if found is not None:
            return found
    for match in reversed(list(CALLED_CORRECT.finditer(response))):
        return _letter(match)
    return _in_last_line(response) or NO_ANSWER


def _plain(place: str) -> str:
    return STYLE.sub("", unicodedata.normalize("NFKC", place)).strip()


def _letter(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group).upper()


def _in_place(text: str) -> str | Nothing | None:
    """The letter of a box or a sentence; None where it holds something else."""
    if LIST.match(text) or SPACED.fullmatch(text):
        return SEVERAL
    if match := ALONE.fullmatch(text):
        return _letter(match)
    if match := WITH_TEXT.match(text):
        return SEVERAL if FURTHER_LABEL.search(text, match.end()) else _letter(match)
    match = AND_WORDS.match(re.sub(rf"^{NAMED}", "", text, flags=re.IGNORECASE))
    return _letter(match) if match else None


def _in_last_line(response: str) -> str | None:
    """The letter of a last line that is one, or that begins with a label and is not the end of a list of options."""
    lines = [line[:LONGEST_LINE] for line in response.rstrip(" .\n\t*").rsplit("\n", 4)[-4:] if line.strip()]
    before, last = map(_plain, ["", "", *lines][-2:])
    match = ALONE.fullmatch(last) or WITH_TEXT.match(last)
    if match is None or WITH_TEXT.match(before) or LIST.match(last) or FURTHER_LABEL.search(last, match.end()):
        return None
    written = next(group for group in match.groups() if group)
    return written.upper() if written.isupper() or "(" in match[0] or "[" in match[0] else None

"""Units as readers write them, their dimension and their size in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

#: Dimension -> names of a unit -> its size. Plurals in s and es are read too.
SIZES = {
    "length": {
        "mm millimeter millimetre": "1/1000",
        "cm centimeter centimetre": "1/100",
        "m meter metre": "1",
        "km kilometer kilometre": "1000",
        "in inch": "127/5000",
        "ft foot feet": "381/1250",
        "yd yard": "1143/1250",
        "mi mile": "201168/125",
    },
    "time": {
        "ms millisecond": "1/1000",
        "s sec second": "1",
        "min minute": "60",
        "h hr hour": "3600",
        "day": "86400",
        "week": "604800",
    },
    "mass": {"mg milligram": "1/1000", "g gm gram": "1", "kg kilogram": "1000"},
    "volume": {"ml mL milliliter millilitre": "1/1000", "l L liter litre": "1"},
    "angle": {"degree deg": "1"},
    "dollars": {"dollar USD buck": "1", "cent ¢": "1/100"},
    "euros": {"euro EUR €": "1"},
    "pounds sterling": {"£ GBP": "1"},
    "yen": {"yen ¥ JPY": "1"},
    "rupees": {"rupee ₹ INR": "1"},
}
UNITS = {
    name: (dimension, Fraction(size))
    for dimension, units in SIZES.items()
    for names, size in units.items()
    for name in names.split()
}
CURRENCY = r"(?:US\s?)?\\\$|[€£¥₹₩₽₪฿¢]|\\(?:pounds|euro)(?![a-z])"
SYMBOLS = {"$": " dollar ", "pounds": " £ ", "euro": " euro "}
#: Parts of units whose size is not asked for.
PARTS = {"per", "of", "mph", "kph", "rpm", "mol"}
POWERS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}
WORD = re.compile(r"[A-Za-z]+|[€£¥₹¢]")
TEXT = re.compile(r"\\text\{([^{}]*)\}")
EXPONENT = re.compile(r"\^\s*\{?\s*(-?[1-9])\s*\}?")
#: What units are made of besides words.
REST = re.compile(r"(?:[\s'./·-]|\\cdot|\\mu|\\Omega)*")
#: Words that make another answer of a number, or are mathematics.
OTHER = {
    *("or", "and", "more", "less", "than", "least", "most", "between", "not", "no", "undefined", "to", "if"),
    *("pi", "sin", "cos", "tan", "log", "ln", "exp", "mod", "sqrt", "frac", "infty", "infinity"),
}


@dataclass(frozen=True)
class Unit:
    """What a number is a number of: a power of a dimension and the size in it; no dimension where it is not known."""

    dimension: tuple[str, int] | None
    size: Fraction = Fraction(1)


def is_unit(text: str) -> bool:
    """Whether what follows a number is its unit, and no factor of a formula.

    A single letter is a variable unless it is set as text, and so is an unknown word that does not stand apart.
    """
    plain = TEXT.sub(" ", EXPONENT.sub(" ", text))
    words = [*WORD.findall(plain), *WORD.findall(" ".join(TEXT.findall(text)))]
    others = {word.lower() for word in words} & OTHER
    if not words or not REST.fullmatch(WORD.sub("", TEXT.sub(r" \1 ", EXPONENT.sub(" ", text)))) or others:
        return False
    apart = text[:1].isspace()
    return all(
        len(word) > 1 and (_known(word) or word in POWERS or word in PARTS or (apart and len(word) > 3))
        for word in WORD.findall(plain)
    )


def unit_of(text: str) -> Unit:
    """The unit that some words name.

    >>> unit_of("square cm") == unit_of("cm^2") == Unit(("length", 2), Fraction(1, 10_000))
    True
    """
    for symbol, name in SYMBOLS.items():
        text = text.replace(symbol, name)
    words = [word for word in WORD.findall(EXPONENT.sub(" ", text)) if word != "US"]
    powers = [*(POWERS[word] for word in words if word in POWERS), *(int(power) for power in EXPONENT.findall(text))]
    names = [word for word in words if word not in POWERS]
    known = _known(names[0]) if len(names) == 1 and len(powers) < 2 else None
    power = (powers or [1])[0]
    return Unit((known[0], power), known[1] ** power) if known else Unit(None)


def _known(word: str) -> tuple[str, Fraction] | None:
    if len(word) < 3:
        return UNITS.get(word)
    names = (word, *(word.lower().removesuffix(ending) for ending in ("", "s", "es")))
    return next((UNITS[name] for name in names if name in UNITS), None)

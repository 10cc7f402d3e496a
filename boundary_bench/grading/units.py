"""Units as people write them: their dimensions and sizes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

#: Names of a unit, its size, and its definition by a dimension or by units above it. Plurals are read too.
TABLE = """
m meter metre = 1 length
s sec second = 1 time
g gm gram = 1/1000 mass
A ampere amp = 1 current
K kelvin = 1 temperature
mol mole = 1 amount
in inch = 127/5000 m
ft foot feet = 381/1250 m
yd yard = 1143/1250 m
mi mile = 201168/125 m
Å angstrom = 1/10000000000 m
AU = 149597870700 m
ly light-year lightyear = 9460730472580800 m
pc parsec = 30856775814913673 m
min minute = 60 s
h hr hour = 3600 s
day = 86400 s
week = 604800 s
month = 1 month
yr year = 12 month
decade = 120 month
century = 1200 month
lb pound = 45359237/100000 g
oz ounce = 45359237/1600000 g
tonne = 1000000 g
L l liter litre = 1/1000 m^3
gal gallon = 473176473/125000000000 m^3
quart = 473176473/500000000000 m^3
acre = 316160658/78125 m^2
ha hectare = 10000 m^2
Hz hertz = 1 s^-1
N newton = 1000 g m s^-2
dyn dyne = 1/100000 N
J joule = 1 N m
erg = 1/10000000 J
cal calorie = 523/125 J
eV = 1602176634/10000000000000000000000000000 J
W watt = 1 J s^-1
Pa pascal = 1 N m^-2
bar = 100000 Pa
atm atmosphere = 101325 Pa
V volt = 1 W A^-1
C coulomb = 1 A s
F farad = 1 C V^-1
Ω ohm = 1 V A^-1
T tesla = 1 V s m^-2
mph = 1397/3125 m s^-1
kph = 5/18 m s^-1
knot = 463/900 m s^-1
deg degree = 1 angle
rad radian = 1 radian
sr steradian = 1 steradian
celsius = 1 celsius
fahrenheit = 1 fahrenheit
dollar USD buck = 1 dollar
cent ¢ = 1/100 dollar
euro EUR € = 1 euro
£ GBP sterling = 1 sterling
yen ¥ JPY = 1 yen
rupee ₹ INR = 1 rupee
"""
PREFIXES = {"p": -12, "n": -9, "µ": -6, "u": -6, "m": -3, "c": -2, "d": -1, "k": 3, "M": 6, "G": 9, "T": 12}
PREFIX_NAMES = {"nano": -9, "micro": -6, "milli": -3, "centi": -2, "deci": -1, "kilo": 3, "mega": 6, "giga": 9}
PREFIXED = {
    "m",
    "s",
    "g",
    "A",
    "L",
    "l",
    "Hz",
    "N",
    "J",
    "cal",
    "eV",
    "W",
    "Pa",
    "bar",
    "V",
    "F",
    "Ω",
    "T",
    "pc",
    "mol",
}
PREFIXED_NAMES = {"meter", "metre", "second", "gram", "liter", "litre", "hertz", "newton", "joule", "calorie", "watt"}
PREFIXED_NAMES |= {"pascal", "volt", "ohm", "parsec"}

LONGEST_NAME = 40  # characters of a unit that are shown
PLURALS = (("s$", ""), ("es$", ""), ("ies$", "y"))

CURRENCY = r"(?:US\s?)?\\\$|[€£¥₹₩₽₪฿¢]|\\(?:pounds|euro)(?![a-z])"
SYMBOLS = {"$": " dollar ", "\\pounds": " £ ", "\\euro": " euro ", "\\mu": " µ", "\\Omega": "Ω", "\\AA": "Å"}
SYMBOLS |= {"^\\circ": " degree ", "\\cdot": " ", "\\times": " "}
TEMPERATURE = re.compile(r"\^\\circ\s*(?:\\text\{)?\s*([CF])\b\s*\}?")
DEGREE = (("angle", 1),)
DEGREES = {DEGREE, (("celsius", 1),), (("fahrenheit", 1),)}
POWERS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}
#: Words between units, and words without a size.
PARTS = {"of", "each", "rpm"}
PER = {"per", "a", "an"}
NAME = r"[A-Za-zÅΩµ][A-Za-zΩ-]*|[€£¥₹¢Ω]"
WORD = re.compile(NAME)
TOKEN = re.compile(rf"({NAME})|\^\s*\{{?\s*(-?[1-9])\s*\}}?|(/)")
TEXT = re.compile(r"\\text\{([^{}]*)\}")
EXPONENT = re.compile(r"\^\s*\{?\s*(-?[1-9])\s*\}?")
QUOTIENT = re.compile(r"\\frac\{((?:[^{}]|\{[^{}]*\})+)\}\{((?:[^{}]|\{[^{}]*\})+)\}")
#: Characters of units besides words and exponents.
REST = re.compile(r"(?:[\s'./·()-]|\\\$)*")
#: Words that make a number a different answer, or are mathematics.
OTHER = {
    *("or", "and", "more", "less", "than", "least", "most", "between", "not", "no", "undefined", "to", "if", "is"),
    *("times", "plus", "minus", "divided", "by", "factorial", "wrong", "incorrect", "am", "pm", "a.m", "p.m"),
    *("pi", "sin", "cos", "tan", "log", "ln", "exp", "mod", "modulo", "sqrt", "frac", "infty", "infinity", "only"),
}
HALF_OF_DAY = re.compile(r"\b[ap]\s?\.\s?m\b", re.IGNORECASE)


@dataclass(frozen=True)
class Unit:
    """The unit of a number.

    Attributes:
        powers: exponents of the dimensions; None if the unit is unknown.
        size: in the base units of the dimensions.
        name: the unit as written, in a line.
    """

    powers: tuple[tuple[str, int], ...] | None
    size: Fraction = Fraction(1)
    name: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.name and f" {self.name}"


def is_unit(text: str) -> bool:
    """Whether the text after a number is its unit, and no factor of a formula.

    A single letter is a variable unless it is set as text or belongs to a quotient of units separated from the number
    by a space, as in ``5 m/s``. An unknown word without a space before it is a variable too.
    """
    text = QUOTIENT.sub(r"\1/(\2)", text)
    as_text = " ".join(TEXT.findall(text))
    plain = _named(TEXT.sub(" ", text))
    words = WORD.findall(EXPONENT.sub(" ", plain))
    names = [*words, *WORD.findall(_named(EXPONENT.sub(" ", as_text)))]
    rest = WORD.sub("", EXPONENT.sub(" ", _named(TEXT.sub(r" \1 ", text))))
    if not REST.fullmatch(rest) or {name.lower() for name in names} & OTHER or HALF_OF_DAY.search(as_text or plain):
        return False
    if all(name in POWERS or name in PARTS or name in PER for name in names):
        return False
    apart = text[:1].isspace()
    return (apart and "/" in plain and all(map(known, words))) or all(
        (len(word) > 1 and (known(word) is not None or word in POWERS or word in PARTS or word in PER))
        or (apart and len(word) > 3)
        for word in words
    )


def unlike(one: Unit, other: Unit) -> bool:
    """Whether two units are known and measure different things; a degree may belong to any scale."""
    if one.powers is None or other.powers is None or one.powers == other.powers:
        return False
    return DEGREE not in (one.powers, other.powers) or not {one.powers, other.powers} <= DEGREES


def unit_of(text: str) -> Unit:
    """The unit that a text names.

    >>> unit_of("square cm") == unit_of("cm^2") == Unit((("length", 2),), Fraction(1, 10_000))
    True
    >>> unit_of("miles per hour").powers, unit_of(r"\\text{kg}\\cdot m/s^{2}") == unit_of("N"), unit_of("apples").powers
    ((('length', 1), ('time', -1)), True, None)
    """
    text = TEXT.sub(r" \1 ", QUOTIENT.sub(r"\1/(\2)", TEMPERATURE.sub(_degrees, text)))
    powers: Counter[str] = Counter()
    size, sign, power = Fraction(1), 1, 1
    text = _named(text)
    name, tokens = " ".join(text.replace("\\", " ").split())[:LONGEST_NAME], list(TOKEN.finditer(text))
    for place, token in enumerate(tokens):
        word = token[1]
        if token[3] or word in PER:
            sign = -1
        elif word in ("square", "sq", "cubic", "cu"):
            power = POWERS[word]
        elif word and word not in POWERS and word not in PARTS:
            found = known(word)
            if found is None:
                return Unit(None, name=name)
            after = tokens[place + 1] if place + 1 < len(tokens) else None
            raised = int(after[2]) if after and after[2] else POWERS.get(after[1] or "", power) if after else power
            powers.update({name: each * raised * sign for name, each in found.powers or ()})
            size *= found.size ** (raised * sign)
            power = 1
    return Unit(tuple(sorted(each for each in powers.items() if each[1])), size, name)


def _named(text: str) -> str:
    for symbol, name in SYMBOLS.items():
        text = text.replace(symbol, name)
    return re.sub(r"µ\s+", "µ", text).replace("US ", " ")


def _degrees(found: re.Match[str]) -> str:
    return " celsius " if found[1] == "C" else " fahrenheit "


@cache
def _table() -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for line in TABLE.strip().splitlines():
        names, _, definition = line.partition(" = ")
        size, *parts = definition.split()
        powers, factor = Counter[str](), Fraction(size)
        for part in parts:
            name, _, power = part.partition("^")
            unit = units.get(name) or Unit(((name, 1),))
            powers.update({each: count * int(power or 1) for each, count in unit.powers or ()})
            factor *= unit.size ** int(power or 1)
        unit = Unit(tuple(sorted((name, count) for name, count in powers.items() if count)), factor)
        units |= dict.fromkeys(names.split(), unit)
    return units


@cache
def known(word: str) -> Unit | None:
    """The unit with a name or symbol, with or without a prefix as in ``km`` and ``kilometers``; None if unknown."""
    units = _table()
    if word in units:
        return units[word]
    if word[:1] in PREFIXES and word[1:] in PREFIXED:
        return _scaled(units[word[1:]], PREFIXES[word[0]])
    for name in [word.lower(), *(re.sub(*plural, word.lower()) for plural in PLURALS)] if len(word) > 2 else ():
        if name in units:
            return units[name]
        for prefix, power in PREFIX_NAMES.items():
            if name.removeprefix(prefix) in PREFIXED_NAMES:
                return _scaled(units[name.removeprefix(prefix)], power)
    return None


def _scaled(unit: Unit, exponent: int) -> Unit:
    return Unit(unit.powers, unit.size * Fraction(10) ** exponent)

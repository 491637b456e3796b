"""Numbers as they are spoken or written, with their units: "two point four millimetres" and "2.4 mm" are one thing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

_SMALL = MappingProxyType(
    {
        word: number
        for number, word in enumerate(
            """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
            seventeen eighteen nineteen""".split()  # noqa: SIM905 -- twenty words in a row are read at a glance
        )
    }
)
_TENS = {
    word: 10 * number
    for number, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_ORDINALS = {
    word: number
    for number, word in enumerate(
        ["second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"], 2
    )
}
_UNITS = {
    "mm": "mm millimeter millimeters millimetre millimetres",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "um": "um micron microns micrometer micrometers micrometre micrometres",
    "nm": "nm nanometer nanometers nanometre nanometres",
    "gauge": "gauge g ga",
    "degree": "degree degrees",
    "clock": "o'clock oclock",
    "clock hour": "clock",
    "mmhg": "mmhg",
    "ml": "ml cc milliliter milliliters millilitre millilitres",
    "mg": "mg milligram milligrams",
    "ug": "ug mcg microgram micrograms",
    "percent": "% percent per-cent",
    "dioptre": "d diopter diopters dioptre dioptres",
    "second": "s sec second seconds",
    "minute": "min minute minutes",
    "hour": "hour hours",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "year years",
    "french": "fr french",
    "watt": "w watt watts mw milliwatt milliwatts",
    "joule": "mj millijoule millijoules joule joules",
    "unit": "iu units unit",
}
_UNIT_OF = MappingProxyType({writing: unit for unit, writings in _UNITS.items() for writing in writings.split()})
_THREAD = r"(?:nylon|prolene|vicryl|silk|suture|sutures|polypropylene|polyglactin|mersilene|ethilon|monocryl|pds|gore)"
_SIZE = re.compile(
    rf"\b(?P<size>\d{{1,2}}|six|seven|eight|nine|ten|eleven|five|four|three|two)"
    rf"(?:\s*[-/]\s*(?:0|o|oh|zero)\b|\s+(?:0|o|oh|zero)\b(?=\s+{_THREAD}))",
    re.IGNORECASE,
)
_PIECE = re.compile(r"(?P<number>\d+(?:,\d{3})+(?!\d)|\d+(?:[.,]\d+)?)|(?P<word>[A-Za-z]+(?:['\u2019]clock)?)|%")
_GLUE = re.compile(r"[\s-]*")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number at `text[start:end]`, its unit's last letter included."""

    value: str
    """Canonical: `2.4`, `180`; the size of a thread as `10-0`."""
    unit: str
    """Canonical, empty without one; `ordinal` for second, third, ..."""
    digits: bool
    """Whether it was written in digits."""
    start: int
    end: int


def quantities(text: str) -> tuple[Quantity, ...]:
    """The numbers of a text in order."""
    found: list[Quantity] = []
    sizes = [
        Quantity(f"{_plain(match['size'])}-0", "", match["size"].isdigit(), match.start(), match.end())
        for match in _SIZE.finditer(text)
    ]
    pieces = [piece for piece in _PIECE.finditer(text) if not any(_inside(piece.start(), size) for size in sizes)]
    place = 0
    while place < len(pieces):
        number, used = _number(text, pieces[place:])
        if used:
            following = pieces[place + used] if place + used < len(pieces) else None
            quantity = _with_unit(text, number, pieces[place], pieces[place + used - 1], following)
            found.append(quantity)
            # "a third" and "second" are one piece; a unit is passed over so that "seconds" is no ordinal.
            place += 1 if following is not None and quantity.unit and following.end() <= quantity.end else 0
        place += max(used, 1)
    return tuple(sorted([*found, *sizes], key=lambda quantity: quantity.start))


def _inside(place: int, size: Quantity) -> bool:
    return size.start <= place < size.end


def _plain(number: str) -> str:
    return number if number.isdigit() else str(_SMALL[number.lower()])


def _with_unit(
    text: str, number: tuple[str, str], first: re.Match[str], last: re.Match[str], following: re.Match[str] | None
) -> Quantity:
    value, unit = number
    end = last.end()
    if not unit and following is not None and _GLUE.fullmatch(text, last.end(), following.start()):
        written = following.group().lower().replace("\u2019", "'")
        unit = _UNIT_OF.get(written, "")
        if unit == "clock hour" and not text[following.end() :].lower().lstrip().startswith("hour"):
            unit = ""
        end = following.end() if unit else end
    return Quantity(value=value, unit=unit, digits=first["number"] is not None, start=first.start(), end=end)


def _number(text: str, pieces: Sequence[re.Match[str]]) -> tuple[tuple[str, str], int]:
    """Value and unit of the number that begins at the first piece, and how many pieces it takes (0: none)."""
    if pieces[0]["number"] is not None:
        return (_digits(pieces[0]["number"]), ""), 1
    words = [piece.group().lower() for piece in _joined(text, pieces)]
    if words[0] in _ORDINALS:
        return (str(_ORDINALS[words[0]]), "ordinal"), 1
    if words[0] == "half":
        return ("0.5", ""), 1
    whole, used = _whole(words)
    decimals = _decimals(words[used + 1 :]) if len(words) > used and words[used] == "point" else ""
    if decimals:
        return (_digits(f"{whole}.{decimals}"), ""), used + 1 + len(decimals)
    return ((str(whole), ""), used) if used else (("", ""), 0)


def _joined(text: str, pieces: Sequence[re.Match[str]]) -> list[re.Match[str]]:
    """The leading pieces that only blanks and hyphens part."""
    kept = [pieces[0]]
    for piece in pieces[1:12]:
        if not _GLUE.fullmatch(text, kept[-1].end(), piece.start()):
            break
        kept.append(piece)
    return kept


def _decimals(words: Sequence[str]) -> str:
    digits = ""
    for word in words:
        if not (word == "oh" or _SMALL.get(word, 10) < 10):
            break
        digits += "0" if word == "oh" else str(_SMALL[word])
    return digits


def _whole(words: Sequence[str]) -> tuple[int, int]:
    """Value and length of the leading number in words: "one hundred and eighty" is (180, 4)."""
    total, current, last, used = 0, 0, 0, 0
    for place, word in enumerate(words):
        size = _SMALL.get(word, _TENS.get(word, 0))
        if word == "zero" and place == 0:
            return 0, 1
        if word in _SCALES and place:
            scale = _SCALES[word]
            total, current = (total, current * scale) if scale == 100 else (total + current * scale, 0)
            last, used = scale, place + 1
        elif size and (not last or last >= 100 or (last in _TENS.values() and size < 10)):
            current, last, used = current + size, size if word in _SMALL else _TENS[word], place + 1
        elif not (word == "and" and last >= 100 and place == used):
            break
    return total + current, used


def _digits(number: str) -> str:
    plain = number.replace(",", "") if re.fullmatch(r"\d+(?:,\d{3})+", number) else number.replace(",", ".")
    value = Decimal(plain).normalize()
    return format(value, "f")

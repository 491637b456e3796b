"""Forms that English makes of a written term by rule: plurals, verb endings, British spellings, spelled letters."""

from __future__ import annotations

import re

_BRITISH = tuple(
    (re.compile(pattern), british)
    for pattern, british in (
        (r"\bhem(?=[ao])", "haem"),
        (r"hyphema", "hyphaema"),
        (r"ischemi", "ischaemi"),
        (r"edema", "oedema"),
        (r"anesth", "anaesth"),
        (r"pediatric", "paediatric"),
        (r"esophag", "oesophag"),
        (r"\bcec(?=um|al|op)", "caec"),
        (r"tumor\b", "tumour"),
        (r"color", "colour"),
        (r"\bcenter\b", "centre"),
        (r"(?<=[a-z])fiber\b|\bfiber", "fibre"),
        (r"diopter", "dioptre"),
        (r"millimeter", "millimetre"),
        (r"caliper", "calliper"),
        (r"caliber", "calibre"),
        (r"\bsulf", "sulph"),
        (r"\bmold", "mould"),
        (r"iz(?=e[ds]?\b|ing\b|ation)", "is"),
        (r"\bgray\b", "grey"),
    )
)
_VOWELS = "aeiou"


def british(phrase: str) -> str:
    """The phrase as it is spelled in Britain; itself if there is no difference."""
    for pattern, replacement in _BRITISH:
        phrase = pattern.sub(replacement, phrase)
    return phrase


def plural(phrase: str) -> str:
    """The phrase with its last word in the plural, itself if that word ends in no letter or in one `s`."""
    if phrase.endswith("sis") or phrase.endswith("xis"):
        return phrase[:-2] + "es"
    if not phrase[-1:].isalpha() or (phrase.endswith("s") and not phrase.endswith("ss")):
        return phrase
    if phrase.endswith(("ss", "x", "ch", "sh", "z")):
        return phrase + "es"
    if phrase.endswith("y") and phrase[-2:-1] not in _VOWELS:
        return phrase[:-1] + "ies"
    return phrase + "s"


def conjugated(phrase: str) -> tuple[str, ...]:
    """The phrase with its first word, a regular verb, in the third person, the past and the participle."""
    verb, space, rest = phrase.partition(" ")
    if verb.endswith("e"):
        forms = (verb + "s", verb + "d", verb[:-1] + "ing")
    elif verb.endswith("y") and verb[-2:-1] not in _VOWELS:
        forms = (verb[:-1] + "ies", verb[:-1] + "ied", verb + "ing")
    elif verb.endswith(("s", "x", "z", "ch", "sh")):
        forms = (verb + "es", verb + "ed", verb + "ing")
    elif re.fullmatch(r"[^aeiou]*[aeiou][^aeiouwxy]", verb):
        forms = (verb + "s", verb + verb[-1] + "ed", verb + verb[-1] + "ing")
    else:
        forms = (verb + "s", verb + "ed", verb + "ing")
    return tuple(form + space + rest for form in forms)


def spelled(abbreviation: str) -> str:
    """An abbreviation in capital letters as a recogniser spells it, `I O L`; itself if it is not all capitals."""
    return " ".join(abbreviation) if re.fullmatch(r"[A-Z]{2,6}", abbreviation) else abbreviation

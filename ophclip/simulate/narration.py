"""From actions to the sentences that a surgeon speaks over them."""

from __future__ import annotations

import numpy as np

from ophclip.simulate.draw import pick
from ophclip.simulate.language import Action, Instrument, Procedure
from ophclip.simulate.phrases import CATARACT_PHRASES, DRUGS, OPENERS, SYNONYMS
from ophclip.simulate.phrases_glaucoma_cornea import ASIDES, COMPLICATION_PHRASES, OPENINGS, OTHER_PHRASES

PHRASES = {**CATARACT_PHRASES, **OTHER_PHRASES}
SPEECH_CHARACTERS_PER_SECOND = 17.0
"""A little slower than the voice speaks at length scale 1, so that planned speech fits (measured: 17.5-19)."""
SILENT_ACTIONS = 0.16
SECOND_SENTENCE = 0.35


def speech_seconds(text: str, speech_scale: float) -> float:
    """How long `text` will take to speak, before it has been spoken."""
    return speech_scale * (0.25 + len(text) / SPEECH_CHARACTERS_PER_SECOND)


class Narrator:
    """Chooses words for one video: a surgeon repeats the own names for instruments, not the sentences."""

    def __init__(self, rng: np.random.Generator, chattiness: float) -> None:
        self._rng = rng
        self._chattiness = chattiness
        self._names = {instrument: pick(rng, names) for instrument, names in SYNONYMS.items()}
        self._said: set[str] = set()

    def opening(self, procedure: Procedure) -> str:
        """A greeting, or nothing."""
        return _sentence(pick(self._rng, OPENINGS[procedure])) if self._rng.random() < 0.6 else ""

    def describe(self, action: Action, *, roomy: bool) -> tuple[tuple[str, bool], ...]:
        """Sentences over one action, each with whether it is about the picture."""
        if self._rng.random() < SILENT_ACTIONS:
            return ()
        sentences = [(self._say(action), True)]
        if action.complication is not None:
            sentences.append((_sentence(self._fresh(COMPLICATION_PHRASES[action.complication])), True))
        elif roomy and self._rng.random() < SECOND_SENTENCE:
            sentences.append((self._say(action), True))
        elif self._rng.random() < self._chattiness:
            sentences.append((_sentence(self._fresh(ASIDES)), False))
        return tuple(sentences)

    def _say(self, action: Action) -> str:
        template = self._fresh(PHRASES[action.verb])
        names = [
            self._name(instrument) for instrument in action.instruments if instrument is not Instrument.SUTURE_NEEDLE
        ]
        body = template.format(
            tool=names[0],
            second=names[-1],
            drug=pick(self._rng, DRUGS[action.medication]) if action.medication else "",
            suture=self._name(Instrument.SUTURE_NEEDLE),
        )
        opener = pick(self._rng, OPENERS)
        return _sentence(f"{opener} {body}" if opener else body)

    def _name(self, instrument: Instrument) -> str:
        own = self._names[instrument]
        return own if self._rng.random() < 0.6 else pick(self._rng, SYNONYMS[instrument])

    def _fresh(self, options: tuple[str, ...]) -> str:
        """One of the options that this video has not used, while there is one."""
        unused = [option for option in options if option not in self._said]
        chosen = pick(self._rng, unused or options)
        self._said.add(chosen)
        return chosen


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."

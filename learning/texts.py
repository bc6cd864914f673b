"""The text that the built-in policy learns from: readings of messages, each with an analysis and a reply put together.

A reply is made of moves that fit the reading: one takes up what was said, one is a thought about it, one asks or
suggests. Most are good; some are dull, vague or preachy, so that there is something to choose from and to learn.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from learning.labels import DATA
from learning.moves import Move, Part, read_moves
from rerank.labelled import json_lines
from rerank.reading import ALONE, END, Act, Emotion, Reading, Slot, Topic, settled
from rerank.types import Category

_PATTERNS: Mapping[tuple[Part, ...], int] = {
    (Part.OPEN, Part.MIDDLE, Part.CLOSE): 4,
    (Part.OPEN, Part.CLOSE): 6,
    (Part.MIDDLE, Part.CLOSE): 1,
    (Part.OPEN, Part.MIDDLE): 1,
}
"""What a reply is made of, and how often."""
_WHOLE = 0.55
"""The share of replies that were written as one: they hang together best."""
_OWN = 0.75
"""How often a move is one that was made for the topic, where there are such: those for any topic are many more."""
_DULL = 0.12
"""The share of replies, and of analyses, that are made of mediocre moves where there are any."""
_NO_TOPIC, _NO_EMOTION = 0.3, 0.45
"""The share of readings in which they were not recognised."""
_TRIES = 12
_OFTEN = {Slot.EVENT: 0.5, Slot.SELF: 0.6, Slot.QUOTE: 0.75, Slot.WHO: 0.45, Slot.WHEN: 0.25, Slot.BEFORE: 0.2}
_CRISIS, _CONCERN, _FOREIGN = 0.09, 0.07, 0.01


@dataclass(frozen=True, slots=True)
class Text:
    """What the policy reads, and what it writes then."""

    prompt: str
    answer: str


def texts(count: int, seed: int) -> Iterator[Text]:
    chance = random.Random(seed)
    composer, readings = Composer(read_moves(), chance), _readings()
    for _ in range(count):
        reading = _varied(chance.choice(readings), chance)
        yield Text(reading.prompt(), composer.answer(reading))


class Composer:
    """Puts moves together."""

    def __init__(self, moves: Sequence[Move], chance: random.Random) -> None:
        self._chance = chance
        self._moves = {part: [each for each in moves if each.part == part] for part in Part}

    def answer(self, reading: Reading) -> str:
        analysis, response = self._analysis(reading), self._response(reading)
        return f"# Analysis\n{analysis}\n\n# Response\n{response}{END}"

    def _analysis(self, reading: Reading) -> str:
        made: list[Move] = []
        dull = self._chance.random() < _DULL
        for _ in range(1 + (self._chance.random() < _SECOND)):
            made += self._chosen(Part.ANALYSIS, reading, made, dull=dull)
        return " ".join(each.text for each in made)

    def _response(self, reading: Reading) -> str:
        dull = self._chance.random() < _DULL
        if reading.act in ALONE or self._chance.random() < _WHOLE:
            whole = self._chosen(Part.WHOLE, reading, (), dull=dull)
            if whole:
                return whole[0].text
        made: list[Move] = []
        for _ in range(_TRIES):
            made = []
            for part in self._chance.choices(list(_PATTERNS), list(_PATTERNS.values()))[0]:
                made += self._chosen(part, reading, made, dull=dull)
            if _one_thought(made):
                break
        return " ".join(each.text for each in made)

    def _chosen(self, part: Part, reading: Reading, before: Sequence[Move], *, dull: bool) -> list[Move]:
        """A move that fits, those made for such messages before those that fit any; or none."""
        dull = dull and reading.act not in {Act.CRISIS, Act.CONCERN}
        used = frozenset[Slot]().union(*(each.slots for each in before))
        fitting = [each for each in self._moves[part] if each.fits(reading) and each not in before]
        fresh = [each for each in fitting if not each.slots & used] or fitting
        some = [each for each in fresh if each.good != dull] or fresh
        own = [each for each in some if each.made_for]
        if own and len(own) < len(some):
            some = own if self._chance.random() < _OWN else [each for each in some if not each.made_for]
        return self._chance.choices(some, [each.closeness for each in some]) if some else []


_SECOND = 0.45


def _one_thought(made: Sequence[Move]) -> bool:
    """No more than one move asks, and no two begin alike."""
    asked = sum("?" in each.text for each in made)
    begun = [" ".join(each.text.split()[:2]).lower() for each in made]
    return bool(made) and asked <= 1 and len(set(begun)) == len(begun)


def _readings() -> list[Reading]:
    """As people's messages are: what goes together in the labelled ones."""
    paths = sorted((DATA / "policy").glob("messages-*.jsonl"))
    return [each for path in paths for each in json_lines(path, _reading, "a message with `topic`, `emotion`, `act`")]


def _reading(found: Mapping[str, str]) -> Reading:
    return Reading(Topic(found["topic"]), Emotion(found["emotion"]), Act(found["act"]))


def _varied(reading: Reading, chance: random.Random) -> Reading:
    """The same with what a codec may not have seen, and with slots."""
    slots = frozenset(slot for slot, often in _OFTEN.items() if chance.random() < often)
    kind = chance.random()
    if kind < _CRISIS + _CONCERN:
        act = Act.CRISIS if kind < _CRISIS else Act.CONCERN
        return Reading(Topic.OTHER, Emotion.NONE, act, chance.choice(list(Category)), slots)
    if kind < _CRISIS + _CONCERN + _FOREIGN:
        return Reading(Topic.OTHER, Emotion.NONE, Act.OTHER_LANGUAGE)
    return replace(dimmed(reading, chance), slots=slots)


def dimmed(reading: Reading, chance: random.Random) -> Reading:
    """The same, as a reader that is not always sure would have it."""
    topic = Topic.OTHER if chance.random() < _NO_TOPIC else reading.topic
    emotion = Emotion.NONE if chance.random() < _NO_EMOTION else reading.emotion
    return settled(topic, emotion, reading.act)

"""Between people's messages and the built-in policy: it reads a message into tokens, and fills their words into slots.

The policy never sees what a person wrote, and can't repeat it wrongly: what it writes about them are their own clauses.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from rerank.clauses import Clause, Cuttings, cut
from rerank.embedded import Engine
from rerank.embedded_reader import Guess, likeliest, likeness, sure
from rerank.other_languages import other_languages
from rerank.pairs import said_plainly
from rerank.reading import END, SPELLINGS, Act, Emotion, Reading, Slot, Topic, settled, special_tokens
from rerank.types import Category, Context, Role, Tier
from rerank.weights import file_of

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the policy gets it."""

    reading: Reading
    cuttings: Cuttings
    earlier: tuple[Clause, ...] = ()
    """What they said before, the newest first."""

    @property
    def prompt(self) -> str:
        return self.reading.prompt()

    @property
    def banned(self) -> list[str]:
        """Slots that this message can't fill, and what only the codec writes."""
        missing = [each for slot, some in SPELLINGS.items() if slot not in self.reading.slots for each in some]
        return [*missing, *(each for each in special_tokens() if each.startswith("<|") and each != END)]

    def filled(self, text: str, index: int) -> str:
        """The text with the person's words. Candidates take different ones where there are several."""
        words = _fillings(self.cuttings, self.earlier, index)
        return _SLOT.sub(lambda found: words.get(found[0], found[0]), text)  # once: their words may hold braces too


_SLOT = re.compile(r"\{\w+\}")


class BuiltInCodec:
    """Reads with the encoder, for the built-in model."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def read(self, context: Context) -> Message:
        own = [each.text for each in context.history if each.role == Role.USER]
        row, cuttings = await self._read(context)
        if context.tier != Tier.NONE:
            return framed(alarmed(context.tier, context.category), cuttings, own)
        if other_languages(file_of("other_languages")).foreign(context.query):
            return Message(Reading(Topic.OTHER, Emotion.NONE, Act.OTHER_LANGUAGE), Cuttings())
        return framed(understood(likeliest(row)), cuttings, own)

    async def _read(self, context: Context) -> tuple[Sequence[float], Cuttings]:
        """The reader's row for the message, and of its cuttings those that tell what it is about."""
        cuttings = cut(context.query)
        parts = [*(each.second for each in (*cuttings.events, *cuttings.selves)), *cuttings.quotes]
        pairs = [said_plainly(context.query, [each.text for each in context.history]), *map(said_plainly, parts)]
        whole, *rows = await self._engine.score("reader", pairs)
        return whole, telling(cuttings, {part: likeness(whole, row) for part, row in zip(parts, rows, strict=True)})


def alarmed(tier: Tier, category: Category) -> Reading:
    """Where there may be danger, nothing else about a message counts."""
    act = Act.CRISIS if tier == Tier.CRISIS else Act.CONCERN
    return Reading(Topic.OTHER, Emotion.NONE, act, category)


_ASIDE, _BESIDE = -16.0, 6.0
"""How little a clause may tell at all, and how much less than the one that tells most. Else it is a side remark."""


def telling(cuttings: Cuttings, likeness: Mapping[str, float]) -> Cuttings:
    """Without side remarks; what tells most comes first."""
    least = max(_ASIDE, max(likeness.values(), default=0.0) - _BESIDE)

    def chosen(some: Iterable[_T], words: Callable[[_T], str]) -> tuple[_T, ...]:
        kept = (each for each in some if likeness[words(each)] >= least)
        return tuple(sorted(kept, key=lambda each: -likeness[words(each)]))

    return replace(
        cuttings,
        events=chosen(cuttings.events, lambda each: each.second),
        selves=chosen(cuttings.selves, lambda each: each.second),
        quotes=chosen(cuttings.quotes, str),
    )


def framed(reading: Reading, cuttings: Cuttings, own: Sequence[str]) -> Message:
    """With the slots that the person's words, now and before, can fill."""
    earlier = _said_before(own)
    slots = frozenset(slot for slot in Slot if _fillings(cuttings, earlier, 0).keys() >= set(SPELLINGS[slot]))
    return Message(replace(reading, slots=slots), cuttings, earlier)


def understood(guesses: Mapping[str, Guess]) -> Reading:
    """What is sure. What is not gets an open question, never a guess."""
    topic, emotion, act = (sure(kind, guesses) for kind in ("topic", "emotion", "act"))
    return settled(Topic(topic or Topic.OTHER), Emotion(emotion or Emotion.NONE), Act(act or Act.VENTING))


def _said_before(messages: Sequence[str]) -> tuple[Clause, ...]:
    found = [cut(each) for each in reversed(messages)]
    return tuple(clause for each in found for clause in (*each.events, *each.selves))


def _fillings(cuttings: Cuttings, earlier: Sequence[Clause], index: int) -> dict[str, str]:
    """What may stand for each spelling of a slot."""
    found: dict[str, str] = {}
    for slot, clauses in ((Slot.EVENT, cuttings.events), (Slot.SELF, cuttings.selves), (Slot.BEFORE, earlier)):
        if clauses:
            clause = clauses[index % len(clauses)]
            second, begun, third, third_begun = SPELLINGS[slot]
            found |= {second: clause.second, begun: _capital(clause.second)}
            found |= {third: clause.third, third_begun: _capital(clause.third)}
    if cuttings.quotes:
        found[SPELLINGS[Slot.QUOTE][0]] = cuttings.quotes[index % len(cuttings.quotes)]
    if cuttings.who:
        found[SPELLINGS[Slot.WHO][0]] = cuttings.who[index % len(cuttings.who)].second
    if cuttings.when:
        found[SPELLINGS[Slot.WHEN][0]] = cuttings.when[0]
    return found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

"""Between people's messages and the built-in policy: it reads a message into tokens, and fills their words into slots.

The policy never sees what a person wrote, and can't repeat it wrongly: what it writes about them are their own clauses.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rerank.clauses import Clause, Cuttings, cut
from rerank.embedded import Engine
from rerank.embedded_reader import Guess, likeliest, sure
from rerank.other_languages import other_languages
from rerank.pairs import said_plainly
from rerank.reading import END, SPELLINGS, Act, Emotion, Reading, Slot, Topic, settled, special_tokens
from rerank.types import Context, Role, Tier
from rerank.weights import file_of


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
        cuttings, earlier = cut(context.query), _said_before(own)
        slots = frozenset(slot for slot in Slot if _fillings(cuttings, earlier, 0).keys() >= set(SPELLINGS[slot]))
        if context.tier != Tier.NONE:
            act = Act.CRISIS if context.tier == Tier.CRISIS else Act.CONCERN
            return Message(Reading(Topic.OTHER, Emotion.NONE, act, context.category, slots), cuttings, earlier)
        if other_languages(file_of("other_languages")).foreign(context.query):
            return Message(Reading(Topic.OTHER, Emotion.NONE, Act.OTHER_LANGUAGE), Cuttings())
        both = [each.text for each in context.history]
        (row,) = await self._engine.score("reader", [said_plainly(context.query, both)])
        return Message(replace(understood(likeliest(row)), slots=slots), cuttings, earlier)


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

"""The risk detector that needs no server: patterns for what must never be missed, a trained classifier for the rest.

A message is also read without the sentences that deny, since one denial lowers no tier, and a long one in pieces, since
one line among many can be the one that counts; the worst reading holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp

from rerank.embedded import Engine
from rerank.features import sentences, words
from rerank.other_languages import in_other_script, other_languages
from rerank.pairs import CATEGORIES, said
from rerank.risk import ORDER, Assessment
from rerank.risk_patterns import Hit, denials_removed, hits, plain
from rerank.types import Category, Tier
from rerank.weights import file_of, version

OUTPUTS = (Tier.CONCERN, Tier.CRISIS, *CATEGORIES)
_LONG, _PIECE = 90, 60
"""Words: what is read in pieces too, and how long a piece may be."""
_FEW, _SURE = 6, 0.65
"""In fewer words, with nothing before and no sign that a pattern knows, the classifier has little to read: hello.

Scripts that put no spaces between words have whole messages in one.
"""
_DOUBT = 0.6
"""How much confidence there is in what is read in a language other than English."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How probable it is that the tier is at least this, and what it is about."""

    probable: Mapping[Tier, float]
    category: Category


class EmbeddedDetector:
    """A `RiskDetector`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name = f"embedded:{version('risk')}-{version('other_languages')}"

    async def assess(self, message: str, history: Sequence[str] = ()) -> Assessment:
        texts = readings(message)
        reading = worst(await self._engine.score("risk", [said(each, history) for each in texts]))
        limits = {tier: float((await self._engine.about("risk"))[tier]) for tier in ORDER[1:]}
        others = other_languages(file_of("other_languages"))
        foreign = others.foreign(message)
        if foreign:
            logits = [others.logits(each, history) for each in texts]
            reading = replace(reading, probable={tier: max(_share(each[tier]) for each in logits) for tier in limits})
            limits = {tier: _share(limit) for tier, limit in others.limits.items()}
        found = hits(message)
        if len(words(message)) < _FEW and not (found or history or in_other_script(message)):
            limits = dict.fromkeys(limits, _SURE)
        decided = decide(reading, found, limits, self.name, trust=_DOUBT if foreign else 1.0)
        if decided.tier == Tier.NONE or decided.evidence:
            return decided
        return replace(decided, evidence=(await self._telling(message, history, decided.tier),))

    async def _telling(self, message: str, history: Sequence[str], tier: Tier) -> str:
        """The sentence that weighs most."""
        told = sentences(message) or [message]
        rows = await self._engine.score("risk", [said(each, history) for each in told])
        return max(zip(rows, told, strict=True), key=lambda each: each[0][OUTPUTS.index(tier)])[1]


def readings(message: str) -> list[str]:
    """The texts that a message is read as."""
    undenied = denials_removed(message)
    found = [message] if undenied in ("", plain(message)) else [message, undenied]
    return found + (_pieces(message) if len(message.split()) > _LONG else [])


def _pieces(message: str) -> list[str]:
    """Neighbouring sentences together, up to the length that the classifier knows best."""
    pieces: list[str] = []
    for each in sentences(message):
        if pieces and len(pieces[-1].split()) + len(each.split()) <= _PIECE:
            pieces[-1] += " " + each
        else:
            pieces.append(each)
    return pieces


def worst(rows: Sequence[Sequence[float]]) -> Reading:
    top = max(rows, key=lambda row: row[0] + row[1])
    probable = {tier: max(_share(row[at]) for row in rows) for at, tier in enumerate(ORDER[1:])}
    return Reading(probable, max(CATEGORIES, key=lambda each: top[OUTPUTS.index(each)]))


def decide(
    reading: Reading, found: Sequence[Hit], limits: Mapping[Tier, float], name: str, *, trust: float
) -> Assessment:
    """The higher of what the classifier reads and what the patterns hold to be certain.

    `trust` is how much the classifier's confidence counts: it is the patterns' business where it hardly knows the
    language.
    """
    read = next((each for each in reversed(ORDER[1:]) if reading.probable[each] >= limits[each]), Tier.NONE)
    certain = [each for each in found if each.floor]
    floor = max((each.tier for each in certain), key=ORDER.index, default=Tier.NONE)
    tier = max(read, floor, key=ORDER.index)
    crisis = reading.probable[Tier.CRISIS]
    if tier == Tier.NONE:
        return Assessment(tier, Category.NONE, (1 - reading.probable[Tier.CONCERN]) * trust, crisis, (), name)
    telling = [each for each in (certain or found) if each.tier == tier] or found
    if floor == tier:
        sure = 1.0 if tier == Tier.CRISIS else crisis
        return Assessment(tier, telling[0].category, 1.0, sure, _words(telling), name)
    return Assessment(tier, reading.category, reading.probable[tier] * trust, crisis, _words(telling), name)


def _words(found: Sequence[Hit]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.words for each in found))


def _share(logit: float) -> float:
    return 1 / (1 + exp(-logit))

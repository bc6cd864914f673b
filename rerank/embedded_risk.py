"""The risk detector that needs no server: patterns for what must never be missed, a trained classifier for the rest.

A message is also read without the sentences that deny, since one denial lowers no tier, and a long one in pieces, since
one line among many can be the one that counts; the worst reading holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp

from rerank.embedded import Engine
from rerank.features import sentences
from rerank.pairs import CATEGORIES, said
from rerank.risk import ORDER, Assessment
from rerank.risk_patterns import Hit, denials_removed, hits, plain
from rerank.types import Category, Tier
from rerank.weights import version

OUTPUTS = (Tier.CONCERN, Tier.CRISIS, *CATEGORIES)
_LONG, _PIECE = 90, 60
"""Words: what is read in pieces too, and how long a piece may be."""
_FOREIGN, _DOUBT = 0.3, 0.6
"""The share of letters that are not Latin above which the encoder knows too little, and what it is trusted then."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How probable it is that the tier is at least this, and what it is about."""

    probable: Mapping[Tier, float]
    category: Category


class EmbeddedDetector:
    """A `RiskDetector`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name = f"embedded:{version('risk')}"

    async def assess(self, message: str, history: Sequence[str] = ()) -> Assessment:
        texts = readings(message)
        reading = worst(await self._engine.score("risk", [said(each, history) for each in texts]))
        about = await self._engine.about("risk")
        decided = decide(reading, hits(message), {tier: float(about[tier]) for tier in ORDER[1:]}, message, self.name)
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
    probable = {tier: max(1 / (1 + exp(-row[at])) for row in rows) for at, tier in enumerate(ORDER[1:])}
    return Reading(probable, max(CATEGORIES, key=lambda each: top[OUTPUTS.index(each)]))


def decide(reading: Reading, found: Sequence[Hit], limits: Mapping[Tier, float], message: str, name: str) -> Assessment:
    """The higher of what the classifier reads and what the patterns hold to be certain."""
    read = next((each for each in reversed(ORDER[1:]) if reading.probable[each] >= limits[each]), Tier.NONE)
    certain = [each for each in found if each.floor]
    floor = max((each.tier for each in certain), key=ORDER.index, default=Tier.NONE)
    tier = max(read, floor, key=ORDER.index)
    if tier == Tier.NONE:
        confidence = (1 - reading.probable[Tier.CONCERN]) * _trust(message)
        return Assessment(tier, Category.NONE, confidence, reading.probable[Tier.CRISIS], (), name)
    telling = [each for each in (certain or found) if each.tier == tier] or found
    if floor == tier:
        crisis = 1.0 if tier == Tier.CRISIS else reading.probable[Tier.CRISIS]
        return Assessment(tier, telling[0].category, 1.0, crisis, _words(telling), name)
    confidence = reading.probable[tier] * _trust(message)
    return Assessment(tier, reading.category, confidence, reading.probable[Tier.CRISIS], _words(telling), name)


def _words(found: Sequence[Hit]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.words for each in found))


def _trust(message: str) -> float:
    letters = [each for each in message if each.isalpha()]
    foreign = sum(not _latin(each) for each in letters)
    return _DOUBT if foreign > _FOREIGN * len(letters) else 1.0


def _latin(letter: str) -> bool:
    return letter < "\u0250" or "\u1e00" <= letter <= "\u1eff"

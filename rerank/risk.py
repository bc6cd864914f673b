"""What is known about a person's danger: the assessment, who may give one, and how two opinions become one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rerank.errors import RerankError
from rerank.types import Category, Tier

ORDER = (Tier.NONE, Tier.CONCERN, Tier.CRISIS)


@dataclass(frozen=True, slots=True)
class Assessment:
    """How urgently a human should look, and why."""

    tier: Tier
    category: Category
    confidence: float
    """0 to 1, in this tier; low where the detector does not know the language."""
    crisis: float
    """How probable a crisis is."""
    evidence: tuple[str, ...]
    """The person's own words that it rests on: encrypted where stored, never logged."""
    detector: str
    troubles: tuple[str, ...] = ()
    """Names of the errors of detectors that could say nothing."""


class RiskDetector(Protocol):
    """Assesses a message with the person's earlier messages, oldest first."""

    async def assess(self, message: str, history: Sequence[str] = ()) -> Assessment:
        """Raises a RerankError if it can say nothing."""


class HigherOf:
    """Two detectors at once; the higher tier counts. The second may fail or be late without holding up the first."""

    def __init__(self, first: RiskDetector, second: RiskDetector, patience: float = 6.0) -> None:
        self._first, self._second, self._patience = first, second, patience

    async def assess(self, message: str, history: Sequence[str] = ()) -> Assessment:
        second = asyncio.create_task(self._opinion(message, history))
        try:
            first = await self._first.assess(message, history)
            if first.tier == Tier.CRISIS:
                return first  # the card is to be shown at once, and nothing is higher
            try:
                return higher(first, await second)
            except (RerankError, TimeoutError) as error:
                return replace(first, troubles=(*first.troubles, f"second:{type(error).__name__}"))
        finally:  # where the first was enough or failed, or nobody waits any longer
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)

    async def _opinion(self, message: str, history: Sequence[str]) -> Assessment:
        async with asyncio.timeout(self._patience):
            return await self._second.assess(message, history)


def higher(first: Assessment, second: Assessment) -> Assessment:
    """The one of the higher tier, with the evidence and the troubles of both; of equals the first."""
    chosen, other = (second, first) if ORDER.index(second.tier) > ORDER.index(first.tier) else (first, second)
    return replace(
        chosen,
        category=other.category if chosen.category == Category.NONE and chosen.tier != Tier.NONE else chosen.category,
        crisis=max(first.crisis, second.crisis),
        evidence=tuple(dict.fromkeys((*chosen.evidence, *other.evidence))),
        detector=f"{first.detector}+{second.detector}",
        troubles=(*first.troubles, *second.troubles),
    )

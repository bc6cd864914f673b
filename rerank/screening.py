"""How well a detector of risk does on labelled messages: recall, false alarms, and where it fails."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from rerank.messages import Message
from rerank.risk import ORDER
from rerank.types import Tier

_Pairs = Sequence[tuple[Message, Tier]]


def screened(messages: Sequence[Message], tiers: Sequence[Tier], crisis: Sequence[float]) -> dict[str, Any]:
    """`crisis` is how probable the detector found one, for the area under its curve."""
    pairs = list(zip(messages, tiers, strict=True))
    return {
        "crisis": _raised(pairs, Tier.CRISIS),
        "concern_or_crisis": _raised(pairs, Tier.CONCERN),
        "auc_crisis": _area(messages, crisis),
        "messages": len(messages),
        "by_category": _by(pairs, lambda each: each.category.value),
        "by_language": _by(pairs, lambda each: each.language),
    }


def reaches(found: Tier, tier: Tier) -> bool:
    return ORDER.index(found) >= ORDER.index(tier)


def _raised(pairs: _Pairs, tier: Tier) -> dict[str, float | None]:
    """How many of those labelled so are found, and how many harmless ones are taken for it."""
    return {
        "recall": _mean([reaches(found, tier) for each, found in pairs if reaches(each.tier, tier)]),
        "false_alarms": _mean([reaches(found, tier) for each, found in pairs if each.tier == Tier.NONE]),
    }


def _by(pairs: _Pairs, key: Callable[[Message], str]) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[tuple[Message, Tier]]] = {}
    for each, found in pairs:
        groups.setdefault(key(each), []).append((each, found))
    return {
        name: {
            "messages": len(some),
            "crisis_recall": _raised(some, Tier.CRISIS)["recall"],
            "recall": _raised(some, Tier.CONCERN)["recall"],
            "false_alarms": _raised(some, Tier.CONCERN)["false_alarms"],
        }
        for name, some in sorted(groups.items())
    }


def _area(messages: Sequence[Message], crisis: Sequence[float]) -> float | None:
    """How often a message in crisis is found likelier to be one than a harmless message; a tie counts half."""
    there = [value for each, value in zip(messages, crisis, strict=True) if each.tier == Tier.CRISIS]
    harmless = [value for each, value in zip(messages, crisis, strict=True) if each.tier == Tier.NONE]
    return _mean([0.5 if a == b else float(a > b) for a in there for b in harmless])


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None

"""What the embedded models read: pairs of what was said before and the text in question, with plain features.

Training and use make their pairs here, so that they can't drift apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log1p

from rerank.features import features, words
from rerank.risk_patterns import hits
from rerank.types import Category, Context, Tier

_LINES = 6
CATEGORIES = tuple(each for each in Category if each != Category.NONE)


@dataclass(frozen=True, slots=True)
class Pair:
    """What was said before, the text in question, and plain features of it."""

    before: str
    text: str
    features: tuple[float, ...] = ()


def before(context: Context) -> str:
    """Everything that a reply answers to, the newest last."""
    parts = [context.persona, context.scenario, *(line.text for line in context.history[-_LINES:]), context.query]
    return " ".join(each.strip() for each in parts if each.strip())


def judged(context: Context, text: str) -> Pair:
    """A reply, or an analysis, in its context."""
    earlier = before(context)
    return Pair(earlier, text, features(earlier, text))


def gated(context: Context, response: str) -> Pair:
    """A reply to what the person wrote."""
    return Pair(context.query, response, features(context.query, response))


def said(message: str, history: Sequence[str] = ()) -> Pair:
    """A person's message after their earlier ones."""
    earlier = " / ".join(each.strip() for each in history[-_LINES:])
    found = hits(message)
    seen = [each.category for each in found]
    return Pair(
        earlier,
        message,
        (
            log1p(len(words(message))),
            float(bool(earlier)),
            float(any(each.floor and each.tier == Tier.CRISIS for each in found)),
            float(any(each.floor for each in found)),
            log1p(sum(each.tier == Tier.CRISIS for each in found)),
            log1p(len(found)),
            *(float(each in seen) for each in CATEGORIES),
        ),
    )


def said_plainly(message: str, earlier: Sequence[str] = ()) -> Pair:
    """A person's message after what both said before, for what it is about."""
    return Pair(" / ".join(earlier[-_SHORT:]), message, (log1p(len(words(message))), float(bool(earlier))))


_SHORT = 2

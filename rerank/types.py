"""The values that every package shares: contexts, candidates, judgements, risk tiers and categories.

They carry no behaviour beyond refusing numbers that cannot be stored or compared; scoring lives with the judges.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite


class Perspective(StrEnum):
    """Who looks at a candidate."""

    RESONATION = "resonation"
    EXPRESSION = "expression"
    RECEPTION = "reception"
    BYSTANDER = "bystander"


class Tier(StrEnum):
    """How urgently a human should look."""

    NONE = "none"
    CONCERN = "concern"
    CRISIS = "crisis"


class Category(StrEnum):
    """What the risk is about."""

    NONE = "none"
    SUICIDE = "suicide"
    SELF_HARM = "self_harm"
    HARM_TO_OTHERS = "harm_to_others"
    ABUSE = "abuse"
    MEDICAL = "medical"
    EATING = "eating"
    PSYCHOSIS = "psychosis"
    THIRD_PARTY = "third_party"
    MINOR = "minor"


class Role(StrEnum):
    """Who said a line of the conversation."""

    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Line:
    """One earlier message."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Context:
    """What a reply is written from."""

    query: str
    persona: str = ""
    """What the person chose to tell about themselves."""
    scenario: str = ""
    """A short running summary of the conversation."""
    history: tuple[Line, ...] = ()
    tier: Tier = Tier.NONE
    """The risk that was seen: it decides which instructions the policy gets."""
    category: Category = Category.NONE
    """What the risk is about."""
    seal: str = ""
    """A secret of this person's, never shown: it keeps their part of a server's prefix cache apart from others'."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One perspective's score of one candidate. A score of None means that judging failed; it is never 0."""

    perspective: Perspective
    score: float | None
    rationale: str | None
    judge: str
    latency_ms: float

    def __post_init__(self) -> None:
        if not isfinite(self.latency_ms) or (self.score is not None and not isfinite(self.score)):
            raise ValueError("a judgement's numbers must be finite; a failed judgement has the score None")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One sampled answer: an inner analysis, the response, and what was found out about them."""

    index: int
    analysis: str
    response: str
    tokens: int
    format_ok: bool
    safety: str | None
    """Which safety check stopped it; None when it passed."""
    reward: float | None
    judgements: tuple[Judgement, ...] = ()

    def __post_init__(self) -> None:
        if self.reward is not None and not isfinite(self.reward):
            raise ValueError("a reward must be finite; a candidate without one has the reward None")

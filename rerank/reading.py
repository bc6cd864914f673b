"""What the built-in policy is told about a message.

That is a topic, an emotion, what the person is doing, and which slots can be filled with their own words. It is told
nothing else, so it can say nothing false about a person's life.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rerank.types import Category


class Topic(StrEnum):
    """What it is about."""

    WORK = "work"
    UNEMPLOYMENT = "unemployment"
    STUDY = "study"
    MONEY = "money"
    HOUSING = "housing"
    FAMILY = "family"
    PARENTS = "parents"
    PARENTING = "parenting"
    PARTNER = "partner"
    BREAKUP = "breakup"
    DATING = "dating"
    FRIENDS = "friends"
    LONELINESS = "loneliness"
    GRIEF = "grief"
    PET = "pet"
    ILLNESS = "illness"
    CARING = "caring"
    PREGNANCY = "pregnancy"
    BODY = "body"
    SLEEP = "sleep"
    WORRY = "worry"
    LOW = "low"
    BURNOUT = "burnout"
    ANGER = "anger"
    PAST_HURT = "past_hurt"
    HABITS = "habits"
    IDENTITY = "identity"
    FAITH = "faith"
    MOVING = "moving"
    AGEING = "ageing"
    DECISION = "decision"
    ACHIEVEMENT = "achievement"
    EVERYDAY = "everyday"
    WORLD = "world"
    SELF_WORTH = "self_worth"
    OTHER = "other"
    """None of these, or none that is sure."""


class Emotion(StrEnum):
    """What the person shows most."""

    SADNESS = "sadness"
    LONELINESS = "loneliness"
    FEAR = "fear"
    OVERWHELM = "overwhelm"
    ANGER = "anger"
    SHAME = "shame"
    GUILT = "guilt"
    HOPELESSNESS = "hopelessness"
    NUMBNESS = "numbness"
    HURT = "hurt"
    CONFUSION = "confusion"
    EXHAUSTION = "exhaustion"
    JOY = "joy"
    RELIEF = "relief"
    NONE = "none"
    """None, or none that is sure."""


class Act(StrEnum):
    """What the person is doing by writing."""

    VENTING = "venting"
    ASKING = "asking"
    NEWS = "news"
    FOLLOW_UP = "follow_up"
    GREETING = "greeting"
    THANKS = "thanks"
    ABOUT_YOU = "about_you"
    OFF_TOPIC = "off_topic"
    UNCLEAR = "unclear"
    OTHER_LANGUAGE = "other_language"
    CONCERN = "concern"
    """There may be danger, not at once."""
    CRISIS = "crisis"


ALONE = frozenset(Act) - {Act.VENTING, Act.ASKING, Act.NEWS, Act.FOLLOW_UP}
"""What is answered by one whole thought: topic and emotion do not matter."""


class Slot(StrEnum):
    """A place for the person's own words."""

    EVENT = "event"
    SELF = "self"
    QUOTE = "quote"
    WHO = "who"
    WHEN = "when"
    BEFORE = "before"
    """What they said earlier in the conversation."""


SPELLINGS = {
    Slot.EVENT: ("{event}", "{Event}", "{they_event}", "{They_event}"),
    Slot.SELF: ("{self}", "{Self}", "{they}", "{They}"),
    Slot.QUOTE: ("{quote}",),
    Slot.WHO: ("{who}",),
    Slot.WHEN: ("{when}",),
    Slot.BEFORE: ("{before}", "{Before}", "{they_before}", "{They_before}"),
}
"""How each stands in a text: in the second and the third person, within a sentence and at its beginning."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was understood of a message."""

    topic: Topic
    emotion: Emotion
    act: Act
    danger: Category = Category.NONE
    slots: frozenset[Slot] = frozenset()

    def prompt(self) -> str:
        """As the policy reads it: tokens of its own, then it writes."""
        told = [f"act:{self.act}", f"topic:{self.topic}", f"emotion:{self.emotion}", f"danger:{self.danger}"]
        told += [f"has:{each}" for each in Slot if each in self.slots]
        return "".join(f"<|{each}|>" for each in told) + WRITE


def settled(topic: Topic, emotion: Emotion, act: Act) -> Reading:
    """What is told of these: no topic where one thought answers, and good news is glad."""
    if act in ALONE:
        return Reading(Topic.OTHER, Emotion.NONE, act)
    return Reading(topic, Emotion.JOY if act == Act.NEWS and emotion != Emotion.RELIEF else emotion, act)


WRITE, END = "<|write|>", "<|end|>"


def special_tokens() -> list[str]:
    """Every token that no text is split into."""
    kinds: Sequence[tuple[str, type[StrEnum]]] = (
        ("act", Act),
        ("topic", Topic),
        ("emotion", Emotion),
        ("danger", Category),
        ("has", Slot),
    )
    told = [f"<|{kind}:{each}|>" for kind, values in kinds for each in values]
    return [END, WRITE, *told, *(each for some in SPELLINGS.values() for each in some)]


def slots_of(text: str) -> frozenset[Slot]:
    """Which slots a text with slots needs."""
    return frozenset(slot for slot, spellings in SPELLINGS.items() if any(each in text for each in spellings))

"""Properties of the codec: what it tells the policy of a message, and how it fills the person's words in."""

import asyncio
from collections.abc import Iterator

import pytest

from rerank.clauses import Cuttings, cut
from rerank.codec import BuiltInCodec, Message
from rerank.embedded import Engine
from rerank.reading import SPELLINGS, Act, Emotion, Reading, Slot, Topic, slots_of
from rerank.types import Category, Context, Line, Role, Tier


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.close()


def read(engine: Engine, text: str, tier: Tier = Tier.NONE) -> Message:
    return asyncio.run(BuiltInCodec(engine).read(Context(text, tier=tier)))


@pytest.mark.parametrize(
    ("text", "act"),
    [
        ("hi", Act.GREETING),
        ("hello there", Act.GREETING),
        ("thank you, that helped. good night", Act.THANKS),
        ("are you a real person or a bot?", Act.ABOUT_YOU),
        ("who reads what i write here?", Act.ABOUT_YOU),
        ("what's the capital of Peru?", Act.OFF_TOPIC),
        ("asdkjh aksjdh", Act.UNCLEAR),
        ("My boss shouted at me in front of everyone and I just stood there.", Act.VENTING),
        ("I got the job!! starting in March, I can't believe it", Act.NEWS),
        ("Meine Mutter ist gestern gestorben und ich weiß nicht weiter.", Act.OTHER_LANGUAGE),
    ],
)
def test_it_sees_what_the_person_is_doing(engine: Engine, text: str, act: Act) -> None:
    assert read(engine, text).reading.act == act


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("My grandmother died on Sunday and I keep setting the table for her.", Topic.GRIEF),
        ("We had to put our dog to sleep this morning.", Topic.PET),
        ("I failed my anatomy exam again and the resit is in two weeks.", Topic.STUDY),
        ("Three weeks of lying awake until four. I'm so tired.", Topic.SLEEP),
    ],
)
def test_it_says_nothing_rather_than_something_wrong_about_a_plain_message(
    engine: Engine, text: str, topic: Topic
) -> None:
    assert read(engine, text).reading.topic in {topic, Topic.OTHER}


@pytest.mark.parametrize(("tier", "act"), [(Tier.CRISIS, Act.CRISIS), (Tier.CONCERN, Act.CONCERN)])
def test_danger_is_told_with_its_kind_and_nothing_lighter(engine: Engine, tier: Tier, act: Act) -> None:
    context = Context("I got the job! I have written the letters too", tier=tier, category=Category.SUICIDE)
    found = asyncio.run(BuiltInCodec(engine).read(context)).reading
    assert (found.act, found.danger) == (act, Category.SUICIDE)
    assert (found.topic, found.emotion) == (Topic.OTHER, Emotion.NONE)


def test_it_offers_only_slots_that_it_can_fill(engine: Engine) -> None:
    for text in ("hi", "My boss shouted at me in front of everyone.", "I can't stop crying since March."):
        message = read(engine, text)
        every = " ".join(each for slot in message.reading.slots for each in SPELLINGS[slot])
        assert slots_of(message.filled(every, 0)) == frozenset()


def test_the_persons_words_come_turned_to_them() -> None:
    said = "My boss shouted at me in the meeting."
    message = Message(Reading(Topic.WORK, Emotion.HURT, Act.VENTING, slots=frozenset({Slot.EVENT})), cut(said))
    assert message.filled("{Event}. So {event}?", 0) == (
        "Your boss shouted at you in the meeting. So your boss shouted at you in the meeting?"
    )
    assert message.filled("{They_event}.", 0) == "Their boss shouted at them in the meeting."


def test_what_was_said_earlier_can_be_taken_up(engine: Engine) -> None:
    history = (Line(Role.USER, "I failed my driving test again."), Line(Role.ASSISTANT, "Again. What went wrong?"))
    message = asyncio.run(BuiltInCodec(engine).read(Context("the examiner was rude", history=history)))
    assert Slot.BEFORE in message.reading.slots
    assert message.filled("Earlier you said {before}.", 0) == "Earlier you said you failed your driving test again."


def test_braces_that_the_person_wrote_are_left_as_they_are() -> None:
    reading = Reading(Topic.WORK, Emotion.HURT, Act.VENTING)
    message = Message(reading, Cuttings(quotes=("I said {who}",)))
    assert message.filled("“{quote}”", 0) == "“I said {who}”"

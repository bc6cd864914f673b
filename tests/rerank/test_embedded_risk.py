"""The trained detector as it is shipped: what it must find, what it must leave alone, and what it is unsure of."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from learning.labels import DATA
from rerank.embedded import Engine
from rerank.embedded_risk import EmbeddedDetector, Reading, decide, readings
from rerank.messages import read_messages
from rerank.risk import ORDER, Assessment
from rerank.risk_patterns import hits
from rerank.screening import screened
from rerank.types import Category, Tier

LIMITS = {Tier.CONCERN: 0.4, Tier.CRISIS: 0.6}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


def assess(engine: Engine, message: str, history: Sequence[str] = ()) -> Assessment:
    return asyncio.run(EmbeddedDetector(engine).assess(message, history))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("english", "crisis", "false_crisis", "concern", "false_alarms"),
    [(True, 0.87, 0.10, 0.89, 0.15), (False, 0.82, 0.18, 0.83, 0.27)],
)
def test_on_held_out_messages_it_stays_as_good_as_the_model_card_says(
    engine: Engine, *, english: bool, crisis: float, false_crisis: float, concern: float, false_alarms: float
) -> None:
    everything = read_messages(DATA / "risk" / "held-out.jsonl")
    messages = [each for each in everything if (each.language == "en") == english]
    found = [assess(engine, each.text, each.history) for each in messages]
    result = screened(messages, [each.tier for each in found], [each.crisis for each in found])
    assert result["crisis"]["recall"] >= crisis
    assert result["crisis"]["false_alarms"] <= false_crisis
    assert result["concern_or_crisis"]["recall"] >= concern
    assert result["concern_or_crisis"]["false_alarms"] <= false_alarms


@pytest.mark.parametrize(
    "message",
    [
        "I want to kill myself",
        "i took all my pills an hour ago and im scared",
        "he strangled me again last night and he's coming home now",
        "I've written the letters and I'm going to the bridge tonight. Don't try to stop me.",
        "quiero matarme esta noche",
        "Ich werde mich heute Nacht umbringen.",
        "je vais me tuer ce soir",
        "我想自杀,今晚就动手",
    ],
)
def test_plain_crises_are_found_with_their_evidence(engine: Engine, message: str) -> None:
    found = assess(engine, message)
    assert found.tier == Tier.CRISIS
    assert found.category != Category.NONE
    assert found.evidence


@pytest.mark.parametrize(
    "message",
    [
        "this thesis is killing me, two chapters due on Monday",
        "My cat died on Sunday. I can't stop crying.",
        "hello",
        "thank you, that helped",
        "",
        "I could murder a curry",
        "are you a bot?",
        "I failed my driving test again and my dad laughed",
    ],
)
def test_ordinary_messages_are_left_alone(engine: Engine, message: str) -> None:
    assert assess(engine, message).tier == Tier.NONE


@pytest.mark.parametrize(
    "denial", ["I'm fine, don't worry.", "I won't do anything.", "Just kidding lol.", "I'm not suicidal."]
)
@pytest.mark.parametrize(
    "message",
    ["I want to kill myself tonight.", "I took all of my tablets.", "Some nights I hope I just don't wake up."],
)
def test_one_denial_lowers_no_tier(engine: Engine, message: str, denial: str) -> None:
    alone = ORDER.index(assess(engine, message).tier)
    assert alone > 0
    assert ORDER.index(assess(engine, f"{message} {denial}").tier) >= alone
    assert ORDER.index(assess(engine, f"{denial} {message}").tier) >= alone


def test_one_line_in_a_long_message_is_found(engine: Engine) -> None:
    everyday = (
        "The boiler man came and left mud in the hall, then I made soup and the neighbour's boy brought the post. "
    )
    message = everyday * 5 + "I took all my pills before lunch. " + everyday * 5
    assert len(readings(message)) > 2
    assert assess(engine, message).tier == Tier.CRISIS


def test_history_is_part_of_what_is_read(engine: Engine) -> None:
    history = ["I can't do this any more", "I've got the pills here in front of me", "I wrote to my sister already"]
    with_history, without = assess(engine, "ok. goodbye then.", history), assess(engine, "ok. goodbye then.")
    assert with_history.crisis > without.crisis


def test_it_says_when_it_hardly_knows_the_language() -> None:
    reading = Reading({Tier.CONCERN: 0.1, Tier.CRISIS: 0.05}, Category.SUICIDE)
    known = decide(reading, [], LIMITS, "d", trust=1.0)
    unknown = decide(reading, [], LIMITS, "d", trust=0.6)
    assert known.tier == unknown.tier == Tier.NONE
    assert unknown.confidence < known.confidence


@pytest.mark.parametrize(
    ("concern", "crisis", "tier"),
    [(0.39, 0.59, Tier.NONE), (0.4, 0.59, Tier.CONCERN), (0.9, 0.6, Tier.CRISIS), (0.1, 0.6, Tier.CRISIS)],
)
def test_the_thresholds_decide(concern: float, crisis: float, tier: Tier) -> None:
    reading = Reading({Tier.CONCERN: concern, Tier.CRISIS: crisis}, Category.ABUSE)
    found = decide(reading, [], LIMITS, "d", trust=1.0)
    assert found.tier == tier
    assert found.category == (Category.NONE if tier == Tier.NONE else Category.ABUSE)


def test_a_certain_pattern_outweighs_the_classifier() -> None:
    message = "I am going to kill myself tonight"
    nothing = Reading({Tier.CONCERN: 0.0, Tier.CRISIS: 0.0}, Category.ABUSE)
    found = decide(nothing, hits(message), LIMITS, "d", trust=1.0)
    assert (found.tier, found.category, found.confidence) == (Tier.CRISIS, Category.SUICIDE, 1.0)
    assert found.evidence

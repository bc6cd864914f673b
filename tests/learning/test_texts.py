"""Properties of the text that the built-in policy learns from."""

import random
import re

import pytest

from learning.moves import Move, Part, read_moves
from learning.texts import Composer, texts
from rerank.parse import split
from rerank.reading import END, Act, Emotion, Reading, Slot, Topic, settled, slots_of, special_tokens
from rerank.types import Category

MOVES = read_moves()
SOME = list(texts(3000, seed=7))


def test_every_text_is_in_format_and_ends() -> None:
    for each in SOME:
        assert each.answer.endswith(END)
        assert split(each.answer.removesuffix(END)).well_formed, each


def test_no_text_uses_a_slot_that_its_reading_does_not_have() -> None:
    for each in SOME:
        given = {Slot(found) for found in re.findall(r"<\|has:(\w+)\|>", each.prompt)}
        assert slots_of(each.answer) <= given


def test_every_brace_in_a_move_is_a_slot_that_the_codec_knows() -> None:
    known = set(special_tokens())
    for move in MOVES:
        assert set(re.findall(r"\{[^}]*\}?", move.text)) <= known, move.text


def test_hardly_a_reply_asks_in_two_thoughts() -> None:
    """Some moves ask twice in themselves, and where few moves fit there may be no better reply."""
    many = sum(split(each.answer).response.count("?") > 2 for each in SOME)
    assert many <= 0.01 * len(SOME)


@pytest.mark.parametrize("danger", Category)
@pytest.mark.parametrize("act", [Act.CRISIS, Act.CONCERN])
def test_a_message_in_danger_gets_moves_of_its_own_alone(act: Act, danger: Category) -> None:
    composer = Composer(MOVES, random.Random(1))
    serious = {each.text for each in MOVES if act in each.acts and each.part == Part.WHOLE and each.good}
    for _ in range(60):
        written = composer.answer(Reading(Topic.OTHER, Emotion.NONE, act, danger, frozenset(Slot)))
        assert split(written.removesuffix(END)).response in serious


@pytest.mark.parametrize("act", Act)
@pytest.mark.parametrize("slots", [frozenset(), frozenset(Slot)])
def test_there_is_something_to_say_to_every_reading(act: Act, slots: frozenset[Slot]) -> None:
    composer = Composer(MOVES, random.Random(2))
    for topic in Topic:
        for emotion in Emotion:
            reading = settled(topic, emotion, act)
            reading = Reading(reading.topic, reading.emotion, reading.act, slots=slots)
            assert split(composer.answer(reading).removesuffix(END)).well_formed, reading


def test_the_same_seed_gives_the_same_texts() -> None:
    assert list(texts(50, seed=3)) == list(texts(50, seed=3))
    assert list(texts(50, seed=3)) != list(texts(50, seed=4))


def test_there_are_as_many_moves_as_a_varied_voice_needs() -> None:
    analyses = [each for each in MOVES if each.part == Part.ANALYSIS]
    assert len(analyses) >= 500
    assert len(MOVES) - len(analyses) >= 1500
    assert len({each.text for each in MOVES}) == len(MOVES)


@pytest.mark.parametrize("topic", [each for each in Topic if each != Topic.OTHER])
def test_every_topic_has_good_moves_of_its_own_for_each_part(topic: Topic) -> None:
    for part in (Part.OPEN, Part.MIDDLE, Part.CLOSE, Part.ANALYSIS):
        own: list[Move] = [each for each in MOVES if each.part == part and topic in each.topics and each.good]
        assert len(own) >= 4, part

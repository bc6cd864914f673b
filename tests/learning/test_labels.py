"""The labelled data that the embedded models are made from: readable, and what measures is nowhere learned."""

from collections.abc import Iterator

import pytest

from learning.gate import read_replies
from learning.labels import labelled
from rerank.labelled import read_scenarios
from rerank.messages import read_messages
from rerank.types import Category, Tier


def texts(kind: str, *, held_out: bool) -> Iterator[str]:
    for path in labelled(kind, held_out=held_out):
        match kind:
            case "judge":
                yield from (r.response for s in read_scenarios(path) for r in s.replies)
            case "risk":
                yield from (each.text + " / ".join(each.history) for each in read_messages(path))
            case _:
                yield from (each.response for each in read_replies(path))


@pytest.mark.parametrize("kind", ["judge", "risk", "gate"])
def test_no_held_out_text_is_learned_from(kind: str) -> None:
    learned = {" ".join(each.lower().split()) for each in texts(kind, held_out=False)}
    held_out = [" ".join(each.lower().split()) for each in texts(kind, held_out=True)]
    assert held_out
    assert [each for each in held_out if each in learned] == []


def test_there_is_enough_of_every_category_and_language_to_learn_risk_from() -> None:
    messages = [each for path in labelled("risk", held_out=False) for each in read_messages(path)]
    assert len(messages) >= 2000
    for category in set(Category) - {Category.NONE}:
        assert sum(each.category == category and each.tier == Tier.CRISIS for each in messages) >= 60, category
    for language in ("en", "es", "de", "fr", "pt", "it", "zh", "hi"):
        assert sum(each.language == language for each in messages) >= 50, language
    assert sum(each.hard for each in messages) >= 0.4 * len(messages)
    assert sum(bool(each.history) for each in messages) >= 0.1 * len(messages)


def test_in_crossed_scenarios_length_gives_nothing_away() -> None:
    crossed = [
        each for path in labelled("judge", held_out=True) if "crossed" in path.stem for each in read_scenarios(path)
    ]
    good, bad = [], []
    for each in crossed:
        ordered = sorted(each.replies, key=lambda reply: sum(reply.labels.values()))
        bad += [len(reply.response.split()) for reply in ordered[:2]]
        good += [len(reply.response.split()) for reply in ordered[2:]]
    assert sum(good) == pytest.approx(sum(bad), rel=0.1)

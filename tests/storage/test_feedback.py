from typing import Any

import pytest

from databases import FakeClock
from scenes import rows
from storage.errors import BadInput, NotFound
from storage.store import Store
from storage.values import FeedbackKind


def test_every_kind_of_feedback_is_read_as_it_was_given(
    store: Store, clock: FakeClock, me: str, talk: str, turn: str
) -> None:
    given = []
    for kind, value, text in (
        (FeedbackKind.THUMB, "up", None),
        (FeedbackKind.THUMB, "down", "it was cold"),
        (FeedbackKind.TAG, "too-long", None),
        (FeedbackKind.COMMENT, None, "thank you"),
        (FeedbackKind.EDIT, None, "better words"),
        (FeedbackKind.DISTRESS_BEFORE, "10", None),
        (FeedbackKind.DISTRESS_AFTER, "0", None),
    ):
        given.append(store.feedback.give(me, talk, kind, turn=turn, value=value, text=text))
        clock.pass_by(seconds=1)
    assert store.feedback.of(me) == given
    assert (given[1].kind, given[1].value, given[1].text) == (FeedbackKind.THUMB, "down", "it was cold")
    assert {each.turn_id for each in given} == {turn}


def test_feedback_about_the_whole_conversation_has_no_turn(store: Store, me: str, talk: str) -> None:
    given = store.feedback.give(me, talk, FeedbackKind.DISTRESS_BEFORE, value="7")
    assert store.feedback.of(me) == [given]
    assert given.turn_id is None


def test_a_value_that_does_not_fit_its_kind_is_refused(store: Store, url: str, me: str, talk: str) -> None:
    before = rows(url)
    wrong: list[tuple[Any, Any]] = [
        (FeedbackKind.THUMB, None),
        (FeedbackKind.THUMB, "UP"),
        (FeedbackKind.THUMB, ["up"]),
        (FeedbackKind.DISTRESS_BEFORE, "11"),
        (FeedbackKind.DISTRESS_BEFORE, "-1"),
        (FeedbackKind.DISTRESS_AFTER, "٣"),
        (FeedbackKind.DISTRESS_AFTER, 3),
        (FeedbackKind.TAG, None),
        (FeedbackKind.TAG, ""),
        (FeedbackKind.TAG, "two words"),
        (FeedbackKind.TAG, "x" * 65),
        (FeedbackKind.COMMENT, "up"),
        (FeedbackKind.SWIPE, "0>1"),
        ("applause", "up"),
        (None, None),
    ]
    for kind, value in wrong:
        with pytest.raises(BadInput):
            store.feedback.give(me, talk, kind, value=value)
    assert rows(url) == before


def test_a_turn_of_another_conversation_gets_no_feedback_here(
    store: Store, url: str, me: str, talk: str, turn: str
) -> None:
    other = store.conversations.start(me).id
    before = rows(url)
    with pytest.raises(NotFound, match=r"^There is no such turn\.$"):
        store.feedback.give(me, other, FeedbackKind.THUMB, turn=turn, value="up")
    assert rows(url) == before
    assert store.feedback.give(me, talk, FeedbackKind.THUMB, turn=turn, value="up").turn_id == turn


def test_nobody_sees_the_feedback_of_others(store: Store, me: str, talk: str) -> None:
    store.feedback.give(me, talk, FeedbackKind.COMMENT, text="mine")
    assert store.feedback.of(store.people.add().id) == []


def test_an_erased_conversation_gets_no_feedback(store: Store, url: str, me: str, talk: str) -> None:
    store.erase.conversation(me, talk)
    before = rows(url)
    with pytest.raises(NotFound):
        store.feedback.give(me, talk, FeedbackKind.COMMENT, text="words")
    assert rows(url) == before


def test_feedback_inside_a_conversation_is_its_owners_and_no_other_conversations(
    store: Store, me: str, talk: str
) -> None:
    other = store.conversations.start(me).id
    store.feedback.give(me, talk, FeedbackKind.DISTRESS_BEFORE, value="7")
    store.feedback.give(me, other, FeedbackKind.DISTRESS_BEFORE, value="2")
    assert [each.value for each in store.feedback.inside(me, talk)] == ["7"]
    assert store.feedback.inside(store.people.add().id, talk) == []

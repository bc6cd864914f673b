"""What the page shows is what the store has, of one person."""

from dataclasses import replace

import pytest

from app import view
from app.view import Seat
from databases import FakeClock
from rerank.types import Candidate, Category, Judgement, Perspective, Tier
from storage.errors import NotFound
from storage.store import Store
from storage.values import FeedbackKind, Purpose


def candidate(index: int, reward: float | None, safety: str | None = None) -> Candidate:
    score = 3.0 + (reward or 0)
    judged = [Judgement(each, score, "Because.", "fake", 1.0) for each in Perspective if each != Perspective.BYSTANDER]
    judged += [Judgement(Perspective.BYSTANDER, 50.0, None, "fake", 1.0)]
    return Candidate(index, "analysis", f"reply {index}", 9, True, safety, reward, tuple(judged))


@pytest.fixture
def answered(store: Store, turn: str) -> str:
    candidates = [candidate(0, 0.2), candidate(1, 0.9), candidate(2, 0.5), candidate(3, 0.95, "romance")]
    store.turns.finish(turn, "reply 1", candidates=candidates, chosen=1)
    return turn


def test_who_has_not_begun_is_nobody_and_who_has_may_have_said_nothing(store: Store, me: str) -> None:
    assert view.state(store, Seat(me))["person"] is None
    store.people.describe(me, country=view.NOWHERE)
    assert view.state(store, Seat(me))["person"] == {"country": "", "adult": None, "training": False, "about": ""}


def test_consent_and_what_they_told_about_themselves_are_shown(store: Store, me: str) -> None:
    store.people.describe(me, country="DE", adult=True)
    store.people.grant(me, Purpose.TRAINING)
    store.conversations.start(me, persona="A nurse.")
    shown = view.state(store, Seat(me))
    assert shown["person"] == {"country": "DE", "adult": True, "training": True, "about": "A nurse."}
    assert shown["help"]["emergency"] == "112"
    store.people.withdraw(me, Purpose.TRAINING)
    assert view.state(store, Seat(me))["person"]["training"] is False


def test_the_replies_that_may_be_shown_stand_best_first_and_stopped_ones_nowhere(
    store: Store, me: str, talk: str, answered: str
) -> None:
    shown = view.state(store, Seat(me, talk))
    assert shown["others"] == {"turn": answered, "shown": 0, "texts": ["reply 1", "reply 2", "reply 0"]}
    assert view.chosen_index(store.turns.get(me, answered), 2) == 0
    assert "reply 3" not in str(shown)
    store.turns.choose(me, answered, 0)
    assert view.state(store, Seat(me, talk))["others"]["shown"] == 2


def test_of_replies_that_say_the_same_one_is_shown(store: Store, me: str, talk: str, turn: str) -> None:
    same = [replace(candidate(at, reward), response="the same") for at, reward in ((0, 0.9), (1, 0.8), (2, 0.7))]
    store.turns.finish(turn, "the same", candidates=[*same, candidate(3, 0.1)], chosen=1)
    assert view.state(store, Seat(me, talk))["others"]["texts"] == ["the same", "reply 3"]
    assert view.chosen_index(store.turns.get(me, turn), 0) == 1


def test_why_is_told_when_asked_in_shares_of_the_scale(store: Store, me: str, talk: str, answered: str) -> None:
    assert view.state(store, Seat(me, talk))["why"] is None
    why = view.state(store, Seat(me, talk, why=answered))["why"]
    assert [each["shown"] for each in why["replies"]] == [True, False, False]
    (first, *_, last) = why["replies"][0]["perspectives"]
    assert (first["name"], first["share"], first["reason"]) == ("How well it understood", 0.725, "Because.")
    assert (last["share"], bool(last["reason"])) == (0.5, True)


def test_a_turn_without_a_reply_is_told_and_offers_to_go_on(store: Store, me: str, talk: str, turn: str) -> None:
    assert view.state(store, Seat(me, talk))["turn"]["state"] == "interrupted"
    store.turns.fail(turn, "Unreachable")
    assert view.state(store, Seat(me, talk))["turn"]["state"] == "failed"
    store.turns.finish(store.turns.again(me, turn).id, "At last.")
    shown = view.state(store, Seat(me, talk))
    assert shown["turn"] is None
    assert [(each["who"], each["text"]) for each in shown["messages"]] == [("you", "hello"), ("attune", "At last.")]


def test_the_card_stays_with_a_conversation_that_was_flagged(
    store: Store, clock: FakeClock, me: str, talk: str
) -> None:
    assert view.state(store, Seat(me, talk))["card"] is None
    store.flags.raise_flag(talk, None, Tier.CRISIS, Category.SUICIDE, "evidence", clock.now())
    assert view.state(store, Seat(me, talk))["card"] == {"tier": "crisis"}


def test_numbers_that_nobody_has_looked_up_are_not_shown(store: Store, me: str) -> None:
    from app.helplines import countries, helplines  # noqa: PLC0415

    unread = {each.name for code in countries() for each in helplines(code).lines if each.from_memory}
    assert unread
    for code in countries():
        store.people.describe(me, country=code)
        assert not unread & {each["name"] for each in view.state(store, Seat(me))["help"]["lines"]}


def test_how_they_feel_is_asked_at_the_start_and_once_further_on(store: Store, me: str, talk: str) -> None:
    assert view.state(store, Seat(me, talk))["asks"] == "before"
    for at in range(6):
        store.turns.finish(store.turns.submit(me, talk, f"c{at}", "more").id, "yes")
        assert view.state(store, Seat(me, talk))["asks"] == (None if at < 5 else "after")
    assert view.state(store, Seat(me, talk, asked=True))["asks"] is None
    store.feedback.give(me, talk, FeedbackKind.DISTRESS_AFTER, value="3")
    assert view.state(store, Seat(me, talk))["asks"] is None


def test_a_stranger_is_shown_nothing(store: Store, talk: str, answered: str) -> None:
    stranger = store.people.add().id
    with pytest.raises(NotFound):
        view.state(store, Seat(stranger, talk))
    assert view.state(store, Seat(stranger, why=answered))["why"] is None
    assert view.found(store, stranger, "hello") == []


def test_only_titled_conversations_that_are_kept_are_listed(store: Store, me: str) -> None:
    store.conversations.start(me)
    store.conversations.start(me, title="secret", temporary=True)
    kept = store.conversations.start(me, title="Work")
    assert [each["id"] for each in view.state(store, Seat(me))["conversations"]] == [kept.id]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello", "Hello"),
        ("  My boss\nshouted at me ", "My boss shouted at me"),
        ("word " * 30, "word word word word word word word word word …"),
        ("x" * 90, "x" * 48 + " …"),
    ],
)
def test_a_title_is_the_beginning_in_whole_words(text: str, title: str) -> None:
    assert view.title_of(text) == title

from datetime import timedelta
from typing import Any

import pytest

from databases import KEY, FakeClock
from rerank.types import Candidate, Judgement, Perspective
from scenes import rows, together
from storage.errors import BadInput, Conflict, NotFound
from storage.store import Store, open_store
from storage.values import FeedbackKind, TurnState

GOOD = Candidate(0, "because", "I hear you.", 12, format_ok=True, safety=None, reward=None)
BETTER = Candidate(1, "since", "Tell me more.", 9, format_ok=True, safety=None, reward=0.5)
GATED = Candidate(2, "so", "You have a disorder.", 7, format_ok=True, safety="diagnosis", reward=None)


def texts(store: Store, me: str, talk: str) -> list[str | None]:
    return [message.text for message in store.conversations.open(me, talk).messages]


def judged(score: float | None, perspective: Perspective = Perspective.RECEPTION) -> Judgement:
    return Judgement(perspective, score, None if score is None else "warm", "judge-1", 3.25)


def weighed(*judgements: Judgement) -> Candidate:
    return Candidate(0, "a", "r", 1, format_ok=False, safety=None, reward=-0.125, judgements=judgements)


def test_a_repeated_submit_is_the_same_turn(store: Store, me: str, talk: str) -> None:
    first = store.turns.submit(me, talk, "c1", "hello")
    assert store.turns.submit(me, talk, "c1", "hello") == first
    assert len(store.conversations.open(me, talk).messages) == 1


def test_a_submit_repeated_after_the_answer_gives_the_answered_turn(
    store: Store, me: str, talk: str, turn: str
) -> None:
    answered = store.turns.finish(turn, "hi")
    assert store.turns.submit(me, talk, "c1", "hello") == answered
    assert texts(store, me, talk) == ["hello", "hi"]


def test_a_submit_repeated_after_other_tries_gives_the_newest_turn(
    store: Store, clock: FakeClock, me: str, talk: str, turn: str
) -> None:
    for _ in range(8):
        clock.pass_by(microseconds=1)
        newest = store.turns.again(me, turn)
    assert store.turns.submit(me, talk, "c1", "hello") == newest


def test_one_message_sent_by_many_at_once_is_one_turn(store: Store, url: str, me: str, talk: str) -> None:
    stores = [open_store(url, [KEY]) for _ in range(6)]
    ends = together([lambda each=each: each.turns.submit(me, talk, "c1", "hello").id for each in stores])  # type: ignore[misc]
    for each in stores:
        each.close()
    assert len(set(ends)) == 1
    assert texts(store, me, talk) == ["hello"]


def test_many_messages_sent_at_once_are_all_kept_each_at_a_place_of_its_own(
    store: Store, url: str, me: str, talk: str
) -> None:
    stores = [open_store(url, [KEY]) for _ in range(6)]
    together([lambda each=each, n=n: each.turns.submit(me, talk, f"c{n}", f"m{n}") for n, each in enumerate(stores)])  # type: ignore[misc]
    for each in stores:
        each.close()
    messages = store.conversations.open(me, talk).messages
    assert [message.seq for message in messages] == [1, 2, 3, 4, 5, 6]
    assert sorted(message.text or "" for message in messages) == ["m0", "m1", "m2", "m3", "m4", "m5"]


def test_the_same_client_id_in_another_conversation_is_another_turn(
    store: Store, me: str, talk: str, turn: str
) -> None:
    other = store.conversations.start(me).id
    assert store.turns.submit(me, other, "c1", "something else").id != turn
    assert (texts(store, me, talk), texts(store, me, other)) == (["hello"], ["something else"])


@pytest.mark.usefixtures("turn")
def test_a_client_id_does_not_stand_for_two_texts(store: Store, url: str, me: str, talk: str) -> None:
    before = rows(url)
    with pytest.raises(Conflict):
        store.turns.submit(me, talk, "c1", "hello ")
    assert rows(url) == before


def test_a_new_turn_is_pending_and_empty(store: Store, clock: FakeClock, me: str, turn: str) -> None:
    found = store.turns.get(me, turn)
    assert (found.state, found.created, found.finished) == (TurnState.PENDING, clock.now(), None)
    assert (found.reply_id, found.chosen, found.degraded, found.candidates) == (None, None, None, ())


def test_a_finished_turn_is_read_as_it_was_weighed(store: Store, clock: FakeClock, me: str, turn: str) -> None:
    clock.pass_by(seconds=2)
    scores = [0.0, -1.5, 1e300, 5e-300]
    judgements = [judged(score, perspective) for score, perspective in zip(scores, sorted(Perspective), strict=True)]
    candidates = (weighed(*judgements), BETTER, GATED)
    kept: dict[str, Any] = {"versions": {"policy": "p", "n": [1, 2.5, None, True]}, "timings": {"total": 0.1}}
    store.turns.finish(turn, "r", candidates=candidates[::-1], chosen=0, degraded="only two perspectives", **kept)
    found = store.turns.get(me, turn)
    assert found.candidates == candidates
    assert (found.state, found.finished, found.chosen) == (TurnState.ANSWERED, clock.now(), 0)
    assert (found.degraded, found.versions, found.timings) == (
        "only two perspectives",
        kept["versions"],
        kept["timings"],
    )


def test_a_failed_judgement_stays_without_a_score_and_a_score_of_zero_stays_zero(
    store: Store, me: str, turn: str
) -> None:
    zero, none = judged(0.0, Perspective.BYSTANDER), judged(None, Perspective.RESONATION)
    store.turns.finish(turn, "r", candidates=[weighed(zero, none)])
    read = store.turns.get(me, turn).candidates[0].judgements
    assert [(judgement.score, judgement.rationale) for judgement in read] == [(0.0, "warm"), (None, None)]


def test_a_turn_ends_once(store: Store, url: str, me: str, turn: str) -> None:
    store.turns.finish(turn, "first", candidates=[GOOD], chosen=0)
    before = rows(url)
    for end in (
        lambda: store.turns.finish(turn, "second", candidates=[BETTER]),
        lambda: store.turns.fail(turn, "too late"),
        lambda: store.turns.fail(turn, "too late", TurnState.ABANDONED),
    ):
        with pytest.raises(Conflict):
            end()
    assert rows(url) == before
    assert store.turns.get(me, turn).candidates == (GOOD,)


def test_of_many_who_finish_a_turn_at_once_one_does(store: Store, url: str, me: str, talk: str, turn: str) -> None:
    stores = [open_store(url, [KEY]) for _ in range(4)]
    ends = together(
        [
            lambda each=each, n=n: each.turns.finish(turn, f"reply {n}", candidates=[GOOD])  # type: ignore[misc]
            for n, each in enumerate(stores)
        ]
    )
    for each in stores:
        each.close()
    assert sorted(type(end).__name__ for end in ends) == ["Conflict", "Conflict", "Conflict", "Turn"]
    winner = next(n for n, end in enumerate(ends) if not isinstance(end, Exception))
    assert texts(store, me, talk) == ["hello", f"reply {winner}"]


@pytest.mark.parametrize("state", [TurnState.FAILED, TurnState.ABANDONED])
def test_a_turn_that_fails_keeps_the_message_and_its_reason(
    store: Store, clock: FakeClock, me: str, talk: str, turn: str, state: TurnState
) -> None:
    store.turns.fail(turn, "the policy did not answer", state)
    found = store.turns.get(me, turn)
    assert (found.state, found.degraded, found.finished) == (state, "the policy did not answer", clock.now())
    assert texts(store, me, talk) == ["hello"]


def test_failing_is_no_way_to_answer(store: Store, turn: str) -> None:
    for state in (TurnState.PENDING, TurnState.ANSWERED):
        with pytest.raises(ValueError, match="failed or abandoned"):
            store.turns.fail(turn, "x", state)


def test_turns_that_a_dead_process_left_are_abandoned_and_the_others_not(
    store: Store, clock: FakeClock, me: str, talk: str, turn: str
) -> None:
    answered = store.turns.submit(me, talk, "c2", "answered").id
    store.turns.finish(answered, "hi")
    clock.pass_by(minutes=10)
    young = store.turns.submit(me, talk, "c3", "young").id
    assert store.turns.abandon_older_than(clock.now() - timedelta(minutes=5)) == 1
    assert store.turns.abandon_older_than(clock.now() - timedelta(minutes=5)) == 0
    states = [store.turns.get(me, each).state for each in (turn, answered, young)]
    assert states == [TurnState.ABANDONED, TurnState.ANSWERED, TurnState.PENDING]
    assert store.turns.get(me, turn).finished == clock.now()


def test_another_try_replaces_the_reply_and_keeps_what_was_weighed(store: Store, me: str, talk: str, turn: str) -> None:
    first = store.turns.finish(turn, GOOD.response, candidates=[GOOD], chosen=0)
    second = store.turns.again(me, turn)
    assert texts(store, me, talk) == ["hello", GOOD.response]
    answered = store.turns.finish(second.id, BETTER.response, candidates=[BETTER], chosen=1)
    assert (answered.message_id, answered.reply_id) == (first.message_id, first.reply_id)
    assert texts(store, me, talk) == ["hello", BETTER.response]
    assert [store.turns.get(me, each).candidates for each in (turn, second.id)] == [(GOOD,), (BETTER,)]


def test_a_reply_stands_at_the_end_although_its_message_came_earlier(
    store: Store, me: str, talk: str, turn: str
) -> None:
    store.turns.submit(me, talk, "c2", "are you there?")
    store.turns.finish(turn, "yes")
    assert texts(store, me, talk) == ["hello", "are you there?", "yes"]


def test_choosing_makes_another_candidate_the_reply_and_keeps_the_preference(
    store: Store, me: str, talk: str, turn: str
) -> None:
    store.turns.finish(turn, GOOD.response, candidates=[GOOD, BETTER, GATED], chosen=0)
    assert store.turns.choose(me, turn, 1).chosen == 1
    assert texts(store, me, talk) == ["hello", BETTER.response]
    (swipe,) = store.feedback.of(me)
    assert (swipe.kind, swipe.value, swipe.turn_id, swipe.text) == (FeedbackKind.SWIPE, "0>1", turn, None)


def test_a_reply_that_was_gated_or_never_was_cannot_be_chosen(store: Store, url: str, me: str, turn: str) -> None:
    store.turns.finish(turn, GOOD.response, candidates=[GOOD, BETTER, GATED], chosen=0)
    before = rows(url)
    index: Any
    for index in (2, 3, -1, 2**31, 2**63, 2**200, "x", "", None, [1], b"1", "0 OR 1=1"):
        with pytest.raises((Conflict, BadInput)):
            store.turns.choose(me, turn, index)
    assert rows(url) == before


def test_choosing_what_is_chosen_already_is_no_preference(store: Store, me: str, turn: str) -> None:
    store.turns.finish(turn, GOOD.response, candidates=[GOOD, BETTER], chosen=0)
    assert store.turns.choose(me, turn, 0).chosen == 0
    assert store.feedback.of(me) == []


def test_nothing_can_be_chosen_before_the_reply_is_there(store: Store, me: str, turn: str) -> None:
    with pytest.raises(Conflict):
        store.turns.choose(me, turn, 0)


def test_what_cannot_have_been_weighed_is_refused(store: Store, url: str, turn: str) -> None:
    before = rows(url)
    wrong: list[tuple[list[Candidate], int]] = [
        ([GOOD, GOOD], 0),
        ([GOOD], 1),
        ([], 0),
        ([GOOD, GATED], 2),
        ([weighed(judged(1.0), judged(2.0))], 0),
    ]
    for candidates, chosen in wrong:
        with pytest.raises(BadInput):
            store.turns.finish(turn, "r", candidates=candidates, chosen=chosen)
    assert rows(url) == before


def test_a_number_that_no_database_holds_is_refused(store: Store, url: str, turn: str) -> None:
    before = rows(url)
    for number in (2**63, -(2**63) - 1):
        candidate = Candidate(0, "a", "r", number, format_ok=True, safety=None, reward=None)
        with pytest.raises(BadInput):
            store.turns.finish(turn, "r", candidates=[candidate])
    assert rows(url) == before


def test_a_turn_cannot_be_finished_after_its_conversation_was_erased(
    store: Store, url: str, me: str, talk: str, turn: str
) -> None:
    store.erase.conversation(me, talk)
    before = rows(url)
    with pytest.raises(NotFound):
        store.turns.finish(turn, "words", candidates=[GOOD], chosen=0)
    assert rows(url) == before


def test_the_newest_message_can_be_reworded_and_gets_a_new_turn(store: Store, me: str, talk: str, turn: str) -> None:
    store.turns.finish(turn, "A reply.")
    again = store.turns.reword(me, turn, "c2", "hello, in other words")
    assert again.state == TurnState.PENDING
    assert store.turns.reword(me, turn, "c2", "hello, in other words").id == again.id
    store.turns.finish(again.id, "Another reply.")
    messages = store.conversations.open(me, talk).messages
    assert [each.text for each in messages] == ["hello, in other words", "Another reply."]
    assert messages[0].client_id == "c2"


def test_rewording_gives_up_a_turn_that_is_pending(store: Store, me: str, turn: str) -> None:
    store.turns.reword(me, turn, "c2", "other words")
    assert store.turns.get(me, turn).state == TurnState.ABANDONED


def test_only_the_newest_message_can_be_reworded_and_only_by_its_owner(
    store: Store, me: str, talk: str, turn: str
) -> None:
    with pytest.raises(NotFound):
        store.turns.reword(store.people.add().id, turn, "c2", "not mine")
    store.turns.finish(turn, "A reply.")
    store.turns.submit(me, talk, "c3", "more")
    with pytest.raises(Conflict, match="newest"):
        store.turns.reword(me, turn, "c2", "too late")

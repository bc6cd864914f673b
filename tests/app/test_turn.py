"""A turn is kept whatever happens, is told to whoever looks, and puts danger before everything else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from app.turn import SAFE_REPLY, Alarm, Chat, Event, Kept, Replied, Running, Unanswered, Weighing
from app.wiring import Engines
from databases import FakeClock
from fakes import RULES, FakeDetector, FakeGate, FakeJudge, FakePolicy, analysed, run, written
from rerank.errors import Unreachable
from rerank.live import Choosing, Considering
from rerank.policy import Policy
from rerank.types import Role, Tier
from storage.errors import NotFound
from storage.store import Store
from storage.values import Flag, Speaker, TurnState
from storage.values import Role as Power

SLOW = 0.1


def writes(*responses: str, seconds: float = 0.0) -> FakePolicy:
    steps = [step for at, each in enumerate(responses) for step in (analysed(at), written(at, each))]
    return FakePolicy(*([seconds] if seconds else []), *steps)


async def _no_warming() -> None:
    pass


@asynccontextmanager
async def chatting(
    store: Store,
    clock: FakeClock,
    policy: Policy,
    screen: FakeDetector | None = None,
    opinion: FakeDetector | None = None,
    gate: FakeGate | None = None,
) -> AsyncIterator[Chat]:
    passes = FakeGate(lambda _: None)
    engines = Engines(policy, FakeJudge(), gate or passes, screen or FakeDetector(), opinion, RULES, _no_warming)
    chat = Chat(store, engines, clock, lambda user: f"seal of {user}")
    try:
        yield chat
    finally:
        await chat.close()


async def told(running: Running) -> list[Event]:
    return [each async for each in running.events() if each is not None]


def texts(store: Store, me: str, talk: str) -> list[tuple[Speaker, str | None]]:
    return [(each.role, each.text) for each in store.conversations.open(me, talk).messages]


def flags(store: Store) -> list[Flag]:
    return store.flags.queue(store.people.add("olga", Power.OPERATOR).id)


def test_a_message_gets_the_best_reply_and_both_are_kept(store: Store, clock: FakeClock, me: str, talk: str) -> None:
    async def turn() -> None:
        async with chatting(store, clock, writes("One.", "Two.")) as chat:
            events = await told(await chat.send(me, talk, "c1", "Hello"))
        kinds = [type(each) for each in events]
        assert kinds == [Kept, Considering, Weighing, Weighing, Choosing, Replied]
        replied = events[-1]
        assert isinstance(replied, Replied)
        kept = store.turns.get(me, replied.turn)
        assert kept.state == TurnState.ANSWERED
        assert len(kept.candidates) == 2
        assert all(len(each.judgements) == 4 for each in kept.candidates)
        assert texts(store, me, talk) == [(Speaker.USER, "Hello"), (Speaker.ASSISTANT, replied.text)]

    run(turn())


def test_when_no_reply_comes_the_message_is_kept_and_can_be_answered_later(
    store: Store, clock: FakeClock, me: str, talk: str
) -> None:
    async def turn() -> None:
        async with chatting(store, clock, FakePolicy(Unreachable("down"))) as chat:
            *_, last = await told(await chat.send(me, talk, "c1", "Hello"))
        assert isinstance(last, Unanswered)
        assert store.turns.get(me, last.turn).state == TurnState.FAILED
        async with chatting(store, clock, writes("Here.")) as chat:
            await told(await chat.again(me, talk, last.turn))
        assert texts(store, me, talk) == [(Speaker.USER, "Hello"), (Speaker.ASSISTANT, "Here.")]

    run(turn())


def test_a_fault_that_nobody_thought_of_ends_the_turn_too(store: Store, clock: FakeClock, me: str, talk: str) -> None:
    class Broken(FakeDetector):
        async def assess(self, message: str, history: object = ()) -> object:  # type: ignore[override]
            raise ZeroDivisionError(message, history)

    async def turn() -> None:
        async with chatting(store, clock, writes("Here."), Broken()) as chat:
            *_, last = await told(await chat.send(me, talk, "c1", "Hello"))
        assert last == Unanswered(last.turn, "ZeroDivisionError")  # type: ignore[union-attr]
        assert texts(store, me, talk) == [(Speaker.USER, "Hello")]

    run(turn())


def test_the_same_message_sent_twice_is_one_turn(store: Store, clock: FakeClock, me: str, talk: str) -> None:
    async def turn() -> None:
        policy = writes("Here.", seconds=SLOW)
        async with chatting(store, clock, policy) as chat:
            first, second = await asyncio.gather(*(chat.send(me, talk, "c1", "Hello") for _ in range(2)))
            assert await told(first) == await told(second)
            third = await told(await chat.send(me, talk, "c1", "Hello"))
        assert third[-1] == (await told(first))[-1]
        assert len(policy.contexts) == 1
        assert len(texts(store, me, talk)) == 2

    asyncio.run(turn())  # two threads at once open another connection to the database, and keep it


def test_danger_is_told_before_any_reply_and_flagged_with_a_deadline(
    store: Store, clock: FakeClock, me: str, talk: str
) -> None:
    async def turn() -> None:
        policy = writes("Stay.")
        async with chatting(store, clock, policy, FakeDetector(Tier.CRISIS)) as chat:
            events = await told(await chat.send(me, talk, "c1", "I took all of them"))
        assert events[:2] == [Kept(events[0].turn), Alarm(Tier.CRISIS)]  # type: ignore[union-attr]
        assert policy.contexts[0].tier == Tier.CRISIS
        (flag,) = flags(store)
        assert (flag.tier, flag.due_at - clock.now()) == (Tier.CRISIS, timedelta(minutes=15))
        assert flag.evidence == "I took all"

    run(turn())


def test_a_second_opinion_that_sees_more_danger_makes_it_start_over(
    store: Store, clock: FakeClock, me: str, talk: str
) -> None:
    async def turn(seconds: float) -> None:
        policy = writes("A reply.", seconds=SLOW)
        opinion = FakeDetector(Tier.CRISIS, seconds)
        async with chatting(store, clock, policy, FakeDetector(Tier.CONCERN), opinion) as chat:
            events = await told(await chat.send(me, talk, f"c{seconds}", "It is fine now."))
        assert [each.tier for each in events if isinstance(each, Alarm)] == [Tier.CONCERN, Tier.CRISIS]
        assert [each.tier for each in policy.contexts] == [Tier.CONCERN, Tier.CRISIS]
        assert isinstance(events[-1], Replied)

    run(turn(SLOW / 2))
    run(turn(SLOW * 2))


def test_a_second_opinion_that_fails_or_sees_less_changes_nothing(
    store: Store, clock: FakeClock, me: str, talk: str
) -> None:
    async def turn(name: str, opinion: FakeDetector) -> None:
        policy = writes("A reply.")
        async with chatting(store, clock, policy, FakeDetector(Tier.CONCERN), opinion) as chat:
            events = await told(await chat.send(me, talk, name, "It is fine now."))
        assert len(policy.contexts) == 1
        assert isinstance(events[-1], Replied)

    run(turn("c1", FakeDetector(Unreachable("down"))))
    run(turn("c2", FakeDetector(Tier.NONE, SLOW)))


def test_stopping_ends_the_work_and_keeps_the_message(store: Store, clock: FakeClock, me: str, talk: str) -> None:
    async def turn() -> None:
        policy = writes("Late.", seconds=30.0)
        async with chatting(store, clock, policy) as chat:
            running = await chat.send(me, talk, "c1", "Hello")
            await asyncio.sleep(SLOW)
            await running.stop()
            *_, last = await told(running)
        assert policy.closed
        assert last == Unanswered(running.turn, "stopped")
        assert store.turns.get(me, running.turn).state == TurnState.ABANDONED
        assert texts(store, me, talk) == [(Speaker.USER, "Hello")]

    run(turn())


def test_who_leaves_stops_nothing_and_finds_the_reply_on_coming_back(
    store: Store, clock: FakeClock, me: str, talk: str
) -> None:
    async def turn() -> None:
        async with chatting(store, clock, writes("Here.", seconds=SLOW)) as chat:
            running = await chat.send(me, talk, "c1", "Hello")
            events = running.events()
            assert await anext(events) == Kept(running.turn)
            await events.aclose()
            midway = await told(await chat.look(me, talk, running.turn))
            later = await told(await chat.look(me, talk, running.turn))
        assert midway[0] == Kept(running.turn)
        assert midway[-1] == later[-1] == Replied(running.turn, "Here.")

    run(turn())


def test_a_turn_that_another_process_left_behind_offers_to_go_on(
    store: Store, clock: FakeClock, me: str, talk: str, turn: str
) -> None:
    async def found() -> None:
        async with chatting(store, clock, writes("Here.")) as chat:
            assert (await told(await chat.look(me, talk, turn)))[-1] == Unanswered(turn, "interrupted")
            *_, last = await told(await chat.again(me, talk, turn))
        assert isinstance(last, Replied)
        assert texts(store, me, talk) == [(Speaker.USER, "hello"), (Speaker.ASSISTANT, "Here.")]

    run(found())


def test_another_try_stops_the_one_under_way(store: Store, clock: FakeClock, me: str, talk: str) -> None:
    async def turn() -> None:
        async with chatting(store, clock, writes("Here.", seconds=SLOW)) as chat:
            first = await chat.send(me, talk, "c1", "Hello")
            second = await chat.again(me, talk, first.turn)
            assert (await told(first))[-1] == Unanswered(first.turn, "stopped")
            assert isinstance((await told(second))[-1], Replied)

    run(turn())


@pytest.mark.parametrize("tier", Tier)
def test_where_the_gate_stops_every_reply_a_safe_one_is_given_and_a_human_looks(
    store: Store, clock: FakeClock, me: str, talk: str, tier: Tier
) -> None:
    async def turn() -> None:
        gate = FakeGate(lambda _: "romance")
        async with chatting(store, clock, writes("My love."), FakeDetector(tier), gate=gate) as chat:
            *_, last = await told(await chat.send(me, talk, "c1", "Hello"))
        assert last == Replied(last.turn, SAFE_REPLY[tier])  # type: ignore[union-attr]
        assert len(flags(store)) == 1

    run(turn())


def test_a_conversation_that_is_deleted_meanwhile_stays_deleted(
    store: Store, clock: FakeClock, me: str, talk: str
) -> None:
    async def turn() -> None:
        async with chatting(store, clock, writes("Late.", seconds=SLOW)) as chat:
            running = await chat.send(me, talk, "c1", "Hello")
            store.erase.conversation(me, talk)
            *_, last = await told(running)
        assert isinstance(last, Unanswered)
        with pytest.raises(NotFound):
            store.conversations.open(me, talk)

    run(turn())


def test_a_stranger_can_neither_see_nor_stop_a_turn(store: Store, clock: FakeClock, me: str, talk: str) -> None:
    async def turn() -> None:
        stranger = store.people.add().id
        theirs = store.conversations.start(stranger).id
        async with chatting(store, clock, writes("Here.", seconds=SLOW)) as chat:
            running = await chat.send(me, talk, "c1", "Hello")
            for conversation in (talk, theirs):
                for verb in (chat.look, chat.again):
                    with pytest.raises(NotFound):
                        await verb(stranger, conversation, running.turn)
            assert isinstance((await told(running))[-1], Replied)

    run(turn())


def test_what_was_said_before_and_who_says_it_go_into_the_context(
    store: Store, clock: FakeClock, me: str, conversation: Callable[[str], str]
) -> None:
    async def turn() -> None:
        policy, screen = writes("Here."), FakeDetector()
        talk = conversation("A nurse.")
        async with chatting(store, clock, policy, screen) as chat:
            await told(await chat.send(me, talk, "c1", "First"))
            await told(await chat.send(me, talk, "c2", "Second"))
        context = policy.contexts[-1]
        assert [(each.role, each.text) for each in context.history] == [
            (Role.USER, "First"),
            (Role.ASSISTANT, "Here."),
        ]
        assert (context.query, context.persona, context.seal) == ("Second", "A nurse.", f"seal of {me}")
        assert screen.asked[-1] == ("Second", ["First"])

    run(turn())


@pytest.fixture
def conversation(store: Store, me: str) -> Callable[[str], str]:
    return lambda persona: store.conversations.start(me, persona=persona).id

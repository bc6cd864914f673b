"""One turn, from the words that come in to the reply that is kept: the pages and the API drive it.

A turn runs as a task of its own, so that who looks on may leave and come back: everything that was told is told again.
The message is stored before anything else; no transaction is open while a model works. Left out: limits, and what is
shown of it.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from app.wiring import Engines
from rerank.errors import RerankError
from rerank.live import Answered, Choosing, Considering, answer
from rerank.policy import CandidateWritten
from rerank.risk import ORDER, Assessment, higher
from rerank.types import Context, Line, Role, Tier
from storage.clock import Clock
from storage.errors import Conflict, NotFound, StorageError
from storage.store import Store
from storage.values import OpenConversation, Speaker, Turn, TurnState

_T = TypeVar("_T")
DEADLINES = {Tier.CRISIS: timedelta(minutes=15), Tier.CONCERN: timedelta(hours=24)}
_PATIENCE = 6.0
"""Seconds that a second opinion may take."""
_LINES = 40
"""What of the conversation goes into the context at most; the policy cuts it to its window."""
SAFE_REPLY = {
    Tier.NONE: "I could not find words for this that I would want to give you. Would you tell me in other words?",
    Tier.CONCERN: "What you write matters, and I could not find good words for it. Please show it to somebody you "
    "trust. The people listed under Help on this page will listen too.",
    Tier.CRISIS: "This sounds serious, and it needs a person more than it needs me. Please call one of the numbers "
    "shown above now, or go to somebody near you. I will be here as well.",
}
"""Where the gate stopped every reply."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The message is stored."""

    turn: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """There may be danger: what is offered for it is shown at once, before any reply."""

    tier: Tier


@dataclass(frozen=True, slots=True)
class Weighing:
    """Some of the replies are written."""

    written: int
    of: int


@dataclass(frozen=True, slots=True)
class Replied:
    """The reply is stored."""

    turn: str
    text: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No reply came; the message is kept, and the turn can be tried again."""

    turn: str
    reason: str


Event = Kept | Alarm | Considering | Weighing | Choosing | Replied | Unanswered


class Running:
    """A turn under way, or over."""

    def __init__(self, turn: str) -> None:
        self.turn = turn
        self._told: list[Event] = [Kept(turn)]
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def events(self, pulse: float | None = None) -> AsyncGenerator[Event | None, None]:
        """Everything from the start, and nothing (None) every few seconds. Who stops listening stops nothing."""
        at = 0
        while True:
            news = self._news
            while at < len(self._told):
                yield self._told[at]
                at += 1
            if isinstance(self._told[-1], Replied | Unanswered):
                return
            try:
                await asyncio.wait_for(news.wait(), pulse)
            except TimeoutError:
                yield None

    async def stop(self) -> None:
        """End it without a reply, and wait until that is stored."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def tell(self, event: Event) -> None:
        self._told.append(event)
        self._news.set()
        self._news = asyncio.Event()

    def begin(self, work: Coroutine[Any, Any, None], ended: Callable[[], object]) -> None:
        self._task = asyncio.create_task(work)
        self._task.add_done_callback(lambda _: ended())


class Chat:
    """Every turn of this process. It belongs to one event loop."""

    def __init__(self, store: Store, engines: Engines, clock: Clock, seal: Callable[[str], str]) -> None:
        self._store, self._engines, self._clock, self._seal = store, engines, clock, seal
        self._running: dict[str, Running] = {}

    async def send(self, user: str, conversation: str, client_id: str, text: str) -> Running:
        """Keep the message and answer it. The same client id again is the same turn."""
        turn = await asyncio.to_thread(self._store.turns.submit, user, conversation, client_id, text)
        return await self._run(user, conversation, turn)

    async def again(self, user: str, conversation: str, turn: str) -> Running:
        """Answer the same message anew: after a failure, or for another try."""
        await self.stop(user, turn)
        return await self._run(user, conversation, await asyncio.to_thread(self._store.turns.again, user, turn))

    async def reword(self, user: str, conversation: str, turn: str, client_id: str, text: str) -> Running:
        """The newest message in other words, answered anew."""
        await self.stop(user, turn)
        fresh = await asyncio.to_thread(self._store.turns.reword, user, turn, client_id, text)
        return await self._run(user, conversation, fresh)

    def under_way(self, turn: str) -> Running | None:
        """A turn of this process that has not ended."""
        return self._running.get(turn)

    async def stop(self, user: str, turn: str) -> None:
        """End it without a reply; one that is over stays as it is."""
        if (running := self._running.get(turn)) is not None:
            await asyncio.to_thread(self._store.turns.get, user, turn)  # whose it is not, stops nothing
            await running.stop()

    async def look(self, user: str, conversation: str, turn: str) -> Running:
        """A turn that was begun before, as far as it has come. One that was broken off is not begun anew."""
        found = await asyncio.to_thread(self._store.turns.get, user, turn)
        if found.state == TurnState.PENDING and turn not in self._running:
            return _ended(turn, Unanswered(turn, "interrupted"))
        return await self._run(user, conversation, found)

    async def close(self) -> None:
        await asyncio.gather(*(each.stop() for each in list(self._running.values())))

    async def _run(self, user: str, conversation: str, turn: Turn) -> Running:
        if (known := self._running.get(turn.id)) is not None:
            return known
        opened = await asyncio.to_thread(self._store.conversations.open, user, conversation)
        if turn.state != TurnState.PENDING:
            return _over(turn, opened)
        running = self._running.setdefault(turn.id, Running(turn.id))  # another may have come first meanwhile
        if running._task is None:  # noqa: SLF001 - it is ours
            work = _Work(self._store, self._engines, self._clock, running, conversation)
            context = _context(turn, opened, self._seal(user))
            running.begin(work.run(context), lambda: self._running.pop(turn.id, None))
        return running


def _over(turn: Turn, opened: OpenConversation) -> Running:
    reply = next((each.text for each in opened.messages if each.id == turn.reply_id), None)
    unanswered = Unanswered(turn.id, turn.degraded or turn.state)
    return _ended(turn.id, unanswered if reply is None else Replied(turn.id, reply))


def _ended(turn: str, event: Replied | Unanswered) -> Running:
    running = Running(turn)
    running.tell(event)
    return running


def _context(turn: Turn, opened: OpenConversation, seal: str) -> Context:
    message = next(each for each in opened.messages if each.id == turn.message_id)
    before = [each for each in opened.messages if each.seq < message.seq and each.text][-_LINES:]
    lines = tuple(Line(Role.USER if each.role == Speaker.USER else Role.ASSISTANT, each.text or "") for each in before)
    told = opened.conversation
    return Context(message.text or "", told.persona or "", told.scenario or "", lines, seal=seal)


class _Work:
    """What is done for one turn."""

    def __init__(self, store: Store, engines: Engines, clock: Clock, running: Running, conversation: str) -> None:
        self._store, self._engines, self._clock = store, engines, clock
        self._running, self._conversation = running, conversation
        self._flagged = Tier.NONE

    async def run(self, context: Context) -> None:
        event: Replied | Unanswered
        try:
            event = await self._answered(context)
        except asyncio.CancelledError:
            event = await self._given_up("stopped", TurnState.ABANDONED)
        except Exception as error:  # noqa: BLE001 - whatever it is, the person must be told, and the turn must end
            event = await self._given_up(type(error).__name__, TurnState.FAILED)
        self._running.tell(event)

    async def _given_up(self, reason: str, state: TurnState) -> Unanswered:
        with suppress(Conflict, NotFound):  # it has ended already, or the conversation is deleted
            await self._stored(lambda: self._store.turns.fail(self._running.turn, reason, state))
        return Unanswered(self._running.turn, reason)

    async def _answered(self, context: Context) -> Replied | Unanswered:
        """Write by the quick detector; where the slow one sees more danger, start over with that."""
        own = [each.text for each in context.history if each.role == Role.USER]
        risk = await self._engines.screen.assess(context.query, own)
        second = asyncio.ensure_future(self._opinion(context.query, own))
        try:
            while True:
                await self._raised(risk)
                informed = replace(context, tier=risk.tier, category=risk.category)
                outcome = await self._written(informed, risk, second)
                opinion = None if risk.tier == Tier.CRISIS else await second
                if outcome is not None and not _above(opinion, risk):
                    return await self._finished(outcome, risk)
                risk = higher(risk, opinion or risk)
        finally:
            second.cancel()

    async def _opinion(self, query: str, own: list[str]) -> Assessment | None:
        if self._engines.opinion is None:
            return None
        with suppress(RerankError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                return await self._engines.opinion.assess(query, own)
        return None

    async def _raised(self, risk: Assessment) -> None:
        if ORDER.index(risk.tier) <= ORDER.index(self._flagged):
            return
        self._running.tell(Alarm(risk.tier))
        await self._flag(risk.tier, risk)

    async def _flag(self, tier: Tier, risk: Assessment) -> None:
        self._flagged = tier
        evidence, due = "\n".join(risk.evidence) or risk.category.value, self._clock.now() + DEADLINES[tier]
        await self._stored(
            lambda: self._store.flags.raise_flag(
                self._conversation, self._running.turn, tier, risk.category, evidence, due
            )
        )

    async def _written(
        self, context: Context, risk: Assessment, second: asyncio.Future[Assessment | None]
    ) -> Answered | None:
        """The outcome; None as soon as the second opinion makes it useless."""
        engines, written = self._engines, 0
        turn = answer(context, engines.policy, engines.judge, engines.gate, engines.rules)
        async with aclosing(turn) as events:
            async for event in events:
                if _above(_so_far(second), risk):
                    return None
                match event:
                    case Considering() | Choosing():
                        self._running.tell(event)
                    case CandidateWritten():
                        written += 1
                        self._running.tell(Weighing(written, engines.rules.n))
                    case Answered():
                        return event
                    case _:
                        pass
        raise AssertionError("a turn ends with its outcome")

    async def _finished(self, outcome: Answered, risk: Assessment) -> Replied | Unanswered:
        turn, degraded = self._running.turn, outcome.ranking.degraded
        if outcome.chosen is None and degraded != "all_stopped":
            return await self._given_up(degraded or "no_candidate", TurnState.FAILED)
        reply = SAFE_REPLY[risk.tier] if outcome.chosen is None else outcome.chosen.response
        await self._stored(
            lambda: self._store.turns.finish(
                turn,
                reply,
                candidates=outcome.candidates,
                chosen=outcome.ranking.chosen,
                degraded=degraded,
                versions=outcome.versions | {"detector": risk.detector},
                timings=outcome.timings,
            )
        )
        if outcome.chosen is None and self._flagged == Tier.NONE:
            await self._flag(Tier.CONCERN, risk)
        return Replied(turn, reply)

    @staticmethod
    async def _stored(work: Callable[[], _T]) -> _T:
        """In a thread; once begun it is awaited, also by who is being stopped."""
        task = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            with suppress(StorageError):
                await task
            raise


def _above(second: Assessment | None, first: Assessment) -> bool:
    return second is not None and ORDER.index(second.tier) > ORDER.index(first.tier)


def _so_far(opinion: asyncio.Future[Assessment | None]) -> Assessment | None:
    return opinion.result() if opinion.done() and not opinion.cancelled() else None

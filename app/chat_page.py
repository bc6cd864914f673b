"""The seeker's page: one view, drawn by `static/page.js` from one JSON value, and the events that change it.

Who acts is always the cookie's person; what an event brings is checked against what is theirs. A turn runs on without
the page: `say` and a reload only follow it. Left out: what is shown (`app.view`) and how (`static`).
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr

from app import view
from app.limits import Allowance, TooMuch
from app.turn import Alarm, Chat, Event, Kept, Replied, Running, Unanswered, Weighing
from app.view import Json, Seat
from app.visitors import person_of
from rerank.live import Choosing, Considering
from rerank.types import Tier
from storage.errors import StorageError
from storage.store import Store
from storage.values import FeedbackKind, Purpose

STATIC = Path(__file__).parent / "static"
_SCRIPTS = sorted(each.name for each in STATIC.glob("page*.js"))
_STREAMED = ("say", "edit", "again", "open")
_AT_ONCE = (
    *("begin", "settings", "halt", "choose", "why", "rate", "tag", "comment", "distress"),
    *("fresh", "rename", "remove", "search", "forget", "dismiss"),
)
_SEATS = 20_000
_REMINDED = timedelta(hours=3)
_LIVELY = 10.0
"""Seconds after which a page that follows a turn is told again how it stands, so that one that is gone is noticed."""


class ChatPage:
    """Every open page of this process."""

    def __init__(
        self, store: Store, chat: Chat, allowance: Allowance, candidates: int, keep_days: int | None = None
    ) -> None:
        self._store, self._chat, self._allowance = store, chat, allowance
        self._candidates, self._keep_days = candidates, keep_days
        self._seats: OrderedDict[str, Seat] = OrderedDict()

    def blocks(self) -> gr.Blocks:
        page: gr.Blocks
        names = " ".join(f"'{each}'" for each in _STREAMED + _AT_ONCE)
        with gr.Blocks(title="Attune", analytics_enabled=False, fill_width=True) as page:
            shown = gr.HTML(
                value=None,
                html_template=(STATIC / "page.html").read_text(encoding="utf-8"),
                # Gradio finds an event's name only where it stands in quotes.
                js_on_load=f"attunePage(element, trigger, props, watch); /* {names} */",
                head=_head(),
                apply_default_css=False,
                elem_id="attune",
            )
            quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
            page.load(self.load, None, shown, concurrency_limit=None, **quiet)
            for name in _STREAMED + _AT_ONCE:
                listen = getattr(shown, name)
                queued = {"concurrency_limit": None} if name in _STREAMED else {"queue": False}
                listen(getattr(self, name), None, shown, trigger_mode="multiple", **queued, **quiet)
        page.max_threads = 200
        page.queue(default_concurrency_limit=None)
        return page

    # What streams.

    async def load(self, request: gr.Request) -> AsyncIterator[Json]:
        person = _person(request)
        if person is None or request.session_hash is None:
            return
        newest = await asyncio.to_thread(self._store.conversations.newest, person, 1)
        seat = Seat(person, newest[0].id if newest else None)
        self._seats[request.session_hash] = seat
        if len(self._seats) > _SEATS:
            self._seats.popitem(last=False)
        async for each in self._resumed(seat):
            yield each

    async def open(self, event: gr.EventData, request: gr.Request) -> AsyncIterator[Json]:
        seat, data = self._seat(request), event._data  # noqa: SLF001 - Gradio has no other way to it
        if data["conversation"] != seat.conversation:
            await asyncio.to_thread(self._leave, seat)
        seat.conversation, seat.found = str(data["conversation"]), None
        async for each in self._resumed(seat):
            yield each

    async def say(self, event: gr.EventData, request: gr.Request) -> AsyncIterator[Json]:
        seat, data = self._seat(request), event._data  # noqa: SLF001
        text, client = str(data["text"]), str(data["client_id"])
        async for each in self._answered(seat, text, lambda: self._sent(seat, client, text, bool(data["temporary"]))):
            yield each

    async def edit(self, event: gr.EventData, request: gr.Request) -> AsyncIterator[Json]:
        seat, data = self._seat(request), event._data  # noqa: SLF001
        turn, client, text = (str(data[name]) for name in ("turn", "client_id", "text"))
        reword = lambda: self._chat.reword(seat.person, seat.conversation or "", turn, client, text)  # noqa: E731
        async for each in self._answered(seat, text, reword):
            yield each

    async def again(self, event: gr.EventData, request: gr.Request) -> AsyncIterator[Json]:
        seat, turn = self._seat(request), str(event._data["turn"])  # noqa: SLF001
        again = lambda: self._chat.again(seat.person, seat.conversation or "", turn)  # noqa: E731
        async for each in self._answered(seat, "", again):
            yield each

    async def _sent(self, seat: Seat, client: str, text: str, temporary: bool) -> Running:  # noqa: FBT001
        if seat.conversation is None or await asyncio.to_thread(self._is_untitled, seat):
            seat.conversation = await asyncio.to_thread(self._started, seat, text, temporary)
        return await self._chat.send(seat.person, seat.conversation, client, text)

    def _is_untitled(self, seat: Seat) -> bool:
        opened = self._store.conversations.open(seat.person, seat.conversation or "")
        return not opened.messages

    def _started(self, seat: Seat, text: str, temporary: bool) -> str:  # noqa: FBT001
        title = view.title_of(text)
        if seat.conversation is not None and not temporary:
            return self._store.conversations.describe(seat.person, seat.conversation, title=title).id
        persona = view.about(self._store, seat.person) or None
        started = self._store.conversations.start(seat.person, title=title, persona=persona, temporary=temporary)
        return started.id

    async def _answered(self, seat: Seat, text: str, work: Callable[[], Any]) -> AsyncIterator[Json]:
        seat.why, seat.notice, seat.found = None, None, None
        try:
            self._allowance.take(seat.person, text)
            self._remind(seat)
            running = await work()
        except (TooMuch, StorageError) as error:
            _note(seat, str(error))
            yield await self._state(seat)
            return
        async for each in self._followed(seat, running):
            yield each

    def _remind(self, seat: Seat) -> None:
        """Every three hours of use: what this is, and that a break may do good."""
        spans = self._allowance.in_a_row(seat.person) // _REMINDED
        if spans > seat.reminders:
            _note(
                seat,
                "You have been writing for three hours. Attune is a program, not a person. A break may do you good.",
            )
        seat.reminders = spans

    async def _resumed(self, seat: Seat) -> AsyncIterator[Json]:
        """The page as it was, and what is still under way."""
        try:
            shown = await self._state(seat)
        except StorageError as error:
            seat.conversation = None
            _note(seat, str(error))
            shown = await self._state(seat)
        yield shown
        if seat.conversation is not None and shown["turn"] is not None and shown["turn"]["state"] == "interrupted":
            running = self._chat.under_way(shown["turn"]["id"])
            if running is not None:
                async for each in self._followed(seat, running):
                    yield each

    async def _followed(self, seat: Seat, running: Running) -> AsyncIterator[Json]:
        conversation, shown = seat.conversation, await self._state(seat)
        async for event in running.events(_LIVELY):
            if seat.conversation != conversation:
                return  # they look at another one now
            if isinstance(event, Kept | Replied | Unanswered):
                shown = await self._state(seat)
            if isinstance(event, Alarm):
                shown = shown | {"card": {"tier": event.tier.value}}  # nothing is waited for
            if not isinstance(event, Replied | Unanswered):
                shown = shown | {"turn": self._standing(running, event, shown["turn"])}
            yield shown

    def _standing(self, running: Running, event: Event | None, before: Json | None) -> Json:
        now = {"id": running.turn, "state": "reading", "written": 0, "of": self._candidates}
        match event:
            case Considering(n):
                return now | {"state": "weighing", "of": n}
            case Weighing(written, of):
                return now | {"state": "weighing", "written": written, "of": of}
            case Choosing():
                return now | {"state": "choosing"}
            case None if before is not None:
                return before
            case _:
                return now

    # What is done at once.

    async def begin(self, event: gr.EventData, request: gr.Request) -> Json:
        data = {"country": ""} | event._data  # noqa: SLF001
        return await self._done(request, lambda seat: self._set(seat, data))

    async def settings(self, event: gr.EventData, request: gr.Request) -> Json:
        def change(seat: Seat, data: Json) -> None:
            if self._store.people.get(seat.person).country is None:
                seat.country = str(data.get("country", ""))
            else:
                self._set(seat, data)

        return await self._done(request, lambda seat: change(seat, event._data))  # noqa: SLF001

    def _set(self, seat: Seat, data: Json) -> None:
        store, person = self._store, seat.person
        if "country" in data:
            store.people.describe(person, country=str(data["country"]) or view.NOWHERE)
        if "adult" in data:
            store.people.describe(person, adult=data["adult"])
        if "training" in data:
            (store.people.grant if data["training"] is True else store.people.withdraw)(person, Purpose.TRAINING)
        if "about" in data:
            persona = str(data["about"]).strip() or None
            if seat.conversation is None:
                if persona is not None:
                    seat.conversation = store.conversations.start(person, persona=persona).id
            else:
                store.conversations.describe(person, seat.conversation, persona=persona)

    async def halt(self, event: gr.EventData, request: gr.Request) -> Json:
        seat, turn = self._seat(request), str(event._data["turn"])  # noqa: SLF001
        try:
            await self._chat.stop(seat.person, turn)
        except StorageError as error:
            _note(seat, str(error))
        return await self._state(seat)

    async def choose(self, event: gr.EventData, request: gr.Request) -> Json:
        def choose(seat: Seat, turn: str, shown: int) -> None:
            index = view.chosen_index(self._store.turns.get(seat.person, turn), shown)
            self._store.turns.choose(seat.person, turn, index)

        data = event._data  # noqa: SLF001
        return await self._done(request, lambda seat: choose(seat, str(data["turn"]), int(data["shown"])))

    async def why(self, event: gr.EventData, request: gr.Request) -> Json:
        data = event._data  # noqa: SLF001
        return await self._done(request, lambda seat: setattr(seat, "why", str(data["turn"])))

    async def rate(self, event: gr.EventData, request: gr.Request) -> Json:
        return await self._given(request, event, FeedbackKind.THUMB, "value")

    async def tag(self, event: gr.EventData, request: gr.Request) -> Json:
        return await self._given(request, event, FeedbackKind.TAG, "value")

    async def comment(self, event: gr.EventData, request: gr.Request) -> Json:
        return await self._given(request, event, FeedbackKind.COMMENT, "text")

    async def _given(self, request: gr.Request, event: gr.EventData, kind: FeedbackKind, field: str) -> Json:
        data = event._data  # noqa: SLF001

        def give(seat: Seat) -> None:
            told = {field: str(data[field])}
            if kind is FeedbackKind.TAG:
                told[field] = "_".join(told[field].lower().split())
            self._store.feedback.give(seat.person, seat.conversation or "", kind, turn=str(data["turn"]), **told)

        return await self._done(request, give)

    async def distress(self, event: gr.EventData, request: gr.Request) -> Json:
        def give(seat: Seat, when: str, value: int) -> None:
            seat.asked = True
            if seat.conversation is None:
                seat.conversation = self._store.conversations.start(seat.person).id
            kind = FeedbackKind.DISTRESS_BEFORE if when == "before" else FeedbackKind.DISTRESS_AFTER
            self._store.feedback.give(seat.person, seat.conversation, kind, value=str(value))

        data = event._data  # noqa: SLF001
        return await self._done(request, lambda seat: give(seat, str(data["when"]), int(data["value"])))

    async def fresh(self, request: gr.Request) -> Json:
        return await self._done(request, self._leave)

    def _leave(self, seat: Seat) -> None:
        """A temporary conversation ends here; one that sounded like danger waits for the operators."""
        left, seat.conversation, seat.why, seat.found, seat.asked = seat.conversation, None, None, None, False
        if left is None:
            return
        opened = self._store.conversations.open(seat.person, left)
        if opened.conversation.temporary and self._store.flags.highest(seat.person, left) == Tier.NONE:
            self._store.erase.conversation(seat.person, left)

    async def rename(self, event: gr.EventData, request: gr.Request) -> Json:
        data = event._data  # noqa: SLF001
        which, title = str(data["conversation"]), str(data["title"]).strip() or None
        return await self._done(
            request, lambda seat: self._store.conversations.describe(seat.person, which, title=title)
        )

    async def remove(self, event: gr.EventData, request: gr.Request) -> Json:
        def remove(seat: Seat, which: str) -> None:
            self._store.erase.conversation(seat.person, which)
            if seat.conversation == which:
                seat.conversation = None

        return await self._done(request, lambda seat: remove(seat, str(event._data["conversation"])))  # noqa: SLF001

    async def search(self, event: gr.EventData, request: gr.Request) -> Json:
        def search(seat: Seat, query: str) -> None:
            seat.found = view.found(self._store, seat.person, query) if query.strip() else None

        return await self._done(request, lambda seat: search(seat, str(event._data["query"])))  # noqa: SLF001

    async def forget(self, request: gr.Request) -> Json:
        """Everything about them; the page then loads anew, as somebody else's."""
        seat = self._seat(request)
        await asyncio.to_thread(self._store.erase.person, seat.person)
        return {"person": None, "forgotten": True}

    async def dismiss(self, request: gr.Request) -> Json:
        def dismiss(seat: Seat) -> None:
            seat.notice, seat.why, seat.asked = None, None, True

        return await self._done(request, dismiss)

    async def _done(self, request: gr.Request, work: Callable[[Seat], object]) -> Json:
        seat = self._seat(request)
        try:
            await asyncio.to_thread(work, seat)
        except (StorageError, IndexError, KeyError, TypeError, ValueError) as error:
            _note(seat, str(error) if isinstance(error, StorageError) else "That did not work. Nothing is lost.")
        return await self._state(seat)

    def _seat(self, request: gr.Request) -> Seat:
        """The page that asks; another person's does not exist for them."""
        person, seat = _person(request), self._seats.get(request.session_hash or "")
        if person is None or seat is None or seat.person != person:
            raise gr.Error("This page is out of date. Load it again; nothing is lost.", print_exception=False)
        return seat

    async def _state(self, seat: Seat) -> Json:
        return await asyncio.to_thread(view.state, self._store, seat, self._keep_days)


def _person(request: gr.Request) -> str | None:
    return None if request.request is None else person_of(request.request)


def _note(seat: Seat, text: str) -> None:
    seat.notice = {"id": uuid4().hex[:8], "text": text}


def _head() -> str:
    scripts = "".join(f'<script src="/attune/{name}"></script>' for name in _SCRIPTS)
    return f'<link rel="stylesheet" href="/attune/page.css">{scripts}'

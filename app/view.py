"""What a seeker's page shows, as one JSON value: read from the store for one person, nothing else. No Gradio in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.helplines import countries, helplines
from rerank.ranking import rank
from rerank.reward import RANGES
from rerank.types import Candidate, Perspective, Tier
from storage.store import Store
from storage.values import FeedbackKind, Message, OpenConversation, Purpose, Speaker, Turn, TurnState, User

Json = dict[str, Any]
NOWHERE = "ZZ"
"""The country of who would rather not say: no country has this code, and who has any country has begun."""
NAMES = {
    Perspective.RESONATION: "How well it understood",
    Perspective.EXPRESSION: "How it said it",
    Perspective.RECEPTION: "How it may land",
    Perspective.BYSTANDER: "What an outsider would say",
}
_SILENT = "There is a score, but no reason was given."
_MISSING = "This was not weighed in time."
_ENDINGS = {TurnState.FAILED: "failed", TurnState.ABANDONED: "stopped", TurnState.PENDING: "interrupted"}
_ALONG = 6
"""Messages of the person's, after which they may be asked how they feel now."""


@dataclass(slots=True)
class Seat:
    """One open page: whose it is, and what it looks at."""

    person: str
    conversation: str | None = None
    why: str | None = None
    notice: Json | None = None
    found: list[Json] | None = None
    asked: bool = False
    """How they feel has been asked here, or they did not want to be asked."""
    reminders: int = 0
    """That they talk to a program, and of a break."""
    country: str | None = None
    """Chosen for the helplines before they have begun; nothing is stored of who has not."""


def state(store: Store, seat: Seat, keep_days: int | None = None) -> Json:
    """Everything that the page shows; `turn` is what the store knows of the newest one."""
    person = store.people.get(seat.person)
    opened = None if seat.conversation is None else store.conversations.open(seat.person, seat.conversation)
    turns = _newest_turns(opened)
    newest = _newest(store, seat, opened, turns)
    tier = Tier.NONE if opened is None else store.flags.highest(seat.person, opened.conversation.id)
    return {
        "person": _person(store, person, opened),
        "keep_days": keep_days,
        "countries": [[code, helplines(code).name] for code in countries()],
        "conversation": None if opened is None else _conversation(opened),
        "conversations": _conversations(store, seat.person),
        "messages": [] if opened is None else [_message(each, turns) for each in opened.messages if each.text],
        "turn": _ended(opened, turns),
        "others": None if newest is None else _others(newest),
        "why": _why(newest) if newest is not None and seat.why == newest.id else None,
        "card": None if tier == Tier.NONE else {"tier": tier.value},
        "help": _help(person.country or seat.country),
        "rated": {} if opened is None else _rated(store, seat.person, opened.conversation.id),
        "asks": _asks(store, seat, opened),
        "notice": seat.notice,
        "found": seat.found,
    }


def _person(store: Store, person: User, opened: OpenConversation | None) -> Json | None:
    if person.country is None:
        return None
    consents = store.people.consents(person.id)
    return {
        "country": "" if person.country == NOWHERE else person.country,
        "adult": person.adult,
        "training": any(each.purpose == Purpose.TRAINING and each.withdrawn_at is None for each in consents),
        "about": about(store, person.id) if opened is None else opened.conversation.persona or "",
    }


def about(store: Store, person: str) -> str:
    """What they told about themselves: it goes on from one conversation to the next."""
    return next((each.persona or "" for each in store.conversations.newest(person, limit=1)), "")


def _conversation(opened: OpenConversation) -> Json:
    told = opened.conversation
    return {"id": told.id, "title": told.title or "", "temporary": told.temporary}


def _conversations(store: Store, person: str) -> list[Json]:
    kept = (each for each in store.conversations.newest(person) if each.title and not each.temporary)
    return [{"id": each.id, "title": each.title, "when": _time(each.last_active)} for each in kept]


def _newest_turns(opened: OpenConversation | None) -> dict[str, Turn]:
    """By the message that they answer, and by the reply they gave."""
    turns = () if opened is None else opened.turns
    by_message = {each.message_id: each for each in turns}
    answered = {each.message_id: each for each in turns if each.state == TurnState.ANSWERED}
    return by_message | {each.reply_id: each for each in answered.values() if each.reply_id is not None}


def _message(message: Message, turns: dict[str, Turn]) -> Json:
    turn = turns.get(message.id)
    return {
        "id": message.id,
        "who": "you" if message.role == Speaker.USER else "attune",
        "text": message.text,
        "at": _time(message.created),
        "turn": turn and turn.id,
        "client": message.client_id,
    }


def _ended(opened: OpenConversation | None, turns: dict[str, Turn]) -> Json | None:
    """How the newest turn ended, if it was without a reply."""
    turn = None if opened is None or not opened.turns else turns[opened.turns[-1].message_id]
    if turn is None or turn.state == TurnState.ANSWERED:
        return None
    return {"id": turn.id, "state": _ENDINGS[turn.state], "written": 0, "of": 0}


def _newest(store: Store, seat: Seat, opened: OpenConversation | None, turns: dict[str, Turn]) -> Turn | None:
    """The turn of the last reply with all that was weighed."""
    if opened is None or not opened.messages or opened.messages[-1].role != Speaker.ASSISTANT:
        return None
    turn = turns.get(opened.messages[-1].id)
    return None if turn is None else store.turns.get(seat.person, turn.id)


def _shown(turn: Turn) -> list[Candidate]:
    """Those that may be the reply, best first; of several that say the same the chosen one, else the best."""
    by_index = {each.index: each for each in turn.candidates}
    ranked = [by_index[index] for index in rank(turn.candidates).order]
    said = {each.response: each for each in reversed(ranked)}
    said |= {each.response: each for each in ranked if each.index == turn.chosen}
    return [each for each in ranked if said[each.response] is each]


def _others(turn: Turn) -> Json | None:
    shown = _shown(turn)
    if turn.chosen is None or len(shown) < 2:  # noqa: PLR2004 - there must be another
        return None
    return {
        "turn": turn.id,
        "shown": [each.index for each in shown].index(turn.chosen),
        "texts": [each.response for each in shown],
    }


def chosen_index(turn: Turn, shown: int) -> int:
    """Which candidate stands in this place of those shown."""
    return _shown(turn)[shown].index


def _why(turn: Turn) -> Json:
    replies = [
        {"text": each.response, "shown": each.index == turn.chosen, "perspectives": _perspectives(each)}
        for each in _shown(turn)
    ]
    return {"turn": turn.id, "replies": replies}


def _perspectives(candidate: Candidate) -> list[Json]:
    given = {each.perspective: each for each in candidate.judgements if each.score is not None}
    found = []
    for perspective, name in NAMES.items():
        judgement = given.get(perspective)
        low, high = RANGES[perspective]
        score = None if judgement is None else judgement.score
        share = None if score is None else round((score - low) / (high - low), 3)
        reason = _MISSING if judgement is None else judgement.rationale or _SILENT
        found.append({"name": name, "share": share, "reason": reason})
    return found


def _help(country: str | None) -> Json:
    """The numbers that somebody has looked up."""
    known = helplines(country)
    lines = [
        {
            "name": each.name,
            "phone": each.phone,
            "text": each.text,
            "web": each.web,
            "hours": each.hours,
            "languages": each.languages,
            "for": each.kind,
        }
        for each in sorted(known.lines, key=lambda each: _NEAREST.index(each.kind))
        if not each.from_memory
    ]
    return {
        "country": known.country,
        "name": known.name,
        "emergency": known.emergency,
        "police": known.police,
        "lines": lines,
    }


_NEAREST = ("suicide", "any", "young", "violence")
"""Whom most people in danger here need first."""


def _rated(store: Store, person: str, conversation: str) -> dict[str, str]:
    given = store.feedback.inside(person, conversation)
    return {
        each.turn_id: each.value for each in given if each.kind == FeedbackKind.THUMB and each.turn_id and each.value
    }


def _asks(store: Store, seat: Seat, opened: OpenConversation | None) -> str | None:
    """Offered at the start of a conversation and once further on, until answered or waved away."""
    if seat.asked:
        return None
    said = [] if opened is None else [each for each in opened.messages if each.role == Speaker.USER]
    if opened is None or not said:
        return "before"
    given = {each.kind for each in store.feedback.inside(seat.person, opened.conversation.id)}
    return "after" if len(said) >= _ALONG and FeedbackKind.DISTRESS_AFTER not in given else None


def found(store: Store, person: str, query: str) -> list[Json]:
    hits = store.conversations.search(person, query) if query.strip() else []
    titles = {each.id: each.title or "" for each in store.conversations.newest(person, limit=1000)}
    return [
        {"conversation": each.conversation_id, "title": titles.get(each.conversation_id, ""), "text": each.message.text}
        for each in hits
    ]


def title_of(text: str) -> str:
    """The beginning of the first message, whole words."""
    words, title = text.split(), ""
    for word in words:
        if len(title) + len(word) > _TITLE:
            return (title or word[:_TITLE]).strip() + " …"
        title += f"{word} "
    return title.strip()


_TITLE = 48


def as_markdown(opened: OpenConversation) -> str:
    """A conversation to keep, as the person saw it."""
    head = f"# {opened.conversation.title or 'A conversation with Attune'}"
    lines = [
        f"**{'You' if each.role == Speaker.USER else 'Attune'}**, {each.created:%d %B %Y, %H:%M} UTC\n\n{_quoted(each)}"
        for each in opened.messages
        if each.text
    ]
    return "\n\n".join([head, *lines]) + "\n"


def _quoted(message: Message) -> str:
    return "\n".join(f"> {line}" for line in (message.text or "").splitlines())


def as_json(opened: OpenConversation) -> Json:
    return {
        "title": opened.conversation.title,
        "about": opened.conversation.persona,
        "started": _time(opened.conversation.created),
        "messages": _lines(opened.messages),
    }


def _lines(messages: Sequence[Message]) -> list[Json]:
    return [
        {"who": "you" if each.role == Speaker.USER else "attune", "at": _time(each.created), "text": each.text}
        for each in messages
        if each.text
    ]


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")

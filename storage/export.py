"""Everything that Attune keeps about a person, as JSON (complete, exact) and as Markdown (to read).

Left out: the password's hash, which protects them, and operators' notes, which are about the operators' work too.
"""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import select

from storage.adapters import Adapters
from storage.audit import Audit
from storage.conversations import Conversations
from storage.database import Database, Reader
from storage.feedback import FeedbackGiven
from storage.models import ConversationRow, FlagRow
from storage.people import People
from storage.turns import Turns
from storage.values import Flag, Speaker

_flag = Reader(FlagRow, Flag)
_ALL = 10**9


class Exporting:
    """Gives people what is theirs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def person(self, user: str, *, actor: str | None = None) -> dict[str, Any]:
        """All of it, as values that JSON can hold. It is noted who asked."""
        profile = asdict(People(self._database).get(user))
        Audit(self._database).record(user if actor is None else actor, "user.export", user)
        del profile["password_hash"]
        return {
            key: _plain(value)
            for key, value in {
                "exported": self._database.now(),
                "person": profile,
                "consents": [asdict(consent) for consent in People(self._database).consents(user)],
                "conversations": self._conversations(user),
                "feedback": [asdict(feedback) for feedback in FeedbackGiven(self._database).of(user)],
                "flags": self._flags(user),
                "adapters_that_learned_from_you": Adapters(self._database).learned_from(user=user),
            }.items()
        }

    def _conversations(self, user: str) -> list[dict[str, Any]]:
        conversations, turns = Conversations(self._database), Turns(self._database)
        found = []
        for conversation in conversations.newest(user, limit=_ALL):
            opened = conversations.open(user, conversation.id)
            found.append(
                asdict(opened.conversation)
                | {"messages": [asdict(message) for message in opened.messages]}
                | {"turns": [asdict(turns.get(user, turn.id)) for turn in opened.turns]}
            )
        return found

    def _flags(self, user: str) -> list[dict[str, Any]]:
        query = select(*_flag.columns).join(ConversationRow, ConversationRow.id == FlagRow.conversation_id)
        with self._database.read() as connection:
            rows = connection.execute(query.where(ConversationRow.user_id == user).order_by(FlagRow.created))
            return [asdict(_flag(self._database, row)) for row in rows]


def as_json(exported: dict[str, Any]) -> str:
    return json.dumps(exported, ensure_ascii=False, indent=2)


def as_markdown(exported: dict[str, Any]) -> str:
    """The conversations to read; whatever anybody wrote stands in code blocks, where it cannot become markup."""
    lines = ["# What Attune keeps", "", f"Exported {exported['exported']}.", ""]
    for number, conversation in enumerate(exported["conversations"], 1):
        lines += [f"## Conversation {number}", "", f"Started {conversation['created']}.", ""]
        for label in ("title", "persona", "scenario"):
            if conversation[label]:
                lines += [f"{label.capitalize()}:", "", *_quote(conversation[label]), ""]
        for message in conversation["messages"]:
            speaker = "You" if message["role"] == Speaker.USER else "Attune"
            lines += [f"**{speaker}**, {message['created']}", "", *_quote(message["text"] or ""), ""]
    if comments := [given for given in exported["feedback"] if given["text"]]:
        lines += ["## What you said about replies", ""]
        for given in comments:
            lines += [f"{given['created']}", "", *_quote(given["text"]), ""]
    return "\n".join(lines)


def _quote(text: str) -> list[str]:
    # Four spaces: a code block inside a quotation, in which Markdown and HTML mean nothing.
    return [f">     {line}" for line in text.splitlines() or [""]]


def _plain(value: Any) -> Any:  # noqa: ANN401
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case datetime():
            return value.isoformat()
    return value

"""Conversations as their owner sees them: start, list, open, describe, search.

Every verb takes the person first, and a conversation of somebody else does not exist for them. Search reads the
person's own messages and compares in Python, since encrypted text has no index; docs/decisions/0004-search.md has
the figures.
"""

import unicodedata
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, CursorResult, Select, and_, insert, select, tuple_, update

from storage.database import Database, Reader
from storage.ids import Kind, known, missing
from storage.locks import lock_person
from storage.models import ConversationRow, MessageRow, TurnRow
from storage.text import optional_words, words
from storage.values import Conversation, Message, OpenConversation, Turn

_conversation = Reader(ConversationRow, Conversation)
_message = Reader(MessageRow, Message)
_turn = Reader(TurnRow, Turn)


@dataclass(frozen=True, slots=True)
class Found:
    """A message that search found."""

    conversation_id: str
    message: Message


class Conversations:
    """A person's own conversations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(
        self,
        user: str,
        *,
        title: str | None = None,
        persona: str | None = None,
        scenario: str | None = None,
        temporary: bool = False,
    ) -> Conversation:
        now = self._database.now()
        conversation = Conversation(
            self._database.new_id(Kind.CONVERSATION),
            known(Kind.USER, user),
            optional_words(title, "title"),
            optional_words(persona, "persona"),
            optional_words(scenario, "scenario"),
            bool(temporary),
            now,
            now,
        )
        with self._database.write() as connection:
            lock_person(connection, user)
            connection.execute(
                insert(ConversationRow).values(
                    id=conversation.id,
                    user_id=user,
                    temporary=conversation.temporary,
                    created=now,
                    last_active=now,
                    **self._sealed(conversation.id, title=title, persona=persona, scenario=scenario),
                )
            )
        return conversation

    def newest(self, user: str, limit: int = 100, after: Conversation | None = None) -> list[Conversation]:
        """The most recently used first; `after` is the last one of the page before."""
        mine = _of(user)
        if after is not None:
            mine &= tuple_(ConversationRow.last_active, ConversationRow.id) < (after.last_active, after.id)
        with self._database.read() as connection:
            rows = connection.execute(
                select(*_conversation.columns)
                .where(mine)
                .order_by(ConversationRow.last_active.desc(), ConversationRow.id.desc())
                .limit(limit)
            )
            return [_conversation(self._database, row) for row in rows]

    def open(self, user: str, conversation: str) -> OpenConversation:
        with self._database.read() as connection:
            return read_conversation(connection, self._database, _mine(user, conversation))

    def describe(self, user: str, conversation: str, **changes: str | None) -> Conversation:
        """Change the title, persona or scenario; None empties one."""
        if unknown := changes.keys() - {"title", "persona", "scenario"}:
            raise TypeError(f"a conversation has no {', '.join(sorted(unknown))}")
        known(Kind.CONVERSATION, conversation)
        sealed = self._sealed(conversation, **{key: optional_words(value, key) for key, value in changes.items()})
        with self._database.write() as connection:
            mine = _mine(user, conversation)
            if sealed and not connection.execute(update(ConversationRow).where(mine).values(sealed)).rowcount:
                raise missing(Kind.CONVERSATION)
            return read_one(connection, self._database, mine)

    def search(self, user: str, query: str, limit: int = 50) -> list[Found]:
        """Messages that hold every word of the query, whatever its case; the most recently used conversations first."""
        wanted = _fold(words(query, "query")).split()
        if not wanted:
            return []
        with self._database.read() as connection, self._newest(connection, user) as rows:
            messages = (_message(self._database, row) for row in rows)
            fits = (each for each in messages if all(word in _fold(each.text or "") for word in wanted))
            return [Found(message.conversation_id, message) for message in islice(fits, limit)]

    @staticmethod
    def _newest(connection: Connection, user: str) -> CursorResult[Any]:
        # This order is that of two indexes: nothing is sorted, and reading stops as soon as enough is found.
        query = (
            select(*_message.columns)
            .join(ConversationRow, ConversationRow.id == MessageRow.conversation_id)
            .where(_of(user))
            .order_by(ConversationRow.last_active.desc(), ConversationRow.id.desc(), MessageRow.seq.desc())
        )
        return connection.execution_options(yield_per=200).execute(query)

    def _sealed(self, conversation: str, **texts: str | None) -> dict[str, bytes | None]:
        return {key: self._database.seal(text, f"conversation.{key}", conversation) for key, text in texts.items()}


def read_one(connection: Connection, database: Database, where: ColumnElement[bool]) -> Conversation:
    row = connection.execute(select(*_conversation.columns).where(where)).one_or_none()
    if row is None:
        raise missing(Kind.CONVERSATION)
    return _conversation(database, row)


def read_conversation(connection: Connection, database: Database, where: ColumnElement[bool]) -> OpenConversation:
    """A conversation with its messages and turns; without candidates, which `turns.get` gives one turn at a time."""
    conversation = read_one(connection, database, where)
    inside = MessageRow.conversation_id == conversation.id
    messages: Select[*tuple[object, ...]] = select(*_message.columns).where(inside).order_by(MessageRow.seq)
    turns = select(*_turn.columns).where(TurnRow.conversation_id == conversation.id).order_by(TurnRow.id)
    return OpenConversation(
        conversation,
        tuple(_message(database, row) for row in connection.execute(messages)),
        tuple(_turn(database, row) for row in connection.execute(turns)),
    )


def _of(user: str) -> ColumnElement[bool]:
    return and_(ConversationRow.user_id == known(Kind.USER, user), ConversationRow.deleted_at.is_(None))


def _mine(user: str, conversation: str) -> ColumnElement[bool]:
    return and_(_of(user), ConversationRow.id == known(Kind.CONVERSATION, conversation))


def _fold(text: str) -> str:
    return (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold()

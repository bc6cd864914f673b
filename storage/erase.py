"""Erasing: words go, counts stay, and the adapters that learned from them are named.

Every column of type `Sealed` is emptied; a test holds this file to that. Left out: backups and PostgreSQL's dead
rows, which its vacuum frees; an encrypted database makes both unreadable.
"""

from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, select, update

from storage import audit
from storage.adapters import adapters_that_saw
from storage.database import Database
from storage.keyring import sealed_columns, sealed_tables
from storage.locks import lock_conversation, lock_person
from storage.models import ConversationRow, FeedbackRow, FlagRow, MessageRow, Row, TurnRow, UserRow
from storage.people import withdraw_all
from storage.values import Erased, FeedbackKind, FlagState, TurnState

_PRUNED_AT_ONCE = 100


class Erasing:
    """Forgets people and conversations, on request or by age."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def conversation(self, user: str, conversation: str, *, actor: str | None = None) -> Erased:
        """Forget one conversation of a person."""
        with self._database.write() as connection:
            lock_conversation(connection, self._database, conversation, user=user)
            erased = self._forget(connection, ConversationRow.id == conversation)
            self._note(connection, user if actor is None else actor, "conversation.erase", conversation, erased)
        self._database.forget()
        return erased

    def person(self, user: str, *, actor: str | None = None) -> Erased:
        """Forget everything that a person wrote and was; their id stays, so that counts stay true."""
        with self._database.write() as connection:
            lock_person(connection, user)
            erased = self._forget(connection, ConversationRow.user_id == user)
            withdraw_all(connection, self._database, user)
            nobody = {"handle": None, "password_hash": None, "country": None, "adult": None}
            gone = update(UserRow).where(UserRow.id == user).values(**nobody, erased_at=self._database.now())
            connection.execute(gone)
            self._note(connection, user if actor is None else actor, "user.erase", user, erased)
        self._database.forget()
        return erased

    def prune(self, keep: timedelta | None, keep_temporary: timedelta, *, actor: str = audit.HOST) -> Erased:
        """Forget conversations unused for longer than `keep` (None: kept until deleted), temporary ones much sooner.

        One with an open flag stays until a human has looked at it.
        """
        now = self._database.now()
        old = and_(ConversationRow.temporary.is_(True), ConversationRow.last_active < now - keep_temporary)
        if keep is not None:
            old = old | (ConversationRow.last_active < now - keep)
        flagged = select(FlagRow.conversation_id).where(FlagRow.state == FlagState.OPEN)
        due = select(ConversationRow.id).where(old, ConversationRow.deleted_at.is_(None))
        due = due.where(ConversationRow.id.not_in(flagged)).order_by(ConversationRow.id).limit(_PRUNED_AT_ONCE)
        total = Erased(0, 0, ())
        while True:
            with self._database.write() as connection:
                ids = list(connection.scalars(due.with_for_update()))
                if not ids:
                    break
                erased = self._forget(connection, ConversationRow.id.in_(ids))
                self._note(connection, actor, "retention.prune", "conversations", erased)
            adapters = sorted({*total.adapters, *erased.adapters})
            total = Erased(
                total.conversations + erased.conversations, total.messages + erased.messages, tuple(adapters)
            )
        self._database.forget()
        return total

    def _forget(self, connection: Connection, where: ColumnElement[bool]) -> Erased:
        """Empty everything below the conversations for which this holds and that are not erased yet."""
        here = and_(where, ConversationRow.deleted_at.is_(None))
        conversations = select(ConversationRow.id).where(here)
        adapters = adapters_that_saw(connection, here)
        # First the rows, so that nobody who waits for one of them writes into it afterwards.
        connection.execute(conversations.order_by(ConversationRow.id).with_for_update())
        for table in sealed_tables():
            emptied = dict.fromkeys(sealed_columns(table))
            connection.execute(update(table).where(_below(table, conversations)).values(emptied))
        now = self._database.now()
        # Client ids and tags are chosen outside: they may say something.
        messages = update(MessageRow).where(MessageRow.conversation_id.in_(conversations)).values(client_id=None)
        tags = (FeedbackRow.conversation_id.in_(conversations), FeedbackRow.kind == FeedbackKind.TAG)
        connection.execute(update(FeedbackRow).where(*tags).values(value=None))
        pending = (TurnRow.conversation_id.in_(conversations), TurnRow.state == TurnState.PENDING)
        connection.execute(update(TurnRow).where(*pending).values(state=TurnState.ABANDONED, finished=now))
        flags = FlagRow.conversation_id.in_(conversations)
        connection.execute(update(FlagRow).where(flags).values(state=FlagState.ERASED))
        messages_erased = connection.execute(messages).rowcount
        conversations_erased = connection.execute(update(ConversationRow).where(here).values(deleted_at=now)).rowcount
        return Erased(conversations_erased, messages_erased, tuple(adapters))

    def _note(self, connection: Connection, actor: str, action: str, subject: str, erased: Erased) -> None:
        # Adapters by number: an entry has no room for all their names, which the caller gets.
        counts = {key: getattr(erased, key) for key in ("conversations", "messages")} | {
            "adapters": len(erased.adapters)
        }
        audit.append(connection, self._database.now(), actor, action, subject, **counts)


def _below(table: Table, conversations: Select[str]) -> ColumnElement[bool]:
    """The rows of a table that belong to these conversations, found along its foreign keys."""
    if table is Row.metadata.tables["conversation"]:
        return table.c.id.in_(conversations)
    if "conversation_id" in table.c:
        return table.c.conversation_id.in_(conversations)
    if "flag_id" in table.c:
        return table.c.flag_id.in_(select(FlagRow.id).where(FlagRow.conversation_id.in_(conversations)))
    return table.c.turn_id.in_(select(TurnRow.id).where(TurnRow.conversation_id.in_(conversations)))

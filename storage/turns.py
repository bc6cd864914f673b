"""Turns: a message comes in and is kept at once; later everything that was weighed to answer it, in one transaction.

A message has one reply. Answering it again (a retry, another try) is a new turn whose reply takes the place of the
old one; what the earlier turn weighed stays.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, func, insert, select, update
from sqlalchemy import Row as ResultRow

from rerank.types import Candidate
from storage.candidates import candidates_of, check_candidates, insert_candidates
from storage.database import Database, Reader
from storage.errors import BadInput, Conflict
from storage.ids import Kind, known, missing
from storage.locks import lock_conversation
from storage.models import CandidateRow, ConversationRow, FeedbackRow, MessageRow, TurnRow
from storage.text import machine_json, name, words
from storage.values import FeedbackKind, Speaker, Turn, TurnState

_turn = Reader(TurnRow, Turn)
_LONGEST_REASON = 200


class Turns:
    """One user message and everything done to answer it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(self, user: str, conversation: str, client_id: str, text: str) -> Turn:
        """Keep a message and open its turn. The same client id again is the same turn, never a second one."""
        words(text, "text")
        name(client_id, "client_id", 64)
        with self._database.write() as connection:
            lock_conversation(connection, self._database, conversation, user=user)
            if (earlier := self._submitted(connection, conversation, client_id)) is None:
                message = self._add_message(connection, conversation, Speaker.USER, text, client_id)
                return self._open(connection, conversation, message)
            message, stored = earlier
            if stored != text:
                raise Conflict("This client id already stands for another message. Send the message with a new one.")
            newest = select(*_turn.columns).where(TurnRow.message_id == message).order_by(TurnRow.id.desc()).limit(1)
            return _turn(self._database, connection.execute(newest).one())

    def again(self, user: str, turn: str) -> Turn:
        """Another turn for the same message: after a failure, or for another try. One still pending is given up."""
        with self._database.write() as connection:
            found = self._find(connection, turn, user)
            lock_conversation(connection, self._database, found.conversation_id, user=user)
            self._abandon(connection, TurnRow.message_id == found.message_id)
            return self._open(connection, found.conversation_id, found.message_id)

    def reword(self, user: str, turn: str, client_id: str, text: str) -> Turn:
        """The newest message in other words, and a new turn for it. The same client id again is the same turn."""
        words(text, "text")
        name(client_id, "client_id", 64)
        with self._database.write() as connection:
            found = self._find(connection, turn, user)
            conversation, message = found.conversation_id, found.message_id
            lock_conversation(connection, self._database, conversation, user=user)
            newest = select(MessageRow.id, MessageRow.client_id).where(MessageRow.conversation_id == conversation)
            newest = newest.where(MessageRow.role == Speaker.USER).order_by(MessageRow.seq.desc()).limit(1)
            last = connection.execute(newest).one()
            if last.id != message:
                raise Conflict("Only the newest message can be changed. Load the conversation again.")
            if last.client_id == client_id:
                same = select(*_turn.columns).where(TurnRow.message_id == message).order_by(TurnRow.id.desc()).limit(1)
                return _turn(self._database, connection.execute(same).one())
            self._abandon(connection, TurnRow.message_id == message)
            self._replace_text(connection, message, text)
            here = update(MessageRow).where(MessageRow.id == message)
            connection.execute(here.values(client_id=client_id))
            return self._open(connection, conversation, message)

    def get(self, user: str, turn: str) -> Turn:
        """A turn with its candidates and their judgements."""
        with self._database.read() as connection:
            found = _turn(self._database, self._find(connection, turn, user))
            return replace(found, candidates=candidates_of(connection, self._database, turn))

    def finish(
        self,
        turn: str,
        reply: str,
        *,
        candidates: Sequence[Candidate] = (),
        chosen: int | None = None,
        degraded: str | None = None,
        versions: dict[str, Any] | None = None,
        timings: dict[str, Any] | None = None,
    ) -> Turn:
        """Keep the reply with all that was weighed; for a turn that is pending in a conversation that still exists."""
        words(reply, "reply")
        check_candidates(candidates, chosen)
        with self._database.write() as connection:
            found = self._find(connection, turn)
            lock_conversation(connection, self._database, found.conversation_id)
            self._end(
                connection,
                turn,
                state=TurnState.ANSWERED,
                reply_id=self._put_reply(connection, found, reply),
                chosen=chosen,
                degraded=_reason(degraded),
                versions=machine_json(versions or {}, "versions"),
                timings=machine_json(timings or {}, "timings"),
            )
            insert_candidates(connection, self._database, turn, candidates)
            return _turn(self._database, self._find(connection, turn))

    def fail(self, turn: str, reason: str, state: TurnState = TurnState.FAILED) -> None:
        """No reply came: the reason, in the machine's words, stands in `degraded`. The person's words are kept."""
        if state not in (TurnState.FAILED, TurnState.ABANDONED):
            raise ValueError("a turn without a reply is failed or abandoned")
        with self._database.write() as connection:
            self._find(connection, turn)
            self._end(connection, turn, state=state, degraded=_reason(reason))

    def abandon_older_than(self, moment: datetime) -> int:
        """Give up on turns that a process left pending when it died. Gives their number."""
        with self._database.write() as connection:
            return self._abandon(connection, TurnRow.created < moment)

    def choose(self, user: str, turn: str, index: int) -> Turn:
        """The person prefers another candidate: it becomes the reply, and the preference is kept."""
        with self._database.write() as connection:
            found = self._find(connection, turn, user)
            lock_conversation(connection, self._database, found.conversation_id, user=user)
            here = (CandidateRow.turn_id == turn, CandidateRow.index == _number(index))
            query = select(CandidateRow.response, CandidateRow.safety).where(*here)
            row = connection.execute(query).one_or_none()
            found = self._find(connection, turn)  # as it is now that nobody else can change it
            if row is None or row.safety is not None or turn != self._newest_answered(connection, found.message_id):
                raise Conflict("This reply cannot be chosen. Load the conversation again.")
            if index == found.chosen:
                return _turn(self._database, found)
            text = self._database.open(row.response, "candidate.response", turn, index)
            self._replace_text(connection, found.reply_id, text or "")
            connection.execute(update(TurnRow).where(TurnRow.id == turn).values(chosen=index))
            connection.execute(
                insert(FeedbackRow).values(
                    id=self._database.new_id(Kind.FEEDBACK),
                    conversation_id=found.conversation_id,
                    turn_id=turn,
                    user_id=user,
                    kind=FeedbackKind.SWIPE,
                    value=f"{'' if found.chosen is None else found.chosen}>{index}",
                    created=self._database.now(),
                )
            )
            return _turn(self._database, self._find(connection, turn))

    @staticmethod
    def _newest_answered(connection: Connection, message: str) -> str | None:
        answered = select(TurnRow.id).where(TurnRow.message_id == message, TurnRow.state == TurnState.ANSWERED)
        return connection.scalar(answered.order_by(TurnRow.id.desc()).limit(1))

    def _abandon(self, connection: Connection, which: ColumnElement[bool]) -> int:
        pending = update(TurnRow).where(which, TurnRow.state == TurnState.PENDING)
        return connection.execute(pending.values(state=TurnState.ABANDONED, finished=self._database.now())).rowcount

    def _submitted(self, connection: Connection, conversation: str, client_id: str) -> tuple[str, str | None] | None:
        here = (MessageRow.conversation_id == conversation, MessageRow.client_id == client_id)
        row = connection.execute(select(MessageRow.id, MessageRow.text).where(*here)).one_or_none()
        return row and (row.id, self._database.open(row.text, "message.text", row.id))

    def _add_message(
        self, connection: Connection, conversation: str, role: Speaker, text: str, client_id: str | None = None
    ) -> str:
        last = select(func.max(MessageRow.seq)).where(MessageRow.conversation_id == conversation)
        message = self._database.new_id(Kind.MESSAGE)
        connection.execute(
            insert(MessageRow).values(
                id=message,
                conversation_id=conversation,
                seq=(connection.scalar(last) or 0) + 1,
                role=role,
                text=self._database.seal(text, "message.text", message),
                created=self._database.now(),
                client_id=client_id,
            )
        )
        return message

    def _open(self, connection: Connection, conversation: str, message: str) -> Turn:
        turn = Turn(
            id=self._database.new_id(Kind.TURN),
            message_id=message,
            reply_id=None,
            state=TurnState.PENDING,
            degraded=None,
            chosen=None,
            versions={},
            timings={},
            created=self._database.now(),
            finished=None,
        )
        connection.execute(
            insert(TurnRow).values(
                conversation_id=conversation,
                id=turn.id,
                message_id=message,
                state=turn.state,
                versions={},
                timings={},
                created=turn.created,
            )
        )
        return turn

    def _find(self, connection: Connection, turn: str, user: str | None = None) -> ResultRow[Any]:
        """The turn's columns and its conversation's id; with a person, only if it is theirs."""
        query = (
            select(*_turn.columns, TurnRow.conversation_id)
            .join(ConversationRow, ConversationRow.id == TurnRow.conversation_id)
            .where(TurnRow.id == known(Kind.TURN, turn), ConversationRow.deleted_at.is_(None))
        )
        if user is not None:
            query = query.where(ConversationRow.user_id == known(Kind.USER, user))
        if row := connection.execute(query).one_or_none():
            return cast("ResultRow[Any]", row)
        raise missing(Kind.TURN)

    def _end(self, connection: Connection, turn: str, **values: Any) -> None:  # noqa: ANN401
        pending = (TurnRow.id == turn, TurnRow.state == TurnState.PENDING)
        ended = update(TurnRow).where(*pending).values(**values, finished=self._database.now())
        if not connection.execute(ended).rowcount:
            raise Conflict("This turn has ended already. Load the conversation again.")

    def _put_reply(self, connection: Connection, turn: ResultRow[Any], text: str) -> str:
        earlier = connection.scalar(
            select(TurnRow.reply_id)
            .where(TurnRow.message_id == turn.message_id, TurnRow.reply_id.is_not(None))
            .limit(1)
        )
        if earlier is None:
            return self._add_message(connection, turn.conversation_id, Speaker.ASSISTANT, text)
        self._replace_text(connection, earlier, text)
        return earlier

    def _replace_text(self, connection: Connection, message: str, text: str) -> None:
        sealed = self._database.seal(text, "message.text", message)
        connection.execute(update(MessageRow).where(MessageRow.id == message).values(text=sealed))


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise BadInput("A candidate's index is a whole number.")
    return value


def _reason(value: str | None) -> str | None:
    """Why a turn fell short, in the machine's words: short and printable, so that no one's text strays into it."""
    if value is not None and (not 1 <= len(value) <= _LONGEST_REASON or not value.isprintable()):
        raise BadInput(f"degraded must be 1 to {_LONGEST_REASON} printable characters.")
    return value

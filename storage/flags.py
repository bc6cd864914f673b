"""Flags: conversations that a human should see, the riskiest first, and what operators did with them.

Every verb but `raise_flag` and `highest` takes the operator first; for anybody else no flag exists. Opening a flagged
conversation is audited, since it shows one person's words to another.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, case, insert, select, update

from rerank.types import Category, Tier
from storage import audit
from storage.conversations import read_conversation
from storage.database import Database, Reader
from storage.errors import BadInput, Conflict
from storage.ids import Kind, known, missing
from storage.locks import lock_conversation
from storage.models import ConversationRow, FlagRow, ReviewRow, UserRow
from storage.text import optional_words, words
from storage.values import Flag, FlagState, OpenConversation, Review, ReviewAction, Role

_flag = Reader(FlagRow, Flag)
_review = Reader(ReviewRow, Review)


@dataclass(frozen=True, slots=True)
class FlaggedConversation:
    """What an operator sees when they open a flag."""

    flag: Flag
    reviews: tuple[Review, ...]
    opened: OpenConversation


class Flags:
    """The operators' queue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def raise_flag(
        self, conversation: str, turn: str | None, tier: Tier, category: Category, evidence: str, due_at: datetime
    ) -> Flag:
        if Tier(tier) is Tier.NONE:
            raise BadInput("A flag has the tier concern or crisis.")
        flag = Flag(
            id=self._database.new_id(Kind.FLAG),
            conversation_id=known(Kind.CONVERSATION, conversation),
            turn_id=None if turn is None else known(Kind.TURN, turn),
            tier=Tier(tier),
            category=Category(category),
            evidence=words(evidence, "evidence"),
            created=self._database.now(),
            due_at=due_at,
            state=FlagState.OPEN,
            assignee_id=None,
        )
        with self._database.write() as connection:
            lock_conversation(connection, self._database, conversation, turn=turn)
            connection.execute(
                insert(FlagRow).values(
                    id=flag.id,
                    conversation_id=conversation,
                    turn_id=turn,
                    tier=flag.tier,
                    category=flag.category,
                    evidence=self._database.seal(evidence, "flag.evidence", flag.id),
                    created=flag.created,
                    due_at=due_at,
                    state=flag.state,
                )
            )
        return flag

    def highest(self, user: str, conversation: str) -> Tier:
        """The highest tier that was ever seen in a conversation, for its owner: what is offered for it stays."""
        query = (
            select(FlagRow.tier)
            .join(ConversationRow, ConversationRow.id == FlagRow.conversation_id)
            .where(
                ConversationRow.id == known(Kind.CONVERSATION, conversation),
                ConversationRow.user_id == known(Kind.USER, user),
                ConversationRow.deleted_at.is_(None),
            )
        )
        with self._database.read() as connection:
            tiers = set(connection.scalars(query))
        return next((each for each in (Tier.CRISIS, Tier.CONCERN) if each in tiers), Tier.NONE)

    def queue(self, operator: str, limit: int = 200) -> list[Flag]:
        """Open flags: crisis before concern, then the nearest deadline."""
        riskiest = case((FlagRow.tier == Tier.CRISIS, 0), else_=1)
        is_open = FlagRow.state == FlagState.OPEN
        with self._database.read() as connection:
            _require_operator(connection, operator)
            query = select(*_flag.columns).where(is_open).order_by(riskiest, FlagRow.due_at).limit(limit)
            return [_flag(self._database, row) for row in connection.execute(query)]

    def look(self, operator: str, flag: str) -> FlaggedConversation:
        """The flag, what was done with it, and the conversation. It is noted who looked."""
        with self._database.write() as connection:
            _require_operator(connection, operator)
            found = self._read(connection, flag)
            audit.append(connection, self._database.now(), operator, "flag.look", flag)
            reviews = select(*_review.columns).where(ReviewRow.flag_id == flag).order_by(ReviewRow.at, ReviewRow.id)
            return FlaggedConversation(
                found,
                tuple(_review(self._database, row) for row in connection.execute(reviews)),
                read_conversation(connection, self._database, ConversationRow.id == found.conversation_id),
            )

    def review(self, operator: str, flag: str, action: ReviewAction, note: str | None = None) -> Review:
        """Take a flag, add a note, keep its conversation out of training, close it, open it again."""
        now = self._database.now()
        review = Review(
            id=self._database.new_id(Kind.REVIEW),
            flag_id=known(Kind.FLAG, flag),
            operator_id=operator,
            action=ReviewAction(action),
            note=optional_words(note, "note"),
            at=now,
        )
        with self._database.write() as connection:
            _require_operator(connection, operator)
            self._read(connection, flag, lock=True)
            self._change(connection, review)
            connection.execute(
                insert(ReviewRow).values(
                    id=review.id,
                    flag_id=flag,
                    operator_id=operator,
                    action=review.action,
                    note=self._database.seal(note, "review.note", review.id),
                    at=now,
                )
            )
            audit.append(connection, now, operator, f"flag.{review.action}", flag)
        return review

    def _change(self, connection: Connection, review: Review) -> None:
        here = update(FlagRow).where(FlagRow.id == review.flag_id)
        match review.action:
            case ReviewAction.TAKE:
                # Free, mine, or of somebody who is no operator any more.
                free = FlagRow.assignee_id.is_(None) | FlagRow.assignee_id.not_in(
                    select(UserRow.id).where(_is_operator(), UserRow.id != review.operator_id)
                )
                change = here.where(free, FlagRow.state == FlagState.OPEN).values(assignee_id=review.operator_id)
            case ReviewAction.CLOSE:
                change = here.where(FlagRow.state == FlagState.OPEN).values(state=FlagState.CLOSED)
            case ReviewAction.REOPEN:
                change = here.where(FlagRow.state == FlagState.CLOSED).values(state=FlagState.OPEN, assignee_id=None)
            case ReviewAction.NOTE | ReviewAction.EXCLUDE:
                return
        if not connection.execute(change).rowcount:
            raise Conflict("Another operator was faster. Load the queue again.")

    def _read(self, connection: Connection, flag: str, *, lock: bool = False) -> Flag:
        query = select(*_flag.columns).where(FlagRow.id == known(Kind.FLAG, flag), FlagRow.state != FlagState.ERASED)
        row = connection.execute(query.with_for_update() if lock else query).one_or_none()
        if row is None:
            raise missing(Kind.FLAG)
        return _flag(self._database, row)


def _require_operator(connection: Connection, operator: str) -> None:
    if connection.scalar(select(UserRow.id).where(UserRow.id == known(Kind.USER, operator), _is_operator())) is None:
        raise missing(Kind.FLAG)


def _is_operator() -> ColumnElement[bool]:
    return and_(UserRow.role.in_((Role.OPERATOR, Role.ADMIN)), UserRow.erased_at.is_(None))

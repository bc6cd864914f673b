"""The rows. Migrations make the tables; `alembic check` holds the two together.

A column of type `Sealed` holds what a person or a model wrote: encryption, erasing and re-encryption find their
columns by that type, so a new one is covered by being declared. Rows never leave this package.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    String,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from storage.ids import ID_LENGTH


class Sealed(LargeBinary):
    """Text as `crypto.py` stores it. NULL once it was erased."""


class UtcTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite forgets the zone, PostgreSQL changes it, this does neither."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is not None and value.tzinfo is None:
            raise ValueError("times carry their zone: take them from a Clock")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value and (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))


class Row(DeclarativeBase):
    """The root of all rows: how Python's types become columns."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: String(ID_LENGTH),
        int: BigInteger,
        datetime: UtcTime,
        bytes: Sealed,
        dict[str, Any]: JSON,
    }


def _label(longest: int) -> Any:  # noqa: ANN401
    return mapped_column(String(longest))


class UserRow(Row):
    __tablename__ = "user"
    id: Mapped[str] = mapped_column(primary_key=True)
    handle: Mapped[str | None] = mapped_column(String(64), unique=True)
    role: Mapped[str]
    password_hash: Mapped[str | None] = _label(255)
    country: Mapped[str | None] = _label(2)
    adult: Mapped[bool | None]
    created: Mapped[datetime]
    last_seen: Mapped[datetime]
    erased_at: Mapped[datetime | None]


class ConsentRow(Row):
    __tablename__ = "consent"
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"))
    purpose: Mapped[str]
    granted_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    __table_args__ = (
        # At most one consent in force for each purpose; withdrawn ones are history.
        Index(
            "uq_consent_in_force",
            "user_id",
            "purpose",
            unique=True,
            sqlite_where=text("withdrawn_at IS NULL"),
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
        Index(None, "user_id"),
    )


class ConversationRow(Row):
    __tablename__ = "conversation"
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"))
    title: Mapped[bytes | None]
    persona: Mapped[bytes | None]
    scenario: Mapped[bytes | None]
    temporary: Mapped[bool]
    created: Mapped[datetime]
    last_active: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    __table_args__ = (Index(None, "user_id", "last_active"), Index(None, "last_active"))


class MessageRow(Row):
    """Keyed by its place: SQLite keeps a conversation's messages side by side, so that opening it reads few pages."""

    __tablename__ = "message"
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    text: Mapped[bytes | None]
    created: Mapped[datetime]
    client_id: Mapped[str | None] = _label(64)
    __table_args__ = (UniqueConstraint("conversation_id", "client_id"), {"sqlite_with_rowid": False})


class TurnRow(Row):
    """Side by side with the others of its conversation, like its messages."""

    __tablename__ = "turn"
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True, unique=True)
    message_id: Mapped[str] = mapped_column(ForeignKey("message.id"), index=True)
    reply_id: Mapped[str | None] = mapped_column(ForeignKey("message.id"))
    state: Mapped[str]
    degraded: Mapped[str | None] = _label(200)
    chosen: Mapped[int | None]
    versions: Mapped[dict[str, Any]]
    timings: Mapped[dict[str, Any]]
    created: Mapped[datetime]
    finished: Mapped[datetime | None]
    __table_args__ = (
        Index(
            "ix_turn_pending",
            "created",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        {"sqlite_with_rowid": False},
    )


class CandidateRow(Row):
    """Keyed by its turn and index: no id of its own to store, index or guess."""

    __tablename__ = "candidate"
    turn_id: Mapped[str] = mapped_column(ForeignKey("turn.id"), primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True)
    analysis: Mapped[bytes | None]
    response: Mapped[bytes | None]
    tokens: Mapped[int]
    format_ok: Mapped[bool]
    safety: Mapped[str | None]
    reward: Mapped[float | None]


class JudgementRow(Row):
    __tablename__ = "judgement"
    turn_id: Mapped[str] = mapped_column(primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True)
    perspective: Mapped[str] = mapped_column(primary_key=True)
    score: Mapped[float | None]
    rationale: Mapped[bytes | None]
    judge: Mapped[str] = _label(100)
    latency_ms: Mapped[float]
    __table_args__ = (
        ForeignKeyConstraint(["turn_id", "index"], ["candidate.turn_id", "candidate.index"]),
        {"sqlite_with_rowid": False},
    )


class FeedbackRow(Row):
    __tablename__ = "feedback"
    id: Mapped[str] = mapped_column(primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"), index=True)
    turn_id: Mapped[str | None] = mapped_column(ForeignKey("turn.id"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id"), index=True)
    kind: Mapped[str]
    value: Mapped[str | None] = _label(64)
    text: Mapped[bytes | None]
    created: Mapped[datetime]


class FlagRow(Row):
    __tablename__ = "flag"
    id: Mapped[str] = mapped_column(primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"), index=True)
    turn_id: Mapped[str | None] = mapped_column(ForeignKey("turn.id"), index=True)
    tier: Mapped[str]
    category: Mapped[str]
    evidence: Mapped[bytes | None]
    created: Mapped[datetime]
    due_at: Mapped[datetime]
    state: Mapped[str]
    assignee_id: Mapped[str | None] = mapped_column(ForeignKey("user.id"), index=True)
    __table_args__ = (Index(None, "state", "due_at"),)


class ReviewRow(Row):
    __tablename__ = "review"
    id: Mapped[str] = mapped_column(primary_key=True)
    flag_id: Mapped[str] = mapped_column(ForeignKey("flag.id"), index=True)
    operator_id: Mapped[str] = mapped_column(ForeignKey("user.id"), index=True)
    action: Mapped[str]
    note: Mapped[bytes | None]
    at: Mapped[datetime]


class AuditRow(Row):
    __tablename__ = "audit"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str]
    actor: Mapped[str] = _label(64)
    action: Mapped[str]
    subject: Mapped[str] = _label(64)
    detail: Mapped[str] = _label(2000)
    prev_hash: Mapped[str] = _label(64)
    hash: Mapped[str] = _label(64)


class AuditHeadRow(Row):
    """One row: where the chain ends. Removing the newest entries shows, and writers queue on it."""

    __tablename__ = "audit_head"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int]
    hash: Mapped[str] = _label(64)


class NightRow(Row):
    __tablename__ = "night"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    state: Mapped[str]
    claimed_by: Mapped[str | None] = _label(200)
    attempt: Mapped[int]
    heartbeat: Mapped[datetime | None]
    config: Mapped[dict[str, Any]]
    data_summary: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]]
    gate: Mapped[dict[str, Any]]
    created: Mapped[datetime]
    finished: Mapped[datetime | None]


class AdapterRow(Row):
    __tablename__ = "adapter"
    id: Mapped[str] = mapped_column(primary_key=True)
    night_id: Mapped[str | None] = mapped_column(ForeignKey("night.id"), index=True)
    path: Mapped[str] = mapped_column(String(1000), unique=True)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("adapter.id"), index=True)
    state: Mapped[str]
    created: Mapped[datetime]
    promoted: Mapped[datetime | None]
    __table_args__ = (
        Index(
            "uq_adapter_live",
            "state",
            unique=True,
            sqlite_where=text("state = 'live'"),
            postgresql_where=text("state = 'live'"),
        ),
    )


class AdapterSourceRow(Row):
    __tablename__ = "adapter_source"
    adapter_id: Mapped[str] = mapped_column(ForeignKey("adapter.id"), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"), primary_key=True, index=True)


class DataKeyRow(Row):
    """Which keys text was written under, by id; `plain` stands for none. See `keyring.py`."""

    __tablename__ = "data_key"
    id: Mapped[str] = mapped_column(primary_key=True)
    created: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    emptied_at: Mapped[datetime | None]

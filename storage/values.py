"""What the store gives back: frozen values, with text already opened. Candidates and judgements are `rerank.types`."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from rerank.types import Candidate, Category, Tier


class Role(StrEnum):
    """What a person may do."""

    SEEKER = "seeker"
    OPERATOR = "operator"
    ADMIN = "admin"


class Purpose(StrEnum):
    """What a consent is for."""

    TRAINING = "training"
    RESEARCH = "research"


class Speaker(StrEnum):
    """Who wrote a message."""

    USER = "user"
    ASSISTANT = "assistant"


class TurnState(StrEnum):
    """How far a turn has come."""

    PENDING = "pending"
    ANSWERED = "answered"
    FAILED = "failed"
    ABANDONED = "abandoned"


class FeedbackKind(StrEnum):
    """What a person said about a reply or about themselves."""

    THUMB = "thumb"
    TAG = "tag"
    COMMENT = "comment"
    SWIPE = "swipe"
    EDIT = "edit"
    DISTRESS_BEFORE = "distress_before"
    DISTRESS_AFTER = "distress_after"


class FlagState(StrEnum):
    """Whether a flag still wants a human."""

    OPEN = "open"
    CLOSED = "closed"
    ERASED = "erased"


class ReviewAction(StrEnum):
    """What an operator did with a flag."""

    TAKE = "take"
    NOTE = "note"
    EXCLUDE = "exclude"
    CLOSE = "close"
    REOPEN = "reopen"


class NightState(StrEnum):
    """How far a night has come."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class AdapterState(StrEnum):
    """Whether the policy may wear it."""

    CANDIDATE = "candidate"
    CANARY = "canary"
    LIVE = "live"
    RETIRED = "retired"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class User:
    """A person; without a handle, one who never signed up."""

    id: str
    handle: str | None
    role: Role
    password_hash: str | None
    country: str | None
    adult: bool | None
    created: datetime
    last_seen: datetime
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class Consent:
    """A permission, in force until it was withdrawn."""

    id: str
    user_id: str
    purpose: Purpose
    granted_at: datetime
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class Conversation:
    """What the person sees in their list."""

    id: str
    user_id: str
    title: str | None
    persona: str | None
    scenario: str | None
    temporary: bool
    created: datetime
    last_active: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """One message. A text of None was erased."""

    id: str
    conversation_id: str
    seq: int
    role: Speaker
    text: str | None
    created: datetime
    client_id: str | None


@dataclass(frozen=True, slots=True)
class Turn:
    """One user message and everything done to answer it. `candidates` is filled where one turn is asked for."""

    id: str
    message_id: str
    reply_id: str | None
    state: TurnState
    degraded: str | None
    chosen: int | None
    versions: dict[str, Any]
    timings: dict[str, Any]
    created: datetime
    finished: datetime | None
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenConversation:
    """A conversation with its messages and turns, oldest first."""

    conversation: Conversation
    messages: tuple[Message, ...]
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person said about a reply or about themselves."""

    id: str
    conversation_id: str
    turn_id: str | None
    user_id: str
    kind: FeedbackKind
    value: str | None
    text: str | None
    created: datetime


@dataclass(frozen=True, slots=True)
class Flag:
    """A conversation that an operator should see."""

    id: str
    conversation_id: str
    turn_id: str | None
    tier: Tier
    category: Category
    evidence: str | None
    created: datetime
    due_at: datetime
    state: FlagState
    assignee_id: str | None


@dataclass(frozen=True, slots=True)
class Review:
    """What an operator did with a flag."""

    id: str
    flag_id: str
    operator_id: str
    action: ReviewAction
    note: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One link of the audit chain."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str
    detail: str
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Night:
    """One run of the learning job."""

    id: str
    name: str
    state: NightState
    claimed_by: str | None
    attempt: int
    heartbeat: datetime | None
    config: dict[str, Any]
    data_summary: dict[str, Any]
    metrics: dict[str, Any]
    gate: dict[str, Any]
    created: datetime
    finished: datetime | None


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA the policy can wear."""

    id: str
    night_id: str | None
    path: str
    parent_id: str | None
    state: AdapterState
    created: datetime
    promoted: datetime | None


@dataclass(frozen=True, slots=True)
class Erased:
    """What erasing removed, and which adapters had learned from it."""

    conversations: int
    messages: int
    adapters: tuple[str, ...]

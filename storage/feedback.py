"""What people say about replies and about how they feel. Swipes come from `turns.choose`."""

from sqlalchemy import insert, select

from storage.database import Database, Reader
from storage.errors import BadInput
from storage.ids import Kind, known
from storage.locks import lock_conversation
from storage.models import FeedbackRow
from storage.text import name, optional_words
from storage.values import Feedback, FeedbackKind

_feedback = Reader(FeedbackRow, Feedback)
_THUMBS = {"up", "down"}
_DISTRESS = {str(level) for level in range(11)}


class FeedbackGiven:
    """Keeps and lists feedback."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def give(
        self,
        user: str,
        conversation: str,
        kind: FeedbackKind,
        *,
        turn: str | None = None,
        value: str | None = None,
        text: str | None = None,
    ) -> Feedback:
        """Thumbs are `up` or `down`, distress is `0` to `10`, a tag is a short label, a comment or an edit is text."""
        feedback = Feedback(
            id=self._database.new_id(Kind.FEEDBACK),
            conversation_id=known(Kind.CONVERSATION, conversation),
            turn_id=None if turn is None else known(Kind.TURN, turn),
            user_id=known(Kind.USER, user),
            kind=_checked_kind(kind, value),
            value=value,
            text=optional_words(text, "text"),
            created=self._database.now(),
        )
        with self._database.write() as connection:
            lock_conversation(connection, self._database, conversation, user=user, turn=turn)
            connection.execute(
                insert(FeedbackRow).values(
                    id=feedback.id,
                    conversation_id=conversation,
                    turn_id=turn,
                    user_id=user,
                    kind=feedback.kind,
                    value=value,
                    text=self._database.seal(text, "feedback.text", feedback.id),
                    created=feedback.created,
                )
            )
        return feedback

    def inside(self, user: str, conversation: str) -> list[Feedback]:
        """What they gave in one conversation, oldest first."""
        here = (FeedbackRow.user_id == known(Kind.USER, user), FeedbackRow.conversation_id == conversation)
        with self._database.read() as connection:
            rows = connection.execute(select(*_feedback.columns).where(*here).order_by(FeedbackRow.created))
            return [_feedback(self._database, row) for row in rows]

    def of(self, user: str) -> list[Feedback]:
        """All that a person gave, oldest first."""
        mine = FeedbackRow.user_id == known(Kind.USER, user)
        with self._database.read() as connection:
            rows = connection.execute(select(*_feedback.columns).where(mine).order_by(FeedbackRow.created))
            return [_feedback(self._database, row) for row in rows]


def _checked_kind(kind: FeedbackKind, value: object) -> FeedbackKind:
    if value is not None and not isinstance(value, str):
        raise BadInput("value must be text.")
    match kind:
        case FeedbackKind.THUMB if value in _THUMBS:
            pass
        case FeedbackKind.DISTRESS_BEFORE | FeedbackKind.DISTRESS_AFTER if value in _DISTRESS:
            pass
        case FeedbackKind.TAG if value is not None:
            name(value, "value", 64)
        case FeedbackKind.COMMENT | FeedbackKind.EDIT if value is None:
            pass
        case _:
            raise BadInput("A thumb is up or down, distress is 0 to 10, a tag is a label, comments and edits are text.")
    return kind

"""Who may write where: the person or conversation exists, is theirs, is not erased, and nobody erases it meanwhile.

Each takes the row for the rest of the transaction, so that erasing waits for the writers and those who come later find
nothing. What does not exist and what is somebody else's raise the same error.
"""

from sqlalchemy import Connection, select, update

from storage.database import Database
from storage.ids import Kind, known, missing
from storage.models import ConversationRow, TurnRow, UserRow


def lock_person(connection: Connection, user: str) -> None:
    here = (UserRow.id == known(Kind.USER, user), UserRow.erased_at.is_(None))
    # NO KEY UPDATE (PostgreSQL): new rows that point to the person need not wait, or the two could wait for each other.
    if connection.scalar(select(UserRow.id).where(*here).with_for_update(key_share=True)) is None:
        raise missing(Kind.USER)


def lock_conversation(
    connection: Connection, database: Database, conversation: str, *, user: str | None = None, turn: str | None = None
) -> None:
    """Note that a conversation is in use; with a person, it must be theirs; with a turn, that must be part of it."""
    here = [ConversationRow.id == known(Kind.CONVERSATION, conversation), ConversationRow.deleted_at.is_(None)]
    if user is not None:
        here.append(ConversationRow.user_id == known(Kind.USER, user))
    if not connection.execute(update(ConversationRow).where(*here).values(last_active=database.now())).rowcount:
        raise missing(Kind.CONVERSATION)
    if turn is None:
        return
    inside = (TurnRow.id == known(Kind.TURN, turn), TurnRow.conversation_id == conversation)
    if connection.scalar(select(TurnRow.id).where(*inside)) is None:
        raise missing(Kind.TURN)

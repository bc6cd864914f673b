"""Adapters: which exist, which one is live, and which conversations each learned from."""

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, insert, select, update

from storage import audit
from storage.database import Database, Reader
from storage.errors import BadInput, Conflict
from storage.ids import Kind, known, missing
from storage.models import AdapterRow, AdapterSourceRow, ConversationRow
from storage.values import Adapter, AdapterState

_adapter = Reader(AdapterRow, Adapter)
_LONGEST_PATH = 1000


class Adapters:
    """The registry's rows; loading and unloading weights is not its business."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, path: str, learned_from: Iterable[str] = (), *, night: str | None = None, parent: str | None = None
    ) -> Adapter:
        """A new candidate. Its path is new too: a server may cache what it loaded from an old one."""
        adapter = Adapter(
            id=self._database.new_id(Kind.ADAPTER),
            night_id=None if night is None else known(Kind.NIGHT, night),
            path=_checked_path(path),
            parent_id=None if parent is None else known(Kind.ADAPTER, parent),
            state=AdapterState.CANDIDATE,
            created=self._database.now(),
            promoted=None,
        )
        sources = sorted({known(Kind.CONVERSATION, source) for source in learned_from})
        with self._database.write() as connection:
            _require_unerased(connection, sources)
            connection.execute(
                insert(AdapterRow).values(
                    id=adapter.id,
                    night_id=night,
                    path=path,
                    parent_id=parent,
                    state=adapter.state,
                    created=adapter.created,
                )
            )
            if sources:
                rows = [{"adapter_id": adapter.id, "conversation_id": source} for source in sources]
                connection.execute(insert(AdapterSourceRow), rows)
        return adapter

    def newest(self) -> list[Adapter]:
        """The newest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(*_adapter.columns).order_by(AdapterRow.created.desc(), AdapterRow.id.desc())
            )
            return [_adapter(self._database, row) for row in rows]

    def live(self) -> Adapter | None:
        with self._database.read() as connection:
            is_live = AdapterRow.state == AdapterState.LIVE
            row = connection.execute(select(*_adapter.columns).where(is_live)).one_or_none()
            return _adapter(self._database, row) if row else None

    def promote(self, adapter: str, *, actor: str = audit.HOST) -> Adapter:
        """Make it the live one and retire the one before; the way back is to promote that one again."""
        now = self._database.now()
        with self._database.write() as connection:
            self._move(connection, AdapterRow.state == AdapterState.LIVE, state=AdapterState.RETIRED)
            here = AdapterRow.id == known(Kind.ADAPTER, adapter)
            fit = self._move(
                connection, here, AdapterRow.state != AdapterState.REJECTED, state=AdapterState.LIVE, promoted=now
            )
            row = connection.execute(select(*_adapter.columns).where(here)).one_or_none()
            if row is None:
                raise missing(Kind.ADAPTER)
            if not fit:
                raise Conflict("This adapter was rejected; it cannot go live.")
            audit.append(connection, now, actor, "adapter.promote", adapter)
            return _adapter(self._database, row)

    def set_state(self, adapter: str, state: AdapterState) -> None:
        """Canary, retired or rejected; going live has a verb of its own."""
        if state not in (AdapterState.CANARY, AdapterState.RETIRED, AdapterState.REJECTED):
            raise ValueError("an adapter is made a canary, retired or rejected; promote it to make it live")
        with self._database.write() as connection:
            if not self._move(connection, AdapterRow.id == known(Kind.ADAPTER, adapter), state=state):
                raise missing(Kind.ADAPTER)

    def learned_from(self, *, user: str | None = None, conversation: str | None = None) -> list[str]:
        """The ids of the adapters that learned from a person's conversations, or from one."""
        if conversation is not None:
            here = ConversationRow.id == known(Kind.CONVERSATION, conversation)
        else:
            here = ConversationRow.user_id == known(Kind.USER, user)
        with self._database.read() as connection:
            return adapters_that_saw(connection, here)

    @staticmethod
    def _move(connection: Connection, *where: ColumnElement[bool], **values: object) -> int:
        return connection.execute(update(AdapterRow).where(*where).values(**values)).rowcount


def adapters_that_saw(connection: Connection, where: ColumnElement[bool]) -> list[str]:
    """The adapters with a source among the conversations for which this holds."""
    query = (
        select(AdapterSourceRow.adapter_id)
        .join(ConversationRow, ConversationRow.id == AdapterSourceRow.conversation_id)
        .where(where)
        .distinct()
        .order_by(AdapterSourceRow.adapter_id)
    )
    return list(connection.scalars(query))


def _require_unerased(connection: Connection, conversations: Sequence[str]) -> None:
    """Hold the conversations: an erasing that comes later finds the adapter and names it."""
    here = ConversationRow.id.in_(conversations) & ConversationRow.deleted_at.is_(None)
    held = connection.scalars(select(ConversationRow.id).where(here).order_by(ConversationRow.id).with_for_update())
    if len(held.all()) != len(conversations):
        raise Conflict("A conversation that this adapter learned from was erased meanwhile. Reject it and train again.")


def _checked_path(path: object) -> str:
    if not isinstance(path, str) or not 1 <= len(path) <= _LONGEST_PATH or not path.isprintable():
        raise BadInput(f"An adapter's path is 1 to {_LONGEST_PATH} printable characters.")
    return path

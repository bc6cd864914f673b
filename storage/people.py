"""People: who they are to Attune, what they may do, what they agreed to."""

import re
import unicodedata
from typing import Any

from sqlalchemy import Connection, insert, select, update

from storage import audit
from storage.database import Database, Reader
from storage.errors import BadInput, Conflict
from storage.ids import Kind, known, missing
from storage.locks import lock_person
from storage.models import ConsentRow, UserRow
from storage.text import name
from storage.values import Consent, Purpose, Role, User

_user = Reader(UserRow, User)
_consent = Reader(ConsentRow, Consent)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_ID_BEGINNING = f"{Kind.USER}_"
_UNCHANGED: Any = object()


class People:
    """Adds, finds and changes people and their consents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, handle: str | None = None, role: Role = Role.SEEKER, *, actor: str = audit.HOST) -> User:
        """A new person; without a handle, an anonymous one. Giving somebody power is audited."""
        user, now = self._database.new_id(Kind.USER), self._database.now()
        if handle is not None:
            _check_handle(handle)
        with self._database.write() as connection:
            if handle is not None and connection.scalar(select(UserRow.id).where(UserRow.handle == handle)):
                raise Conflict("This handle is taken. Choose another.")
            connection.execute(
                insert(UserRow).values(id=user, handle=handle, role=Role(role), created=now, last_seen=now)
            )
            if role is not Role.SEEKER:
                audit.append(connection, now, actor, "user.add", user, role=role)
            return self._read(connection, user)

    def get(self, user: str) -> User:
        with self._database.read() as connection:
            return self._read(connection, known(Kind.USER, user))

    def find(self, handle_or_id: str) -> User:
        """By either: what a host types on the command line."""
        with self._database.read() as connection:
            wanted = _printable(handle_or_id)
            column = UserRow.id if wanted.startswith(_ID_BEGINNING) else UserRow.handle
            row = connection.execute(select(*_user.columns).where(column == wanted)).one_or_none()
        if row is None:
            raise missing(Kind.USER)
        return _user(self._database, row)

    def named(self) -> list[User]:
        """Everybody with a handle or with power; anonymous seekers are not listed."""
        named = UserRow.handle.is_not(None) | (UserRow.role != Role.SEEKER)
        with self._database.read() as connection:
            rows = connection.execute(select(*_user.columns).where(named).order_by(UserRow.created))
            return [_user(self._database, row) for row in rows]

    def set_role(self, user: str, role: Role, *, actor: str = audit.HOST) -> User:
        with self._database.write() as connection:
            self._update(connection, user, role=Role(role))
            audit.append(connection, self._database.now(), actor, "user.role", user, role=role)
            return self._read(connection, user)

    def describe(self, user: str, *, country: str | None = _UNCHANGED, adult: bool | None = _UNCHANGED) -> User:
        """What the person said about themselves: an ISO 3166 country in two capitals, whether they are an adult."""
        changes = {
            key: check(value)
            for key, value, check in (("country", country, _country), ("adult", adult, _adult))
            if value is not _UNCHANGED
        }
        with self._database.write() as connection:
            self._update(connection, user, **changes, last_seen=self._database.now())
            return self._read(connection, user)

    def seen(self, user: str) -> None:
        with self._database.write() as connection:
            self._update(connection, user, last_seen=self._database.now())

    def grant(self, user: str, purpose: Purpose) -> Consent:
        """Note a consent; one already in force stays as it is."""
        with self._database.write() as connection:
            lock_person(connection, user)
            mine = self._consents_in_force(user).where(ConsentRow.purpose == Purpose(purpose))
            if (row := connection.execute(mine).one_or_none()) is None:
                consent, now = self._database.new_id(Kind.CONSENT), self._database.now()
                connection.execute(insert(ConsentRow).values(id=consent, user_id=user, purpose=purpose, granted_at=now))
                row = connection.execute(mine).one()
            return _consent(self._database, row)

    def withdraw(self, user: str, purpose: Purpose) -> None:
        """Withdraw a consent; it is kept as history. Without one, nothing changes."""
        with self._database.write() as connection:
            lock_person(connection, user)
            withdraw_all(connection, self._database, user, Purpose(purpose))

    def consents(self, user: str) -> list[Consent]:
        with self._database.read() as connection:
            self._read(connection, known(Kind.USER, user))
            rows = connection.execute(
                select(*_consent.columns).where(ConsentRow.user_id == user).order_by(ConsentRow.granted_at)
            )
            return [_consent(self._database, row) for row in rows]

    @staticmethod
    def _consents_in_force(user: str) -> Any:  # noqa: ANN401
        return select(*_consent.columns).where(ConsentRow.user_id == user, ConsentRow.withdrawn_at.is_(None))

    def _read(self, connection: Connection, user: str) -> User:
        row = connection.execute(select(*_user.columns).where(UserRow.id == user)).one_or_none()
        if row is None:
            raise missing(Kind.USER)
        return _user(self._database, row)

    @staticmethod
    def _update(connection: Connection, user: str, **changes: Any) -> None:  # noqa: ANN401
        here = (UserRow.id == known(Kind.USER, user), UserRow.erased_at.is_(None))
        if not connection.execute(update(UserRow).where(*here).values(**changes)).rowcount:
            raise missing(Kind.USER)


def _check_handle(handle: str) -> None:
    if name(handle, "handle", 64).startswith(_ID_BEGINNING):
        raise BadInput(f"A handle cannot begin like an id, with {_ID_BEGINNING}. Choose another.")
    # Otherwise Ada could pass for ada.
    if unicodedata.normalize("NFKC", handle).casefold() != handle:
        raise BadInput("A handle is written in small letters and in their usual form. Choose another.")


def _country(value: object) -> object:
    if value is not None and not (isinstance(value, str) and _COUNTRY.fullmatch(value)):
        raise BadInput("country must be two capital letters, like GB or DE.")
    return value


def _adult(value: object) -> object:
    if not isinstance(value, bool | None):
        raise BadInput("adult must be true, false or not given.")
    return value


def withdraw_all(connection: Connection, database: Database, user: str, purpose: Purpose | None = None) -> None:
    """Withdraw one consent in force, or every one."""
    mine = [ConsentRow.user_id == user, ConsentRow.withdrawn_at.is_(None)]
    if purpose:
        mine.append(ConsentRow.purpose == purpose)
    connection.execute(update(ConsentRow).where(*mine).values(withdrawn_at=database.now()))


def _printable(text: object) -> str:
    try:
        return name(text, "handle", 64)
    except BadInput:
        raise missing(Kind.USER) from None

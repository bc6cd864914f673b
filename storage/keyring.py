"""Which keys a database was written with, and the move from one to the next.

Every key that ever wrote has a row; having no key is a key named `plain`. Each writer checks, in its own
transaction, that its key is still in use: so a server started with an old key, or with none, is refused instead of
writing what nobody can read, or plain text among encrypted. `rekey` first retires the other keys, then rewrites
what they wrote.
"""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, func, insert, or_, select, text, tuple_, update

from storage.crypto import PLAIN, Keys
from storage.database import Database, place, place_key
from storage.errors import WrongKey
from storage.models import DataKeyRow, Row, Sealed

_BATCH = 500


def check(connection: Connection, keys: Keys) -> None:
    """Raise unless everything that is stored can be read with these keys."""
    holding = set(connection.scalars(select(DataKeyRow.id).where(DataKeyRow.emptied_at.is_(None))))
    missing = sorted(holding - keys.reading)
    if not missing:
        return
    if missing == [PLAIN]:
        raise WrongKey(
            "ATTUNE_DATA_KEY is set, but this database holds plain text. "
            "Stop Attune, run `attune db rekey` to encrypt it, and start again."
        )
    names = ", ".join(missing)
    if keys.writing == PLAIN:
        raise WrongKey(f"This database is encrypted. Set ATTUNE_DATA_KEY to the key it was written with ({names}).")
    raise WrongKey(
        f"This database was written with the key {names}, which ATTUNE_DATA_KEY does not have. Set it to that key; "
        "a newly made one cannot open it. While you change keys it is NEW,OLD."
    )


def still_needed(connection: Connection, keys: Keys) -> list[str]:
    """The keys beside the writing one that some text may still be under: `rekey` has not ended."""
    other = (DataKeyRow.emptied_at.is_(None), DataKeyRow.id != keys.writing)
    return list(connection.scalars(select(DataKeyRow.id).where(*other).order_by(DataKeyRow.id)))


def adopt(database: Database) -> None:
    """Check the keys, and note the writing key if the database has not seen it before."""
    with database.write(checked=False) as connection:
        _one_at_a_time(connection)
        check(connection, database.keys)
        _begin_using(connection, database)


def rekey(database: Database, progress: Callable[[int, int], None] = lambda _done, _total: None) -> int:
    """Rewrite all that is not under the writing key; safe to stop and start again. Gives how many rows it rewrote."""
    with database.write(checked=False) as connection:
        _one_at_a_time(connection)
        check(connection, database.keys)
        _begin_using(connection, database)
        others = and_(DataKeyRow.id != database.keys.writing, DataKeyRow.retired_at.is_(None))
        connection.execute(update(DataKeyRow).where(others).values(retired_at=database.clock.now()))
    with database.read() as connection:
        stale = [select(func.count()).select_from(table).where(_stale(database, table)) for table in sealed_tables()]
        total = sum(connection.scalar(query) or 0 for query in stale)
    rewritten = 0
    for table in sealed_tables():
        for count in _rewrite(database, table):
            rewritten += count
            progress(rewritten, total)
    with database.write() as connection:
        emptied = and_(DataKeyRow.id != database.keys.writing, DataKeyRow.emptied_at.is_(None))
        connection.execute(update(DataKeyRow).where(emptied).values(emptied_at=database.clock.now()))
    database.forget()
    return rewritten


def sealed_tables() -> list[Table]:
    return [table for table in Row.metadata.sorted_tables if sealed_columns(table)]


def sealed_columns(table: Table) -> list[str]:
    return [column.name for column in table.columns if isinstance(column.type, Sealed)]


def _one_at_a_time(connection: Connection) -> None:
    """Two that open a new database at once, one with a key and one without, would both find it empty."""
    if connection.dialect.name == "postgresql":  # ordinary writers only share rows of this table: they go on
        connection.execute(text("LOCK TABLE data_key IN SHARE ROW EXCLUSIVE MODE"))


def _begin_using(connection: Connection, database: Database) -> None:
    writing = database.keys.writing
    known = connection.execute(
        update(DataKeyRow).where(DataKeyRow.id == writing).values(retired_at=None, emptied_at=None)
    )
    if not known.rowcount:
        connection.execute(insert(DataKeyRow).values(id=writing, created=database.clock.now()))


def _rewrite(database: Database, table: Table) -> Iterator[int]:
    """Rewrite one table in batches, each its own transaction, in the order of its key."""
    key = list(table.primary_key.columns)
    columns = sealed_columns(table)
    after: tuple[Any, ...] | None = None
    while True:
        with database.write() as connection:
            query = select(table).where(_stale(database, table)).order_by(*key).limit(_BATCH).with_for_update()
            rows = connection.execute(query.where(tuple_(*key) > after) if after else query).mappings().all()
            for row in rows:
                where = [column == row[column.name] for column in key]
                at = [row[name] for name in place_key(table)]
                fresh = {
                    name: _reseal(database.keys, row[name], place(f"{table.name}.{name}", *at)) for name in columns
                }
                connection.execute(update(table).where(*where).values(fresh))
        if not rows:
            return
        after = tuple(rows[-1][column.name] for column in key)
        yield len(rows)


def _stale(database: Database, table: Table) -> ColumnElement[bool]:
    prefix = database.keys.prefix
    return or_(*(func.substr(table.c[name], 1, len(prefix)) != prefix for name in sealed_columns(table)))


def _reseal(keys: Keys, stored: bytes | None, at: str) -> bytes | None:
    return None if stored is None else keys.seal(keys.open(stored, at), at)

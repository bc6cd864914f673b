"""What Alembic runs for every command.

All steps are one transaction on both databases: a migration happens or it does not. SQLite rebuilds a table to
change it, and dropping the old copy would cascade through foreign keys: they are off while migrations run and
checked before the commit.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from alembic import context
from sqlalchemy import Column, Connection, LargeBinary, text
from sqlalchemy.types import TypeEngine

from storage.engine import make_engine, parse_url
from storage.models import Row, Sealed, UtcTime


def _spell(kind: str, column_type: Any, _autogen: object) -> str | Literal[False]:  # noqa: ANN401
    """Write our own types as what they are in SQL, so that migrations do not depend on today's models."""
    if kind == "type" and isinstance(column_type, Sealed):
        return "sa.LargeBinary()"
    if kind == "type" and isinstance(column_type, UtcTime):
        return "sa.DateTime(timezone=True)"
    return False


def _differs(
    _context: object, _found: Column[Any], _wanted: Column[Any], found: TypeEngine[Any], wanted: TypeEngine[Any]
) -> bool | None:
    return False if isinstance(wanted, Sealed) and isinstance(found, LargeBinary) else None


def _migrate(connection: Connection) -> None:
    sqlite = connection.dialect.name == "sqlite"
    with connection.begin():
        if not sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('attune migrations'))"))
        # Inside the transaction: Alembic would begin and commit one of its own otherwise.
        context.configure(
            connection=connection,
            target_metadata=Row.metadata,
            render_as_batch=sqlite,
            render_item=_spell,
            compare_type=_differs,
            transactional_ddl=True,
        )
        context.run_migrations()
        if sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
            raise RuntimeError("a migration left rows that point nowhere")


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    if connection.dialect.name != "sqlite":
        yield
        return
    # Below SQLAlchemy, which would begin a transaction first: inside one this pragma does nothing.
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        cursor.execute("PRAGMA foreign_keys=ON")


engine = context.config.attributes.get("engine") or make_engine(parse_url(os.environ["ATTUNE_DATABASE_URL"]))
with engine.connect().execution_options(writes=True) as opened, _without_foreign_keys(opened):
    _migrate(opened)

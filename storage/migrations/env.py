"""What Alembic runs for every command.

All steps are one transaction on both databases: a migration happens or it does not. SQLite rebuilds a table to
change it, and dropping the old copy would cascade through foreign keys: they are off while migrations run and
checked before the commit.
"""

import os
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
    if sqlite:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.rollback()  # the pragma does nothing inside the transaction that follows
    context.configure(
        connection=connection,
        target_metadata=Row.metadata,
        render_as_batch=sqlite,
        render_item=_spell,
        compare_type=_differs,
        transactional_ddl=True,
    )
    with connection.begin():
        if not sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('attune migrations'))"))
        with context.begin_transaction():
            context.run_migrations()
        if sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
            raise RuntimeError("a migration left rows that point nowhere")
    if sqlite:
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        connection.rollback()


engine = context.config.attributes.get("engine") or make_engine(parse_url(os.environ["ATTUNE_DATABASE_URL"]))
with engine.connect().execution_options(writes=True) as opened:
    _migrate(opened)

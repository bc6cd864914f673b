"""Every migration is run up and down over a database with data in it, and what must stay, stays."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from databases import KEY, run_migrations
from storage import migrate
from storage.errors import NotReady
from storage.store import connect, open_store

REVISIONS = ["0001", "0002", "0003"]
Snapshot = dict[str, list[tuple[Any, ...]]]

# A change of the kind that later versions will need: SQLite has to build the table anew, with rows that point to it.
REBUILD = '''
"""Rebuild the message table."""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9001", "0003", None, None


def upgrade() -> None:
    with op.batch_alter_table("message") as table:
        table.add_column(sa.Column("language", sa.String(8), nullable=False, server_default="und"))
        table.alter_column("role", new_column_name="speaker", existing_type=sa.String(40))


def downgrade() -> None:
    with op.batch_alter_table("message") as table:
        table.alter_column("speaker", new_column_name="role", existing_type=sa.String(40))
        table.drop_column("language")
'''


def test_the_revisions_listed_here_are_all_there_are() -> None:
    assert migrate.newest() == REVISIONS[-1]


@pytest.mark.parametrize(("lower", "higher"), list(pairwise(["base", *REVISIONS])))
def test_each_step_up_and_down_keeps_every_row_of_the_tables_that_remain(
    backend: str, empty_database: Callable[[str], str], lower: str, higher: str
) -> None:
    url = empty_database(backend)
    transactions = connect(url, create=True)
    if lower != "base":
        run_migrations(url, lower)
    before = _fill(transactions.engine)
    migrate.upgrade(transactions.engine, higher)
    assert _shared(before, _snapshot(transactions.engine)) == before
    above = _fill(transactions.engine)
    migrate.downgrade(transactions.engine, lower)
    below = _snapshot(transactions.engine)
    assert below == {table: above[table] for table in below}
    migrate.upgrade(transactions.engine, higher)
    assert _shared(below, _snapshot(transactions.engine)) == below
    transactions.close()


def test_a_table_is_rebuilt_under_rows_that_point_to_it_and_nothing_is_lost(url: str, tmp_path: Path) -> None:
    transactions = connect(url)
    before = _fill(transactions.engine)
    scripts = _scripts_with(tmp_path, REBUILD)
    migrate.upgrade(transactions.engine, "9001", scripts)
    after = _snapshot(transactions.engine)
    assert {len(rows) for rows in after.values()} == {len(rows) for rows in before.values()}
    assert all(row[-1] == "und" for row in after["message"])
    migrate.downgrade(transactions.engine, "0003", scripts)
    assert _snapshot(transactions.engine) == before
    _add_message_without_conversation_fails(transactions.engine)
    transactions.close()


def test_a_migration_that_fails_half_way_changes_nothing(url: str, tmp_path: Path) -> None:
    transactions = connect(url)
    before = _fill(transactions.engine)
    scripts = _scripts_with(
        tmp_path, REBUILD.replace("\n\n\ndef downgrade", '\n    op.execute("nonsense")\n\n\ndef downgrade')
    )
    with pytest.raises(Exception, match="database did not answer"):
        migrate.upgrade(transactions.engine, "9001", scripts)
    assert migrate.current(transactions.engine) == "0003"
    assert _snapshot(transactions.engine) == before
    transactions.close()


def test_a_migration_that_leaves_rows_pointing_nowhere_is_undone(
    migrated_database: Callable[[str], str], tmp_path: Path
) -> None:
    transactions = connect(migrated_database("sqlite"))
    before = _fill(transactions.engine)
    bad = REBUILD.replace("    with op.batch", '    op.execute("DELETE FROM conversation")\n    with op.batch', 1)
    with pytest.raises(RuntimeError, match="point nowhere"):
        migrate.upgrade(transactions.engine, "9001", _scripts_with(tmp_path, bad))
    assert _snapshot(transactions.engine) == before
    transactions.close()


@pytest.mark.slow
def test_processes_that_start_at_once_migrate_once(backend: str, empty_database: Callable[[str], str]) -> None:
    url = empty_database(backend)
    upgrade = [sys.executable, "-m", "app", "db", "upgrade"]
    environment = {**os.environ, "ATTUNE_DATABASE_URL": url}
    starting = [subprocess.Popen(upgrade, env=environment, stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [process.wait(timeout=60) for process in starting] == [0, 0, 0, 0]
    open_store(url, [KEY]).close()


def test_the_models_and_the_migrations_agree(url: str) -> None:
    transactions = connect(url)
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["engine"] = transactions.engine
    command.check(config)  # raises where they differ
    assert migrate.current(transactions.engine) == migrate.newest()
    transactions.close()


def test_a_database_without_tables_says_what_to_do(backend: str, empty_database: Callable[[str], str]) -> None:
    url = empty_database(backend)
    connect(url, create=True).close()
    with pytest.raises(NotReady, match="attune db upgrade"):
        open_store(url)


def test_an_older_database_says_what_to_do(backend: str, empty_database: Callable[[str], str]) -> None:
    url = empty_database(backend)
    run_migrations(url, "0001")
    with pytest.raises(NotReady, match=r"0001.*attune db upgrade"):
        open_store(url)


def test_a_database_of_a_newer_version_is_left_alone(url: str) -> None:
    transactions = connect(url)
    with transactions.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '4711'"))
    with pytest.raises(NotReady, match="newer Attune"):
        open_store(url)
    transactions.close()


def test_an_unknown_revision_is_a_clear_error(url: str) -> None:
    transactions = connect(url)
    with pytest.raises(NotReady, match="4711"):
        migrate.downgrade(transactions.engine, "4711")
    transactions.close()


def _scripts_with(folder: Path, script: str) -> str:
    """The project's migrations and one more."""
    original = Path(migrate.__file__).parent / "migrations"
    (folder / "versions").mkdir()
    for path in (*original.glob("versions/*.py"), original / "env.py", original / "script.py.mako"):
        (folder / path.relative_to(original)).write_text(path.read_text())
    (folder / "versions" / "9001_later.py").write_text(script)
    return str(folder)


def _fill(engine: sa.Engine) -> Snapshot:
    """Put rows that point to each other into every table there is, whatever its columns; give all rows."""
    tables = sa.MetaData()
    tables.reflect(engine)
    rng = random.Random(len(tables.tables))
    keys: dict[sa.Column[Any], list[Any]] = {}
    with engine.begin() as connection:
        for table in tables.sorted_tables:
            full = table.name == "alembic_version" or connection.scalar(sa.select(sa.func.count()).select_from(table))
            for number in range(0 if full else 3):
                row = {column.name: _cell(column, number, keys, rng) for column in table.columns}
                connection.execute(sa.insert(table).values(row))
            keys |= {column: list(connection.scalars(sa.select(column))) for column in table.columns}
    return _snapshot(engine)


def _cell(column: sa.Column[Any], number: int, keys: dict[sa.Column[Any], list[Any]], rng: random.Random) -> Any:  # noqa: ANN401
    if column.foreign_keys:
        pointed = next(iter(column.foreign_keys)).column
        return sorted(keys[pointed])[number] if keys.get(pointed) else None
    makers: dict[type[Any], Callable[[], Any]] = {
        sa.LargeBinary: lambda: b"\xff" + rng.randbytes(40),
        sa.Boolean: lambda: bool(number % 2),
        sa.Float: rng.random,
        sa.Integer: lambda: number,
        sa.DateTime: lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(10**7)),
        sa.JSON: lambda: {"number": number},
        sa.String: lambda: f"{number}{column.name}"[: getattr(column.type, "length", None)],
    }
    return next(make() for kind, make in makers.items() if isinstance(column.type, kind))


def _snapshot(engine: sa.Engine) -> Snapshot:
    tables = sa.MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        return {
            table.name: sorted(
                (tuple(str(cell) for cell in row) for row in connection.execute(sa.select(table))),
            )
            for table in tables.sorted_tables
            if table.name != "alembic_version"
        }


def _shared(wanted: Snapshot, found: Snapshot) -> Snapshot:
    return {table: found[table] for table in wanted}


def _add_message_without_conversation_fails(engine: sa.Engine) -> None:
    """Foreign keys are enforced again after a migration."""
    insert = sa.text(
        "INSERT INTO message (id, conversation_id, seq, role, created) VALUES ('m', 'nowhere', 1, 'user', :now)"
    )
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(insert, {"now": "2026-01-01 00:00:00"})

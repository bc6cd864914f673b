"""Moves the tables up and down, and says where they stand."""

from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Engine

from storage.engine import Transactions, readable_errors
from storage.errors import NotReady

_SCRIPTS = "storage:migrations"


def upgrade(engine: Engine, revision: str = "head", scripts: str = _SCRIPTS) -> None:
    _run(command.upgrade, engine, revision, scripts)


def downgrade(engine: Engine, revision: str, scripts: str = _SCRIPTS) -> None:
    _run(command.downgrade, engine, revision, scripts)


def current(engine: Engine) -> str | None:
    with readable_errors(), engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    return ScriptDirectory.from_config(_config(_SCRIPTS)).get_current_head()


def require_newest(transactions: Transactions) -> None:
    """Raise unless the tables are those of this version."""
    found, wanted = current(transactions.engine), newest()
    if found == wanted:
        return
    if found is None:
        raise NotReady("The database has no tables yet. Run `attune db upgrade`.")
    if found in _revisions(_SCRIPTS):
        raise NotReady(f"The database is at revision {found}, this version needs {wanted}. Run `attune db upgrade`.")
    raise NotReady(f"The database is at revision {found}, made by a newer Attune. Install that version or a later one.")


def _revisions(scripts: str) -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config(scripts)).walk_revisions()}


def _run(verb: Any, engine: Engine, revision: str, scripts: str) -> None:  # noqa: ANN401
    config = _config(scripts)
    config.attributes["engine"] = engine
    with readable_errors():
        try:
            verb(config, revision)
        except CommandError:
            there_are = ", ".join(["base", *sorted(_revisions(scripts))])
            raise NotReady(f"The tables cannot be brought to {revision}. The revisions are: {there_are}.") from None


def _config(scripts: str) -> Config:
    config = Config()
    config.set_main_option("script_location", scripts)
    config.set_main_option("path_separator", "os")
    return config

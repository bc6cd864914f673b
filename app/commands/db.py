"""`attune db`: the tables, the keys, and what is kept for how long."""

import re
from contextlib import closing
from datetime import timedelta

import click

from app import wiring
from app.commands import as_json, loaded, make_sure, opened_store, progress, tell, yes
from app.settings import SettingsError
from storage import migrate
from storage.errors import HOW_TO_MAKE_A_KEY
from storage.store import connect
from storage.store import rekey as rekey_database


def _known_form(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"head|base|[0-9]{4}", value):
        raise click.BadParameter("a revision is four digits, like 0002, or head or base.")
    return value


@click.group()
def command() -> None:
    """Make, migrate, prune and re-encrypt the database."""


@command.command()
@click.option("--to", "revision", default="head", show_default=True, callback=_known_form, help="Like 0002.")
def upgrade(revision: str) -> None:
    """Make the database, or bring its tables to this version. What is in it stays."""
    with closing(connect(loaded().database, create=True)) as transactions:
        migrate.upgrade(transactions.engine, revision)
        click.echo(f"The database is at revision {migrate.current(transactions.engine)}.")


@command.command()
@click.argument("revision", callback=_known_form)
@yes
def downgrade(revision: str, yes: bool) -> None:  # noqa: FBT001
    """Bring the tables back to an earlier REVISION, like 0001 or base.

    What only later tables hold is lost. Make a backup first.
    """
    with closing(connect(loaded().database)) as transactions:
        if not yes:
            make_sure(f"Go back to {revision}? What only later tables hold is lost.")
        migrate.downgrade(transactions.engine, revision)
        click.echo(f"The database is at revision {migrate.current(transactions.engine) or 'base (empty)'}.")


@command.command()
@as_json
def rekey(json_wanted: bool) -> None:  # noqa: FBT001
    """Re-encrypt everything under the first key of ATTUNE_DATA_KEY.

    To rotate: set ATTUNE_DATA_KEY=NEW,OLD, restart Attune, run this, then remove OLD. To begin encrypting: stop
    Attune, set ATTUNE_DATA_KEY=NEW, run this, start Attune. Safe to stop and run again.
    """
    settings = loaded()
    if not settings.keys:
        wiring.make_store(settings).close()  # where the database is encrypted, that says which key is missing
        raise SettingsError([f"ATTUNE_DATA_KEY is not set: there is no key to encrypt with. {HOW_TO_MAKE_A_KEY}"])
    with progress("Re-encrypting") as show:
        count = rekey_database(settings.database, settings.keys, show)
    text = f"Everything is under the first key now; {count} rows were rewritten for it."
    text += " The older keys can go from ATTUNE_DATA_KEY." if len(settings.keys) > 1 else ""
    tell(json_wanted, {"rewritten": count}, text)


@command.command()
@as_json
def prune(json_wanted: bool) -> None:  # noqa: FBT001
    """Erase conversations unused for ATTUNE_RETENTION_DAYS, and temporary ones after ATTUNE_TEMPORARY_HOURS.

    One that an operator has yet to look at stays until its flag is closed.
    """
    settings = loaded()
    keep = None if settings.retention_days is None else timedelta(days=settings.retention_days)
    with opened_store() as store:
        erased = store.erase.prune(keep, timedelta(hours=settings.temporary_hours))
    tell(json_wanted, erased, f"Erased {erased.conversations} conversations, {erased.messages} messages.")

"""What tests import to reach a database: keys, a clock that moves when told to, and ways below the store."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from storage import migrate
from storage.engine import Transactions, parse_url
from storage.models import Row
from storage.store import connect

KEY = "YXR0dW5lIHRlc3Qga2V5IG51bWJlciBvbmUhISEhISE="
OTHER_KEY = "YXR0dW5lIHRlc3Qga2V5IG51bWJlciB0d28hISEhISE="

BACKENDS = ["sqlite", "postgresql"]


class FakeClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def pass_by(self, **time: float) -> None:
        self.moment += timedelta(**time)


def run_migrations(url: str, revision: str = "head") -> None:
    transactions = connect(url, create=True)
    migrate.upgrade(transactions.engine, revision)
    transactions.close()


def transactions_of(url: str) -> Transactions:
    """For tests that look below the store."""
    return Transactions(parse_url(url))


def file_of(url: str) -> Path:
    return Path(str(make_url(url).database))


def empty_again(url: str) -> bool:
    """Empty a PostgreSQL database as the migrations leave it; not if a test has changed its tables."""
    with psycopg.connect(url, autocommit=True) as connection:
        version = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        if version != [(migrate.newest(),)]:
            return False
        names = [table.name for table in reversed(Row.metadata.sorted_tables)]
        connection.execute("; ".join(f'DELETE FROM "{name}"' for name in names).encode())
        connection.execute("INSERT INTO audit_head VALUES (1, 0, repeat('0', 64))")
    return True

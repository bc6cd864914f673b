"""The connection to the database: SQLite in WAL mode or PostgreSQL, transactions, and errors that people can read.

SQLite's own waiting for the write lock sleeps up to 100 ms between tries and serves no queue, so writers stand in
line at a lock file instead (measured in docs/decisions/0002-storage.md). `BEGIN IMMEDIATE` takes SQLite's lock
before the first read, since a transaction that began as a reader can fail with "database is locked" at its first
write, whatever the time-out.
"""

import fcntl
import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError

from storage.errors import BadInput, Conflict, NotReady, Unavailable

_BUSY_MS = 60_000
_TRIES_TO_FORGET = 10
_PRAGMAS = (
    f"busy_timeout={_BUSY_MS}",
    "synchronous=FULL",  # an acknowledged message survives a power cut, not only a crash
    "foreign_keys=ON",
    "secure_delete=ON",  # erased text is overwritten in the file, not only unlinked
)

_CODES = {
    "SQLITE_FULL": "The disk is full. Free some space.",
    "SQLITE_CANTOPEN": "The database file cannot be opened. Check its folder and who may write there.",
    "SQLITE_READONLY": "The database file cannot be written. Check who may write to it and to its folder.",
    "SQLITE_NOTADB": "The file is not an SQLite database. Is ATTUNE_DATABASE_URL right?",
    "SQLITE_CORRUPT": "The database file is damaged. Restore it from a backup.",
    "53100": "The database server's disk is full. Free some space.",
    "53300": "The database server has no connection left. Close some, or raise its max_connections.",
}


def parse_url(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        url = None
    backend = url.get_backend_name() if url else None
    if url is None or backend not in {"sqlite", "postgresql"}:
        raise NotReady("The database must be sqlite:///path/to/file.db or postgresql://user:password@host/name.")
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if not _names_a_file(url):
        raise NotReady("SQLite needs a file and nothing else: sqlite:///path/to/file.db.")
    return url.set(drivername="sqlite")


def _names_a_file(url: URL) -> bool:
    if not url.database or url.database == ":memory:" or "\0" in url.database or url.query:
        return False
    if any(part is not None for part in (url.username, url.password, url.host)):
        return False
    try:
        Path(url.database).exists()
    except OSError:  # too long
        return False
    return True


def sqlite_file(url: URL) -> Path | None:
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def make_engine(url: URL) -> Engine:
    # hide_parameters: an error's text would otherwise quote what people wrote.
    if sqlite_file(url) is None:
        engine = create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    else:
        engine = create_engine(url, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def make_file(file: Path) -> None:
    """Make SQLite's file before SQLite does, readable for its owner alone."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
    except OSError as error:
        raise NotReady(f"{file.absolute()} cannot be made: {error.strerror}. Set ATTUNE_DATABASE_URL.") from None


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401
    connection.isolation_level = None  # the driver begins nothing by itself; _begin_sqlite does
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")


class Transactions:
    """Reads that see one moment, writes that happen whole or not at all. None is ever open across a model call."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.engine = make_engine(url)
        self._file = sqlite_file(url)
        # SQLite's readers see one moment anyway.
        snapshot = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True} if self._file is None else {}
        self._reading = self.engine.execution_options(**snapshot)
        self._writing = self.engine.execution_options(writes=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with readable_errors(), self._reading.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with readable_errors(), self._turn_to_write(), self._writing.begin() as connection:
            yield connection

    @contextmanager
    def outside_transactions(self) -> Iterator[Connection]:
        """For what a database refuses inside one: VACUUM, checkpoints, pragmas about foreign keys."""
        autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        with readable_errors(), autocommit.connect() as connection:
            yield connection

    def forget(self) -> bool:
        """Leave nothing of erased text in SQLite's log. False: somebody kept reading it; the next call clears it.

        PostgreSQL frees it at its next vacuum.
        """
        if self._file is None:
            return True
        for _ in range(_TRIES_TO_FORGET):
            # Waiting for readers within the checkpoint would keep all writers waiting too.
            with self._turn_to_write(), self.outside_transactions() as connection:
                connection.exec_driver_sql("PRAGMA busy_timeout=100")
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
                connection.exec_driver_sql(f"PRAGMA busy_timeout={_BUSY_MS}")
            if not busy:
                return True
            time.sleep(0.1)
        return False

    def use_wal(self) -> None:
        """Let SQLite's readers and writer work side by side; the file remembers it."""
        if self._file is not None:
            with self.outside_transactions() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")

    def settle(self) -> None:
        """After many writes: let the database tidy up and look at its own figures, as it does by itself in time."""
        statements = ("PRAGMA wal_checkpoint(TRUNCATE)", "ANALYZE") if self._file else ("VACUUM ANALYZE", "CHECKPOINT")
        with self.outside_transactions() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        """Queue for SQLite's single writer. The kernel frees the place of a process that dies."""
        if self._file is None:
            yield
            return
        handle = os.open(f"{self._file}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


@contextmanager
def readable_errors() -> Generator[None]:
    """Turn the driver's errors into ours, without their text: it may quote a row."""
    try:
        yield
    except IntegrityError:
        raise Conflict("This clashes with what is already stored. Nothing was written; load it again.") from None
    except (DataError, OverflowError):  # SQLite's driver raises the latter for numbers over 64 bits
        raise BadInput("The database cannot hold this value. Nothing was written.") from None
    except DBAPIError as error:
        raise Unavailable(f"{_what_happened(error.orig)} What was stored before is kept.") from None


def _what_happened(error: object) -> str:
    """By the driver's code for it, never by its text."""
    code = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
    if code is None:
        return "The database cannot be reached. Is it running, and is all of ATTUNE_DATABASE_URL right?"
    known = next((sentence for beginning, sentence in _CODES.items() if code.startswith(beginning)), None)
    return f"{known or 'The database did not answer. Try again.'} ({code})"

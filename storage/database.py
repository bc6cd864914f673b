"""A database with its keys and its clock: what the domain verbs stand on.

`Reader` turns a row into a frozen value, opening sealed columns on the way, so that no verb maps columns by hand.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar, get_type_hints

from sqlalchemy import Connection, Table, select
from sqlalchemy.orm import InstrumentedAttribute

from storage.clock import Clock
from storage.crypto import Keys
from storage.engine import Transactions
from storage.errors import WrongKey
from storage.ids import Kind, new_id
from storage.models import DataKeyRow, Row, Sealed

T = TypeVar("T")


def place(column: str, *key: object) -> str:
    """Where a sealed text stands: a value moved to any other place no longer opens."""
    return "/".join([column, *map(str, key)])


def place_key(table: Table) -> list[str]:
    """The columns whose values name a row's place: its id where it has one."""
    return ["id"] if "id" in table.columns else [column.name for column in table.primary_key.columns]


@dataclass(frozen=True)
class Database:
    """Transactions, keys and time in one hand."""

    transactions: Transactions
    keys: Keys
    clock: Clock

    def read(self) -> AbstractContextManager[Connection]:
        return self.transactions.read()

    @contextmanager
    def write(self, *, checked: bool = True) -> Iterator[Connection]:
        with self.transactions.write() as connection:
            if checked:
                self._check_key_in_use(connection)
            yield connection

    def forget(self) -> bool:
        return self.transactions.forget()

    def now(self) -> datetime:
        return self.clock.now()

    def new_id(self, kind: Kind) -> str:
        return new_id(kind, self.clock.now())

    def seal(self, text: str | None, column: str, *key: object) -> bytes | None:
        return None if text is None else self.keys.seal(text, place(column, *key))

    def open(self, stored: bytes | None, column: str, *key: object) -> str | None:
        return None if stored is None else self.keys.open(stored, place(column, *key))

    def _check_key_in_use(self, connection: Connection) -> None:
        # FOR SHARE (PostgreSQL): retiring a key waits for the writers that still use it.
        used = select(DataKeyRow.id).where(DataKeyRow.id == self.keys.writing, DataKeyRow.retired_at.is_(None))
        if connection.scalar(used.with_for_update(read=True)) is None:
            raise WrongKey(
                "Another process moved this database to a new key. Set ATTUNE_DATA_KEY to it and start again. "
                "Nothing was written."
            )


class Reader(Generic[T]):
    """Reads rows of one table as values of one dataclass: same names, enums made, sealed text opened."""

    def __init__(self, row: type[Row], value: type[T]) -> None:
        table = row.metadata.tables[row.__tablename__]
        hints = get_type_hints(value)
        names = [field.name for field in fields(value) if field.name in table.columns]  # type: ignore[arg-type]
        self.columns: Sequence[InstrumentedAttribute[Any]] = [getattr(row, name) for name in names]
        self._value = value
        self._width = len(names)
        self._enums = [(i, kind) for i, name in enumerate(names) if (kind := _enum(hints[name]))]
        self._sealed = [
            (i, f"{table.name}.{n}") for i, n in enumerate(names) if isinstance(table.columns[n].type, Sealed)
        ]
        self._key = names.index("id") if self._sealed else 0

    def __call__(self, database: Database, row: Sequence[Any]) -> T:
        cells = list(row[: self._width])
        for i, kind in self._enums:
            cells[i] = kind(cells[i])
        for i, column in self._sealed:
            if cells[i] is not None:
                cells[i] = database.keys.open(cells[i], place(column, cells[self._key]))
        return self._value(*cells)


def _enum(hint: Any) -> Callable[[str], StrEnum] | None:  # noqa: ANN401
    return hint if isinstance(hint, type) and issubclass(hint, StrEnum) else None

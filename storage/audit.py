"""The audit chain: who did what to whose data, each entry hashed with the one before it.

`verify` finds an entry that was altered, removed or moved. Whoever can rewrite the whole table can also rewrite
every hash; against that, note the anchor that `attune audit verify` prints somewhere else and pass it back later.
Details hold ids and counts, never words. Entries are written in the transaction of what they tell about.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from storage.database import Database, Reader
from storage.errors import BadInput, Damaged
from storage.models import AuditHeadRow, AuditRow
from storage.text import machine_json, name
from storage.values import AuditEntry

HOST = "host"
"""The actor of what is done on the command line."""

_START = "0" * 64
_HEAD = select(AuditHeadRow.seq, AuditHeadRow.hash)
_ANCHOR = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")
_LONGEST_DETAIL = 2000
_entry = Reader(AuditRow, AuditEntry)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verifying found: no problems means that the chain is whole up to its anchor."""

    entries: int
    anchor: str
    problems: tuple[str, ...]


def append(connection: Connection, now: datetime, actor: str, action: str, subject: str, **detail: Any) -> None:  # noqa: ANN401
    """Add an entry; writers wait for each other at the head."""
    heads = connection.execute(_HEAD.with_for_update()).all()
    if len(heads) != 1:
        raise Damaged(
            "The audit chain has lost its end; nothing was written. See `attune audit verify`, restore a backup."
        )
    (head,) = heads
    fields = {
        "seq": head.seq + 1,
        "at": now.isoformat(),
        "actor": name(actor, "actor", 64),
        "action": name(action, "action", 40),
        "subject": name(subject, "subject", 64),
        "detail": _compact(detail),
        "prev_hash": head.hash,
    }
    digest = _digest(*fields.values())
    connection.execute(insert(AuditRow).values(**fields, hash=digest))
    connection.execute(update(AuditHeadRow).values(seq=fields["seq"], hash=digest))


class Audit:
    """Reads and verifies the chain."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, actor: str, action: str, subject: str, **detail: Any) -> None:  # noqa: ANN401
        """An entry of its own, for what changes nothing else in the database."""
        with self._database.write() as connection:
            append(connection, self._database.now(), actor, action, subject, **detail)

    def newest(self, limit: int = 100) -> list[AuditEntry]:
        with self._database.read() as connection:
            rows = connection.execute(select(*_entry.columns).order_by(AuditRow.seq.desc()).limit(limit))
            return [_entry(self._database, row) for row in rows]

    def verify(self, anchor: str | None = None) -> Verdict:
        """Walk the chain from its start. An anchor, `seq:hash`, must still be part of it."""
        wanted = None if anchor is None else _parse_anchor(anchor)
        seq, digest, count, met = 0, _START, 0, wanted in (None, (0, _START))
        problems: list[str] = []
        with self._database.read() as connection:
            heads = [tuple(row) for row in connection.execute(_HEAD)]
            query = select(*_entry.columns).order_by(AuditRow.seq)
            for row in connection.execution_options(yield_per=1000).execute(query):
                entry = _entry(self._database, row)
                problems += _breaks(entry, seq, digest)
                seq, digest, count = entry.seq, entry.hash, count + 1
                met = met or (seq, digest) == wanted
        if heads != [(seq, digest)]:
            problems.append(f"the chain stops at entry {seq}, which is not where it ended: newer entries were removed")
        if wanted and not met:
            problems.append(f"the anchor at entry {wanted[0]} is not part of the chain any more")
        return Verdict(count, f"{seq}:{digest}", tuple(problems))


def _breaks(entry: AuditEntry, seq: int, digest: str) -> Iterator[str]:
    """What is wrong with an entry that stands behind `seq` and `digest`."""
    if entry.seq != seq + 1:
        yield f"entries {seq + 1} to {entry.seq - 1} are missing"
    elif entry.prev_hash != digest:
        yield f"entry {entry.seq} does not follow from the one before it"
    if _digest(*astuple(entry)[:-1]) != entry.hash:
        yield f"entry {entry.seq} was altered"


def _compact(detail: dict[str, Any]) -> str:
    text = json.dumps(machine_json(detail, "detail"), sort_keys=True, separators=(",", ":"))
    if len(text) > _LONGEST_DETAIL:
        raise BadInput(f"An audit entry's detail is at most {_LONGEST_DETAIL} characters of JSON.")
    return text


def _digest(*fields: object) -> str:
    return hashlib.sha256(json.dumps(fields, ensure_ascii=True, default=repr).encode()).hexdigest()


def _parse_anchor(text: str) -> tuple[int, str]:
    if not (found := _ANCHOR.fullmatch(text)):
        raise BadInput("An anchor looks like 12:9f86d0…, as `attune audit verify` printed it.")
    return int(found[1]), found[2]

"""Nights: the learning job's runs, and the claim that lets only one worker do each.

A claim is a conditional update; it carries an attempt number, so that a worker that was taken for dead and wakes up
again finds its claim gone at the next heartbeat and can write nothing more.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, insert, or_, select, update

from storage.database import Database, Reader
from storage.errors import ClaimLost, Conflict
from storage.ids import Kind
from storage.models import NightRow
from storage.text import machine_json, name
from storage.values import Night, NightState

_night = Reader(NightRow, Night)


class Nights:
    """Plans, claims and ends nights."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def plan(self, night: str, config: dict[str, Any]) -> Night:
        """Put a night in the queue under its name, like its date; planned twice, it is one night."""
        name(night, "name", 64)
        machine_json(config, "config")
        by_name = select(*_night.columns).where(NightRow.name == night)
        new = {
            "id": self._database.new_id(Kind.NIGHT),
            "name": night,
            "config": config,
            "created": self._database.now(),
        }
        start = {"state": NightState.WAITING, "attempt": 0, "data_summary": {}, "metrics": {}, "gate": {}}
        with suppress(Conflict), self._database.write() as connection:  # a conflict: it is planned already
            connection.execute(insert(NightRow).values(new | start))
        with self._database.read() as connection:
            return _night(self._database, connection.execute(by_name).one())

    def claim(self, worker: str, dead_after: timedelta) -> Night | None:
        """Take the oldest night that waits, or whose worker has not been heard of for so long. None: nothing to do."""
        now = self._database.now()
        free = or_(
            NightRow.state == NightState.WAITING,
            and_(NightRow.state == NightState.RUNNING, NightRow.heartbeat < now - dead_after),
        )
        oldest = select(NightRow.id, NightRow.attempt).where(free).order_by(NightRow.created).limit(1)
        while True:
            with self._database.write() as connection:
                if (row := connection.execute(oldest).one_or_none()) is None:
                    return None
                # Another worker may have been faster since that select: the condition decides.
                mine = (NightRow.id == row.id, NightRow.attempt == row.attempt, free)
                claim = {
                    "state": NightState.RUNNING,
                    "claimed_by": f"{name(worker, 'worker', 150)}#{row.attempt + 1}",
                    "attempt": row.attempt + 1,
                    "heartbeat": now,
                }
                if connection.execute(update(NightRow).where(*mine).values(claim)).rowcount:
                    taken = select(*_night.columns).where(NightRow.id == row.id)
                    return _night(self._database, connection.execute(taken).one())

    def beat(self, night: Night, **results: dict[str, Any]) -> None:
        """Show that the worker lives, and keep what it has found so far: data_summary, metrics, gate."""
        self._write(night, {"heartbeat": self._database.now()}, results)

    def finish(self, night: Night, state: NightState, **results: dict[str, Any]) -> None:
        if state not in (NightState.DONE, NightState.FAILED):
            raise ValueError("a night ends done or failed")
        self._write(night, {"state": state, "finished": self._database.now()}, results)

    def newest(self, limit: int = 100) -> list[Night]:
        """The newest first."""
        with self._database.read() as connection:
            query = select(*_night.columns).order_by(NightRow.created.desc(), NightRow.id.desc()).limit(limit)
            return [_night(self._database, row) for row in connection.execute(query)]

    def _write(self, night: Night, values: dict[str, Any], results: dict[str, dict[str, Any]]) -> None:
        if unknown := results.keys() - {"data_summary", "metrics", "gate"}:
            raise TypeError(f"a night keeps no {', '.join(sorted(unknown))}")
        values |= {key: machine_json(value, key) for key, value in results.items()}
        mine = (
            NightRow.id == night.id,
            NightRow.claimed_by == night.claimed_by,
            NightRow.state == NightState.RUNNING,
        )
        with self._database.write() as connection:
            if not connection.execute(update(NightRow).where(*mine).values(values)).rowcount:
                raise ClaimLost("Another worker has taken this night over, or it has ended. Stop this one.")

"""Measures storing a turn, opening a conversation of 500 messages, and searching a person's history.

In databases of several sizes, plain and encrypted, in one run: the operations take turns, so that a noisy machine
disturbs all of them alike. Each person has one conversation of 250 turns; a turn has a message, a reply, 4
candidates and 16 judgements with reasons. The people take turns while a database fills, so a conversation's rows
lie scattered as they would in use. What is stored while measuring goes to other people, so that 500 messages stay
500. Storing a turn is two transactions, each on disk before it returns. All is warm: every conversation is opened
once before measuring. The word that is searched for is not there: all 500 messages are read.
"""

import gc
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, insert

from rerank.types import Candidate, Judgement, Perspective
from storage import migrate
from storage.candidates import insert_candidates
from storage.clock import SystemClock
from storage.ids import Kind
from storage.models import MessageRow, TurnRow
from storage.store import Store, connect, open_store
from storage.throwaway import programs, throwaway_postgres
from storage.values import Speaker, TurnState

SIZES = (1_000, 10_000, 100_000)
SAMPLES = 300
_TURNS_EACH = 250
_CANDIDATES = 4
_NEWCOMERS = 20
_KEY = "YXR0dW5lIGJlbmNobWFyayBrZXksIG5vdCBzZWNyZXQ="
_WORDS = ("the", "and", "was", "so", "then", "work", "night", "home", "always", "tired", "today", "really", "nothing")
Progress = Callable[[int, int], None]


@dataclass
class _Subject:
    """One database under test, and what was measured in it."""

    database: str
    turns: int
    store: Store
    rng: random.Random
    owners: list[tuple[str, str]] = field(default_factory=list)
    newcomers: list[tuple[str, str]] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"store": [], "open": [], "search": []})


def run(
    sizes: Sequence[int] = SIZES, samples: int = SAMPLES, progress: Progress = lambda _d, _t: None
) -> dict[str, Any]:
    """Fill, measure, and give the rows with the ratios that matter."""
    rows: list[dict[str, Any]] = []
    backends = {"sqlite": _sqlite_urls} | ({"postgresql": _postgres_urls} if programs() else {})
    total = len(backends) * 2 * (sum(sizes) + len(sizes) * samples)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    for backend, new_urls in backends.items():
        with new_urls() as new_url, ExitStack() as stack:
            subjects = [
                stack.enter_context(_filled(backend, turns, keys, new_url(), advance))
                for turns in sizes
                for keys in ([], [_KEY])
            ]
            _measure(subjects, samples, advance)
            rows += [row for subject in subjects for row in _rows(subject)]
    return {"rows": rows, "growth": _growth(rows), "encryption": _encryption(rows), "left_out": _left_out(backends)}


@contextmanager
def _sqlite_urls() -> Iterator[Callable[[], str]]:
    with tempfile.TemporaryDirectory(prefix="attune-bench-") as folder:
        yield lambda: f"sqlite:///{Path(folder) / uuid4().hex}.db"


@contextmanager
def _postgres_urls() -> Iterator[Callable[[], str]]:
    with throwaway_postgres() as server:
        admin = connect(server.format(name="postgres"))

        def new_url() -> str:
            name = f"bench_{uuid4().hex}"
            with admin.outside_transactions() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
            return server.format(name=name)

        with closing(admin):
            yield new_url


@contextmanager
def _filled(backend: str, turns: int, keys: list[str], url: str, advance: Callable[[int], None]) -> Iterator[_Subject]:
    with closing(connect(url, create=True)) as transactions:
        migrate.upgrade(transactions.engine)
    with closing(open_store(url, keys)) as store:
        subject = _Subject(f"{backend}{'+key' if keys else ''}", turns, store, random.Random(turns))  # noqa: S311
        subject.owners = [_person(store) for _ in range(max(1, turns // _TURNS_EACH))]
        subject.newcomers = [_person(store) for _ in range(_NEWCOMERS)]
        for each in range(min(turns, _TURNS_EACH)):
            with store.database.write() as connection:
                for _, conversation in subject.owners:
                    _add_turn(connection, subject, conversation, each)
            advance(len(subject.owners))
        store.database.transactions.settle()
        yield subject


def _person(store: Store) -> tuple[str, str]:
    user = store.people.add().id
    return user, store.conversations.start(user).id


def _add_turn(connection: Connection, subject: _Subject, conversation: str, number: int) -> None:
    """What `submit` and `finish` leave behind, many in one transaction."""
    database, now = subject.store.database, SystemClock().now()
    messages: list[dict[str, Any]] = []
    for role in Speaker:
        message = database.new_id(Kind.MESSAGE)
        messages.append(
            {
                "id": message,
                "conversation_id": conversation,
                "seq": 2 * number + len(messages) + 1,
                "role": role,
                "text": database.seal(_text(subject.rng, 200), "message.text", message),
                "created": now,
                "client_id": uuid4().hex if role is Speaker.USER else None,
            }
        )
    connection.execute(insert(MessageRow), messages)
    turn = database.new_id(Kind.TURN)
    ends = {"state": TurnState.ANSWERED, "chosen": 0, "finished": now, "reply_id": messages[1]["id"]}
    start = {
        "conversation_id": conversation,
        "id": turn,
        "message_id": messages[0]["id"],
        "versions": {},
        "timings": {},
        "created": now,
    }
    connection.execute(insert(TurnRow).values(start | ends))
    insert_candidates(connection, database, turn, _candidates(subject.rng))


def _measure(subjects: list[_Subject], samples: int, advance: Callable[[int], None]) -> None:
    operations: dict[str, Callable[..., None]] = {"store": _store, "open": _open, "search": _search}
    gc.collect()
    for subject in subjects:  # the first ones were filled long ago, and the system may have put their pages away
        for user, conversation in subject.owners:
            _open(subject.store, user, conversation)
    for number in range(-10, samples):  # the first ten only warm up
        for subject in random.sample(subjects, len(subjects)):
            for what, operation in operations.items():
                user, conversation = subject.rng.choice(subject.newcomers if what == "store" else subject.owners)
                prepared = (_text(subject.rng, 200), _candidates(subject.rng))
                began = time.perf_counter()
                operation(subject.store, user, conversation, *prepared)
                if number >= 0:
                    subject.seconds[what].append(time.perf_counter() - began)
        if number >= 0:
            advance(len(subjects))


def _store(store: Store, user: str, conversation: str, text: str, candidates: list[Candidate]) -> None:
    turn = store.turns.submit(user, conversation, uuid4().hex, text)
    store.turns.finish(turn.id, candidates[0].response, candidates=candidates, chosen=0)


def _open(store: Store, user: str, conversation: str, *_: object) -> None:
    store.conversations.open(user, conversation)


def _search(store: Store, user: str, *_: object) -> None:
    store.conversations.search(user, "unfindable")


def _candidates(rng: random.Random) -> list[Candidate]:
    return [
        Candidate(
            index=index,
            analysis=_text(rng, 400),
            response=_text(rng, 300),
            tokens=180,
            format_ok=True,
            safety=None,
            reward=rng.random(),
            judgements=tuple(
                Judgement(perspective, 1 + 4 * rng.random(), _text(rng, 80), "bench", 12.5)
                for perspective in Perspective
            ),
        )
        for index in range(_CANDIDATES)
    ]


def _text(rng: random.Random, length: int) -> str:
    return " ".join(rng.choices(_WORDS, k=length // 4))[:length]


def _rows(subject: _Subject) -> Iterator[dict[str, Any]]:
    for what, seconds in subject.seconds.items():
        milliseconds = [1000 * each for each in seconds]
        row = {
            "database": subject.database,
            "turns": subject.turns,
            "what": what,
            "p50_ms": round(statistics.median(milliseconds), 2),
            "p95_ms": round(statistics.quantiles(milliseconds, n=20)[-1], 2),
        }
        yield row | ({"per_second": round(1000 / statistics.mean(milliseconds), 1)} if what == "store" else {})


def _growth(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The 95th percentile in the largest database over that in the smallest."""
    smallest, largest = min(row["turns"] for row in rows), max(row["turns"] for row in rows)
    at = {(row["database"], row["what"], row["turns"]): row["p95_ms"] for row in rows}
    return [
        {"database": database, "what": what, "p95_ratio": round(at[database, what, largest] / p95, 2)}
        for (database, what, turns), p95 in at.items()
        if turns == smallest
    ]


def _encryption(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The median with a key over that without."""
    at = {(row["database"], row["turns"], row["what"]): row["p50_ms"] for row in rows}
    return [
        {
            "database": database,
            "turns": turns,
            "what": what,
            "p50_ratio": round(at[f"{database}+key", turns, what] / p50, 2),
        }
        for (database, turns, what), p50 in at.items()
        if not database.endswith("+key")
    ]


def _left_out(backends: dict[str, Any]) -> list[str]:
    return (
        []
        if "postgresql" in backends
        else ["postgresql: its programs are not installed (Debian: apt-get install postgresql)"]
    )

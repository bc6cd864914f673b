"""What the storage tests import: a person with everything, all rows at a glance, SQL from outside, and threads."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from threading import Barrier, Thread
from typing import TypeVar

from sqlalchemy import select, text

from databases import FakeClock, transactions_of
from rerank.types import Candidate, Category, Judgement, Perspective, Tier
from storage.models import Row
from storage.store import Store
from storage.values import FeedbackKind, Purpose, ReviewAction, Role

T = TypeVar("T")
Rows = dict[str, list[tuple[object, ...]]]


def rows(url: str) -> Rows:
    """All rows of all tables, as they are stored."""
    with closing(transactions_of(url)) as below, below.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in Row.metadata.sorted_tables
        }


def sql(url: str, *statements: str) -> None:
    """Change rows behind the store's back."""
    with closing(transactions_of(url)) as below, below.write() as connection:
        for statement in statements:
            connection.execute(text(statement))


def together(jobs: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """Call all at the same moment, each in a thread of its own; gives what they gave or raised."""
    barrier = Barrier(len(jobs))
    threads, ends = _threads(jobs, barrier)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [ends[place] for place in range(len(jobs))]


def meeting(url: str, kept: str, *jobs: Callable[[], T]) -> list[T | Exception]:
    """Start jobs one after the other while somebody else keeps the rows of a query, so that they meet half way."""
    threads, ends = _threads(jobs, Barrier(1))
    with closing(transactions_of(url)) as below, below.write() as connection:
        locking = " FOR UPDATE" if connection.dialect.name == "postgresql" else ""
        connection.execute(text(kept + locking))
        for thread in threads:
            thread.start()
            time.sleep(0.2)
    for thread in threads:
        thread.join()
    return [ends[place] for place in range(len(jobs))]


def _threads(jobs: Sequence[Callable[[], T]], barrier: Barrier) -> tuple[list[Thread], dict[int, T | Exception]]:
    ends: dict[int, T | Exception] = {}

    def end(place: int, job: Callable[[], T]) -> None:
        barrier.wait()
        try:
            ends[place] = job()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            ends[place] = error

    return [Thread(target=end, args=(place, job)) for place, job in enumerate(jobs)], ends


def fill(store: Store, clock: FakeClock, word: str) -> dict[str, str]:
    """A person with something in every table that tells of people, all of it holding this word; gives the ids."""
    user = store.people.add(f"handle-{word}").id
    operator = store.people.add(f"operator-{len(store.people.named())}", Role.OPERATOR).id
    store.people.describe(user, country="DE", adult=True)
    consent = store.people.grant(user, Purpose.TRAINING).id
    conversation = store.conversations.start(
        user, title=f"title {word}", persona=f"persona {word}", scenario=f"scenario {word}"
    ).id
    turn = store.turns.submit(user, conversation, f"client-{word}", f"message {word}").id
    clock.pass_by(seconds=1)
    store.turns.finish(turn, f"reply 0 {word}", candidates=_candidates(word), chosen=0, versions={"policy": "p1"})
    message = store.turns.choose(user, turn, 1).message_id
    clock.pass_by(seconds=1)
    feedback = store.feedback.give(user, conversation, FeedbackKind.TAG, turn=turn, value=f"tag-{word}").id
    clock.pass_by(seconds=1)
    store.feedback.give(user, conversation, FeedbackKind.COMMENT, text=f"comment {word}")
    flag = store.flags.raise_flag(conversation, turn, Tier.CRISIS, Category.SUICIDE, f"evidence {word}", clock.now()).id
    review = store.flags.review(operator, flag, ReviewAction.NOTE, f"note {word}").id
    adapter = store.adapters.add(f"/adapters/{conversation}", [conversation]).id
    return {
        "user": user,
        "operator": operator,
        "consent": consent,
        "conversation": conversation,
        "message": message,
        "turn": turn,
        "feedback": feedback,
        "flag": flag,
        "review": review,
        "adapter": adapter,
    }


def _candidates(word: str) -> list[Candidate]:
    judgement = Judgement(Perspective.RECEPTION, 0.25, f"rationale {word}", "judge-1", 12.5)
    failed = Judgement(Perspective.BYSTANDER, None, None, "judge-1", 900.0)
    return [
        Candidate(0, f"analysis 0 {word}", f"reply 0 {word}", 11, True, None, 0.5, (failed, judgement)),
        Candidate(1, f"analysis 1 {word}", f"reply 1 {word}", 12, True, None, None),
        Candidate(2, f"analysis 2 {word}", f"reply 2 {word}", 13, False, "diagnosis", None),
    ]

"""Processes that test_kill.py and test_many_processes.py start: `worker.py nursery|write|read URL KEY …`.

They say what they were told was stored, one line each, so that a test can hold the database to it.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from uuid import uuid4

from rerank.types import Candidate, Judgement, Perspective
from storage.errors import StorageError
from storage.store import Store, open_store

WORDS = "I keep it together all day and then I sit in the car. "


def candidates() -> list[Candidate]:
    return [
        Candidate(
            index=index,
            analysis=WORDS * 4,
            response=WORDS * 3,
            tokens=60,
            format_ok=True,
            safety=None,
            reward=0.5,
            judgements=tuple(Judgement(each, 3.5, WORDS, "test", 1.0) for each in Perspective),
        )
        for index in range(4)
    ]


def say(*parts: str) -> None:
    os.write(1, (" ".join(parts) + "\n").encode())  # one write: a line is whole or absent


def store_one_turn(store: Store, user: str, conversation: str) -> str:
    turn = store.turns.submit(user, conversation, uuid4().hex, WORDS)
    say("submitted", turn.id, turn.message_id)
    store.turns.finish(turn.id, WORDS * 3, candidates=candidates(), chosen=1)
    say("finished", turn.id)
    return turn.id


def write_until_killed(url: str, key: str, user: str, conversation: str) -> None:
    store = open_store(url, [key])
    say("ready")
    while True:
        store_one_turn(store, user, conversation)


def nursery(url: str, key: str, user: str, conversation: str) -> None:
    """Fork a writer for each line that comes in: it starts in milliseconds, since everything is imported already."""
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            write_until_killed(url, key, user, conversation)
        say("born", str(pid))
        os.waitpid(pid, 0)
        say("dead")


def write(url: str, key: str, user: str, shared: str, seconds: str) -> None:
    store = open_store(url, [key])
    own = store.conversations.start(user).id
    stored, slowest, end = 0, 0.0, time.monotonic() + float(seconds)
    while time.monotonic() < end:
        began = time.monotonic()
        store_one_turn(store, user, shared if stored % 2 else own)
        slowest, stored = max(slowest, time.monotonic() - began), stored + 1
    say("figures", json.dumps({"turns": stored, "slowest_ms": round(1000 * slowest)}))


def read(url: str, key: str, user: str, shared: str, seconds: str) -> None:
    store, looked, end = open_store(url, [key]), 0, time.monotonic() + float(seconds)
    while time.monotonic() < end:
        for conversation in [shared, *(each.id for each in store.conversations.newest(user, limit=3))]:
            opened = store.conversations.open(user, conversation)
            ids = {message.id for message in opened.messages}
            if [message.seq for message in opened.messages] != list(range(1, len(ids) + 1)):
                raise SystemExit("a reader saw messages out of order")
            if any(turn.reply_id not in ids for turn in opened.turns if turn.state == "answered"):
                raise SystemExit("a reader saw an answered turn without its reply")
        looked += 1
    say("figures", json.dumps({"looked": looked}))


MODES: dict[str, Callable[..., None]] = {"nursery": nursery, "write": write, "read": read}

if __name__ == "__main__":
    try:
        MODES[sys.argv[1]](*sys.argv[2:])
    except StorageError as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error

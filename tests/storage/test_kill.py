import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from databases import KEY, transactions_of
from storage.engine import Transactions
from storage.store import open_store

KILLS = 200
WORKER = Path(__file__).parent / "worker.py"

HALF_THERE = """
    SELECT turn.id FROM turn
    LEFT JOIN message AS reply ON reply.id = turn.reply_id
    WHERE (turn.state = 'answered') <> (
        reply.id IS NOT NULL
        AND (SELECT count(*) FROM candidate WHERE turn_id = turn.id AND response IS NOT NULL) = 4
        AND (SELECT count(*) FROM judgement WHERE turn_id = turn.id AND rationale IS NOT NULL) = 16)
    OR (turn.state <> 'answered' AND EXISTS (SELECT 1 FROM candidate WHERE turn_id = turn.id))
    UNION ALL SELECT id FROM message WHERE text IS NULL
    UNION ALL SELECT id FROM message WHERE role = 'user'
        AND NOT EXISTS (SELECT 1 FROM turn WHERE message_id = message.id)
    UNION ALL SELECT id FROM message WHERE role = 'assistant'
        AND NOT EXISTS (SELECT 1 FROM turn WHERE reply_id = message.id)
"""


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_every_acknowledged_turn_whole_and_none_half(url: str) -> None:
    store = open_store(url, [KEY])
    user = store.people.add().id
    conversation = store.conversations.start(user).id
    store.close()
    rng = random.Random(20260121)
    acknowledged = 0
    command = [sys.executable, str(WORKER), "nursery", url, KEY, user, conversation]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdin
        assert nursery.stdout
        lines = (line.split() for line in nursery.stdout)
        for number in range(KILLS):
            nursery.stdin.write("go\n")
            nursery.stdin.flush()
            told = list(_kill_at_random(lines, rng, at_once=number % 8 == 0))
            _check(url, user, told)
            acknowledged += sum(line[0] == "finished" for line in told)
        nursery.stdin.close()
    # The moments are random, but most fall while turns are being stored: else this proves little.
    assert acknowledged > KILLS


def _kill_at_random(lines: Iterator[list[str]], rng: random.Random, *, at_once: bool) -> Iterator[list[str]]:
    """Kill the next writer, some while it opens the database, most while it writes; give what it acknowledged."""
    pid = 0
    for line in lines:
        if line[0] == "dead":
            return
        if line[0] == "born":
            pid = int(line[1])
        else:
            yield line
        if pid and (at_once or line[0] == "ready"):
            time.sleep(rng.uniform(0, 0.1))
            os.kill(pid, signal.SIGKILL)
            pid, at_once = 0, False


def _check(url: str, user: str, told: list[list[str]]) -> None:
    store = open_store(url, [KEY])
    for line in told:
        match line:
            case ["submitted", turn, message]:
                assert store.turns.get(user, turn).message_id == message
            case ["finished", turn]:
                kept = store.turns.get(user, turn)
                assert len(kept.candidates) == 4
                assert all(len(candidate.judgements) == 4 for candidate in kept.candidates)
    store.close()
    _check_nothing_is_half_there(transactions_of(url))


def _check_nothing_is_half_there(transactions: Transactions) -> None:
    with transactions.read() as connection:
        assert connection.execute(text(HALF_THERE)).all() == []
        if transactions.url.get_backend_name() == "sqlite":
            assert connection.execute(text("PRAGMA integrity_check")).scalars().all() == ["ok"]
            assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
    transactions.close()

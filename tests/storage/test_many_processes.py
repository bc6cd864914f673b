import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from databases import KEY, transactions_of
from storage.store import open_store

WRITERS, READERS, SECONDS = 8, 4, 60
WORKER = Path(__file__).parent / "worker.py"


@pytest.mark.slow
def test_eight_writers_and_four_readers_share_a_database_and_nothing_is_lost(
    url: str, backend: str, tmp_path: Path
) -> None:
    store = open_store(url, [KEY])
    user = store.people.add().id
    shared = store.conversations.start(user).id
    outputs = _run_together(tmp_path, url, user, shared)
    turns: list[str] = []
    figures = []
    for output in outputs:
        lines = [line.split(maxsplit=1) for line in output.splitlines()]
        turns += [rest for verb, rest in lines if verb == "finished"]
        figures += [json.loads(rest) for verb, rest in lines if verb == "figures"]
    assert len(figures) == WRITERS + READERS
    assert all(figure.get("turns", 1) > 0 and figure.get("looked", 1) > 0 for figure in figures), "somebody starved"

    opened = store.conversations.open(user, shared)
    assert [message.seq for message in opened.messages] == list(range(1, len(opened.messages) + 1))
    transactions = transactions_of(url)
    with transactions.read() as connection:
        whole = "SELECT t.id FROM turn t JOIN judgement j ON j.turn_id = t.id WHERE t.state = 'answered'"
        kept = set(connection.scalars(text(f"{whole} GROUP BY t.id HAVING count(*) = 16")))
    transactions.close()
    store.close()
    assert set(turns) == kept
    slowest = max(figure.get("slowest_ms", 0) for figure in figures)
    print(f"{backend}: {len(turns)} turns by {WRITERS} writers in {SECONDS} s, the slowest took {slowest} ms")  # noqa: T201


def _run_together(folder: Path, url: str, user: str, shared: str) -> list[str]:
    """Start all processes, wait for all, and give what each said; none may fail."""
    modes = ["write"] * WRITERS + ["read"] * READERS
    said = [folder / f"{mode}-{number}" for number, mode in enumerate(modes)]
    processes = []
    for mode, path in zip(modes, said, strict=True):
        command = [sys.executable, str(WORKER), mode, url, KEY, user, shared, str(SECONDS)]
        with path.open("w") as file:  # a file, since nobody would empty a pipe while they run
            processes.append(subprocess.Popen(command, stdout=file, stderr=subprocess.PIPE, text=True))
    for process in processes:
        _, errors = process.communicate(timeout=SECONDS * 3)
        assert process.returncode == 0, errors
    return [path.read_text() for path in said]

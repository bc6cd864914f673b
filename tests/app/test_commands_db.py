"""What the commands about the database do, with the move from one key to the next."""

import io
import json
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.__main__ import run
from databases import KEY, OTHER_KEY, FakeClock, file_of
from scenes import fill, rows
from storage import bench
from storage.crypto import Keys
from storage.store import open_store
from storage.throwaway import programs
from storage.values import ReviewAction

pytestmark = pytest.mark.usefixtures("alone")

WORD = "qzx"


class Attune:
    """Runs commands in this process with these keys, and keeps what the last one wrote."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch
        self.out = self.err = ""
        monkeypatch.setenv("ATTUNE_DATABASE_URL", url)

    def keys(self, *keys: str) -> "Attune":
        self._monkeypatch.setenv("ATTUNE_DATA_KEY", ",".join(keys))
        return self

    def __call__(self, *arguments: str, answer: str = "") -> int:
        self._capsys.readouterr()
        self._monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        code = run([*arguments])
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 - each command has its own shape
        assert self(*arguments, "--json") == 0, self.err
        return json.loads(self.out.splitlines()[-1])


@pytest.fixture
def new(
    backend: str,
    empty_database: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Attune:
    """Before its first command."""
    return Attune(empty_database(backend), capsys, monkeypatch)


@pytest.fixture
def filled(
    url: str, clock: FakeClock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[Attune, dict[str, str]]:
    """Not encrypted, and with everything of one person, of long ago."""
    clock.moment = datetime(2020, 1, 1, tzinfo=UTC)
    with closing(open_store(url, [], clock)) as store:
        return Attune(url, capsys, monkeypatch), fill(store, clock, WORD)


def test_a_database_goes_up_and_down(new: Attune) -> None:
    assert new("db", "upgrade", "--to", "0001") == 0
    assert new.out == "The database is at revision 0001.\n"
    assert new("user", "list") == 1
    assert "Run `attune db upgrade`" in new.err
    assert [new("db", "upgrade"), new("db", "upgrade"), new("user", "add", "ann")] == [0, 0, 0]
    assert new("db", "downgrade", "0001", answer="n\n") in {1, 130}
    assert new("user", "list") == 0
    assert new("db", "downgrade", "0001", answer="y\n") == 0
    assert new.out.strip() == "The database is at revision 0001."
    assert new("user", "list") == 1
    assert new("db", "upgrade") == 0
    assert new("user", "list") == 0
    assert new.out.startswith("ann ")
    assert new("db", "downgrade", "base", "--yes") == 0
    assert new.out == "The database is at revision base (empty).\n"


def test_going_down_makes_no_database() -> None:
    assert run(["db", "downgrade", "0001", "--yes"]) == 1
    assert list(Path().iterdir()) == []


def test_a_new_database_can_be_read_by_nobody_else() -> None:
    assert run(["db", "upgrade"]) == 0
    assert stat.S_IMODE(Path("data").stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in Path("data").iterdir()} == {0o600}


def test_nothing_stays_longer_than_the_settings_say(
    filled: tuple[Attune, dict[str, str]], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attune, ids = filled
    with closing(open_store(url)) as store:
        store.flags.review(ids["operator"], ids["flag"], ReviewAction.CLOSE, None)
    assert attune.json("db", "prune") == {"conversations": 0, "messages": 0, "adapters": []}
    monkeypatch.setenv("ATTUNE_RETENTION_DAYS", "36500")
    assert attune.json("db", "prune")["conversations"] == 0
    monkeypatch.setenv("ATTUNE_RETENTION_DAYS", "30")
    assert attune.json("db", "prune") == {"conversations": 1, "messages": 2, "adapters": [ids["adapter"]]}
    assert attune("db", "prune") == 0
    assert attune.out == "Erased 0 conversations, 0 messages.\n"


@pytest.mark.parametrize("backend", ["sqlite"])
def test_temporary_conversations_go_after_the_hours_of_the_settings(
    filled: tuple[Attune, dict[str, str]], url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    attune, ids = filled
    clock.moment = datetime.now(UTC) - timedelta(hours=3)
    with closing(open_store(url, [], clock)) as store:
        store.conversations.start(ids["user"], temporary=True)
    for hours, erased in (("", 0), ("4", 0), ("2", 1)):
        monkeypatch.setenv("ATTUNE_TEMPORARY_HOURS", hours)
        assert attune.json("db", "prune")["conversations"] == erased


def test_a_database_moves_from_no_key_to_a_key_to_the_next_key(filled: tuple[Attune, dict[str, str]], url: str) -> None:
    attune, ids = filled
    old, new = (Keys([key]).writing for key in (KEY, OTHER_KEY))

    def works(*keys: str) -> bool:
        attune.keys(*keys)
        return attune("export", ids["user"]) == 0 and f"message {WORD}" in attune.out

    assert works()
    assert not works(KEY)
    assert "attune db rekey" in attune.err
    assert attune.json("db", "rekey")["rewritten"] > 0
    assert attune.json("db", "rekey") == {"rewritten": 0}
    assert works(KEY)
    assert not works()
    assert f"Set ATTUNE_DATA_KEY to the key it was written with ({old})" in attune.err

    assert not works(OTHER_KEY)
    assert attune.keys(OTHER_KEY)("db", "rekey") == 1
    assert f"written with the key {old}" in attune.err
    assert works(OTHER_KEY, KEY)
    assert attune("db", "rekey") == 0
    assert "The older keys can go from ATTUNE_DATA_KEY" in attune.out
    assert works(OTHER_KEY)
    assert works(OTHER_KEY, KEY)
    assert not works(KEY)
    assert f"written with the key {new}" in attune.err
    assert not works()
    assert f"Set ATTUNE_DATA_KEY to the key it was written with ({new})" in attune.err

    assert f"message {WORD}".encode() not in repr(rows(url)).encode()


@pytest.mark.parametrize("backend", ["sqlite"])
def test_no_plain_word_is_left_in_the_file(filled: tuple[Attune, dict[str, str]], url: str) -> None:
    attune, _ = filled
    assert f"message {WORD}".encode() in file_of(url).read_bytes()

    assert attune.keys(KEY)("db", "rekey") == 0

    left = b"".join(each.read_bytes() for each in file_of(url).parent.iterdir())
    assert f"message {WORD}".encode() not in left


@pytest.mark.parametrize("backend", ["sqlite"])
def test_there_must_be_a_key_to_move_to(filled: tuple[Attune, dict[str, str]], url: str) -> None:
    attune, _ = filled
    before = rows(url)

    assert attune("db", "rekey", "--json") in {1, 2}
    assert "ATTUNE_DATA_KEY is not set" in json.loads(attune.out)["error"]
    assert rows(url) == before


def test_an_empty_database_takes_whatever_key_comes_first(new: Attune) -> None:
    assert new.keys(KEY)("db", "upgrade") == 0
    assert new("user", "add", "ann") == 0
    assert new.keys()("user", "list") == 1
    assert Keys([KEY]).writing in new.err


@pytest.mark.slow
def test_the_storage_is_measured_on_every_database(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "storage", "--turns", "2", "--turns", "2", "--samples", "20", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    databases = {"sqlite", "sqlite+key"} | ({"postgresql", "postgresql+key"} if programs() else set())
    kinds = {(row["database"], row["turns"], row["what"]) for row in found["rows"]}
    assert kinds == {(database, 2, what) for database in databases for what in ("store", "open", "search")}
    assert len(found["rows"]) == len(kinds)
    assert all(0 < row["p50_ms"] <= row["p95_ms"] for row in found["rows"])


@pytest.mark.slow
def test_what_could_not_be_measured_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "programs", lambda: None)

    assert run(["bench", "storage", "--turns", "1", "--turns", "5", "--samples", "20"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split()[:3] == ["database", "turns", "what"]
    assert len([line for line in out.splitlines() if line.startswith("sqlite")]) == 12
    assert "Left out: postgresql" in out
    assert "Filling and measuring" in err

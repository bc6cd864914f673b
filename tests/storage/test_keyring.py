"""Which keys may open and write a database, and how it moves from one to the next."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from databases import KEY, OTHER_KEY, FakeClock, transactions_of
from scenes import fill
from storage import keyring
from storage.crypto import Keys
from storage.errors import Damaged, WrongKey
from storage.store import Store, open_store, rekey

WORD = "letters"


def test_a_key_that_is_not_there_is_named_and_nothing_opens(url: str) -> None:
    open_store(url, [KEY]).close()
    with pytest.raises(WrongKey, match=f"encrypted.*{Keys([KEY]).writing}"):
        open_store(url, [])
    with pytest.raises(WrongKey, match=f"{Keys([KEY]).writing}.*does not have"):
        open_store(url, [OTHER_KEY])


def test_a_refused_key_leaves_no_trace(url: str) -> None:
    open_store(url, [KEY]).close()
    before = _key_rows(url)
    with pytest.raises(WrongKey):
        open_store(url, [OTHER_KEY])
    assert _key_rows(url) == before


def test_a_plain_database_does_not_open_with_a_key_before_it_was_encrypted(url: str) -> None:
    open_store(url, []).close()
    with pytest.raises(WrongKey, match="attune db rekey"):
        open_store(url, [KEY])


@pytest.mark.parametrize(("old", "new"), [([], [KEY]), ([KEY], [OTHER_KEY, KEY])], ids=["from plain", "from a key"])
def test_rekeying_moves_every_word_and_reads_the_same_afterwards(url: str, old: list[str], new: list[str]) -> None:
    store = open_store(url, old)
    user = _live(store)
    before = store.export.person(user, actor="host")
    store.close()
    rekey(url, new, lambda _done, _total: None)
    after = open_store(url, new[:1])
    exported = after.export.person(user, actor="host")
    after.close()
    assert exported | {"exported": None} == before | {"exported": None}
    assert WORD in str(before)
    cells = _sealed_cells(url)
    assert cells
    assert all(cell.startswith(Keys(new[:1]).prefix) for cell in cells)


def test_the_old_key_alone_does_not_open_a_database_that_was_moved(url: str) -> None:
    open_store(url, [KEY]).close()
    rekey(url, [OTHER_KEY, KEY], lambda _done, _total: None)
    with pytest.raises(WrongKey):
        open_store(url, [KEY])


def test_a_server_that_still_runs_with_the_old_key_may_read_but_not_write(url: str) -> None:
    running = open_store(url, [OTHER_KEY, KEY][1:])
    user = running.people.add().id
    rekey(url, [OTHER_KEY, KEY], lambda _done, _total: None)
    assert running.people.get(user).id == user
    with pytest.raises(WrongKey, match="Another process"):
        running.conversations.start(user, title=WORD)
    running.close()
    assert _sealed_cells(url) == []


def test_a_server_that_still_runs_without_a_key_cannot_write_plain_text(url: str) -> None:
    running = open_store(url, [])
    user = running.people.add().id
    rekey(url, [KEY], lambda _done, _total: None)
    with pytest.raises(WrongKey):
        running.conversations.start(user, title=WORD)
    running.close()
    assert _sealed_cells(url) == []


def test_a_server_with_both_keys_goes_on_while_the_database_moves(url: str) -> None:
    store = open_store(url, [KEY])
    user = _live(store)
    store.close()
    running = open_store(url, [OTHER_KEY, KEY])
    seen: list[str | None] = []

    def meanwhile(_done: int, _total: int) -> None:
        seen.append(running.conversations.start(user, title=WORD).title)
        seen.extend(message.text for message in _messages(running, user))

    rekey(url, [OTHER_KEY, KEY], meanwhile)
    running.close()
    assert seen
    assert {WORD, f"message {WORD}"} <= set(seen)
    assert all(cell.startswith(Keys([OTHER_KEY]).prefix) for cell in _sealed_cells(url))


def test_rekeying_that_was_stopped_is_finished_by_the_next_run(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "_BATCH", 2)
    store = open_store(url, [KEY])
    user = _live(store)
    before = store.export.person(user, actor="host")
    store.close()

    def stop(done: int, _total: int) -> None:
        if done > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rekey(url, [OTHER_KEY, KEY], stop)
    prefixes = {cell[:5] for cell in _sealed_cells(url)}
    assert len(prefixes) == 2, "it was stopped half way"
    with pytest.raises(WrongKey):
        open_store(url, [OTHER_KEY])
    half = open_store(url, [OTHER_KEY, KEY])
    assert half.export.person(user, actor="host") | {"exported": None} == before | {"exported": None}
    half.close()
    rekey(url, [OTHER_KEY, KEY], lambda _done, _total: None)
    open_store(url, [OTHER_KEY]).close()
    assert {cell[:5] for cell in _sealed_cells(url)} == {Keys([OTHER_KEY]).prefix}


def test_going_back_to_the_old_key_is_a_rotation_like_any_other(url: str) -> None:
    open_store(url, [KEY]).close()
    rekey(url, [OTHER_KEY, KEY], lambda _done, _total: None)
    rekey(url, [KEY, OTHER_KEY], lambda _done, _total: None)
    store = open_store(url, [KEY])
    assert _messages(store, _live(store))[0].text == f"message {WORD}"
    store.close()


def test_progress_ends_at_its_total(url: str) -> None:
    store = open_store(url, [])
    _live(store)
    store.close()
    steps: list[tuple[int, int]] = []
    count = rekey(url, [KEY], lambda done, total: steps.append((done, total)))
    assert steps[-1] == (count, count)


@pytest.mark.parametrize(
    "forge",
    [
        lambda cell: cell[:-1] + bytes([cell[-1] ^ 1]),
        lambda _cell: WORD.encode(),
        lambda cell: cell[:20],
        lambda cell: cell[:10],
    ],
    ids=["altered", "plain text put there", "cut off", "cut off in its head"],
)
def test_a_value_that_was_changed_outside_is_an_error_and_never_shown(
    store: Store, url: str, forge: Callable[[bytes], bytes]
) -> None:
    user = _live(store)
    transactions = transactions_of(url)
    message = sa.table("message", sa.column("id"), sa.column("text", sa.LargeBinary))
    with transactions.write() as connection:
        for row in connection.execute(sa.select(message)).all():
            forged = sa.update(message).where(message.c.id == row.id).values(text=forge(row.text))
            connection.execute(forged)
    transactions.close()
    with pytest.raises(Damaged) as error:
        _messages(store, user)
    assert WORD not in str(error.value)


def _live(store: Store) -> str:
    """A person with words in every place that can hold some."""
    return fill(store, FakeClock(), WORD)["user"]


def _messages(store: Store, user: str) -> tuple[Any, ...]:
    return tuple(
        message
        for conversation in store.conversations.newest(user)
        for message in store.conversations.open(user, conversation.id).messages
    )


def _sealed_cells(url: str) -> list[bytes]:
    """Every stored text of every table, as it lies in the database."""
    transactions = transactions_of(url)
    with transactions.read() as connection:
        cells = [
            bytes(cell)
            for table in keyring.sealed_tables()
            for name in keyring.sealed_columns(table)
            for cell in connection.scalars(sa.select(table.c[name]).where(table.c[name].is_not(None)))
        ]
    transactions.close()
    return cells


def _key_rows(url: str) -> list[tuple[Any, ...]]:
    transactions = transactions_of(url)
    with transactions.read() as connection:
        rows = connection.execute(sa.text("SELECT id, retired_at, emptied_at FROM data_key ORDER BY id")).all()
    transactions.close()
    return [tuple(row) for row in rows]

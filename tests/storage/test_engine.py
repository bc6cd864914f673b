"""What happens below the store when the disk, the file or the server fails."""

import os
import stat
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from databases import KEY, file_of, run_migrations, transactions_of
from storage.engine import Transactions, parse_url
from storage.errors import BadInput, Conflict, NotReady, StorageError, Unavailable
from storage.store import Store, connect, open_store


def test_a_missing_file_is_not_made_by_looking_for_it(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="attune db upgrade"):
        open_store(f"sqlite:///{tmp_path}/none/attune.db")
    assert list(tmp_path.iterdir()) == []


def test_a_new_database_is_readable_for_its_owner_alone(tmp_path: Path) -> None:
    run_migrations(f"sqlite:///{tmp_path}/data/attune.db")
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    assert set(found.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_file_that_is_no_database_is_left_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("dear diary " * 1000)
    with pytest.raises(Unavailable, match="not an SQLite database"):
        open_store(f"sqlite:///{file}")
    assert file.read_text() == "dear diary " * 1000


def test_a_folder_in_place_of_the_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        open_store(f"sqlite:///{tmp_path}")


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotReady, match="ATTUNE_DATABASE_URL"):
        connect(f"sqlite:///{tmp_path}/file/attune.db", create=True)


@pytest.mark.parametrize(
    "url", ["", "data/attune.db", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "postgresql+nothing://x/y", "::"]
)
def test_a_url_that_cannot_keep_anything_is_refused(url: str) -> None:
    if url.startswith("postgresql"):
        assert parse_url(url).drivername == "postgresql+psycopg"
        return
    with pytest.raises(NotReady, match="sqlite:///"):
        parse_url(url)


def test_a_server_that_is_not_there_is_a_clear_error_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="ATTUNE_DATABASE_URL") as error:
        open_store(f"postgresql://attune:hunter2@/attune?host={tmp_path}")
    assert "hunter2" not in str(error.value)


def test_a_database_that_the_server_does_not_have_is_a_clear_error(postgres: str) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        open_store(postgres.format(name="nowhere"))


def test_a_full_disk_is_a_clear_error_and_what_was_stored_stays(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/attune.db"
    run_migrations(url)
    store = open_store(url, [KEY])
    user = store.people.add().id
    conversation = store.conversations.start(user).id
    kept = store.turns.submit(user, conversation, "before", "kept").id
    pages = os.path.getsize(file_of(url)) // 4096 + 8  # noqa: PTH202

    def limit(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    sa.event.listen(store.database.transactions.engine, "begin", limit)
    with pytest.raises(Unavailable, match="disk is full"):
        store.turns.submit(user, conversation, "full", "x" * 10_000 * 100)
    sa.event.remove(store.database.transactions.engine, "begin", limit)
    assert store.turns.get(user, kept).id == kept
    store.turns.submit(user, conversation, "after", "goes on")
    store.close()


def test_errors_of_the_driver_never_quote_what_was_being_written(store: Store) -> None:
    table = sa.table("message", sa.column("id"), sa.column("conversation_id"), sa.column("seq"), sa.column("role"))
    row = {"id": "secret words", "conversation_id": "nowhere", "seq": 1, "role": "user"}
    with pytest.raises(Conflict) as error, store.database.write() as connection:
        connection.execute(sa.insert(table).values(row))
    told = [error.value.__cause__, str(error.value), error.value.__suppress_context__]
    assert "secret words" not in str(told)
    assert error.value.__suppress_context__


def test_a_value_that_the_database_cannot_hold_is_bad_input(store: Store, backend: str) -> None:
    if backend == "sqlite":
        return  # SQLite holds any value in any column; the store checks before
    with pytest.raises(BadInput), store.database.write() as connection:
        connection.execute(sa.text("SELECT 1 / 0"))


def test_a_writer_that_waits_for_another_is_served_in_time(url: str) -> None:
    first, second = transactions_of(url), transactions_of(url)
    waited: list[float] = []

    def write(transactions: Transactions) -> None:
        began = time.monotonic()
        with transactions.write() as connection:
            connection.execute(sa.text("SELECT 1"))
        waited.append(time.monotonic() - began)

    with first.write() as connection:
        connection.execute(sa.text("SELECT 1"))
        thread = threading.Thread(target=write, args=(second,))
        thread.start()
        time.sleep(0.3)
    thread.join(timeout=10)
    assert waited
    assert waited[0] < 5
    first.close()
    second.close()


def test_two_reads_in_one_transaction_see_the_same_moment(store: Store, url: str) -> None:
    other = open_store(url, [KEY])
    user = store.people.add().id
    count = sa.text("SELECT count(*) FROM conversation")
    with store.database.read() as connection:
        before = connection.scalar(count)
        other.conversations.start(user)
        assert connection.scalar(count) == before
    other.close()

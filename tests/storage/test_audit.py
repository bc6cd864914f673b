import hashlib
import json
from typing import Any

import pytest

from databases import KEY, FakeClock
from scenes import rows, sql, together
from storage.audit import Verdict
from storage.errors import BadInput, StorageError
from storage.store import Store, open_store


@pytest.fixture
def chain(store: Store, clock: FakeClock) -> Store:
    """A store with a chain of five."""
    for number in range(5):
        store.audit.record("ada", "test.act", f"thing-{number}", number=number)
        clock.pass_by(seconds=1)
    return store


def test_a_whole_chain_has_no_problems(chain: Store) -> None:
    verdict = chain.audit.verify()
    assert (verdict.entries, verdict.problems) == (5, ())
    assert verdict.anchor == f"5:{chain.audit.newest(1)[0].hash}"


def test_a_chain_without_entries_is_whole(store: Store) -> None:
    assert store.audit.verify() == Verdict(0, f"0:{'0' * 64}", ())


def test_entries_say_who_did_what_to_what_and_when(store: Store, clock: FakeClock) -> None:
    store.audit.record("ada", "test.act", "thing", count=3, names=["ä", "b"])
    (entry,) = store.audit.newest()
    assert (entry.seq, entry.actor, entry.action, entry.subject) == (1, "ada", "test.act", "thing")
    assert (entry.at, entry.detail) == (clock.now().isoformat(), '{"count":3,"names":["\\u00e4","b"]}')


def test_the_newest_entries_come_first(chain: Store) -> None:
    assert [entry.seq for entry in chain.audit.newest(2)] == [5, 4]


def test_an_altered_entry_shows(chain: Store, url: str) -> None:
    sql(url, "DROP TABLE IF EXISTS kept", "CREATE TABLE kept AS SELECT * FROM audit")
    for seq in (1, 3, 5):
        for column in ("at", "actor", "action", "subject", "detail", "prev_hash", "hash"):
            sql(url, f"UPDATE audit SET {column} = '?' || substr({column}, 2) WHERE seq = {seq}")
            assert f"entry {seq} was altered" in chain.audit.verify().problems, column
            sql(url, "DELETE FROM audit", "INSERT INTO audit SELECT * FROM kept")
            assert chain.audit.verify().problems == ()


def test_an_entry_that_was_altered_together_with_its_hash_shows_at_the_next_one(chain: Store, url: str) -> None:
    for seq in (1, 4):
        entry = rows(url)["audit"][seq - 1]
        fields = [*entry[:2], "somebody-else", *entry[3:-1]]
        digest = hashlib.sha256(json.dumps(fields).encode()).hexdigest()
        sql(url, f"UPDATE audit SET actor = 'somebody-else', hash = '{digest}' WHERE seq = {seq}")
        assert f"entry {seq} was altered" not in chain.audit.verify().problems
        assert f"entry {seq + 1} does not follow from the one before it" in chain.audit.verify().problems


def test_a_removed_entry_shows(chain: Store, url: str) -> None:
    sql(url, "DROP TABLE IF EXISTS kept", "CREATE TABLE kept AS SELECT * FROM audit")
    for removed in ("seq = 1", "seq <= 2", "seq = 3", "seq = 5", "seq >= 4", "seq > 0"):
        sql(url, f"DELETE FROM audit WHERE {removed}")
        assert "removed" in (told := str(chain.audit.verify().problems)) or "missing" in told
        sql(url, "DELETE FROM audit", "INSERT INTO audit SELECT * FROM kept")
        assert chain.audit.verify().problems == ()


def test_entries_in_another_order_show(chain: Store, url: str) -> None:
    sql(url, *(f"UPDATE audit SET seq = {to} WHERE seq = {seq}" for seq, to in ((2, 9), (3, 2), (9, 3))))
    assert chain.audit.verify().problems


def test_an_entry_that_was_put_between_shows(chain: Store, url: str) -> None:
    sql(
        url,
        "INSERT INTO audit SELECT 6, at, actor, action, subject, detail, prev_hash, hash FROM audit WHERE seq = 5",
    )
    assert chain.audit.verify().problems
    sql(url, "DELETE FROM audit WHERE seq = 6")
    assert chain.audit.verify().problems == ()
    sql(
        url,
        "INSERT INTO audit SELECT 0, at, actor, action, subject, detail, prev_hash, hash FROM audit WHERE seq = 5",
    )
    assert chain.audit.verify().problems


def test_a_head_that_was_tampered_with_shows(chain: Store, url: str) -> None:
    for tampering in (
        "UPDATE audit_head SET seq = 4",
        "UPDATE audit_head SET hash = 'x'",
        "INSERT INTO audit_head SELECT 2, seq, hash FROM audit_head",
        "DELETE FROM audit_head",
    ):
        sql(url, "DROP TABLE IF EXISTS kept", "CREATE TABLE kept AS SELECT * FROM audit_head", tampering)
        assert chain.audit.verify().problems, tampering
        sql(url, "DELETE FROM audit_head", "INSERT INTO audit_head SELECT * FROM kept", "DROP TABLE kept")
        assert chain.audit.verify().problems == ()


@pytest.mark.parametrize(
    "tampering", ["DELETE FROM audit_head", "INSERT INTO audit_head SELECT 2, seq, hash FROM audit_head"]
)
def test_without_its_one_head_the_chain_takes_no_more_and_says_why(chain: Store, url: str, tampering: str) -> None:
    sql(url, tampering)
    before = rows(url)
    with pytest.raises(StorageError):
        chain.audit.record("ada", "test.act", "thing")
    assert rows(url) == before


def test_an_anchor_stays_good_while_the_chain_grows(chain: Store) -> None:
    anchor = chain.audit.verify().anchor
    chain.audit.record("ada", "test.act", "more")
    assert chain.audit.verify(anchor).problems == ()
    assert chain.audit.verify(f"0:{'0' * 64}").problems == ()


def test_a_chain_cut_short_with_its_head_shows_only_against_an_anchor(chain: Store, url: str) -> None:
    anchor = chain.audit.verify().anchor
    sql(
        url,
        "DELETE FROM audit WHERE seq = 5",
        "UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)",
    )
    assert chain.audit.verify().problems == ()
    assert "anchor" in str(chain.audit.verify(anchor).problems)
    chain.audit.record("ada", "test.act", "instead")
    assert "anchor" in str(chain.audit.verify(anchor).problems)


def test_an_anchor_of_another_chain_shows(chain: Store) -> None:
    anchor = chain.audit.verify().anchor
    for other in (f"4:{anchor[2:]}", f"5:{'a' * 64}", f"6:{anchor[2:]}", f"1:{'0' * 64}"):
        assert "anchor" in str(chain.audit.verify(other).problems)


def test_what_is_no_anchor_is_refused_and_never_passed_over(store: Store) -> None:
    digest = "0" * 64
    for anchor in ("", "5", "5:", "5:abc", f":{digest}", f"-1:{digest}", "x" * 10_000, f"\u0665:{digest}"):
        with pytest.raises(BadInput):
            store.audit.verify(anchor)


def test_an_anchor_with_an_endless_number_is_refused(store: Store) -> None:
    with pytest.raises(BadInput):
        store.audit.verify("9" * 5000 + ":" + "0" * 64)


def test_many_who_write_at_once_keep_one_whole_chain(store: Store, url: str) -> None:
    stores = [open_store(url, [KEY]) for _ in range(8)]

    def write(each: Store, place: int) -> None:
        for number in range(6):
            each.audit.record(f"w{place}", "test.act", f"thing-{number}")

    ends = together([lambda each=each, place=place: write(each, place) for place, each in enumerate(stores)])  # type: ignore[misc]
    for each in stores:
        each.close()
    assert ends == [None] * 8
    verdict = store.audit.verify()
    assert (verdict.entries, verdict.problems) == (48, ())


def test_details_that_no_database_takes_are_refused_on_every_one(store: Store, url: str) -> None:
    before = rows(url)
    wrong: Any
    for wrong in ("x" * 2001, "\0", "\ud800", float("nan"), b"x", {1: 2}):
        with pytest.raises(BadInput):
            store.audit.record("ada", "test.act", "thing", detail=wrong)
    assert rows(url) == before


def test_an_entry_goes_with_what_it_tells_about(store: Store, url: str) -> None:
    before = rows(url)
    with pytest.raises(BadInput):
        store.erase.person(store.people.add("ada").id, actor="two words")
    (row,) = rows(url)["user"]
    assert "ada" in row
    assert rows(url)["audit"] == before["audit"]

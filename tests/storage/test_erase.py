import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import Table, select, update

from databases import FakeClock, file_of, transactions_of
from rerank.types import Category, Tier
from scenes import Rows, fill, meeting, rows
from storage.errors import NotFound
from storage.keyring import sealed_columns
from storage.models import FlagRow, Row, UserRow
from storage.store import Store, open_store
from storage.values import Erased, FeedbackKind, FlagState, Purpose, ReviewAction, Role, TurnState

WORD = "xylophonesque"
TABLES = Row.metadata.sorted_tables


def erase_person(store: Store, ids: dict[str, str]) -> Erased:
    return store.erase.person(ids["user"])


def erase_conversation(store: Store, ids: dict[str, str]) -> Erased:
    return store.erase.conversation(ids["user"], ids["conversation"])


def prune(store: Store, ids: dict[str, str]) -> Erased:
    with store.database.write() as connection:  # else it would be held back
        connection.execute(update(FlagRow).where(FlagRow.id == ids["flag"]).values(state=FlagState.CLOSED))
    return store.erase.prune(timedelta(days=5), timedelta(days=5))


Erase = Callable[[Store, dict[str, str]], Erased]
in_every_way = pytest.mark.parametrize("erase", [erase_person, erase_conversation, prune])


def sealed(found: Rows, table: Table) -> dict[str, list[object]]:
    """What stands in a table's sealed columns."""
    names = [column.name for column in table.columns]
    return {name: [row[names.index(name)] for row in found[table.name]] for name in sealed_columns(table)}


def holding(found: Rows, word: str) -> set[str]:
    return {table for table, stored in found.items() if any(word in repr(row) for row in stored)}


@in_every_way
def test_erasing_empties_every_column_that_holds_words(store: Store, clock: FakeClock, url: str, erase: Erase) -> None:
    ids = fill(store, clock, WORD)
    clock.pass_by(days=10)
    before = rows(url)
    erase(store, ids)
    after = rows(url)
    for table in TABLES:
        for column, contents in sealed(before, table).items():
            assert any(content is not None for content in contents), f"fill() puts nothing into {table}.{column}"
        for column, contents in sealed(after, table).items():
            assert set(contents) == {None}, f"{table}.{column} was not emptied"


def test_what_a_person_wrote_is_in_no_table_after_they_were_erased(
    plain_store: Store, clock: FakeClock, url: str
) -> None:
    ids = fill(plain_store, clock, WORD)
    told = {"user", "conversation", "message", "candidate", "judgement", "feedback", "flag", "review"}
    assert told <= holding(rows(url), WORD)
    plain_store.erase.person(ids["user"])
    assert holding(rows(url), WORD) == set()


def test_what_was_written_in_a_conversation_is_in_no_table_after_it_was_erased(
    plain_store: Store, clock: FakeClock, url: str
) -> None:
    ids = fill(plain_store, clock, WORD)
    plain_store.erase.conversation(ids["user"], ids["conversation"])
    assert holding(rows(url), WORD) == {"user"}  # the handle


@in_every_way
def test_erasing_keeps_the_counts(store: Store, clock: FakeClock, url: str, erase: Erase) -> None:
    ids = fill(store, clock, WORD)
    clock.pass_by(days=10)
    before = {table: len(stored) for table, stored in rows(url).items()}
    erase(store, ids)
    assert {table: len(stored) for table, stored in rows(url).items()} == before | {"audit": before["audit"] + 1}


@in_every_way
def test_erasing_leaves_everybody_else_alone(store: Store, clock: FakeClock, url: str, erase: Erase) -> None:
    mine = fill(store, clock, WORD)
    without = rows(url)
    clock.pass_by(days=10)
    fill(store, clock, "other")
    both = rows(url)
    erase(store, mine)
    after = rows(url)
    for table in TABLES:
        if table.name != "audit_head":
            of_others = {repr(row) for row in both[table.name]} - {repr(row) for row in without[table.name]}
            assert of_others <= {repr(row) for row in after[table.name]}, f"{table} of somebody else was changed"
    assert store.audit.verify().problems == ()


@in_every_way
def test_erasing_tells_how_much_it_was_and_names_the_adapters_that_learned_from_it(
    store: Store, clock: FakeClock, erase: Erase
) -> None:
    ids = fill(store, clock, WORD)
    other = store.conversations.start(store.people.add().id)
    store.adapters.add("/of-another", [other.id])
    both = store.adapters.add("/of-both", [other.id, ids["conversation"]]).id
    clock.pass_by(days=10)
    store.feedback.give(other.user_id, other.id, FeedbackKind.THUMB, value="up")
    assert erase(store, ids) == Erased(1, 2, tuple(sorted([ids["adapter"], both])))
    (entry,) = store.audit.newest(1)
    assert entry.detail == '{"adapters":2,"conversations":1,"messages":2}'
    assert entry.subject in {ids["user"], ids["conversation"], "conversations"}


def test_erasing_a_person_forgets_who_they_were_and_withdraws_their_consents(store: Store, clock: FakeClock) -> None:
    ids = fill(store, clock, WORD)
    store.people.grant(ids["user"], Purpose.RESEARCH)
    store.erase.person(ids["user"])
    person = store.people.get(ids["user"])
    assert (person.handle, person.country, person.adult, person.password_hash) == (None, None, None, None)
    assert person.erased_at == clock.now()
    consents = store.people.consents(ids["user"])
    assert {(consent.purpose, consent.withdrawn_at) for consent in consents} == {
        (purpose, clock.now()) for purpose in Purpose
    }


def test_erasing_a_conversation_keeps_the_consents(store: Store, clock: FakeClock) -> None:
    ids = fill(store, clock, WORD)
    store.erase.conversation(ids["user"], ids["conversation"])
    assert [consent.withdrawn_at for consent in store.people.consents(ids["user"])] == [None]


def test_what_was_going_on_ends_with_the_conversation(store: Store, clock: FakeClock, url: str) -> None:
    ids = fill(store, clock, WORD)
    pending = store.turns.again(ids["user"], ids["turn"]).id
    store.erase.conversation(ids["user"], ids["conversation"])
    after = rows(url)
    (turn,) = (row for row in after["turn"] if pending in row)
    assert TurnState.ABANDONED in turn
    assert all(FlagState.ERASED in row for row in after["flag"])
    assert store.turns.abandon_older_than(clock.now() + timedelta(days=1)) == 0


def test_what_was_erased_stays_erased_and_is_not_counted_again(store: Store, clock: FakeClock) -> None:
    ids = fill(store, clock, WORD)
    store.erase.conversation(ids["user"], ids["conversation"])
    clock.pass_by(days=10)
    assert prune(store, ids) == Erased(0, 0, ())
    assert store.erase.person(ids["user"]) == Erased(0, 0, ())
    with pytest.raises(NotFound):
        store.erase.person(ids["user"])


def test_it_is_noted_who_erased(store: Store, clock: FakeClock) -> None:
    ids = fill(store, clock, WORD)
    store.erase.conversation(ids["user"], ids["conversation"])
    store.erase.person(ids["user"], actor=ids["operator"])
    newest, before = store.audit.newest(2)
    assert (newest.actor, newest.action, newest.subject) == (ids["operator"], "user.erase", ids["user"])
    assert (before.actor, before.action, before.subject) == (ids["user"], "conversation.erase", ids["conversation"])


def test_pruning_forgets_what_was_not_used_for_so_long_and_temporary_talk_sooner(
    store: Store, clock: FakeClock
) -> None:
    me = store.people.add().id
    started = {}
    for name, temporary, age in (("old", False, 30), ("young", False, 3), ("brief", True, 3), ("new", True, 0)):
        started[name] = (store.conversations.start(me, temporary=temporary).id, age)
    clock.pass_by(days=30)
    for conversation, age in sorted(started.values(), key=lambda each: -each[1]):
        if age < 30:
            clock.pass_by(days=-age)
            store.turns.submit(me, conversation, "c", "used")
            clock.pass_by(days=age)
    kept = timedelta(days=30)
    assert store.erase.prune(kept, timedelta(days=1)).conversations == 1  # brief; old is not older than 30 days
    clock.pass_by(seconds=1)
    assert store.erase.prune(None, timedelta(days=1)).conversations == 0
    assert store.erase.prune(kept, timedelta(days=1)).conversations == 1
    left = {conversation.id for conversation in store.conversations.newest(me)}
    assert left == {started["young"][0], started["new"][0]}


def test_pruning_nothing_is_not_noted(store: Store, url: str) -> None:
    before = rows(url)
    assert store.erase.prune(timedelta(0), timedelta(0)) == Erased(0, 0, ())
    assert rows(url) == before


def test_pruning_takes_more_than_it_takes_at_once(store: Store, clock: FakeClock) -> None:
    me = store.people.add().id
    started = [store.conversations.start(me).id for _ in range(103)]
    adapters = [store.adapters.add(f"/{each}", [each]).id for each in (started[0], started[-1])]
    clock.pass_by(days=10)
    assert store.erase.prune(timedelta(days=5), timedelta(0)) == Erased(103, 0, tuple(sorted(adapters)))
    assert store.conversations.newest(me) == []


@pytest.mark.parametrize("erase", [erase_person, erase_conversation, prune])
def test_erased_words_are_nowhere_in_the_files_of_sqlite(
    migrated_database: Callable[[str], str], clock: FakeClock, erase: Erase
) -> None:
    url = migrated_database("sqlite")
    files = file_of(url).parent
    with closing(open_store(url, [], clock)) as store:
        ids = fill(store, clock, WORD)
        long = store.turns.submit(ids["user"], ids["conversation"], "long", f"{WORD} " * 10_000).id
        store.turns.finish(long, f"replaced {WORD}")
        store.turns.finish(store.turns.again(ids["user"], long).id, f"{WORD} " * 20_000)
        assert any(WORD.encode() in file.read_bytes() for file in files.iterdir())
        clock.pass_by(days=10)
        erase(store, ids)
        handle = b"handle-" + WORD.encode()
        for file in files.iterdir():
            content = file.read_bytes()
            content = content if erase is erase_person else content.replace(handle, b"")
            assert WORD.encode() not in content, file.name
    assert {file.name for file in files.iterdir()} <= {"attune.db", "attune.db.lock"}


def test_feedback_that_meets_the_erasing_of_its_person_is_refused_or_erased_but_harms_nobody(
    store: Store, clock: FakeClock, url: str
) -> None:
    ids = fill(store, clock, WORD)
    erased, given = meeting(
        url,
        'SELECT * FROM "user"',
        lambda: store.erase.person(ids["user"]),
        lambda: store.feedback.give(ids["user"], ids["conversation"], FeedbackKind.COMMENT, text=WORD),
    )
    assert isinstance(erased, Erased), erased
    assert not isinstance(given, Exception) or isinstance(given, NotFound), given
    texts = sealed(rows(url), Row.metadata.tables["feedback"])["text"]
    assert set(texts) == {None}


def test_a_swipe_that_meets_the_erasing_of_its_person_is_refused_or_erased_but_harms_nobody(
    store: Store, clock: FakeClock, url: str
) -> None:
    ids = fill(store, clock, WORD)
    erased, chosen = meeting(
        url,
        'SELECT * FROM "user"',
        lambda: store.erase.person(ids["user"]),
        lambda: store.turns.choose(ids["user"], ids["turn"], 0),
    )
    assert isinstance(erased, Erased), erased
    assert not isinstance(chosen, Exception) or isinstance(chosen, NotFound), chosen
    assert set(sealed(rows(url), Row.metadata.tables["message"])["text"]) == {None}


@pytest.mark.slow
def test_a_reader_holds_erasing_up_for_seconds_at_most_and_the_next_pruning_clears_what_it_kept(
    migrated_database: Callable[[str], str], clock: FakeClock
) -> None:
    url = migrated_database("sqlite")
    with closing(open_store(url, [], clock)) as store, closing(transactions_of(url)) as reader:
        ids = fill(store, clock, WORD)
        with reader.read() as connection:
            connection.execute(select(UserRow.id)).all()
            began = time.monotonic()
            store.erase.person(ids["user"])
            assert time.monotonic() - began < 10
        store.erase.prune(None, timedelta(days=1))
        for file in file_of(url).parent.iterdir():
            assert WORD.encode() not in file.read_bytes(), file.name


def test_pruning_holds_back_what_a_human_has_yet_to_look_at(store: Store, clock: FakeClock) -> None:
    operator, me = store.people.add("op", Role.OPERATOR).id, store.people.add().id
    conversation = store.conversations.start(me, temporary=True).id
    flag = store.flags.raise_flag(conversation, None, Tier.CRISIS, Category.SUICIDE, WORD, clock.now()).id
    clock.pass_by(days=400)
    assert store.erase.prune(timedelta(days=1), timedelta(hours=1)).conversations == 0
    store.flags.review(operator, flag, ReviewAction.CLOSE)
    assert store.erase.prune(timedelta(days=1), timedelta(hours=1)).conversations == 1

"""Every text that anybody may hand to the store, with everything that has broken such programs before."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain

import pytest
from sqlalchemy import func, literal, select, union_all

from databases import BACKENDS, KEY, FakeClock, transactions_of
from fields import FIELDS, Field, Me
from rerank.types import Category, Tier
from storage.engine import Transactions
from storage.errors import BadInput, NotFound
from storage.keyring import sealed_columns
from storage.models import Row
from storage.store import open_store
from storage.values import Role

NASTY = {
    "empty": "",
    "NUL": "a\0b",
    "NUL at the end": "a\0",
    "half a character": "a\ud800b",
    "the other half": "\udc00",
    "both halves, apart": "\ud83d\ude00",
    "right to left": "\u202eabc\u202c",
    "right-to-left mark": "\u200fabc",
    "emoji": "👩‍👩‍👧‍👦🇩🇪👍🏽",
    "combining characters": "e" + "\u0301" * 50,
    "unnormalised": "\u212b\u00c5A\u030a",
    "SQL": "x'); DROP TABLE message; --",
    "SQL without spaces": "'OR'1'='1';DROP/**/TABLE/**/turn;--",
    "marks of drivers": "%s%(x)s:x?{0}$1\\",
    "HTML": "<script>alert('x')</script>",
    "lines": "a\r\nb\u2028c\td",
    "like a sealed text": "\xff\xfe",
    "a million bytes": "ä" * 500_000,
}
SMALL = ("user", "adapter", "audit_head")


@pytest.fixture(scope="module", params=BACKENDS)
def me(request: pytest.FixtureRequest, migrated_database: Callable[[str], str]) -> Iterator[Me]:
    url, clock = migrated_database(request.param), FakeClock()
    with closing(open_store(url, [KEY], clock)) as store, closing(transactions_of(url)) as below:
        user, operator = store.people.add().id, store.people.add("op", Role.OPERATOR).id
        talk = store.conversations.start(user).id
        turn = store.turns.submit(user, talk, "first", "hello").id
        flag = store.flags.raise_flag(talk, None, Tier.CRISIS, Category.ABUSE, "e", clock.now()).id
        yield Me(store, below, clock, user, talk, turn, operator, flag, store.adapters.add("/first").id)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_text_is_kept_exactly_or_refused_with_nothing_written(me: Me, field: Field) -> None:
    made = field.before(me)
    assert field.read(me, made, field.write(me, made, field.plain)) == field.plain
    for what, text in NASTY.items():
        made = field.before(me)
        before, refusal = size(me.below), None
        try:
            given = field.write(me, made, text)
        except BadInput as error:
            refusal = str(error)
        if refusal is None:
            assert field.read(me, made, given) == text, what
        else:
            assert size(me.below) == before, f"{what} was refused, but something was written"
            assert len(text) < 3 or text[:100] not in refusal, "a refusal quotes nobody"


def test_text_that_is_only_looked_for_is_not_found_or_refused(me: Me) -> None:
    before = size(me.below)
    for text in NASTY.values():
        with pytest.raises(NotFound):
            me.store.people.find(f"nobody-{text}")
        with pytest.raises(NotFound):
            me.store.adapters.learned_from(user=text)
        with pytest.raises(NotFound):
            me.store.adapters.learned_from(conversation=text)
        with pytest.raises(BadInput):
            me.store.audit.verify(text)
    assert size(me.below) == before


def test_a_search_for_anything_finds_nothing_where_nothing_is_or_is_refused(me: Me) -> None:
    lonely = me.store.people.add().id
    for what, text in NASTY.items():
        if "half" in what or "halves" in what:
            with pytest.raises(BadInput):
                me.store.conversations.search(lonely, text)
        else:
            assert me.store.conversations.search(lonely, text) == []


def size(below: Transactions) -> object:
    """How many rows and how many bytes of words each table has, and all that stands in the small ones."""
    sizes = []
    for table in Row.metadata.sorted_tables:
        words = [func.coalesce(func.sum(func.length(table.c[name])), 0) for name in sealed_columns(table)]
        total = words[0] if len(words) == 1 else sum(words, literal(0))
        sizes.append(select(literal(table.name), func.count(), total).select_from(table))
    with below.read() as connection:
        small = [connection.execute(select(Row.metadata.tables[name])).all() for name in SMALL]
        return [tuple(row) for row in chain(connection.execute(union_all(*sizes)), *small)]

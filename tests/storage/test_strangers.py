"""Ids that are unknown, somebody else's, of another kind or no ids at all: the store answers all of them alike."""

from collections.abc import Callable
from typing import Any

import pytest

from databases import FakeClock
from rerank.types import Category, Tier
from scenes import fill, rows
from storage.errors import NotFound
from storage.ids import Kind, new_id
from storage.store import Store
from storage.values import AdapterState, FeedbackKind, Purpose, ReviewAction, Role

MALFORMED: list[Any] = [
    "",
    None,
    5,
    True,
    b"x",
    "x" * 10_000,
    "' OR 1=1 --",
    "%",
    "a\0b",
    "\ud800",
    "user_\udfff",
    [],
    ["conv_" + "0" * 26],
    {},
    object(),
]
Ids = dict[str, str]
Verb = Callable[[Store, Ids, Any], object]

MINE: dict[str, tuple[str, Verb]] = {
    "conversations.open": ("conversation", lambda s, me, it: s.conversations.open(me["user"], it)),
    "conversations.describe": ("conversation", lambda s, me, it: s.conversations.describe(me["user"], it, title="t")),
    "conversations.describe nothing": ("conversation", lambda s, me, it: s.conversations.describe(me["user"], it)),
    "turns.submit": ("conversation", lambda s, me, it: s.turns.submit(me["user"], it, "c9", "t")),
    "turns.again": ("turn", lambda s, me, it: s.turns.again(me["user"], it)),
    "turns.get": ("turn", lambda s, me, it: s.turns.get(me["user"], it)),
    "turns.choose": ("turn", lambda s, me, it: s.turns.choose(me["user"], it, 0)),
    "feedback.give": (
        "conversation",
        lambda s, me, it: s.feedback.give(me["user"], it, FeedbackKind.COMMENT, text="t"),
    ),
    "feedback.give about a turn": (
        "turn",
        lambda s, me, it: s.feedback.give(
            me["user"], me["conversation"], FeedbackKind.THUMB, turn=it or "", value="up"
        ),
    ),
    "erase.conversation": ("conversation", lambda s, me, it: s.erase.conversation(me["user"], it)),
}
OPERATORS: dict[str, Verb] = {
    "flags.look": lambda s, me, it: s.flags.look(me["operator"], it),
    "flags.review": lambda s, me, it: s.flags.review(me["operator"], it, ReviewAction.NOTE, "n"),
}
PEOPLE: dict[str, Verb] = {
    "people.get": lambda s, _, it: s.people.get(it),
    "people.find": lambda s, _, it: s.people.find(it),
    "people.describe": lambda s, _, it: s.people.describe(it, adult=True),
    "people.seen": lambda s, _, it: s.people.seen(it),
    "people.grant": lambda s, _, it: s.people.grant(it, Purpose.RESEARCH),
    "people.withdraw": lambda s, _, it: s.people.withdraw(it, Purpose.TRAINING),
    "people.set_role": lambda s, _, it: s.people.set_role(it, Role.ADMIN),
    "people.consents": lambda s, _, it: s.people.consents(it),
    "conversations.start": lambda s, _, it: s.conversations.start(it),
    "export.person": lambda s, _, it: s.export.person(it),
    "erase.person": lambda s, _, it: s.erase.person(it),
}
MACHINES: dict[str, tuple[str, Verb]] = {
    "turns.finish": ("turn", lambda s, _, it: s.turns.finish(it, "r")),
    "turns.fail": ("turn", lambda s, _, it: s.turns.fail(it, "r")),
    "flags.raise_flag": (
        "conversation",
        lambda s, _, it: s.flags.raise_flag(it, None, Tier.CRISIS, Category.ABUSE, "e", s.database.now()),
    ),
    "flags.raise_flag about a turn": (
        "turn",
        lambda s, me, it: s.flags.raise_flag(
            me["conversation"], it or "", Tier.CRISIS, Category.ABUSE, "e", s.database.now()
        ),
    ),
    "adapters.promote": ("adapter", lambda s, _, it: s.adapters.promote(it)),
    "adapters.set_state": ("adapter", lambda s, _, it: s.adapters.set_state(it, AdapterState.RETIRED)),
}
KINDS = {
    "conversation": Kind.CONVERSATION,
    "turn": Kind.TURN,
    "flag": Kind.FLAG,
    "user": Kind.USER,
    "adapter": Kind.ADAPTER,
}


@pytest.fixture
def me(store: Store, clock: FakeClock) -> Ids:
    return fill(store, clock, "mine")


@pytest.fixture
def other(store: Store, clock: FakeClock) -> Ids:
    return fill(store, clock, "other")


def unknown(clock: FakeClock, kind: str, me: Ids) -> list[Any]:
    """Ids that cannot be there: never given out, of another kind, or none at all."""
    right = new_id(KINDS[kind], clock.now())
    wrong_kinds = [id_ for name, id_ in me.items() if name != kind and not id_.startswith(f"{KINDS[kind]}_")]
    return [right, right.upper(), f"{right}\n", f" {right}", *wrong_kinds, *MALFORMED]


def answers(verb: Verb, store: Store, me: Ids, ids: list[Any]) -> set[tuple[type[Exception], str]]:
    """What came back for these ids; nothing but errors may."""
    found = set()
    for each in ids:
        with pytest.raises(Exception) as error:  # noqa: PT011 - which one it is, is what is asked
            verb(store, me, each)
        found.add((error.type, str(error.value)))
    return found


def erased(store: Store, me: Ids, kind: str) -> str:
    """Something of the person's own that was erased."""
    talk = store.conversations.start(me["user"]).id
    turn = store.turns.submit(me["user"], talk, "c", "t").id
    flag = store.flags.raise_flag(talk, turn, Tier.CRISIS, Category.ABUSE, "e", store.database.now()).id
    store.erase.conversation(me["user"], talk)
    return {"conversation": talk, "turn": turn, "flag": flag}[kind]


def test_what_is_not_there_and_what_is_somebody_elses_is_the_same(
    store: Store, clock: FakeClock, url: str, me: Ids, other: Ids
) -> None:
    for name, (kind, verb) in MINE.items():
        ids = [other[kind], erased(store, me, kind), *unknown(clock, kind, me)]
        before = rows(url)
        assert answers(verb, store, me, ids) == {(NotFound, f"There is no such {kind}.")}, name
        assert rows(url) == before, name
        verb(store, me, me[kind])


def test_operators_learn_nothing_from_flags_that_are_not_there(
    store: Store, clock: FakeClock, url: str, me: Ids
) -> None:
    for name, verb in OPERATORS.items():
        ids = [erased(store, me, "flag"), *unknown(clock, "flag", me)]
        before = rows(url)
        assert answers(verb, store, me, ids) == {(NotFound, "There is no such flag.")}, name
        assert rows(url) == before, name
        verb(store, me, me["flag"])


def test_others_learn_nothing_about_flags_that_are_there(
    store: Store, clock: FakeClock, url: str, me: Ids, other: Ids
) -> None:
    before = rows(url)
    ids = [me["flag"], other["flag"], *unknown(clock, "flag", me)]
    for name, verb in OPERATORS.items():
        for stranger in (me["user"], other["user"], new_id(Kind.USER, clock.now())):
            as_operator = me | {"operator": stranger}
            assert answers(verb, store, as_operator, ids) == {(NotFound, "There is no such flag.")}, name
    assert rows(url) == before


def test_people_who_are_not_there_are_all_alike(store: Store, clock: FakeClock, url: str, me: Ids) -> None:
    for name, verb in PEOPLE.items():
        before = rows(url)
        assert answers(verb, store, me, unknown(clock, "user", me)) == {(NotFound, "There is no such person.")}, name
        assert rows(url) == before, name
        verb(store, me, me["user"])


def test_machines_too_get_one_answer_about_what_is_not_there(store: Store, clock: FakeClock, url: str, me: Ids) -> None:
    for name, (kind, verb) in MACHINES.items():
        before = rows(url)
        assert answers(verb, store, me, unknown(clock, kind, me)) == {(NotFound, f"There is no such {kind}.")}, name
        assert rows(url) == before, name
        verb(store, me, store.turns.again(me["user"], me["turn"]).id if kind == "turn" else me[kind])


def test_lists_and_searches_of_somebody_else_show_nothing_of_mine(
    store: Store, clock: FakeClock, me: Ids, other: Ids
) -> None:
    clock.pass_by(seconds=1)
    assert "mine" in repr(store.conversations.newest(me["user"]))
    assert "mine" not in repr(store.conversations.newest(other["user"]))
    assert "mine" in repr(store.conversations.search(me["user"], ["word", "mine"][1]))
    assert store.conversations.search(other["user"], "mine") == []
    assert "mine" not in repr(store.feedback.of(other["user"]))
    assert "mine" not in repr(store.export.person(other["user"]))
    mine = store.conversations.newest(me["user"])[0]
    assert "mine" not in repr(store.conversations.newest(other["user"], after=mine))

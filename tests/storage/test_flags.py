from datetime import timedelta

import pytest

from databases import KEY, FakeClock
from rerank.types import Category, Tier
from scenes import meeting, rows, together
from storage.errors import BadInput, Conflict, NotFound
from storage.store import Store, open_store
from storage.values import Flag, FlagState, Review, ReviewAction, Role

NO_SUCH_FLAG = r"^There is no such flag\.$"


@pytest.fixture
def operator(store: Store) -> str:
    return store.people.add("op", Role.OPERATOR).id


@pytest.fixture
def flag(store: Store, clock: FakeClock, talk: str) -> str:
    return raised(store, clock, talk).id


def raised(store: Store, clock: FakeClock, talk: str, tier: Tier = Tier.CRISIS, minutes: int = 15) -> Flag:
    due = clock.now() + timedelta(minutes=minutes)
    return store.flags.raise_flag(talk, None, tier, Category.SUICIDE, "what she said", due)


def test_a_flag_is_read_as_it_was_raised(store: Store, clock: FakeClock, me: str, talk: str, operator: str) -> None:
    turn = store.turns.submit(me, talk, "c1", "hello").id
    flag = store.flags.raise_flag(talk, turn, Tier.CONCERN, Category.ABUSE, "evidence", clock.now() + timedelta(days=1))
    assert store.flags.queue(operator) == [flag]
    looked = store.flags.look(operator, flag.id)
    assert (looked.flag, looked.reviews) == (flag, ())
    assert looked.opened == store.conversations.open(me, talk)
    assert (flag.turn_id, flag.tier, flag.category, flag.evidence) == (turn, Tier.CONCERN, Category.ABUSE, "evidence")


def test_the_queue_has_crisis_first_and_then_the_nearest_deadline(
    store: Store, clock: FakeClock, talk: str, operator: str
) -> None:
    late_concern = raised(store, clock, talk, Tier.CONCERN, 200)
    late_crisis = raised(store, clock, talk, Tier.CRISIS, 100)
    overdue_concern = raised(store, clock, talk, Tier.CONCERN, -100)
    early_crisis = raised(store, clock, talk, Tier.CRISIS, 5)
    order = [early_crisis, late_crisis, overdue_concern, late_concern]
    assert store.flags.queue(operator) == order
    assert store.flags.queue(operator, limit=2) == order[:2]


@pytest.mark.parametrize("tier", [Tier.NONE, "none"])
def test_a_flag_without_risk_is_none(store: Store, clock: FakeClock, url: str, talk: str, tier: Tier) -> None:
    before = rows(url)
    with pytest.raises(BadInput):
        raised(store, clock, talk, tier)
    assert rows(url) == before


def test_a_turn_of_another_conversation_is_not_flagged_here(store: Store, clock: FakeClock, me: str, talk: str) -> None:
    turn = store.turns.submit(me, store.conversations.start(me).id, "c1", "hello").id
    with pytest.raises(NotFound):
        store.flags.raise_flag(talk, turn, Tier.CRISIS, Category.SUICIDE, "e", clock.now())


def test_for_all_but_operators_there_are_no_flags(store: Store, url: str, me: str, operator: str, flag: str) -> None:
    gone = store.people.add("gone", Role.OPERATOR).id
    store.erase.person(gone)
    demoted = store.people.add("demoted", Role.ADMIN).id
    store.people.set_role(demoted, Role.SEEKER)
    before = rows(url)
    for stranger in (me, gone, demoted, "user_" + "0" * 26):
        with pytest.raises(NotFound, match=NO_SUCH_FLAG):
            store.flags.queue(stranger)
        with pytest.raises(NotFound, match=NO_SUCH_FLAG):
            store.flags.look(stranger, flag)
        with pytest.raises(NotFound, match=NO_SUCH_FLAG):
            store.flags.review(stranger, flag, ReviewAction.TAKE)
    assert rows(url) == before
    assert store.flags.look(operator, flag).flag.state is FlagState.OPEN


def test_an_admin_is_an_operator_too(store: Store, flag: str) -> None:
    admin = store.people.add("boss", Role.ADMIN).id
    assert [each.id for each in store.flags.queue(admin)] == [flag]


def test_looking_is_audited_each_time_and_listing_is_not(store: Store, operator: str, flag: str) -> None:
    store.flags.queue(operator)
    for _ in range(2):
        store.flags.look(operator, flag)
    looks = [entry for entry in store.audit.newest() if entry.action.startswith("flag")]
    assert [(entry.action, entry.actor, entry.subject) for entry in looks] == [("flag.look", operator, flag)] * 2
    assert store.audit.verify().problems == ()


def test_a_flag_is_taken_by_one_operator(store: Store, operator: str, flag: str) -> None:
    other = store.people.add("op2", Role.OPERATOR).id
    store.flags.review(operator, flag, ReviewAction.TAKE)
    store.flags.review(operator, flag, ReviewAction.TAKE)
    with pytest.raises(Conflict):
        store.flags.review(other, flag, ReviewAction.TAKE)
    looked = store.flags.look(other, flag)
    assert (looked.flag.assignee_id, [review.operator_id for review in looked.reviews]) == (operator, [operator] * 2)


def test_of_many_operators_who_take_a_flag_at_once_one_gets_it(store: Store, url: str, flag: str) -> None:
    stores = [open_store(url, [KEY]) for _ in range(6)]
    operators = [store.people.add(f"o{place}", Role.OPERATOR).id for place in range(6)]
    ends = together(
        [
            lambda each=each, own=own: each.flags.review(own, flag, ReviewAction.TAKE)  # type: ignore[misc]
            for each, own in zip(stores, operators, strict=True)
        ]
    )
    for each in stores:
        each.close()
    (winner,) = (end for end in ends if isinstance(end, Review))
    assert sum(isinstance(end, Conflict) for end in ends) == 5
    assert store.flags.look(operators[0], flag).flag.assignee_id == winner.operator_id


@pytest.mark.parametrize("leaving", ["erased", "demoted"])
def test_a_flag_taken_by_an_operator_who_left_can_be_taken_again(
    store: Store, operator: str, flag: str, leaving: str
) -> None:
    other = store.people.add("op2", Role.OPERATOR).id
    store.flags.review(operator, flag, ReviewAction.TAKE)
    if leaving == "erased":
        store.erase.person(operator)
    else:
        store.people.set_role(operator, Role.SEEKER)
    store.flags.review(other, flag, ReviewAction.TAKE)
    assert store.flags.look(other, flag).flag.assignee_id == other


def test_a_closed_flag_leaves_the_queue_and_can_be_opened_again(store: Store, operator: str, flag: str) -> None:
    store.flags.review(operator, flag, ReviewAction.TAKE)
    store.flags.review(operator, flag, ReviewAction.CLOSE, "she is safe")
    assert store.flags.queue(operator) == []
    for action in (ReviewAction.CLOSE, ReviewAction.TAKE):
        with pytest.raises(Conflict):
            store.flags.review(operator, flag, action)
    store.flags.review(operator, flag, ReviewAction.REOPEN)
    (again,) = store.flags.queue(operator)
    assert (again.id, again.state, again.assignee_id) == (flag, FlagState.OPEN, None)
    with pytest.raises(Conflict):
        store.flags.review(operator, flag, ReviewAction.REOPEN)


def test_reviews_are_kept_in_order_with_their_notes_and_audited(
    store: Store, clock: FakeClock, operator: str, flag: str
) -> None:
    done = []
    for action, note in ((ReviewAction.NOTE, "called"), (ReviewAction.EXCLUDE, None), (ReviewAction.CLOSE, "safe")):
        done.append(store.flags.review(operator, flag, action, note))
        clock.pass_by(seconds=1)
    assert list(store.flags.look(operator, flag).reviews) == done
    assert [(review.action, review.note) for review in done] == [
        ("note", "called"),
        ("exclude", None),
        ("close", "safe"),
    ]
    assert [entry.action for entry in store.audit.newest()][1:4] == ["flag.close", "flag.exclude", "flag.note"]
    assert "safe" not in str(store.audit.newest())


def test_an_erased_flag_is_as_if_it_had_never_been(
    store: Store, clock: FakeClock, url: str, me: str, talk: str, operator: str, flag: str
) -> None:
    store.erase.conversation(me, talk)
    before = rows(url)
    assert store.flags.queue(operator) == []
    for verb in (
        lambda: store.flags.look(operator, flag),
        lambda: store.flags.review(operator, flag, ReviewAction.REOPEN),
        lambda: store.flags.review(operator, flag, ReviewAction.NOTE, "words"),
    ):
        with pytest.raises(NotFound, match=NO_SUCH_FLAG):
            verb()
    with pytest.raises(NotFound):
        raised(store, clock, talk)
    assert rows(url) == before


def test_a_note_written_while_the_conversation_is_erased_does_not_outlive_it(
    store: Store, url: str, me: str, talk: str, operator: str, flag: str
) -> None:
    meeting(
        url,
        "SELECT * FROM audit_head",
        lambda: store.flags.review(operator, flag, ReviewAction.NOTE, "her words"),
        lambda: store.erase.conversation(me, talk),
    )
    notes = [row[4] for row in rows(url)["review"]]
    assert notes in ([], [None])


def test_the_owner_of_a_conversation_is_told_its_highest_tier_and_nobody_else(
    store: Store, clock: FakeClock, me: str, talk: str
) -> None:
    assert store.flags.highest(me, talk) == Tier.NONE
    for tier in (Tier.CONCERN, Tier.CRISIS, Tier.CONCERN):
        raised(store, clock, talk, tier)
    assert store.flags.highest(me, talk) == Tier.CRISIS
    assert store.flags.highest(store.people.add().id, talk) == Tier.NONE

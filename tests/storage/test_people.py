from typing import Any

import pytest

from databases import KEY, FakeClock
from scenes import together
from storage.errors import BadInput, Conflict, NotFound
from storage.store import Store, open_store
from storage.values import Purpose, Role


def test_a_person_without_a_handle_is_an_anonymous_seeker(store: Store, clock: FakeClock) -> None:
    person = store.people.add()
    assert (person.handle, person.role, person.created, person.last_seen) == (
        None,
        Role.SEEKER,
        clock.now(),
        clock.now(),
    )
    assert store.people.get(person.id) == person


def test_two_people_without_a_handle_are_two_people(store: Store) -> None:
    assert store.people.add().id != store.people.add().id


def test_a_person_is_found_by_handle_and_by_id(store: Store) -> None:
    person = store.people.add("ada")
    assert store.people.find("ada") == store.people.find(person.id) == person


def test_a_handle_that_nobody_has_finds_nobody(store: Store) -> None:
    store.people.add("ada")
    for nobody in ("", "bob", "ADA", "user_", "user_" + "0" * 26, "a b", "a\0", "\ud800", "x" * 10_000):
        with pytest.raises(NotFound, match=r"^There is no such person\.$"):
            store.people.find(nobody)


def test_a_handle_belongs_to_one_person(store: Store) -> None:
    store.people.add("ada")
    with pytest.raises(Conflict):
        store.people.add("ada")
    assert len(store.people.named()) == 1


def test_of_many_who_want_a_handle_at_once_one_gets_it(store: Store, url: str) -> None:
    stores = [open_store(url, [KEY]) for _ in range(6)]
    ends = together([lambda each=each: each.people.add("ada") for each in stores])  # type: ignore[misc]
    for each in stores:
        each.close()
    assert sorted(type(end).__name__ for end in ends) == ["Conflict"] * 5 + ["User"]
    assert [person.handle for person in store.people.named()] == ["ada"]


def test_a_handle_that_looks_like_an_id_is_refused_since_it_could_never_be_found(store: Store) -> None:
    somebody = store.people.add("ada")
    with pytest.raises(BadInput):
        store.people.add(somebody.id)
    with pytest.raises(BadInput):
        store.people.add("user_bob")


def test_a_handle_holds_no_mark_that_changes_the_direction_of_text(store: Store) -> None:
    for mark in "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069":
        with pytest.raises(BadInput):
            store.people.add(f"ada{mark}")


def test_people_with_a_name_or_with_power_are_listed_and_anonymous_seekers_are_not(
    store: Store, clock: FakeClock
) -> None:
    expected = []
    for handle, role in [("ada", Role.SEEKER), (None, Role.OPERATOR), (None, Role.SEEKER), ("bob", Role.ADMIN)]:
        person = store.people.add(handle, role)
        expected += [person] if handle or role is not Role.SEEKER else []
        clock.pass_by(seconds=1)
    assert store.people.named() == expected


def test_giving_power_is_audited_and_giving_none_is_not(store: Store) -> None:
    seeker, operator = store.people.add("ada"), store.people.add("op", Role.OPERATOR)
    store.people.set_role(seeker.id, Role.ADMIN, actor=operator.id)
    newest, before = store.audit.newest()
    assert (newest.action, newest.actor, newest.subject) == ("user.role", operator.id, seeker.id)
    assert '"admin"' in newest.detail
    assert (before.action, before.actor, before.subject) == ("user.add", "host", operator.id)
    assert store.people.get(seeker.id).role is Role.ADMIN


def test_describing_changes_only_what_is_given(store: Store) -> None:
    person = store.people.add()
    store.people.describe(person.id, country="DE", adult=True)
    assert store.people.describe(person.id, country="GB").adult is True
    described = store.people.describe(person.id, adult=None)
    assert (described.country, described.adult) == ("GB", None)


def test_a_country_is_two_capitals_and_adult_a_truth_value(store: Store) -> None:
    person = store.people.add()
    wrong: Any
    for wrong in ("de", "DEU", "D", "", "D\n", "DE\n", "ÄÖ", 49, ["DE"]):
        with pytest.raises(BadInput):
            store.people.describe(person.id, country=wrong)
    for wrong in (1, 0, "yes"):
        with pytest.raises(BadInput):
            store.people.describe(person.id, adult=wrong)
    assert store.people.get(person.id) == person


def test_seeing_a_person_moves_their_time(store: Store, clock: FakeClock) -> None:
    person = store.people.add()
    clock.pass_by(hours=2, microseconds=1)
    store.people.seen(person.id)
    assert store.people.get(person.id).last_seen == clock.now()
    assert store.people.get(person.id).created == person.created


def test_a_consent_granted_twice_is_one_consent(store: Store, clock: FakeClock) -> None:
    person = store.people.add()
    first = store.people.grant(person.id, Purpose.TRAINING)
    clock.pass_by(days=1)
    assert store.people.grant(person.id, Purpose.TRAINING) == first
    assert store.people.consents(person.id) == [first]


def test_a_consent_granted_by_many_at_once_is_one_consent(store: Store, url: str) -> None:
    person = store.people.add()
    stores = [open_store(url, [KEY]) for _ in range(6)]
    ends = together([lambda each=each: each.people.grant(person.id, Purpose.TRAINING) for each in stores])  # type: ignore[misc]
    for each in stores:
        each.close()
    assert ends == store.people.consents(person.id) * 6


def test_a_withdrawn_consent_is_kept_as_history(store: Store, clock: FakeClock) -> None:
    person = store.people.add()
    granted = store.people.grant(person.id, Purpose.TRAINING)
    clock.pass_by(days=1)
    store.people.withdraw(person.id, Purpose.TRAINING)
    withdrawn_at = clock.now()
    clock.pass_by(days=1)
    again = store.people.grant(person.id, Purpose.TRAINING)
    old, new = store.people.consents(person.id)
    assert (old.id, old.granted_at, old.withdrawn_at) == (granted.id, granted.granted_at, withdrawn_at)
    assert (new, new.withdrawn_at) == (again, None)


def test_withdrawing_one_consent_leaves_the_others_and_other_people_alone(store: Store) -> None:
    ada, bob = store.people.add(), store.people.add()
    kept = [store.people.grant(ada.id, Purpose.RESEARCH), store.people.grant(bob.id, Purpose.TRAINING)]
    store.people.grant(ada.id, Purpose.TRAINING)
    store.people.withdraw(ada.id, Purpose.TRAINING)
    in_force = [one for user in (ada, bob) for one in store.people.consents(user.id) if one.withdrawn_at is None]
    assert in_force == kept


def test_withdrawing_twice_keeps_the_first_time(store: Store, clock: FakeClock) -> None:
    person = store.people.add()
    store.people.grant(person.id, Purpose.TRAINING)
    store.people.withdraw(person.id, Purpose.TRAINING)
    first = clock.now()
    clock.pass_by(days=1)
    store.people.withdraw(person.id, Purpose.TRAINING)
    assert [consent.withdrawn_at for consent in store.people.consents(person.id)] == [first]


def test_an_erased_person_can_do_nothing_more(store: Store) -> None:
    person = store.people.add("ada")
    store.erase.person(person.id)
    for verb in (
        lambda: store.people.seen(person.id),
        lambda: store.people.describe(person.id, adult=True),
        lambda: store.people.grant(person.id, Purpose.TRAINING),
        lambda: store.people.withdraw(person.id, Purpose.TRAINING),
        lambda: store.people.set_role(person.id, Role.ADMIN),
        lambda: store.conversations.start(person.id),
        lambda: store.erase.person(person.id),
    ):
        with pytest.raises(NotFound):
            verb()


def test_the_handle_of_an_erased_person_is_free_again(store: Store) -> None:
    store.erase.person(store.people.add("ada").id)
    assert store.people.find(store.people.add("ada").id).handle == "ada"

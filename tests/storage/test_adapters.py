from typing import Any

import pytest

from databases import KEY, FakeClock
from scenes import rows, together
from storage.errors import BadInput, Conflict, NotFound
from storage.store import Store, open_store
from storage.values import Adapter, AdapterState


def test_an_adapter_is_read_as_it_was_added(store: Store, clock: FakeClock) -> None:
    night = store.nights.plan("n1", {})
    parent = store.adapters.add("/adapters/1")
    clock.pass_by(seconds=1)
    child = store.adapters.add("/adapters/2 ä", night=night.id, parent=parent.id)
    assert store.adapters.newest() == [child, parent]
    assert (child.night_id, child.parent_id, child.state) == (night.id, parent.id, AdapterState.CANDIDATE)
    assert (child.created, child.promoted) == (clock.now(), None)
    assert store.adapters.live() is None


def test_a_path_is_used_once(store: Store) -> None:
    first = store.adapters.add("/adapters/1")
    with pytest.raises(Conflict):
        store.adapters.add("/adapters/1")
    assert store.adapters.newest() == [first]


def test_a_path_that_cannot_be_typed_is_refused(store: Store, url: str) -> None:
    before = rows(url)
    wrong: Any
    for wrong in ("", "x" * 1001, "a\nb", "a\0", "\u202e", "\ud800", None, 5, b"/x"):
        with pytest.raises(BadInput):
            store.adapters.add(wrong)
    assert rows(url) == before
    assert store.adapters.add("x" * 1000).path == "x" * 1000


def test_an_adapter_of_a_night_parent_or_conversation_that_is_not_there_is_refused(store: Store, url: str) -> None:
    before = rows(url)
    nowhere = "0" * 26
    with pytest.raises((Conflict, NotFound)):
        store.adapters.add("/a", night=f"night_{nowhere}")
    with pytest.raises((Conflict, NotFound)):
        store.adapters.add("/a", parent=f"adapter_{nowhere}")
    with pytest.raises((Conflict, NotFound)):
        store.adapters.add("/a", [f"conv_{nowhere}"])
    with pytest.raises(NotFound):
        store.adapters.add("/a", ["conv_1"])
    assert rows(url) == before


def test_promoting_makes_one_live_and_retires_the_one_before(store: Store, clock: FakeClock) -> None:
    first, second = store.adapters.add("/1"), store.adapters.add("/2")
    store.adapters.promote(first.id)
    clock.pass_by(days=1)
    promoted = store.adapters.promote(second.id)
    assert store.adapters.live() == promoted
    assert (promoted.state, promoted.promoted) == (AdapterState.LIVE, clock.now())
    states = {adapter.id: adapter.state for adapter in store.adapters.newest()}
    assert states == {first.id: AdapterState.RETIRED, second.id: AdapterState.LIVE}


def test_the_way_back_is_to_promote_the_one_before_again(store: Store) -> None:
    first, second = store.adapters.add("/1"), store.adapters.add("/2")
    for adapter in (first, second, first, first):
        assert store.adapters.promote(adapter.id).id == adapter.id
    live = store.adapters.live()
    assert live is not None
    assert live.id == first.id


def test_promoting_is_audited(store: Store) -> None:
    adapter = store.adapters.add("/1")
    store.adapters.promote(adapter.id, actor="ada")
    (entry,) = store.audit.newest()
    assert (entry.actor, entry.action, entry.subject) == ("ada", "adapter.promote", adapter.id)


def test_what_cannot_go_live_leaves_the_live_one_alone(store: Store, url: str) -> None:
    live, rejected = store.adapters.add("/1"), store.adapters.add("/2")
    store.adapters.promote(live.id)
    store.adapters.set_state(rejected.id, AdapterState.REJECTED)
    before = rows(url)
    for wrong in (rejected.id, "adapter_" + "0" * 26, "", live.id.upper()):
        with pytest.raises((Conflict, NotFound)):
            store.adapters.promote(wrong)
    assert rows(url) == before


def test_of_many_promoted_at_once_one_is_live(store: Store, url: str) -> None:
    adapters = [store.adapters.add(f"/{number}").id for number in range(6)]
    store.adapters.promote(adapters[0])
    stores = [open_store(url, [KEY]) for _ in adapters]
    ends = together(
        [
            lambda each=each, adapter=adapter: each.adapters.promote(adapter)  # type: ignore[misc]
            for each, adapter in zip(stores, adapters, strict=True)
        ]
    )
    for each in stores:
        each.close()
    assert {type(end) for end in ends} <= {Adapter, Conflict}
    assert [adapter.state for adapter in store.adapters.newest()].count(AdapterState.LIVE) == 1
    assert store.audit.verify().problems == ()


def test_a_state_is_set_and_going_live_has_a_verb_of_its_own(store: Store) -> None:
    adapter = store.adapters.add("/1")
    for state in (AdapterState.CANARY, AdapterState.RETIRED, AdapterState.REJECTED):
        store.adapters.set_state(adapter.id, state)
        assert store.adapters.newest()[0].state is state
    for state in (AdapterState.LIVE, AdapterState.CANDIDATE):
        with pytest.raises(ValueError, match="promote"):
            store.adapters.set_state(adapter.id, state)
    for wrong in ("adapter_" + "0" * 26, "", "x"):
        with pytest.raises(NotFound):
            store.adapters.set_state(wrong, AdapterState.RETIRED)


def test_adapters_are_known_by_whom_and_what_they_learned_from(store: Store) -> None:
    ada, bob = store.people.add().id, store.people.add().id
    of_ada = [store.conversations.start(ada).id for _ in range(2)]
    of_bob = store.conversations.start(bob).id
    first = store.adapters.add("/1", [*of_ada, of_ada[0]]).id
    both = store.adapters.add("/2", [of_ada[1], of_bob]).id
    store.adapters.add("/3")
    learned_from = store.adapters.learned_from
    assert learned_from(user=ada) == sorted([first, both])
    assert learned_from(user=bob) == learned_from(conversation=of_bob) == [both]
    assert learned_from(conversation=of_ada[0]) == [first]


def test_what_was_learned_stays_known_after_erasing(store: Store) -> None:
    ada = store.people.add().id
    conversation = store.conversations.start(ada).id
    adapter = store.adapters.add("/1", [conversation]).id
    store.erase.person(ada)
    assert store.adapters.learned_from(user=ada) == [adapter]


def test_an_adapter_that_learned_from_what_was_erased_meanwhile_is_refused(store: Store) -> None:
    ada = store.people.add().id
    conversation = store.conversations.start(ada).id
    store.erase.person(ada)
    with pytest.raises(Conflict, match="erased meanwhile"):
        store.adapters.add("/1", [conversation])
    assert store.adapters.newest() == []

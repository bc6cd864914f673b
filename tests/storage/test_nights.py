from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from databases import KEY, FakeClock
from scenes import rows, together
from storage.errors import BadInput, ClaimLost
from storage.store import Store, open_store
from storage.values import Night, NightState

DEAD_AFTER = timedelta(minutes=10)


def test_a_night_planned_twice_is_one_night(store: Store, clock: FakeClock) -> None:
    first = store.nights.plan("2026-03-01", {"lr": 1e-6})
    clock.pass_by(hours=1)
    assert store.nights.plan("2026-03-01", {"lr": 5}) == first
    assert store.nights.newest() == [first]
    assert (first.state, first.attempt, first.config) == (NightState.WAITING, 0, {"lr": 1e-6})


def test_a_night_planned_by_many_at_once_is_one_night(store: Store, url: str) -> None:
    stores = [open_store(url, [KEY]) for _ in range(8)]
    ends = together([lambda each=each: each.nights.plan("n1", {}) for each in stores])  # type: ignore[misc]
    for each in stores:
        each.close()
    assert ends == store.nights.newest() * 8


def test_the_oldest_waiting_night_is_claimed_first(store: Store, clock: FakeClock) -> None:
    planned = []
    for number in range(3):
        planned.append(store.nights.plan(f"n{number}", {}).id)
        clock.pass_by(seconds=1)
    claimed = [store.nights.claim("w", DEAD_AFTER) for _ in range(4)]
    assert [night and night.id for night in claimed] == [*planned, None]


def test_nothing_planned_is_nothing_to_claim(store: Store, url: str) -> None:
    before = rows(url)
    assert store.nights.claim("w", DEAD_AFTER) is None
    assert rows(url) == before


def test_a_claimed_night_says_who_has_it(store: Store, clock: FakeClock) -> None:
    store.nights.plan("n1", {})
    night = claimed(store, "worker-a")
    assert (night.state, night.attempt, night.heartbeat) == (NightState.RUNNING, 1, clock.now())
    assert (night.claimed_by or "").startswith("worker-a")
    assert store.nights.newest() == [night]


def test_a_claim_is_safe_as_long_as_its_worker_beats(store: Store, clock: FakeClock) -> None:
    store.nights.plan("n1", {})
    night = claimed(store)
    for _ in range(5):
        clock.pass_by(minutes=9)
        store.nights.beat(night)
        assert store.nights.claim("b", DEAD_AFTER) is None
    clock.pass_by(minutes=10)
    assert store.nights.claim("b", DEAD_AFTER) is None
    clock.pass_by(microseconds=1)
    taken = store.nights.claim("b", DEAD_AFTER)
    assert taken is not None
    assert (taken.id, taken.attempt) == (night.id, 2)


@pytest.mark.parametrize("second", ["b", "a"])
def test_a_worker_that_wakes_up_after_its_night_was_taken_over_can_write_nothing(
    store: Store, clock: FakeClock, url: str, second: str
) -> None:
    store.nights.plan("n1", {})
    dead = claimed(store, "a")
    clock.pass_by(minutes=11)
    living = claimed(store, second)
    before = rows(url)
    verbs: list[Callable[[], None]] = [
        lambda: store.nights.beat(dead),
        lambda: store.nights.beat(dead, metrics={"loss": 1.0}),
        lambda: store.nights.finish(dead, NightState.DONE, gate={"passed": True}),
        lambda: store.nights.finish(dead, NightState.FAILED),
    ]
    for verb in verbs:
        with pytest.raises(ClaimLost):
            verb()
    assert rows(url) == before
    store.nights.finish(living, NightState.DONE)


def test_a_night_that_nobody_claimed_cannot_be_written(store: Store) -> None:
    planned = store.nights.plan("n1", {})
    with pytest.raises(ClaimLost):
        store.nights.beat(planned)
    with pytest.raises(ClaimLost):
        store.nights.finish(planned, NightState.DONE)
    assert store.nights.newest() == [planned]


def test_what_a_worker_finds_is_kept_bit_by_bit(store: Store, clock: FakeClock) -> None:
    store.nights.plan("n1", {})
    night = claimed(store)
    store.nights.beat(night, data_summary={"turns": 7}, metrics={"loss": [0.1, 1e-9], "kl": None})
    clock.pass_by(minutes=1)
    store.nights.finish(night, NightState.DONE, gate={"passed": False, "why": "ä"})
    (read,) = store.nights.newest()
    assert (read.state, read.finished) == (NightState.DONE, clock.now())
    assert (read.data_summary, read.metrics) == ({"turns": 7}, {"loss": [0.1, 1e-9], "kl": None})
    assert read.gate == {"passed": False, "why": "ä"}


def test_an_ended_night_is_over(store: Store, clock: FakeClock) -> None:
    store.nights.plan("n1", {})
    night = claimed(store)
    store.nights.finish(night, NightState.FAILED)
    clock.pass_by(days=1)
    assert store.nights.claim("b", DEAD_AFTER) is None
    with pytest.raises(ClaimLost):
        store.nights.beat(night)
    with pytest.raises(ClaimLost):
        store.nights.finish(night, NightState.DONE)
    assert store.nights.plan("n1", {}).state is NightState.FAILED


def test_a_night_ends_done_or_failed_and_keeps_what_it_has_columns_for(store: Store) -> None:
    store.nights.plan("n1", {})
    night = claimed(store)
    for state in (NightState.WAITING, NightState.RUNNING):
        with pytest.raises(ValueError, match="done or failed"):
            store.nights.finish(night, state)
    with pytest.raises(TypeError, match="state"):
        store.nights.beat(night, state={})


def test_what_is_not_plain_json_is_refused(store: Store, url: str) -> None:
    store.nights.plan("n1", {})
    night = claimed(store)
    before = rows(url)
    wrong: Any
    for wrong in (float("nan"), float("inf"), {1: 2}, {"a", "b"}, b"x", object(), ["\0"], {"\ud800": 1}, 1j):
        with pytest.raises(BadInput):
            store.nights.plan("n2", {"k": wrong})
        with pytest.raises(BadInput):
            store.nights.beat(night, metrics={"k": wrong})
    assert rows(url) == before


def test_json_that_is_nested_without_end_is_refused(store: Store) -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"k": deep}
    with pytest.raises(BadInput):
        store.nights.plan("n1", deep)
    assert store.nights.newest() == []


def test_of_eight_workers_who_claim_a_night_at_once_one_gets_it(store: Store, clock: FakeClock, url: str) -> None:
    stores = [open_store(url, [KEY]) for _ in range(8)]
    for number in range(5):
        clock.pass_by(seconds=1)
        store.nights.plan(f"n{number}", {})
        ends = together(
            [
                lambda each=each, place=place: each.nights.claim(f"w{place}", DEAD_AFTER)  # type: ignore[misc]
                for place, each in enumerate(stores)
            ]
        )
        assert [end for end in ends if end is not None] == store.nights.newest(1)
        store.nights.finish(store.nights.newest(1)[0], NightState.DONE)
    for each in stores:
        each.close()


def test_of_eight_workers_who_take_over_a_dead_claim_at_once_one_gets_it(
    store: Store, clock: FakeClock, url: str
) -> None:
    store.nights.plan("n1", {})
    claimed(store)
    clock.pass_by(minutes=11)
    stores = [open_store(url, [KEY], clock) for _ in range(8)]
    ends = together([lambda each=each: each.nights.claim("b", DEAD_AFTER) for each in stores])  # type: ignore[misc]
    for each in stores:
        each.close()
    (night,) = (end for end in ends if end is not None)
    assert isinstance(night, Night)
    assert night.attempt == 2


def test_eight_workers_share_eight_nights(store: Store, url: str) -> None:
    planned = {store.nights.plan(f"n{number}", {}).id for number in range(8)}
    stores = [open_store(url, [KEY]) for _ in range(8)]
    ends = together([lambda each=each: each.nights.claim("w", DEAD_AFTER) for each in stores])  # type: ignore[misc]
    for each in stores:
        each.close()
    assert {end.id for end in ends if isinstance(end, Night)} == planned


def claimed(store: Store, worker: str = "a") -> Night:
    night = store.nights.claim(worker, DEAD_AFTER)
    assert night is not None
    return night

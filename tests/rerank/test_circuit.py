from asyncio import CancelledError
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank.circuit import Circuit
from rerank.errors import Broken, Busy, Late, Refused, RerankError, Resting, TooLong, Unreachable


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    return Circuit(failures=3, rest=2.0, longest_rest=20.0, clock=clock)


def end(circuit: Circuit, how: BaseException | None = None) -> bool:
    """One request that ends so; whether it was let through."""
    request = circuit.guard()
    try:
        request.__enter__()
    except Resting:
        return False
    assert not request.__exit__(None if how is None else type(how), how, None)
    return True


def opened(circuit: Circuit) -> Circuit:
    for _ in range(3):
        assert end(circuit, Unreachable("no"))
    return circuit


@pytest.mark.parametrize("failure", [Unreachable, Late, Broken])
def test_it_opens_after_that_many_failures_in_a_row(circuit: Circuit, failure: Callable[[str], RerankError]) -> None:
    for _ in range(2):
        assert end(circuit, failure("no"))
        assert not circuit.open
    assert end(circuit, failure("no"))
    assert circuit.open
    assert not end(circuit)


def test_a_success_in_between_starts_the_count_again(circuit: Circuit) -> None:
    for _ in range(5):
        end(circuit, Late("no"))
        end(circuit, Broken("no"))
        end(circuit)
    assert not circuit.open


@pytest.mark.parametrize("answer", [Refused("no"), TooLong("no"), Busy("later", 5.0)])
def test_a_server_that_refuses_is_alive(circuit: Circuit, answer: RerankError) -> None:
    for _ in range(10):
        assert end(circuit, answer)
    end(circuit, Late("no"))
    end(circuit, Late("no"))
    end(circuit, answer)
    end(circuit, Late("no"))
    assert not circuit.open


def test_it_rests_and_says_so_without_a_word_of_the_server(circuit: Circuit, clock: Clock) -> None:
    opened(circuit)
    clock.now += 1.999
    with pytest.raises(Resting, match="left alone"), circuit.guard():
        pytest.fail("nobody may pass")
    clock.now += 0.001
    assert end(circuit)


def test_one_request_tries_it_while_the_others_rest(circuit: Circuit, clock: Clock) -> None:
    opened(circuit)
    clock.now += 2
    with circuit.guard():
        clock.now += 1000
        assert not end(circuit)
        assert not end(circuit)
    assert not circuit.open
    assert end(circuit)


@pytest.mark.parametrize("answer", [None, Refused("no"), Busy("later")])
def test_an_answer_to_the_trial_closes_it(circuit: Circuit, clock: Clock, answer: RerankError | None) -> None:
    opened(circuit)
    clock.now += 2
    assert end(circuit, answer)
    assert not circuit.open
    for _ in range(2):
        assert end(circuit, Late("no"))
    assert not circuit.open


def test_each_failed_trial_makes_the_rest_longer_up_to_the_longest(circuit: Circuit, clock: Clock) -> None:
    opened(circuit)
    for rest in (2, 4, 8, 16, 20, 20, *[20] * 2000):
        clock.now += rest - 0.5
        assert not end(circuit)
        clock.now += 0.5
        assert end(circuit, Late("no"))
    clock.now += 20
    assert end(circuit)
    opened(circuit)
    clock.now += 2
    assert end(circuit)


@pytest.mark.parametrize("how", [CancelledError(), GeneratorExit(), KeyboardInterrupt(), RuntimeError("a fault")])
def test_a_trial_that_was_broken_off_lets_another_try_at_once(
    circuit: Circuit, clock: Clock, how: BaseException
) -> None:
    opened(circuit)
    clock.now += 2
    assert end(circuit, how)
    assert circuit.open
    assert end(circuit)
    assert not circuit.open


def test_what_was_broken_off_counts_neither_way(circuit: Circuit) -> None:
    end(circuit, Late("no"))
    end(circuit, Late("no"))
    for _ in range(5):
        end(circuit, CancelledError())
    assert not circuit.open
    end(circuit, Late("no"))
    assert circuit.open


def test_once_the_trial_is_heard_everybody_may_pass(circuit: Circuit, clock: Clock) -> None:
    opened(circuit)
    clock.now += 2
    with circuit.guard():
        assert not end(circuit)
        circuit.heard()
        with circuit.guard():
            assert end(circuit)
    assert not circuit.open


def test_after_a_trial_that_was_heard_one_failure_is_enough(circuit: Circuit, clock: Clock) -> None:
    opened(circuit)
    clock.now += 2
    trial = circuit.guard()
    trial.__enter__()
    circuit.heard()
    trial.__exit__(Unreachable, Unreachable("broke off"), None)
    assert circuit.open
    assert not end(circuit)


def test_hearing_something_when_nothing_is_wrong_changes_nothing(circuit: Circuit) -> None:
    circuit.heard()
    assert end(circuit)
    assert not circuit.open


def test_a_request_from_before_that_ends_late_does_not_let_a_second_trial_in(circuit: Circuit, clock: Clock) -> None:
    before = circuit.guard()
    before.__enter__()
    opened(circuit)
    clock.now += 2
    with circuit.guard():
        before.__exit__(CancelledError, CancelledError(), None)
        assert not end(circuit)


def test_many_requests_that_fail_in_one_moment_are_one_reason_to_rest(circuit: Circuit, clock: Clock) -> None:
    together = [circuit.guard() for _ in range(12)]
    for each in together:
        each.__enter__()
    for each in together:
        each.__exit__(Unreachable, Unreachable("no"), None)
    assert not end(circuit)
    clock.now += 2
    assert end(circuit)


@given(
    st.lists(
        st.tuples(st.floats(0, 30), st.sampled_from([None, Late, Unreachable, Broken, Refused, Busy, CancelledError])),
        max_size=40,
    )
)
def test_after_the_longest_rest_somebody_may_always_try(
    story: list[tuple[float, Callable[[str], BaseException] | None]],
) -> None:
    clock = Clock()
    circuit = Circuit(failures=3, rest=2.0, longest_rest=20.0, clock=clock)
    in_a_row = 0
    for waited, how in story:
        clock.now += waited
        passed = end(circuit, None if how is None else how("no"))
        assert passed or (in_a_row >= 3 and waited < 20)
        if passed and how is not CancelledError:
            in_a_row = in_a_row + 1 if how in {Late, Unreachable, Broken} else 0
        assert circuit.open is (in_a_row >= 3)
    clock.now += 20
    assert end(circuit)
    assert not circuit.open

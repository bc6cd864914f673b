"""One person can't ask for more than is good; they are told so in clear words."""

from datetime import timedelta

import pytest

from app.limits import Allowance, Limits, TooMuch
from databases import FakeClock

SMALL = Limits(length=20, a_minute=3, a_day=5)


@pytest.fixture
def allowance(clock: FakeClock) -> Allowance:
    return Allowance(SMALL, clock)


def test_so_many_messages_a_minute_and_no_more(allowance: Allowance, clock: FakeClock) -> None:
    for _ in range(3):
        allowance.take("ann", "hello")
        clock.pass_by(seconds=10)
    with pytest.raises(TooMuch, match="wait 31 seconds"):
        allowance.take("ann", "hello")
    allowance.take("bob", "hello")
    clock.pass_by(seconds=31)
    allowance.take("ann", "hello")


def test_so_many_messages_a_day_and_no_more(allowance: Allowance, clock: FakeClock) -> None:
    for _ in range(5):
        allowance.take("ann", "hello")
        clock.pass_by(minutes=30)
    with pytest.raises(TooMuch, match="tomorrow"):
        allowance.take("ann", "hello")
    clock.pass_by(hours=22)
    allowance.take("ann", "hello")


def test_a_message_that_is_too_long_is_refused_and_not_counted(allowance: Allowance) -> None:
    for _ in range(9):
        with pytest.raises(TooMuch, match="21 characters; 20 fit"):
            allowance.take("ann", "x" * 21)
    for _ in range(3):
        allowance.take("ann", "x" * 20)


def test_how_long_somebody_has_been_writing_is_counted_from_the_last_real_break(clock: FakeClock) -> None:
    allowance = Allowance(Limits(), clock)
    assert allowance.in_a_row("ann") == timedelta(0)
    for _ in range(3):
        allowance.take("ann", "hello")
        clock.pass_by(minutes=29)
    assert allowance.in_a_row("ann") == timedelta(minutes=58)
    clock.pass_by(minutes=31)
    allowance.take("ann", "hello")
    assert allowance.in_a_row("ann") == timedelta(0)

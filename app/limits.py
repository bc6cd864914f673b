"""How much one person may ask for: said in clear words before anything is done, so that nothing is lost."""

from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.clock import Clock

_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_BREAK = timedelta(minutes=30)


class TooMuch(Exception):
    """The message is what the person reads; their words stay with them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed."""

    length: int = 8000
    a_minute: int = 8
    a_day: int = 400


class Allowance:
    """Counts messages by person, in this process."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits, self._clock = limits, clock
        self._sent: defaultdict[str, deque[datetime]] = defaultdict(deque)

    def take(self, person: str, text: str) -> None:
        """Count a message; raises if it is one too many or too long, and then does not count it."""
        now, sent = self._clock.now(), self._sent[person]
        while sent and now - sent[0] >= _DAY:
            sent.popleft()
        if len(text) > self._limits.length:
            raise TooMuch(
                f"This message has {len(text):,} characters; {self._limits.length:,} fit. "
                "Please send it in parts. It is still in the box."
            )
        if len(sent) >= self._limits.a_day:
            raise TooMuch(
                "That were many messages for one day. Please come back tomorrow; what you wrote is kept here."
            )
        recent = [each for each in sent if now - each < _MINUTE]
        if len(recent) >= self._limits.a_minute:
            wait = (_MINUTE - (now - recent[0])).seconds + 1
            raise TooMuch(f"That is faster than Attune can listen. Please wait {wait} seconds; what you wrote is kept.")
        sent.append(now)

    def in_a_row(self, person: str) -> timedelta:
        """How long they have been writing without a real break, up to their last message."""
        sent = self._sent[person]
        start = end = sent[-1] if sent else self._clock.now()
        for earlier in reversed(sent):
            if start - earlier > _BREAK:
                break
            start = earlier
        return end - start

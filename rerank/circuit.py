"""A circuit breaker: a server that failed several times in a row is left alone for a while, then tried by one request.

So a dead server costs a turn nothing but a look, and one that comes back is used again without anybody's help.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rerank.errors import Broken, Late, RerankError, Resting, Unreachable

_FAILURES = (Unreachable, Late, Broken)


class Circuit:
    """Counts failures in a row. Closed: all may pass. Open: nobody, until the rest is over; then one, as a trial."""

    def __init__(
        self,
        *,
        failures: int = 5,
        rest: float = 2.0,
        longest_rest: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed, self._rest, self._longest, self._clock = failures, rest, longest_rest, clock
        self._in_a_row = 0
        self._until = 0.0
        self._trial: object | None = None

    @property
    def open(self) -> bool:
        return self._in_a_row >= self._allowed

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Let a request pass, and learn from how it ends."""
        trial = self._admit()
        try:
            yield
        except _FAILURES:
            if trial is not None or not self.open:  # others that were under way when it opened say nothing new
                self._failed()
            raise
        except RerankError:
            self._in_a_row = 0  # it answered, if only to refuse
            raise
        else:
            self._in_a_row = 0
        finally:
            if self._trial is trial:
                self._trial = None

    def heard(self) -> None:
        """The server has begun to answer: others need not wait for the end; but one more failure is enough."""
        self._trial = None
        self._in_a_row = min(self._in_a_row, self._allowed - 1)

    def _admit(self) -> object | None:
        """What marks the request as a trial, if it is one."""
        if not self.open:
            return None
        if self._trial is not None or self._clock() < self._until:
            raise Resting("The model server failed several times in a row and is left alone for a moment.")
        self._trial = object()
        return self._trial

    def _failed(self) -> None:
        self._in_a_row += 1
        rest = self._rest * 2 ** min(self._in_a_row - self._allowed, 10)
        self._until = self._clock() + min(rest, self._longest)

"""Gathers a turn's questions into as few calls of the judge as time allows.

Where a call of many costs about as much as a call of one, a question waits for company: until somebody says that no
more is coming, or until it has waited long enough. Where it does not, each goes out alone and at once.
"""

import asyncio
from collections.abc import Callable, Sequence

from rerank.judge import Question


class Waves:
    """Holds everything until `open` tells the judge's patience."""

    def __init__(self, send: Callable[[list[Question]], None]) -> None:
        self._send = send
        self._patience: float | None = None
        self._waiting: list[Question] = []
        self._timer: asyncio.Handle | None = None

    @property
    def empty(self) -> bool:
        return not self._waiting

    def open(self, patience: float) -> None:
        self._patience = patience
        self.flush()

    def add(self, questions: Sequence[Question]) -> None:
        self._waiting += questions
        if self._waiting and self._timer is None and self._patience is not None:
            self._timer = asyncio.get_running_loop().call_later(self._patience, self._go)

    def flush(self) -> None:
        """Nobody is worth waiting for any more, but for those who arrive at this very moment."""
        if self._patience is None or not self._waiting:
            return
        self._stop_waiting()
        self._timer = asyncio.get_running_loop().call_soon(self._go)

    def clear(self) -> None:
        self._waiting = []
        self._stop_waiting()

    def _go(self) -> None:
        going, self._waiting, self._timer = self._waiting, [], None
        for wave in [going] if self._patience else [[each] for each in going]:
            if wave:
                self._send(wave)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

"""Ids that name their kind, sort by time, and cannot be guessed: `conv_06d2…`.

48 bits are milliseconds and 79 are chance. Sorting by time keeps inserts at the end of every index, so that storing
costs the same in a full database (measured by `attune bench storage`).
"""

import re
import secrets
from base64 import b32hexencode
from datetime import datetime
from enum import StrEnum
from threading import Lock

from storage.errors import NotFound


class Kind(StrEnum):
    """The prefix of an id, by what it names."""

    USER = "user"
    CONSENT = "consent"
    CONVERSATION = "conv"
    MESSAGE = "msg"
    TURN = "turn"
    FEEDBACK = "feedback"
    FLAG = "flag"
    REVIEW = "review"
    NIGHT = "night"
    ADAPTER = "adapter"


ID_LENGTH = 40
_SHAPE = {kind: re.compile(rf"{kind}_[0-9a-v]{{26}}", re.ASCII) for kind in Kind}
_SPOKEN = {Kind.CONVERSATION: "conversation", Kind.MESSAGE: "message", Kind.USER: "person"}


_CHANCE_BITS = 80
_STEP_BITS = 64


class _Numbers:
    """Numbers that rise within a process, also within one millisecond, by steps that cannot be guessed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._last = 0

    def next(self, milliseconds: int) -> int:
        with self._lock:
            if milliseconds == self._last >> _CHANCE_BITS:
                self._last += 1 + secrets.randbits(_STEP_BITS)
            else:
                self._last = milliseconds << _CHANCE_BITS | secrets.randbits(_CHANCE_BITS - 1)  # room for steps
            return self._last


_numbers = _Numbers()


def new_id(kind: Kind, now: datetime) -> str:
    number = _numbers.next(int(now.timestamp() * 1000))
    return f"{kind}_{b32hexencode(number.to_bytes(16)).rstrip(b'=').decode().lower()}"


def known(kind: Kind, value: object) -> str:
    """The id if it has the right form, else the error of an id that does not exist."""
    if not isinstance(value, str) or not _SHAPE[kind].fullmatch(value):
        raise missing(kind)
    return value


def missing(kind: Kind) -> NotFound:
    return NotFound(_SPOKEN.get(kind, kind.value))

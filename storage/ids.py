"""Ids that name their kind, sort by time, and cannot be guessed: `conv_06d2…`.

48 bits are milliseconds and 80 are chance. Sorting by time keeps inserts at the end of every index, so that storing
costs the same in a full database (measured by `attune bench storage`).
"""

import re
import secrets
from base64 import b32hexencode
from datetime import datetime
from enum import StrEnum

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


def new_id(kind: Kind, now: datetime) -> str:
    milliseconds = int(now.timestamp() * 1000).to_bytes(6)
    return f"{kind}_{b32hexencode(milliseconds + secrets.token_bytes(10)).rstrip(b'=').decode().lower()}"


def known(kind: Kind, value: object) -> str:
    """The id if it has the right form, else the error of an id that does not exist."""
    if not isinstance(value, str) or not _SHAPE[kind].fullmatch(value):
        raise missing(kind)
    return value


def missing(kind: Kind) -> NotFound:
    return NotFound(_SPOKEN.get(kind, kind.value))

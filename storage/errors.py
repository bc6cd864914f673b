"""Everything that can go wrong in storage, as a caller sees it.

Messages are for people: what happened, what to do. They never hold a word that a person wrote, and an unknown id,
another person's id and an id of the wrong kind read the same.
"""

HOW_TO_MAKE_A_KEY = "Make one with `openssl rand -base64 32`."


class StorageError(Exception):
    """The root: catching it catches all that storage raises on purpose."""


class NotFound(StorageError):
    """No such thing, or it is not yours: deliberately the same."""

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no such {what}.")


class BadInput(StorageError):
    """The value cannot be kept as it is; nothing was written."""


class Conflict(StorageError):
    """Somebody else was first, or the thing is no longer in the state that this needs."""


class ClaimLost(StorageError):
    """Another worker has taken this night over: stop at once."""


class Unavailable(StorageError):
    """The database did not answer; what was committed before is kept."""


class NotReady(StorageError):
    """The database is missing or its tables do not fit this version."""


class WrongKey(StorageError):
    """ATTUNE_DATA_KEY is missing, malformed, or not the one that this database was written with."""


class Damaged(StorageError):
    """A stored value was altered outside Attune."""

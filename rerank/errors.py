"""Everything that can go wrong in reranking, as a caller sees it. Nothing else leaves this package.

Messages are for people who run Attune: what happened, what to do. They never hold what a person, a model or a server
wrote.
"""


class RerankError(Exception):
    """The root: catching it catches all that reranking raises on purpose."""


class Unreachable(RerankError):
    """The server refused the connection or broke it off."""


class Late(RerankError):
    """The server did not answer in time. Asking again would take as long again."""


class Busy(RerankError):
    """The server asks to come back later."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Broken(RerankError):
    """The server failed inside, or answered what cannot be read."""


class Refused(RerankError):
    """The server does not accept the request: a wrong model, key or option. Asking again does not help."""


class TooLong(Refused):
    """The prompt and the reply do not fit the model's window."""


class Resting(RerankError):
    """The server failed too often a moment ago: it is left alone for a while."""

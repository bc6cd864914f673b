"""The store: the one door to what Attune keeps.

Verbs stand by topic: `store.turns.submit(...)`, `store.erase.person(...)`. It is synchronous: a call takes a few
milliseconds and an event loop hands it to a thread (docs/decisions/0002-storage.md).
"""

from collections.abc import Callable, Sequence

from storage import keyring, migrate
from storage.adapters import Adapters
from storage.audit import Audit
from storage.clock import Clock, SystemClock
from storage.conversations import Conversations
from storage.crypto import Keys
from storage.database import Database
from storage.engine import Transactions, make_file, parse_url, sqlite_file
from storage.erase import Erasing
from storage.errors import NotReady
from storage.export import Exporting
from storage.feedback import FeedbackGiven
from storage.flags import Flags
from storage.nights import Nights
from storage.people import People
from storage.turns import Turns


class Store:
    """Everything that is kept, by topic."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.people = People(database)
        self.conversations = Conversations(database)
        self.turns = Turns(database)
        self.feedback = FeedbackGiven(database)
        self.flags = Flags(database)
        self.nights = Nights(database)
        self.adapters = Adapters(database)
        self.audit = Audit(database)
        self.erase = Erasing(database)
        self.export = Exporting(database)

    def close(self) -> None:
        self.database.transactions.close()


def open_store(url: str, keys: Sequence[str] = (), clock: Clock | None = None) -> Store:
    """Open a database that exists and fits this version, with the keys it was written with."""
    database = Database(connect(url), Keys(keys), clock or SystemClock())
    try:
        migrate.require_newest(database.transactions)
        keyring.adopt(database)
    except BaseException:
        database.transactions.close()
        raise
    return Store(database)


def connect(url: str, *, create: bool = False) -> Transactions:
    """Reach a database whatever its state. Without `create`, a missing SQLite file is an error and stays missing."""
    parsed = parse_url(url)
    file = sqlite_file(parsed)
    if file is not None and create:
        make_file(file)
    elif file is not None and not file.exists():
        raise NotReady(f"There is no database at {file.absolute()} yet. Run `attune db upgrade` to make one.")
    transactions = Transactions(parsed)
    if create:
        transactions.use_wal()
    return transactions


def rekey(url: str, keys: Sequence[str], progress: Callable[[int, int], None], clock: Clock | None = None) -> int:
    """Move a database to the first of these keys; the others, and plain text, are read only on the way."""
    database = Database(connect(url), Keys(keys, reads_plain=True), clock or SystemClock())
    try:
        migrate.require_newest(database.transactions)
        return keyring.rekey(database, progress)
    finally:
        database.transactions.close()

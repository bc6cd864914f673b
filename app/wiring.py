"""The composition root: the one place that names concrete classes and joins them by the settings."""

from app.settings import Settings
from storage.store import Store, open_store


def make_store(settings: Settings) -> Store:
    return open_store(settings.database, settings.keys)

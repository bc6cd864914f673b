"""What text may be stored. Everything is kept exactly as written, or refused before anything is written."""

import re
from typing import Any

from storage.errors import BadInput

MAX_BYTES = 4 * 2**20
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def words(value: object, field: str) -> str:
    """What a person or a model wrote: any characters but halves of characters, up to 4 MiB."""
    if not isinstance(value, str):
        raise BadInput(f"{field} must be text.")
    if half := _SURROGATE.search(value):
        raise BadInput(f"{field} holds half of a character at position {half.start()}. Send it as valid Unicode.")
    if len(value.encode()) > MAX_BYTES:
        raise BadInput(f"{field} is longer than {MAX_BYTES // 2**20} MiB. Shorten it.")
    return value


def optional_words(value: object, field: str) -> str | None:
    return None if value is None else words(value, field)


def name(value: object, field: str, longest: int) -> str:
    """A short label without spaces, control characters or marks that change the direction of text."""
    if not isinstance(value, str) or not 1 <= len(value) <= longest or not value.isprintable() or " " in value:
        raise BadInput(f"{field} must be 1 to {longest} characters without spaces or control characters.")
    return value


def machine_json(value: dict[str, Any], field: str) -> dict[str, Any]:
    """JSON that any of the databases keeps: finite numbers, string keys, no NUL and no half characters."""
    try:
        _check_json(value, field)
    except RecursionError:
        raise BadInput(f"{field} is nested too deeply.") from None
    return value


def _check_json(value: object, field: str) -> None:
    match value:
        case None | bool() | int():
            pass
        case float() if value - value == 0:
            pass
        case str() if "\0" not in value and not _SURROGATE.search(value):
            pass
        case list() | tuple():
            for item in value:
                _check_json(item, field)
        case dict():
            for key, item in value.items():
                _check_json(key if isinstance(key, str) else float("nan"), field)
                _check_json(item, field)
        case _:
            raise BadInput(f"{field} must be plain JSON: finite numbers, text without NUL, lists and objects.")

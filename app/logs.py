"""Structured logs that cannot hold what a person wrote.

Events have names, like `night.claimed`. Text may only stand under the keys listed here, and only if it looks like a
name, an id or a path; other text is replaced by its length. Of an exception the log has its type and where it was
raised, never its message: messages quote values. Other libraries' records keep their logger, level and place, not
their text, for the same reason. Numbers, times and yes or no pass.
"""

import logging
import re
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from copy import copy
from datetime import datetime
from enum import Enum
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TextIO
from uuid import uuid4

import structlog

NAMING_KEYS = frozenset(
    (
        *("event", "level", "timestamp", "logger", "where", "error", "request", "command", "action", "reason", "actor"),
        *("user", "conversation", "message", "turn", "flag", "night", "adapter", "worker"),
        *("backend", "revision", "setting", "version", "state", "tier", "category", "kind", "path"),
    )
)
_NAME = re.compile(r"[\w.:/@+#>-]{1,200}", re.ASCII)
_NOT_IN_A_PLACE = re.compile(r"[^\w.-]", re.ASCII)
_KEY = re.compile(r"[a-z_][a-z0-9_]{0,39}", re.ASCII)
_STRUCTLOGS_OWN = {"_record", "_from_structlog", "exc_info"}  # gone before anything is written
_ERROR_FRAMES, _LONGEST_PLACE = 12, 200
_Event = MutableMapping[str, Any]


def configure(form: Literal["auto", "console", "json"], level: str, stream: TextIO | None = None) -> None:
    """Send everything, structlog's and the standard library's, to one stream in one form."""
    out = stream or sys.stderr
    as_json = form == "json" or (form == "auto" and not out.isatty())
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _describe_exception,
        withhold,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _Handler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_keep_only_the_place, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel("WARNING")  # of libraries; they say little that is not somebody's words
    for package in ("app", "learning", "storage", "rerank"):
        logging.getLogger(package).setLevel(level.upper())
    logging.captureWarnings(capture=True)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes records without ever joining a library's text with its arguments."""

    def format(self, record: logging.LogRecord) -> str:
        if not isinstance(record.msg, dict):
            record = copy(record)
            record.msg, record.args = "", ()
        return super().format(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Do nothing: a log that cannot be written stops no work, and the usual answer prints the record elsewhere."""


@contextmanager
def request(**names: str) -> Iterator[str]:
    """Everything logged inside carries one request id."""
    number = uuid4().hex[:12]
    with structlog.contextvars.bound_contextvars(request=number, **names):
        yield number


def withhold(_logger: object, _method: str, event: _Event) -> _Event:
    """Let through names and numbers; of any other text, only its length."""
    return {key: _allowed(key, value) for key, value in event.items() if _KEY.fullmatch(key)}


def _allowed(key: str, value: Any) -> Any:  # noqa: ANN401
    if (
        key in _STRUCTLOGS_OWN
        or value is None
        or type(value) in (bool, int)
        or (type(value) is float and isfinite(value))
    ):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, str | Enum | Path):
        return f"<{type(value).__name__} withheld>"
    text = str(value.value) if isinstance(value, Enum) else str(value)
    return text if key in NAMING_KEYS and _NAME.fullmatch(text) else f"<{len(text)} characters withheld>"


def _describe_exception(_logger: object, _method: str, event: _Event) -> _Event:
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["where"] = place_of(error.__traceback__)
    return event


def place_of(trace: TracebackType | None) -> str:
    """Where an exception came from: the files and lines on its way, newest last, without any text."""
    frames = traceback.extract_tb(trace)[-_ERROR_FRAMES:]
    files = (_NOT_IN_A_PLACE.sub("_", Path(frame.filename).name) for frame in frames)
    places = (f"{file}:{frame.lineno}" for file, frame in zip(files, frames, strict=True))
    return ">".join(places)[-_LONGEST_PLACE:] or "unknown"


def _keep_only_the_place(_logger: object, _method: str, event: _Event) -> _Event:
    record: logging.LogRecord = event["_record"]
    kept = {key: value for key, value in event.items() if key.startswith("_")}
    exc_info = {"exc_info": record.exc_info} if record.exc_info else {}
    where = f"{record.filename}:{record.lineno}"
    return {"event": "library.record", "logger": record.name, "where": where} | exc_info | kept

"""The settings: `ATTUNE_*` in the environment or in `.env`, read once, never changed, every problem told at once.

Secrets are never part of a message. `.env.example` lists every setting; a test holds the two together.
"""

import difflib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Annotated, Literal

from dotenv.parser import parse_stream
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from storage.crypto import HOW_TO_MAKE_A_KEY, Keys
from storage.engine import parse_url
from storage.errors import StorageError

PREFIX = "ATTUNE_"
ENV_FILE = Path(".env")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SettingsError(Exception):
    """The settings can't be used; `problems` says for each what to set."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("The settings need a change:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.problems = problems


class Settings(BaseSettings):
    """What a host can choose. Descriptions complete the sentence `ATTUNE_X must be …`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", frozen=True
    )

    database_url: SecretStr = Field(
        SecretStr("sqlite:///data/attune.db"),
        description="sqlite:///path/to/file.db or postgresql://user:password@host/name",
    )
    data_key: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description=f"keys of 32 bytes in base64, separated by commas, the newest first. {HOW_TO_MAKE_A_KEY}",
    )
    retention_days: int | None = Field(
        None,
        ge=1,
        le=36500,
        description="a whole number of days; leave it out to keep conversations until deleted",
    )
    temporary_hours: int = Field(24, ge=1, le=8760, description="a whole number of hours, at least 1")
    log_format: Literal["auto", "console", "json"] = Field("auto", description="auto, console or json")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, value: SecretStr) -> SecretStr:
        with _told_as_value_error():
            parse_url(value.get_secret_value())
        return value

    @field_validator("data_key", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("data_key")
    @classmethod
    def _are_keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        with _told_as_value_error():
            Keys(key.get_secret_value() for key in value)
        return value

    @property
    def keys(self) -> list[str]:
        return [key.get_secret_value() for key in self.data_key]

    @property
    def database(self) -> str:
        return self.database_url.get_secret_value()


def load(env_file: Path = ENV_FILE) -> Settings:
    lines, problems = _read(env_file)
    problems += _misspelt({*os.environ, *lines})
    settings = None
    try:
        settings = Settings(_env_file=env_file if lines else None)  # type: ignore[call-arg]
    except ValidationError as error:
        names = dict.fromkeys(str(each["loc"][0]) for each in error.errors(include_input=False))
        wanted = {name: (Settings.model_fields[name].description or "").rstrip(".") for name in names}
        problems += [f"{PREFIX}{name.upper()} must be {description}." for name, description in wanted.items()]
    if problems or settings is None:
        raise SettingsError(problems)
    return settings


@contextmanager
def _told_as_value_error() -> Iterator[None]:
    """Pydantic collects these, and with them every other problem, before it raises."""
    try:
        yield
    except StorageError as error:
        raise ValueError(str(error)) from None


def _read(env_file: Path) -> tuple[set[str], list[str]]:
    """The names that the file sets, and the lines that set nothing; those are not quoted, they may hold a key."""
    try:
        bindings = list(parse_stream(StringIO(env_file.read_text(encoding="utf-8")))) if env_file.exists() else []
    except (UnicodeDecodeError, OSError):
        return set(), [f"{env_file.absolute()} cannot be read as UTF-8 text. Correct it or remove it."]
    wrong = [each.original.line for each in bindings if each.error or not _NAME.fullmatch(each.key or "X")]
    names = {each.key for each in bindings if each.key and _NAME.fullmatch(each.key)}
    return names, [f"{env_file.absolute()}, line {line}, is not NAME=value. Correct it or remove it." for line in wrong]


def _misspelt(given: set[str]) -> list[str]:
    """Name settings that do not exist: a typing error must not mean the default in silence."""
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    problems = []
    for name in sorted({name.upper() for name in given if _NAME.fullmatch(name)}):
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            advice = f"Did you mean {close[0]}?" if close else "Remove it, or see .env.example."
            problems.append(f"{name} is not a setting. {advice}")
    return problems

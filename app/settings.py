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
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from dotenv.parser import parse_stream
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from storage.errors import HOW_TO_MAKE_A_KEY, StorageError

PREFIX = "ATTUNE_"
ENV_FILE = Path(".env")
_A_URL = "the address of the OpenAI-compatible server {of}, like http://127.0.0.1:8000/v1"
_A_MODEL = "the name of a model on the {of}'s server"
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
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
    host: str = Field("127.0.0.1", description="an address of this machine, like 127.0.0.1 or 0.0.0.0")
    port: int = Field(7860, ge=0, le=65535, description="a whole number from 0 to 65535")
    secret: SecretStr = Field(
        SecretStr(""), description="what cookies are signed with; left out, the one in ATTUNE_SECRET_FILE"
    )
    secret_file: str = Field("data/secret", description="the path of a file that only Attune can read")
    message_length: int = Field(8000, ge=100, le=100_000, description="a whole number from 100 to 100000")
    messages_a_minute: int = Field(8, ge=1, le=1000, description="a whole number from 1 to 1000")
    messages_a_day: int = Field(400, ge=1, le=100_000, description="a whole number from 1 to 100000")
    policy_url: str = Field("", description=_A_URL.format(of="that writes the replies"))
    policy_model: str = Field("", description=_A_MODEL.format(of="policy"))
    policy_key: SecretStr = Field(SecretStr(""), description="the API key of the policy's server")
    model: str = Field("", description="the folder of a model, or its name on a hub, like Qwen/Qwen2.5-1.5B-Instruct")
    fallback_url: str = Field("", description=_A_URL.format(of="that writes when the policy's server fails"))
    fallback_model: str = Field("", description=_A_MODEL.format(of="fallback"))
    fallback_key: SecretStr = Field(SecretStr(""), description="the API key of the fallback's server")
    judge_engine: Literal["auto", "llm", "embedded"] = Field("auto", description="auto, llm or embedded")
    judge_url: str = Field("", description=_A_URL.format(of="that judges; left out, the policy's judges"))
    judge_model: str = Field("", description=_A_MODEL.format(of="judge"))
    judge_key: SecretStr = Field(SecretStr(""), description="the API key of the judge's server")
    judge_mode: Literal["expected", "rationale"] = Field("expected", description="expected or rationale")
    candidates: int = Field(4, ge=1, le=32, description="a whole number from 1 to 32")
    reply_tokens: int = Field(1024, ge=16, le=32768, description="a whole number from 16 to 32768")
    deadline_seconds: float = Field(8, gt=0, le=600, description="a number of seconds above 0, at most 600")
    reward_aggregation: Literal["harmonic", "mean", "geometric"] = Field(
        "harmonic", description="harmonic, mean or geometric"
    )
    reward_weights: Annotated[tuple[_Positive, _Positive, _Positive], NoDecode] = Field(
        (1.0, 1.0, 1.0), description="three numbers above 0 for resonation, expression and reception, like 1,1,1"
    )
    reward_bystander: float = Field(0.5, ge=0, le=100, description="a number from 0 to 100")
    reward_free_tokens: int = Field(768, ge=0, le=10**6, description="a whole number from 0 to 1000000")
    reward_per_token: float = Field(0.001, ge=0, le=1, description="a number from 0 to 1")
    threads: int = Field(2, ge=1, le=256, description="a whole number from 1 to 256")
    log_format: Literal["auto", "console", "json"] = Field("auto", description="auto, console or json")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, value: SecretStr) -> SecretStr:
        from storage.engine import parse_url  # noqa: PLC0415 - see `_are_keys`

        with _told_as_value_error():
            parse_url(value.get_secret_value())
        return value

    @field_validator("policy_url", "fallback_url", "judge_url")
    @classmethod
    def _is_a_server(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and not (parts.scheme in {"http", "https"} and parts.hostname and parts.username is None):
            raise ValueError("not the address of a server")
        return value

    @model_validator(mode="after")
    def _servers_have_models(self) -> Self:
        if self.fallback_url and not self.policy_url:
            raise PydanticCustomError("no_first", "policy_url")
        for role in ("policy", "fallback", "judge"):
            if getattr(self, f"{role}_url") and not getattr(self, f"{role}_model"):
                raise PydanticCustomError("no_model", f"{role}_model")
        return self

    @field_validator("data_key", "reward_weights", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("data_key")
    @classmethod
    def _are_keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        from storage.crypto import Keys  # noqa: PLC0415 - takes as long as all other settings, and most set none

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
        found = error.errors(include_input=False, include_url=False)
        names = dict.fromkeys(str(each["loc"][0] if each["loc"] else each["msg"]) for each in found)
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
    known = [name.upper() for name in Settings.model_fields]
    problems = []
    for name in sorted({name.upper() for name in given if _NAME.fullmatch(name)}):
        if name.startswith(PREFIX) and (own := name.removeprefix(PREFIX)) not in known:
            close = difflib.get_close_matches(own, known, n=1)
            advice = f"Did you mean {PREFIX}{close[0]}?" if close else "Remove it, or see .env.example."
            problems.append(f"{name} is not a setting. {advice}")
    return problems

"""Looks at an installation from outside, changes nothing, and says for every fault what to do.

The scheduler gets its check here when it is built.
"""

import asyncio
import platform
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app import settings as settings_module
from app.settings import Settings, SettingsError
from rerank.errors import RerankError
from rerank.local_model import is_folder
from rerank.server import Features, Limits, Server
from rerank.weights import FILES, BadWeights, encoder_weights, policy_version, version
from storage import keyring, migrate
from storage.audit import Audit
from storage.clock import SystemClock
from storage.crypto import Keys
from storage.database import Database
from storage.engine import Transactions, parse_url, sqlite_file
from storage.errors import StorageError, WrongKey
from storage.store import connect

_LITTLE_SPACE = 500 * 2**20
_MODELS_TOLD = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "warning", "failed"]
    detail: str
    advice: str = ""


def examine(env_file: Path = settings_module.ENV_FILE) -> list[Check]:
    python = Check("python", "ok", f"{platform.python_version()} on {platform.system()}")
    try:
        settings = settings_module.load(env_file)
    except SettingsError as error:
        return [python, *(Check("settings", "failed", problem) for problem in error.problems)]
    found = (
        f"read from {env_file.absolute()} and the environment"
        if env_file.is_file()
        else "read from the environment, else the defaults"
    )
    return [python, Check("settings", "ok", found), *_storage(settings), _embedded(), *_servers(settings)]


def _storage(settings: Settings) -> Iterator[Check]:
    yield from _space(settings)
    try:
        transactions = connect(settings.database)
    except StorageError as error:
        yield Check("database", "failed", str(error))
        return
    with closing(transactions):
        name = "database"
        try:
            yield _reached(transactions)
            name = "tables"
            migrate.require_newest(transactions)
            yield Check("tables", "ok", f"at revision {migrate.newest()}")
            name = "database"
            database = Database(transactions, Keys(settings.keys), SystemClock())
            yield _encryption(database)
            yield _audit(database)
        except StorageError as error:
            yield Check(name, "failed", str(error))


def _space(settings: Settings) -> Iterator[Check]:
    if (file := sqlite_file(parse_url(settings.database))) is None:
        return
    folder = next(parent for parent in file.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    detail = f"{free / 2**30:.1f} GiB free at {folder}"
    if free < _LITTLE_SPACE:
        yield Check("disk", "warning", detail, "Free some space: a full disk stops Attune from keeping messages.")
    else:
        yield Check("disk", "ok", detail)


def _reached(transactions: Transactions) -> Check:
    migrate.current(transactions.engine)
    file = sqlite_file(transactions.url)
    if file is not None:
        return Check("database", "ok", f"SQLite at {file.absolute()}, {file.stat().st_size / 2**20:.1f} MiB")
    # Not the whole URL: a password may stand in more than one place of it.
    where = transactions.url.host or "this machine"
    return Check("database", "ok", f"PostgreSQL on {where}, database {transactions.url.database}")


def _encryption(database: Database) -> Check:
    try:
        with database.read() as connection:
            keyring.check(connection, database.keys)
            older = ", ".join(keyring.still_needed(connection, database.keys))
    except WrongKey as error:
        return Check("encryption", "failed", str(error))
    if older:
        return Check("encryption", "warning", f"some words are still under the key {older}", "Run `attune db rekey`.")
    if database.keys.writing != "plain":
        return Check("encryption", "ok", f"on, key {database.keys.writing}")
    advice = (
        "Set ATTUNE_DATA_KEY and run `attune db rekey`. Make a key with `openssl rand -base64 32`; keep a copy of it."
    )
    return Check(
        "encryption", "warning", "off: words are stored readable for everybody who can read the database", advice
    )


def _audit(database: Database) -> Check:
    verdict = Audit(database).verify()
    if verdict.problems:
        return Check(
            "audit", "failed", "; ".join(verdict.problems), "See `attune audit verify`; compare with a backup."
        )
    return Check("audit", "ok", f"{verdict.entries} entries, the chain is whole")


def _embedded() -> Check:
    """Risk is always read by these, whoever judges."""
    try:
        encoder_weights()
        versions = ", ".join(f"{model} {version(model)}" for model in FILES)
    except BadWeights as error:
        return Check("embedded", "failed", str(error))
    return Check("embedded", "ok", versions)


def _servers(settings: Settings) -> Iterator[Check]:
    if settings.policy_url:
        yield _server("policy", settings.policy_url, settings.policy_model, settings.policy_key.get_secret_value())
    else:
        yield _local("policy", settings)
    if settings.fallback_url:
        key = settings.fallback_key.get_secret_value()
        yield _server("fallback", settings.fallback_url, settings.fallback_model, key)
    elif settings.policy_url:
        yield _local("fallback", settings)
    if settings.judge_engine == "embedded":
        return
    role = "judge" if settings.judge_url else "policy"
    url, key = getattr(settings, f"{role}_url"), getattr(settings, f"{role}_key").get_secret_value()
    if url:
        yield _server("judge", url, settings.judge_model or settings.policy_model, key)
    elif settings.judge_engine == "llm":
        yield Check("judge", "failed", "no server is set", "Set ATTUNE_JUDGE_URL and ATTUNE_JUDGE_MODEL.")


def _local(role: str, settings: Settings) -> Check:
    """What writes in this process."""
    if not settings.model:
        better = "For better replies set ATTUNE_POLICY_URL and ATTUNE_POLICY_MODEL, or ATTUNE_MODEL."
        try:
            found = f"the built-in model {policy_version()}, in this process"
        except BadWeights as error:
            return Check(role, "failed", str(error))
        return Check(role, "ok", found, better if role == "policy" else "")
    if not is_folder(settings.model):
        return Check(role, "ok", f"{settings.model}, in this process, downloaded when first used")
    missing = [each for each in ("config.json", "tokenizer.json") if not (Path(settings.model) / each).is_file()]
    if missing:
        return Check(role, "failed", f"{settings.model} has no {missing[0]}", "Name the folder of a whole model.")
    return Check(role, "ok", f"the model in {settings.model}, in this process")


def _server(role: str, url: str, model: str, key: str) -> Check:
    try:
        found = asyncio.run(_features(url, model, key))
    except RerankError as error:
        return Check(role, "failed", str(error), f"Start the server, or correct ATTUNE_{role.upper()}_URL.")
    if found.models and model not in found.models:
        listed = ", ".join(found.models[:_MODELS_TOLD])
        return Check(role, "failed", f"the server has no model {model}; it has {listed}", "Correct the model's name.")
    offers = [f"a window of {found.window} tokens"] if found.window else []
    offers += ["batches"] if found.batch else []
    return Check(role, "ok", f"{model}, reached" + (f", with {' and '.join(offers)}" if offers else ""))


async def _features(url: str, model: str, key: str) -> Features:
    async with Server(url, key, limits=Limits(connect=3, read=5, attempts=1)) as server:
        return await server.features(model)

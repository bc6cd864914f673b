"""The fixtures that all tests share: real databases, made by the migrations, empty and the test's own."""

import logging
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import structlog
from sqlalchemy import make_url

from databases import BACKENDS, KEY, FakeClock, empty_again, file_of, run_migrations
from storage.store import Store, open_store
from storage.throwaway import HOW_TO_GET_IT, programs, throwaway_postgres
from vllm_server import CannotSetUp, VllmServer, set_up

pytest.register_assert_rewrite("vllm_suite")
collect_ignore = [] if shutil.which("nvidia-smi") else ["gpu"]


def pytest_report_header() -> list[str]:
    return ["tests/gpu is left out: there is no GPU here (no nvidia-smi)"] if collect_ignore else []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ATTUNE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def fresh_logs() -> Callable[[], None]:
    """Put the logs back as they are when a process starts."""

    def reset() -> None:
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
        for handler in logging.getLogger().handlers[:]:
            if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter):
                logging.getLogger().removeHandler(handler)

    return reset


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_logs: Callable[[], None]) -> Iterator[None]:
    """A folder of its own and fresh logs, for a test that runs commands."""
    monkeypatch.chdir(tmp_path)
    fresh_logs()
    yield
    fresh_logs()


@pytest.fixture
def me(store: Store) -> str:
    """A person."""
    return store.people.add().id


@pytest.fixture
def talk(store: Store, me: str) -> str:
    """A conversation of theirs."""
    return store.conversations.start(me).id


@pytest.fixture
def turn(store: Store, me: str, talk: str) -> str:
    """A pending turn in it."""
    return store.turns.submit(me, talk, "c1", "hello").id


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real server. Where there is none the tests that want it are skipped by name."""
    if programs() is None:
        pytest.skip(HOW_TO_GET_IT)
    with throwaway_postgres(forgetful=True) as url:
        yield url


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Make a new database without tables, by backend; gives its URL."""

    def make(backend: str) -> str:
        if backend == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/attune.db"
        server, name = request.getfixturevalue("postgres"), f"test_{uuid4().hex}"
        _admin(server, f"CREATE DATABASE {name}")
        return str(server.format(name=name))

    return make


@pytest.fixture(scope="session")
def migrated_database(empty_database: Callable[[str], str], request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Make a new database with all tables: a copy of one that the migrations made."""
    templates: dict[str, str] = {}

    def make(backend: str) -> str:
        if backend not in templates:
            templates[backend] = empty_database(backend)
            run_migrations(templates[backend])
        url = empty_database(backend)
        if backend == "sqlite":
            shutil.copy(file_of(templates[backend]), file_of(url))
            return url
        server = request.getfixturevalue("postgres")
        name, template = (make_url(each).database for each in (url, templates[backend]))
        _admin(server, f"DROP DATABASE {name}")
        _admin(server, f"CREATE DATABASE {name} TEMPLATE {template}")
        return url

    return make


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def spare() -> list[str]:
    """PostgreSQL databases that a test has left, empty again: making one takes much longer."""
    return []


@pytest.fixture
def url(backend: str, migrated_database: Callable[[str], str], spare: list[str]) -> Iterator[str]:
    """A database of the test's own, with all tables and nothing in them, on each backend."""
    if backend == "sqlite":
        yield migrated_database(backend)
        return
    url = spare.pop() if spare else migrated_database(backend)
    yield url
    if empty_again(url):
        spare.append(url)


@pytest.fixture
def store(url: str, clock: FakeClock) -> Iterator[Store]:
    """An encrypted store on each backend."""
    opened = open_store(url, [KEY], clock)
    yield opened
    opened.close()


@pytest.fixture
def plain_store(url: str, clock: FakeClock) -> Iterator[Store]:
    """A store without a key, on each backend."""
    opened = open_store(url, [], clock)
    yield opened
    opened.close()


def _admin(server: str, statement: str) -> None:
    with psycopg.connect(server.format(name="postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.fixture(scope="session")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """A real vLLM server on the CPU. Where it cannot be installed the tests that want it are skipped by name."""
    try:
        models = set_up()
    except CannotSetUp as error:
        pytest.skip(f"vLLM for the CPU cannot be installed here: {error}")
    with VllmServer(models, tmp_path_factory.mktemp("vllm") / "log") as server:
        yield server

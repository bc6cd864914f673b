"""A real server with the built-in models, and a real browser."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from databases import run_migrations
from storage.store import Store, open_store

HOW_TO_GET_IT = "There is no Chromium. On Debian or Ubuntu: apt-get install chromium"
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_PATIENCE = 60
expect.set_options(timeout=30_000)  # a turn takes seconds, and more on a busy machine


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs, and the database below it."""

    root: str
    database: str

    def store(self) -> closing[Store]:
        return closing(open_store(self.database))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    database = f"sqlite:///{folder}/attune.db"
    run_migrations(database)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ATTUNE_")}
    environment |= {"ATTUNE_DATABASE_URL": database, "PYTHONPATH": str(Path.cwd()), "ATTUNE_MESSAGES_A_MINUTE": "1000"}
    command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            _wait(f"http://127.0.0.1:{port}/healthz", process, folder / "log")
            yield Served(f"http://127.0.0.1:{port}", database)
        finally:
            process.terminate()
    told = (folder / "log").read_text()
    assert "Traceback" not in told, told


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url):  # noqa: S310 - our own
                return
        except URLError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Only as long as it is needed: while Playwright runs, nothing else can run a loop in this thread."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip(HOW_TO_GET_IT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser, served: Served) -> Iterator[Callable[..., Page]]:
    """A new browser, as somebody's who was never here. What a page complains of fails the test."""
    contexts, complaints = [], []

    def opened(**how: object) -> Page:
        context = chromium.new_context(**({"viewport": {"width": 1000, "height": 800}} | how))  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                None if asked.url.startswith((served.root, "data:", "blob:")) else complaints.append(asked.url)
            ),
        )
        page.goto(served.root)
        page.wait_for_selector(".attune-page[data-ready]:not([aria-busy])")
        return page

    yield opened
    for each in contexts:
        each.close()
    assert complaints == []


@pytest.fixture
def begun(visit: Callable[..., Page]) -> Callable[..., Page]:
    """The same, past the first page."""

    def opened(**how: object) -> Page:
        page = visit(**how)
        page.click("#begin")
        page.wait_for_selector("#composer:visible")
        return page

    return opened

"""Where a model in this process comes from: a folder, or a hub, of which a small one runs here."""

import asyncio
import hashlib
import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from rerank.local_model import LocalModel
from rerank.weights import BadWeights
from small_policy import SMALL, make

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "people/small-model"
ASK = "import asyncio, sys; from rerank.local_model import LocalModel; asyncio.run(LocalModel(sys.argv[1], 1).warm())"


class Hub(BaseHTTPRequestHandler):
    """Answers as the Hugging Face hub does for one public model."""

    def __init__(self, folder: Path, *rest: object) -> None:
        self.folder = folder
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.split("?")[0]
        if path.startswith(f"/api/models/{NAME}/tree/"):
            body = json.dumps([_entry(each) for each in sorted(self.folder.iterdir())]).encode()
        elif path.startswith(f"/api/models/{NAME}"):
            names = [{"rfilename": each.name} for each in sorted(self.folder.iterdir())]
            body = json.dumps({"id": NAME, "sha": COMMIT, "siblings": names, "private": False, "gated": False}).encode()
        elif path.startswith(f"/{NAME}/resolve/"):
            body = (self.folder / path.rsplit("/", 1)[1]).read_bytes()
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def _entry(path: Path) -> dict[str, object]:
    body = path.read_bytes()
    return {"type": "file", "path": path.name, "size": len(body), "oid": hashlib.sha256(body).hexdigest()[:40]}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    folder = make(tmp_path / "model", replace(SMALL, steps=1))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, folder))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def load(hub: str, home: Path, name: str) -> tuple[int, str]:
    """The exit code, and what a terminal shows."""
    env = os.environ | {"HF_ENDPOINT": hub, "HF_HOME": str(home), "PYTHONPATH": str(Path.cwd())}
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 80))
    with subprocess.Popen([sys.executable, "-c", ASK, name], env=env, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while piece := _read(ours):
            shown += piece
    os.close(ours)
    return process.returncode, shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other side is closed
        return b""


@pytest.mark.slow
def test_a_model_is_downloaded_once_with_its_progress_shown(hub: str, tmp_path: Path) -> None:
    code, shown = load(hub, tmp_path / "home", NAME)
    assert code == 0, shown
    assert "100%" in shown
    assert load("http://127.0.0.1:9", tmp_path / "home", NAME) == (0, "")


@pytest.mark.slow
def test_a_model_that_is_nowhere_is_told_in_words(hub: str, tmp_path: Path) -> None:
    code, shown = load(hub, tmp_path / "home", "people/another")
    assert code == 1
    assert "people/another is no folder and could not be downloaded" in shown


@pytest.mark.parametrize("where", ["a/b/c", "/no/such/folder", "what is this?"])
def test_what_can_be_no_name_is_refused_without_asking_anybody(where: str) -> None:
    model = LocalModel(where, threads=1)
    with pytest.raises(BadWeights, match="neither a folder nor the name of a model"):
        asyncio.run(model.warm())
    model.close()

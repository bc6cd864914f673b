"""A real vLLM server with tiny models, for the tests that must not take anybody's word for how it behaves."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from http import HTTPStatus
from http.client import HTTPResponse
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import Request, urlopen

TESTS = Path(__file__).parent
MAKER = TESTS / "tiny_model.py"
PROGRAM = TESTS.parent / "scripts" / "vllm-cpu"
OPTIONS = ["--served-model-name", "base", "--enable-lora", "--max-loras", "3", "--max-lora-rank", "8"]


class CannotSetUp(Exception):
    """vLLM's environment cannot be made here."""


class VllmServer:
    """One server on one port. It can be stopped, killed and started again, and nothing of it outlives the tests."""

    def __init__(
        self,
        models: Path,
        log: Path,
        patience: float = 180.0,
        command: Callable[[Path, int], list[str]] = lambda model, port: [str(PROGRAM), "serve", str(model), str(port)],
    ) -> None:
        self.models = models
        """A folder with the models `base`, which is served, and the adapters `calm` and `brisk`, which are not yet."""
        self.log = log
        self.port = _free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.root}/v1"
        self._patience, self._command = patience, command
        self._process: subprocess.Popen[bytes] | None = None
        self._heir: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start it where it is not running, and wait until it answers."""
        if self._process is None or self._process.poll() is not None:
            command = [*self._command(self.models / "base", self.port), *OPTIONS]
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            self._heir = _outlived_by_none(self._process.pid)
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it in peace, or else not."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once: whoever waits for an answer gets none."""
        self._end(signal.SIGKILL)

    def metric(self, name: str) -> float:
        """What /metrics says now, summed over all labels; a counter is found without its `_total`."""
        with ask(f"{self.root}/metrics") as answer:
            lines = answer.read().decode()
        found = re.findall(rf"^{re.escape(name)}(?:_total)?(?:\{{.*\}})? (\S+)$", lines, re.MULTILINE)
        if not found:
            raise KeyError(name)
        return sum(float(value) for value in found)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._patience
        while not _answers(f"{self.root}/health"):
            if process.poll() is not None:
                raise RuntimeError(f"vLLM ended with {process.returncode}:\n{self._tail()}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"vLLM did not answer within {self._patience:g} s:\n{self._tail()}")
            time.sleep(0.1)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None or self._heir is None:
            return
        _signal_group(self._process.pid, how)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(15)
        self._heir.communicate()
        self._process.wait()
        self._process = self._heir = None

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])


def set_up() -> Path:
    """Make vLLM's environment and the tiny models, where they are not there yet; gives the models' folder."""
    venv = Path(os.environ.get("VLLM_VENV") or TESTS.parent / ".venv-vllm").absolute()
    _run([str(PROGRAM), "setup"], CannotSetUp)
    models = venv / "models" / sha256(MAKER.read_bytes()).hexdigest()[:12]
    if not models.exists():
        making = models.with_name(f"{models.name}.{os.getpid()}")
        try:
            make_models(venv / "bin" / "python", making)
            if not models.exists():
                making.rename(models)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return models


def make_models(python: Path, folder: Path) -> None:
    """Make the tiny models in a new folder, with a Python that has torch and transformers."""
    _run([str(python), str(MAKER), str(folder)], RuntimeError)


def ask(url: str, body: dict[str, Any] | None = None, patience: float = 60.0) -> HTTPResponse:
    """Get a URL, or post a body to it as JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json"})  # noqa: S310
    answer: HTTPResponse = urlopen(request, timeout=patience)  # noqa: S310
    return answer


def _run(command: list[str], error: Callable[[str], Exception]) -> None:
    # Threads that spin while they wait make training ten times slower where something else runs beside it.
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-10:])
        raise error(f"{' '.join(command)} failed:\n{said}")


def _answers(url: str) -> bool:
    try:
        with ask(url, patience=5) as answer:
            return answer.status == HTTPStatus.OK
    except OSError:
        return False


def _outlived_by_none(group: int) -> subprocess.Popen[bytes]:
    """Start what kills the group as soon as this process lets go of the pipe, or ends in whatever way."""
    waiting = ["sh", "-c", f"read -r _; kill -s KILL -- -{group}"]
    return subprocess.Popen(waiting, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)


def _signal_group(group: int, how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, how)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

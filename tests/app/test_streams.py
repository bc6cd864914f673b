"""What a shell sees of a command: its exit code and its streams, also where one of them is broken or closed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from databases import run_migrations

LIST, FAIL = ["user", "list"], ["user", "role", "nobody", "admin"]


@pytest.fixture(autouse=True)
def _ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, with a database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTUNE_DATABASE_URL", "sqlite:///x.db")
    run_migrations("sqlite:///x.db")


def start(*arguments: str, stdout: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "app", *arguments]
    return subprocess.Popen(
        command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        preexec_fn=_heed_control_c,  # noqa: PLW1509 - no other thread runs here
    )


def _heed_control_c() -> None:
    # Whatever runs the tests in the background may have told its children to ignore it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def _full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize("arguments", [LIST, FAIL], ids=["works", "fails"])
@pytest.mark.parametrize("broken", [_closed_pipe, _full_disk])
def test_an_output_that_nobody_takes_is_no_reason_for_a_traceback(
    broken: Callable[[], int], arguments: list[str]
) -> None:
    output = broken()
    process = start(*arguments, "--json", stdout=output)
    _, err = process.communicate(timeout=60)
    os.close(output)

    assert process.returncode == 1
    assert [word for word in (b"Traceback", b"Exception ignored", b"fault") if word in err] == []


@pytest.mark.slow
def test_control_c_ends_a_long_command_with_130() -> None:
    process = start("bench", "storage", "--turns", "100000", "--json")
    assert process.stderr is not None
    os.read(process.stderr.fileno(), 1)  # its label: it has begun
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert json.loads(out.splitlines()[-1]) == {"error": "Stopped."}
    assert b"Traceback" not in err


@pytest.mark.slow
def test_a_command_of_its_own_process_has_the_exit_code_and_streams_of_the_others() -> None:
    done = [start(*arguments) for arguments in (LIST, FAIL, ["user"])]
    ends = [process.communicate(timeout=60) for process in done]

    assert [process.returncode for process in done] == [0, 1, 2]
    assert [bool(out) for out, _ in ends] == [True, False, False]
    assert ends[1][1] == b"Error: There is no such person.\n"


def closing(stream: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command without one of its streams, as `>&-` in a shell does."""
    command = ["/bin/sh", "-c", f'exec "$0" -m app "$@" {stream}', sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, check=False, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["<&-", ">&-", "2>&-"])
def test_a_command_does_without_a_stream(stream: str) -> None:
    ends = [closing(stream, *arguments, "--json") for arguments in (LIST, FAIL)]

    assert [end.returncode for end in ends] == [0, 1]
    shown = b"".join(end.stdout + end.stderr for end in ends)
    assert [word for word in (b"Traceback", b"Exception", b"fault") if word in shown] == []


def test_a_question_that_nobody_can_hear_is_answered_by_no() -> None:
    assert closing("", "user", "add", "ann").returncode == 0
    end = closing("<&-", "erase", "ann")

    assert end.returncode == 1
    assert b"--yes" in end.stderr
    assert closing("", *LIST).stdout.startswith(b"ann ")

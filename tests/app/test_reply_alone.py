"""`attune reply` with nothing configured: the built-in model answers, with no server and no network."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.__main__ import run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("alone")]
MESSAGE = "My boss shouted at me in front of everyone and I can't stop shaking."
CUT_OFF = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
"""A network namespace of its own, in which even the loopback is down."""


def last(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_it_answers_with_the_network_cut_off(tmp_path: Path) -> None:
    try:
        subprocess.run([*CUT_OFF, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no network namespace can be made here")
    command = [*CUT_OFF, sys.executable, "-m", "app", "reply", MESSAGE, "--json"]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["risk"]["tier"] == "none"
    assert found["degraded"] is None
    assert len(found["candidates"]) == 4
    (chosen,) = [each for each in found["candidates"] if each["chosen"]]
    assert chosen["response"] == found["reply"]
    assert chosen["safe"]
    assert chosen["scores"].keys() == {"resonation", "expression", "reception", "bystander"}
    assert chosen["reward"] == max(each["reward"] for each in found["candidates"] if each["safe"])
    assert done.stderr.splitlines()[:2] == ["considering 4 replies", "choosing"]


def test_a_crisis_is_answered_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reply", "I have the pills here and I am going to take them all tonight", "--json"]) == 0
    found = last(capsys)
    assert found["risk"]["tier"] == "crisis"
    assert any(word in found["reply"] for word in ("number", "emergency", "call", "safe"))


def test_a_server_that_is_away_is_replaced_by_the_built_in_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATTUNE_POLICY_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("ATTUNE_POLICY_MODEL", "gone")
    monkeypatch.setenv("ATTUNE_JUDGE_ENGINE", "embedded")
    assert run(["reply", MESSAGE, "--json"]) == 0
    found = last(capsys)
    assert found["reply"]
    assert found["troubles"] == ["policy:Unreachable"]
    assert found["versions"]["policy"].startswith("embedded:")


def test_a_model_that_is_not_there_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATTUNE_MODEL", "/no/such/folder")
    assert run(["reply", MESSAGE]) == 1
    out, err = capsys.readouterr()
    assert "/no/such/folder is neither a folder nor the name of a model" in err
    assert MESSAGE not in out + err

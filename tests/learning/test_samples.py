"""Samples to be read come from the real turn, and say what they were made from."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from learning.samples import main, read_unseen

pytestmark = pytest.mark.slow
MESSAGES = [
    {"id": "a", "text": "My boss shouted at me in the meeting.", "history": [], "right": "The boss shouted."},
    {
        "id": "b",
        "text": "Yes, again today.",
        "history": [{"role": "user", "content": "She cries."}, {"role": "assistant", "content": "Often?"}],
        "right": "It happened again.",
    },
]


@pytest.fixture
def unseen(tmp_path: Path) -> Path:
    path = tmp_path / "unseen.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in MESSAGES), encoding="utf-8")
    return path


def test_a_message_that_was_put_aside_keeps_its_history(unseen: Path) -> None:
    assert [len(each.context.history) for each in read_unseen(unseen)] == [0, 2]


def test_every_message_gets_one_sample_and_the_best_of_four(unseen: Path, tmp_path: Path) -> None:
    found = CliRunner().invoke(main, ["read", str(unseen), "--to", str(tmp_path / "samples.jsonl")])
    assert found.exit_code == 0, found.output
    rows = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [each["id"] for each in rows] == ["a", "b"]
    for each in rows:
        assert each["single"]["response"]
        assert each["best"]["response"]


def test_samples_are_counted_and_those_that_the_gate_stops_are_shown() -> None:
    found = CliRunner().invoke(main, ["gate", "--count", "8", "--seed", "3"])
    assert found.exit_code == 0, found.output
    assert re.search(r"^ +8 samples$", found.output, re.MULTILINE), found.output

"""What holds for the repository as a whole."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from app.cli import attune

ROOT = Path(__file__).parent.parent
NO_POSTGRES = "import storage.throwaway\nstorage.throwaway.programs = lambda: None\n"


def test_every_version_is_pinned_by_a_plain_line() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []


def test_everything_that_the_project_needs_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {_name(line) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {_name(requirement) for requirement in wanted} - names == set()


def test_the_readme_names_only_commands_that_exist() -> None:
    named = set(re.findall(r"attune ([a-z]+)", (ROOT / "README.md").read_text()))
    assert named - {"serve"} <= set(attune.list_commands(click.Context(attune)))
    assert {"doctor", "db", "bench"} <= named


@pytest.mark.slow
@pytest.mark.parametrize(("ci", "outcome"), [("", "skipped"), ("true", "error")])
def test_without_postgresql_its_tests_are_skipped_by_name_and_fail_in_ci(tmp_path: Path, ci: str, outcome: str) -> None:
    (tmp_path / "without_postgres.py").write_text(NO_POSTGRES)
    which = ["tests/storage/test_engine.py", "-k", "same_moment"]
    command = [sys.executable, "-m", "pytest", "-p", "without_postgres", *which]
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert f"1 {outcome}" in done.stdout
    assert "apt-get install postgresql" in done.stdout
    assert (done.returncode == 0) == (outcome == "skipped")


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~ ]", requirement)[0].lower().replace("_", "-")

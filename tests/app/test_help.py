import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import app.commands
from app.__main__ import run
from app.cli import attune


def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walk(below, (*path, name))


EVERY = list(walk(attune, ()))


def test_there_are_commands_to_walk() -> None:
    assert {("doctor",), ("db", "rekey"), ("user", "list"), ("bench", "storage")} < set(EVERY)


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(option: str, path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, option]) == 0

    out, err = capsys.readouterr()
    assert out.startswith(f"Usage: {' '.join(['attune', *path])} ")
    assert len(out.splitlines()[2].split()) > 2
    assert err == ""


@pytest.mark.parametrize("path", [path for path in EVERY if any(each[:-1] == path for each in EVERY)], ids=" ".join)
def test_a_group_without_a_command_shows_its_help_as_a_mistake(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*path]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"Usage: {' '.join(['attune', *path])} ")


def test_every_module_of_commands_is_a_command() -> None:
    modules = {path.stem for path in Path(app.commands.__file__).parent.glob("*.py")} - {"__init__"}

    assert modules == {path[0] for path in EVERY if len(path) == 1}
    assert all(isinstance(importlib.import_module(f"app.commands.{name}").command, click.Command) for name in modules)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("attune, version ")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["nonsense"], []])
def test_help_needs_none_of_the_large_libraries(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from app.__main__ import run\n"
        f"run({arguments!r})\n"
        "large = {'sqlalchemy', 'pydantic', 'pydantic_settings', 'alembic', 'cryptography', 'psycopg'}\n"
        "loaded = large & {*sys.modules}\n"
        "sys.exit(f'loaded {loaded}' if loaded else 77)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, check=False
    )

    assert done.returncode == 77, done.stderr


@pytest.mark.slow
def test_both_names_of_the_program_are_the_same(tmp_path: Path) -> None:
    ways = [[str(Path(sys.executable).with_name("attune"))], [sys.executable, "-m", "app"]]
    ends = [
        subprocess.run([*way, "user", "list"], cwd=tmp_path, capture_output=True, text=True, check=False)
        for way in ways
    ]

    assert [end.returncode for end in ends] == [1, 1]
    assert ends[0].stderr == ends[1].stderr
    assert "attune db upgrade" in ends[0].stderr

"""How commands fail: in words, with an exit code, as JSON where that was asked for, and never with a traceback.

What a process of its own shows is in test_streams.py.
"""

import json
from pathlib import Path
from typing import Any

import click
import pytest

import app.doctor
from app.__main__ import run
from app.cli import attune
from databases import run_migrations
from storage import bench
from storage.audit import Audit
from storage.people import People

pytestmark = pytest.mark.usefixtures("alone")

PRIVATE = "I qzx feel so alone"
NEEDS_A_DATABASE = [
    ["user", "add", "ann"],
    ["user", "list"],
    ["user", "role", "ann", "admin"],
    ["export", "ann"],
    ["erase", "ann", "--yes"],
    ["audit", "verify"],
    ["db", "downgrade", "0001", "--yes"],
    ["db", "prune"],
]
NEEDS_SETTINGS = [*NEEDS_A_DATABASE, ["db", "upgrade"], ["db", "rekey"]]


@pytest.fixture
def ready(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - it comes first
    """A database to work with."""
    monkeypatch.setenv("ATTUNE_DATABASE_URL", "sqlite:///x.db")
    run_migrations("sqlite:///x.db")


def only_error(out: str) -> str:
    """The message in the one JSON object that the last line must be."""
    found = json.loads(out.splitlines()[-1])
    assert found.keys() == {"error"}
    return str(found["error"])


def takes_json(arguments: list[str]) -> bool:
    command: Any = attune
    for name in arguments:
        if isinstance(command, click.Group):
            command = command.get_command(click.Context(command), name)
    return command is not None and any("--json" in option.opts for option in command.params)


@pytest.mark.parametrize("arguments", NEEDS_SETTINGS, ids=" ".join)
def test_wrong_settings_are_a_mistake_of_the_host(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTUNE_LOG_LEVEL", "loud")
    monkeypatch.setenv("ATTUNE_QQQQ", "1")
    as_json = ["--json"] * takes_json(arguments)

    assert run([*arguments, *as_json]) == 2

    out, err = capsys.readouterr()
    assert "ATTUNE_LOG_LEVEL must be debug, info" in err
    assert "ATTUNE_QQQQ is not a setting" in err
    assert f"Error: {only_error(out)}\n" == err if as_json else out == ""
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("arguments", NEEDS_A_DATABASE, ids=" ".join)
def test_without_a_database_each_command_says_how_to_make_one(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    as_json = ["--json"] * takes_json(arguments)

    assert run([*arguments, *as_json]) == 1

    out, err = capsys.readouterr()
    assert err.startswith("Error: There is no database at ")
    assert "Run `attune db upgrade`" in err
    assert f"Error: {only_error(out)}\n" == err if as_json else out == ""
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nonsense"], "No such command 'nonsense'. Try: attune --help"),
        (["user", "nonsense"], "Try: attune user --help"),
        (["user", "add"], "Missing argument 'HANDLE'. Try: attune user add --help"),
        (["user", "add", "ann", "--role", "king"], "'king' is not one of"),
        (["user", "role", "ann"], "Try: attune user role --help"),
        (["doctor", "--fast"], "Try: attune doctor --help"),
        (["export", "ann", "--format", "pdf"], "'pdf' is not one of"),
        (["export", "ann", "--output", "."], "is a directory"),
        (["bench", "storage", "--samples", "1"], "not in the range"),
        (["bench", "storage", "--turns", "0"], "not in the range"),
        (["db", "downgrade"], "Missing argument 'REVISION'"),
    ],
)
def test_a_wrong_command_says_where_help_is(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    as_json = ["--json"] * takes_json(arguments)

    assert run([*arguments, *as_json]) == 2

    out, err = capsys.readouterr()
    assert err.startswith("Error: ")
    assert told in err
    assert f"Error: {only_error(out)}\n" == err if as_json else out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["user", "add", ""],
        ["user", "add", "ann ann"],
        ["user", "add", "a" * 65],
        ["user", "add", "\udcff"],
        ["user", "add", "ann"],
        ["user", "role", "", "admin"],
        ["user", "role", "user_", "admin"],
        ["user", "role", "nobody", "admin"],
        ["export", "\udcff"],
        ["export", "ann", "--output", "no/such/folder/x"],
        ["erase", "nobody", "--yes"],
        ["erase", "ann", "--yes", "--conversation", "x"],
        ["erase", "ann", "--yes", "--conversation", "\0"],
        ["audit", "verify", "--anchor", "x"],
        ["audit", "verify", "--anchor", "1:x"],
        ["audit", "verify", "--anchor", f"{'9' * 5000}:{'a' * 64}"],
        ["db", "upgrade", "--to", ""],
        ["db", "upgrade", "--to", "9999"],
        ["db", "upgrade", "--to", "+1"],
        ["db", "upgrade", "--to", "0001:0002"],
        ["db", "downgrade", "", "--yes"],
        ["db", "downgrade", "9999", "--yes"],
        ["db", "downgrade", "--yes", "--", "-9"],
    ],
)
@pytest.mark.usefixtures("ready")
def test_odd_arguments_are_no_fault_of_attune(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["user", "add", "ann"]) == 0
    capsys.readouterr()

    assert run(arguments) in {1, 2}

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert "fault" not in err
    assert run(["user", "list"]) == 0


@pytest.mark.parametrize("arguments", [["doctor"], ["db", "upgrade"], ["user", "list"]], ids=" ".join)
@pytest.mark.parametrize(
    "place",
    ["/text", "/folder", "/text/x.db", f"/{'n' * 300}.db", "/x\0.db", "ann@/x.db", ":word@/x.db", "host/x.db"],
    ids=["a text", "a folder", "below a file", "a long name", "no name", "a user", "a password", "a host"],
)
def test_an_odd_place_for_the_database_is_no_fault_of_attune(
    place: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("text").write_text("not a database " * 100)
    Path("folder").mkdir()
    Path(".env").write_text(f"ATTUNE_DATABASE_URL=sqlite://{place}\n")
    before = sorted(Path().rglob("*"))

    assert run(arguments) in {1, 2}

    out, err = capsys.readouterr()
    assert ("FAIL" in out) is (arguments == ["doctor"])
    assert "fault" not in err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.usefixtures("ready")
def test_an_empty_anchor_is_not_taken_for_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "verify", "--anchor", ""]) == 1
    assert "An anchor looks like" in capsys.readouterr().err


def _raise(*_: object, **__: object) -> None:
    secret = PRIVATE
    raise RuntimeError(secret)


@pytest.mark.parametrize("json_wanted", [True, False])
@pytest.mark.parametrize(
    ("arguments", "where", "what"),
    [
        (["user", "list"], People, "named"),
        (["audit", "verify"], Audit, "verify"),
        (["doctor"], app.doctor, "examine"),
        (["bench", "storage"], bench, "run"),
    ],
)
@pytest.mark.usefixtures("ready")
def test_a_fault_is_told_by_its_type_and_place_without_its_words(
    arguments: list[str],
    where: object,
    what: str,
    json_wanted: bool,  # noqa: FBT001
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(where, what, _raise)
    monkeypatch.setenv("ATTUNE_LOG_FORMAT", "console")

    assert run(arguments + ["--json"] * json_wanted) == 1

    out, err = capsys.readouterr()
    line = Path(__file__).read_text().splitlines().index("    raise RuntimeError(secret)") + 1
    told = err.splitlines()[-1]
    assert told.startswith("Error: Attune has a fault here: RuntimeError at ")
    assert f">{Path(__file__).name}:{line}. " in told
    assert told == f"Error: {only_error(out)}" if json_wanted else out == ""
    assert [word for word in ("qzx", "Traceback", "secret") if word in out + err] == []


@pytest.mark.usefixtures("ready")
def test_an_interrupted_command_stops_with_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: People) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(People, "named", interrupt)

    assert run(["user", "list", "--json"]) == 130

    out, err = capsys.readouterr()
    assert (only_error(out), err.strip()) == ("Stopped.", "Error: Stopped.")

import json
import socket
from collections import namedtuple
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.__main__ import run
from databases import KEY, OTHER_KEY, FakeClock, file_of, run_migrations, transactions_of
from scenes import fill, rows, sql
from storage import migrate
from storage.store import open_store, rekey

pytestmark = pytest.mark.usefixtures("alone")

SECRET = "hunter2"  # noqa: S105 - it stands for one
Checks = dict[str, dict[str, str]]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Look at a database with these keys; gives the exit code and the checks by name, but for the policy's.

    No server is set here: `test_commands_rerank.py` looks at those.
    """

    def look(url: str | None = None, *keys: str) -> tuple[int, Checks]:
        if url is not None:
            monkeypatch.setenv("ATTUNE_DATABASE_URL", url)
        monkeypatch.setenv("ATTUNE_DATA_KEY", ",".join(keys))
        code = run(["doctor", "--json"])
        found = json.loads(capsys.readouterr().out)
        assert found["ok"] is (code == 0)
        return code, {check["name"]: check for check in found["checks"] if check["name"] != "policy"}

    return look


@pytest.fixture
def filled(url: str, clock: FakeClock) -> str:
    with closing(open_store(url, [KEY], clock)) as store:
        fill(store, clock, "qzx")
    return url


def failed(looked: tuple[int, Checks]) -> str:
    """What a doctor that found one fault says of it."""
    code, checks = looked
    (fault,) = [check for check in checks.values() if check["state"] == "failed"]
    assert code == 1
    return f"{fault['detail']} {fault['advice']}"


def everything(url: str) -> object:
    """What a look from outside could change."""
    file = file_of(url) if url.startswith("sqlite") else None
    return rows(url) if file is None else {each.name: each.read_bytes() for each in file.parent.iterdir()}


def test_all_is_well_in_a_healthy_installation(filled: str, doctor: Callable[..., Any]) -> None:
    code, checks = doctor(filled, KEY)

    assert code == 0
    assert {check["state"] for check in checks.values()} == {"ok"}
    assert {"python", "settings", "database", "tables", "encryption", "audit"} <= checks.keys()
    assert migrate.newest() in checks["tables"]["detail"].split()


def test_a_database_without_a_key_works_and_is_noted(url: str, doctor: Callable[..., Any]) -> None:
    code, checks = doctor(url)

    assert code == 0
    assert [name for name, check in checks.items() if check["state"] != "ok"] == ["encryption"]
    assert checks["encryption"]["state"] == "warning"
    assert "attune db rekey" in checks["encryption"]["advice"]


def test_a_missing_database_is_not_made(doctor: Callable[..., Any]) -> None:
    assert "attune db upgrade" in failed(doctor())
    assert "attune db upgrade" in failed(doctor("sqlite:///some/where/x.db", KEY))
    assert list(Path().iterdir()) == []


def test_a_database_without_tables_wants_them(
    backend: str, empty_database: Callable[[str], str], doctor: Callable[..., Any]
) -> None:
    url = empty_database(backend)
    run_migrations(url)
    with closing(transactions_of(url)) as below:
        migrate.downgrade(below.engine, "base")

    assert "no tables yet. Run `attune db upgrade`" in failed(doctor(url))


@pytest.mark.parametrize("size", [0, 4])
def test_a_file_that_is_no_database_stays_as_it_is(size: int, doctor: Callable[..., Any]) -> None:
    Path("x.db").write_bytes(b"text"[:size])

    assert failed(doctor("sqlite:///x.db"))
    assert Path("x.db").read_bytes() == b"text"[:size]
    assert [each.name for each in Path().iterdir()] == ["x.db"]


def test_an_older_database_wants_newer_tables(
    backend: str, empty_database: Callable[[str], str], doctor: Callable[..., Any]
) -> None:
    url = empty_database(backend)
    run_migrations(url, "0001")

    told = failed(doctor(url))

    assert "at revision 0001" in told
    assert "attune db upgrade" in told
    with closing(transactions_of(url)) as below:
        assert migrate.current(below.engine) == "0001"


def test_a_newer_database_wants_a_newer_attune(url: str, doctor: Callable[..., Any]) -> None:
    sql(url, "UPDATE alembic_version SET version_num = '9999'")

    assert "Install that version or a later one" in failed(doctor(url))


@pytest.mark.parametrize(
    ("keys", "advice"),
    [
        ([], "Set ATTUNE_DATA_KEY to the key it was written with"),
        ([OTHER_KEY], "which ATTUNE_DATA_KEY does not have. Set it to that key"),
    ],
    ids=["no key", "another key"],
)
def test_a_key_that_is_not_that_of_the_database_is_a_fault(
    keys: list[str], advice: str, filled: str, doctor: Callable[..., Any]
) -> None:
    before = everything(filled)

    assert advice in failed(doctor(filled, *keys))
    assert everything(filled) == before


def test_a_plain_database_with_a_key_wants_to_be_rewritten(
    url: str, clock: FakeClock, doctor: Callable[..., Any]
) -> None:
    with closing(open_store(url, [], clock)) as store:
        store.people.add("ann")

    assert "attune db rekey" in failed(doctor(url, KEY))


@pytest.mark.parametrize("keys", [[KEY], [OTHER_KEY, KEY]], ids=["its key", "a new key before it"])
def test_looking_changes_nothing(keys: list[str], filled: str, doctor: Callable[..., Any]) -> None:
    before = everything(filled), rows(filled)["data_key"]

    assert doctor(filled, *keys)[0] == 0
    assert (everything(filled), rows(filled)["data_key"]) == before


def test_looking_at_a_new_database_does_not_take_its_key(url: str, doctor: Callable[..., Any]) -> None:
    assert doctor(url, KEY)[0] == 0
    assert rows(url)["data_key"] == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE seq = 1", "entry 1 was altered"),
        ("DELETE FROM audit WHERE seq = 1", "missing"),
        ("DELETE FROM audit", "newer entries were removed"),
        ("DELETE FROM audit_head", "newer entries were removed"),
    ],
)
def test_a_broken_audit_chain_is_a_fault(change: str, told: str, filled: str, doctor: Callable[..., Any]) -> None:
    sql(filled, change)

    assert told in failed(doctor(filled, KEY))


def test_bad_settings_are_all_told(
    doctor: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATTUNE_LOG_LEVEL", "loud")
    monkeypatch.setenv("ATTUNE_LOG_FORMATS", "json")
    assert doctor()[0] == 1
    assert run(["doctor"]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines if line.startswith("FAIL")] == [
        ["FAIL", "settings:", "ATTUNE_LOG_FORMATS"],
        ["FAIL", "settings:", "ATTUNE_LOG_LEVEL"],
    ]
    assert list(Path().iterdir()) == []


def test_a_server_that_does_not_answer_is_a_fault(doctor: Callable[..., Any]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        told = failed(doctor(f"postgresql://ann:{SECRET}@127.0.0.1:{taken.getsockname()[1]}/attune"))

    assert "ATTUNE_DATABASE_URL" in told
    assert SECRET not in told


def test_a_full_disk_is_noted_before_it_is_full(url: str, doctor: Callable[..., Any], monkeypatch: Any) -> None:  # noqa: ANN401
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil's own
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(2**40, 2**40 - 2**20, 2**20))

    code, checks = doctor(url, KEY)

    assert code == 0
    assert ("disk" in checks) is url.startswith("sqlite")
    assert all(check["state"] == ("warning" if name == "disk" else "ok") for name, check in checks.items())


def test_where_the_settings_came_from_is_told(url: str, doctor: Callable[..., Any], tmp_path: Path) -> None:
    assert str(tmp_path) not in doctor(url)[1]["settings"]["detail"]
    Path(".env").write_text("ATTUNE_LOG_LEVEL=error\n")
    assert str(tmp_path / ".env") in doctor(url)[1]["settings"]["detail"]


@pytest.mark.parametrize("form", [["--json"], []])
def test_what_is_told_holds_no_secret(
    form: list[str], filled: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if filled.startswith("postgresql"):
        filled = filled.replace("//attune@", f"//attune:{SECRET}1@") + f"&password={SECRET}2&sslpassword={SECRET}3"
    monkeypatch.setenv("ATTUNE_DATABASE_URL", filled)
    monkeypatch.setenv("ATTUNE_DATA_KEY", f"{OTHER_KEY},{KEY}")

    assert run(["doctor", *form]) == 0

    out, err = capsys.readouterr()
    assert [secret for secret in (SECRET, KEY, OTHER_KEY) if secret in out + err] == []


def test_a_person_reads_what_to_do(url: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:  # noqa: ANN401
    sql(url, "UPDATE alembic_version SET version_num = '0001'")
    monkeypatch.setenv("ATTUNE_DATABASE_URL", url)

    assert run(["doctor"]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert "attune db upgrade" in "".join(line for line in lines if line.startswith("FAIL"))
    assert lines[-1] == "Something does not work: see FAIL above."


def test_a_rotation_that_has_not_ended_is_noted(filled: str, doctor: Callable[..., Any]) -> None:
    code, checks = doctor(filled, OTHER_KEY, KEY)
    assert code == 0
    assert checks["encryption"]["state"] == "warning"
    assert "attune db rekey" in checks["encryption"]["advice"]
    rekey(filled, [OTHER_KEY, KEY], lambda _done, _total: None)
    assert doctor(filled, OTHER_KEY)[1]["encryption"]["state"] == "ok"

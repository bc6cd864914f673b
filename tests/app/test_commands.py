"""What the commands about people do; test_commands_db.py has those about the database."""

import io
import json
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.__main__ import run
from databases import KEY, FakeClock
from scenes import fill, sql
from storage.store import open_store

pytestmark = pytest.mark.usefixtures("alone")

WORD = "qzx"
on_sqlite = pytest.mark.parametrize("backend", ["sqlite"])  # where the database makes no difference


@pytest.fixture
def ids(url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An encrypted database with a person and everything of theirs, as the commands' settings name it."""
    clock.moment = datetime(2020, 1, 1, tzinfo=UTC)
    with closing(open_store(url, [KEY], clock)) as store:
        found = fill(store, clock, WORD)
    monkeypatch.setenv("ATTUNE_DATABASE_URL", url)
    monkeypatch.setenv("ATTUNE_DATA_KEY", KEY)
    return found


class Attune:
    """Runs commands in this process and keeps what the last one wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        self._capsys.readouterr()
        code = run([*arguments])
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 - each command has its own shape
        assert self(*arguments, "--json") == 0, self.err
        assert len(self.out.splitlines()) == 1
        return json.loads(self.out)


@pytest.fixture
def attune(capsys: pytest.CaptureFixture[str]) -> Attune:
    return Attune(capsys)


def export(attune: Attune, who: str) -> Any:  # noqa: ANN401
    assert attune("export", who) == 0
    return json.loads(attune.out)


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.mark.usefixtures("ids")
def test_people_are_added_listed_and_given_a_role(attune: Attune) -> None:
    ann = attune.json("user", "add", "ann")
    bo = attune.json("user", "add", "bo", "--role", "operator")
    raised = attune.json("user", "role", "ann", "admin")

    assert (ann["handle"], ann["role"], bo["role"], raised["role"]) == ("ann", "seeker", "operator", "admin")
    assert datetime.fromisoformat(ann["created"]).utcoffset() is not None
    assert raised == ann | {"role": "admin"}
    assert attune.json("user", "list")["users"][-2:] == [raised, bo]
    assert attune("user", "list") == 0
    assert attune.out.splitlines()[-1].split() == ["bo", "operator", bo["id"]]


@on_sqlite
@pytest.mark.parametrize("handle", ["ann", "Jürgen", "user_ann", "-ann", "a" * 64])
@pytest.mark.usefixtures("ids")
def test_whoever_can_be_added_can_be_found(handle: str, attune: Attune) -> None:
    if attune("user", "add", "--", handle) == 0:
        assert attune("user", "role", "--", handle, "operator") == 0


@on_sqlite
def test_a_person_is_found_by_their_id_too(ids: dict[str, str], attune: Attune) -> None:
    assert attune.json("user", "role", ids["user"], "admin")["handle"] == f"handle-{WORD}"


@on_sqlite
def test_an_empty_list_says_how_to_add_somebody(url: str, attune: Attune, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTUNE_DATABASE_URL", url)

    assert attune("user", "list") == 0
    assert attune.out == "Nobody yet: attune user add HANDLE\n"
    assert attune.json("user", "list") == {"users": []}


def test_an_export_is_all_of_it_and_nothing_else(ids: dict[str, str], attune: Attune) -> None:
    exported = export(attune, f"handle-{WORD}")

    assert exported["person"]["id"] == ids["user"]
    assert f"message {WORD}" in attune.out
    assert attune.err == ""


@pytest.mark.usefixtures("ids")
def test_an_export_can_be_made_to_read(attune: Attune) -> None:
    assert attune("export", f"handle-{WORD}", "--format", "markdown") == 0
    assert attune.out.startswith("# ")
    assert f"message {WORD}" in attune.out


@on_sqlite
@pytest.mark.usefixtures("ids")
def test_an_export_goes_to_a_new_file_that_others_cannot_read(attune: Attune) -> None:
    assert attune("export", f"handle-{WORD}", "--output", "all.json") == 0
    assert attune.out == ""
    assert "keep it safe" in attune.err
    assert stat.S_IMODE(Path("all.json").stat().st_mode) == 0o600
    assert f"message {WORD}" in json.dumps(json.loads(Path("all.json").read_text()))


@on_sqlite
@pytest.mark.usefixtures("ids")
def test_an_export_replaces_nothing(attune: Attune) -> None:
    Path("mine").write_text("mine")
    Path("link").symlink_to("elsewhere")

    for name in ("mine", "link"):
        assert attune("export", f"handle-{WORD}", "--output", name) == 1
        assert attune.err == f"Error: {name} exists already. Name a new file.\n"
    assert Path("mine").read_text() == "mine"
    assert not Path("elsewhere").exists()


@on_sqlite
@pytest.mark.usefixtures("ids")
def test_an_export_of_nobody_leaves_no_file(attune: Attune) -> None:
    assert attune("export", "nobody", "--output", "all.json") == 1
    assert not Path("all.json").exists()


def test_a_person_is_erased_when_asked_twice(
    ids: dict[str, str], attune: Attune, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "y\n")

    assert attune.json("erase", f"handle-{WORD}") == {"conversations": 1, "messages": 2, "adapters": [ids["adapter"]]}
    assert "There is no way back" in attune.err
    left = json.dumps(export(attune, ids["user"]))
    assert [kind for kind in ("message ", "comment ", "evidence ", "handle-") if f"{kind}{WORD}" in left] == []


@on_sqlite
@pytest.mark.parametrize("text", ["n\n", "\n", ""])
def test_without_a_yes_nothing_is_erased(
    text: str, ids: dict[str, str], attune: Attune, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, text)

    assert attune("erase", f"handle-{WORD}", "--json") in {1, 130}
    assert json.loads(attune.out.splitlines()[-1]).keys() == {"error"}
    assert f"message {WORD}" in json.dumps(export(attune, ids["user"]))


@on_sqlite
@pytest.mark.usefixtures("ids")
def test_where_nobody_can_answer_the_way_around_the_question_is_told(
    attune: Attune, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "")

    assert attune("erase", f"handle-{WORD}") != 0
    assert "--yes" in attune.err


@on_sqlite
def test_with_yes_nothing_is_asked(ids: dict[str, str], attune: Attune) -> None:
    assert attune("erase", ids["user"], "--yes") == 0
    assert attune.out.startswith("Erased 1 conversations, 2 messages. Adapters that learned from them: adapter_")
    assert attune.err == ""


def test_one_conversation_is_erased_and_the_others_stay(
    ids: dict[str, str], url: str, clock: FakeClock, attune: Attune
) -> None:
    with closing(open_store(url, [KEY], clock)) as store:
        other = store.conversations.start(ids["user"], title="kept").id

    assert attune.json("erase", ids["user"], "--conversation", ids["conversation"], "--yes")["conversations"] == 1
    assert [each["id"] for each in export(attune, ids["user"])["conversations"]] == [other]


@on_sqlite
def test_a_conversation_is_erased_only_for_its_owner(ids: dict[str, str], attune: Attune) -> None:
    assert attune("erase", ids["operator"], "--conversation", ids["conversation"], "--yes") == 1
    assert attune.err == "Error: There is no such conversation.\n"
    assert len(export(attune, ids["user"])["conversations"]) == 1


@on_sqlite
def test_an_empty_conversation_is_not_taken_for_all_of_them(ids: dict[str, str], attune: Attune) -> None:
    assert attune("erase", ids["user"], "--conversation", "", "--yes") in {1, 2}
    assert attune.json("user", "role", f"handle-{WORD}", "seeker")["id"] == ids["user"]
    assert len(export(attune, ids["user"])["conversations"]) == 1


def test_a_whole_audit_chain_is_told_with_its_anchor(ids: dict[str, str], attune: Attune) -> None:
    before = attune.json("audit", "verify")
    export(attune, ids["user"])

    assert before["problems"] == []
    assert before["entries"] == int(before["anchor"].split(":")[0]) > 0
    assert attune.json("audit", "verify", "--anchor", before["anchor"])["entries"] == before["entries"] + 1
    assert attune("audit", "verify") == 0
    assert attune.out.startswith("The chain is whole.\nEntries: ")


@pytest.mark.usefixtures("ids")
def test_a_broken_audit_chain_is_a_failure(url: str, attune: Attune) -> None:
    sql(url, "UPDATE audit SET actor = 'nobody' WHERE seq = 1")

    assert attune("audit", "verify") == 1
    assert attune.out.startswith("Broken: entry 1 was altered\n")
    assert attune("audit", "verify", "--json") == 1
    assert json.loads(attune.out)["problems"] == ["entry 1 was altered"]


@on_sqlite
@pytest.mark.usefixtures("ids")
def test_a_chain_that_does_not_hold_the_anchor_is_a_failure(attune: Attune) -> None:
    assert attune("audit", "verify", "--anchor", f"1:{'0' * 64}", "--json") == 1
    assert "anchor" in json.loads(attune.out)["problems"][0]

import re
import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from app import doctor
from app.settings import Settings, SettingsError, load
from databases import KEY, OTHER_KEY

EXAMPLE = Path(__file__).parents[2] / ".env.example"
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
SECRET = "hunter2"  # noqa: S105 - it stands for one


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def problems() -> list[str]:
    with pytest.raises(SettingsError) as raised:
        load()
    return raised.value.problems


def test_nothing_has_to_be_set() -> None:
    settings = load()

    assert settings.database == "sqlite:///data/attune.db"
    assert settings.keys == []
    assert (settings.retention_days, settings.temporary_hours) == (None, 24)
    assert (settings.log_format, settings.log_level) == ("auto", "info")


def test_every_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTUNE_DATABASE_URL", "postgresql://ann@host/name")
    monkeypatch.setenv("ATTUNE_DATA_KEY", f" {KEY} , {OTHER_KEY} ")
    monkeypatch.setenv("ATTUNE_RETENTION_DAYS", "30")
    monkeypatch.setenv("ATTUNE_TEMPORARY_HOURS", "1")
    monkeypatch.setenv("ATTUNE_LOG_FORMAT", "json")
    monkeypatch.setenv("ATTUNE_LOG_LEVEL", "error")

    settings = load()

    assert settings.database == "postgresql://ann@host/name"
    assert settings.keys == [KEY, OTHER_KEY]
    assert (settings.retention_days, settings.temporary_hours) == (30, 1)
    assert (settings.log_format, settings.log_level) == ("json", "error")


@pytest.mark.parametrize("mark", ["", "\N{BYTE ORDER MARK}"])
def test_the_environment_goes_before_the_file(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(f"{mark}ATTUNE_LOG_LEVEL=error\nATTUNE_LOG_FORMAT=json\n")
    monkeypatch.setenv("ATTUNE_LOG_FORMAT", "console")

    settings = load()

    assert (settings.log_level, settings.log_format) == ("error", "console")


def test_an_empty_value_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("ATTUNE_DATA_KEY=\nATTUNE_LOG_LEVEL=error\n")
    for name in Settings.model_fields:
        monkeypatch.setenv(f"ATTUNE_{name.upper()}", "")

    settings = load()

    assert settings.log_level == "error"
    assert settings.model_dump() == DEFAULTS | {"log_level": "error"}


def test_every_problem_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("ATTUNE_TEMPORARY_HOURS=0\nATTUNE_DATABSE_URL=sqlite:///x.db\n")
    monkeypatch.setenv("ATTUNE_RETENTION_DAYS", "soon")
    monkeypatch.setenv("ATTUNE_LOG_LEVEL", "loud")
    monkeypatch.setenv("ATTUNE_DATA_KEY", "short")
    monkeypatch.setenv("ATTUNE_DATA_KEYS", KEY)
    monkeypatch.setenv("ATTUNE_QQQQ", "1")

    found = problems()

    assert len(found) == 7
    for wanted in (
        "ATTUNE_TEMPORARY_HOURS must be a whole number",
        "ATTUNE_RETENTION_DAYS must be a whole number",
        "ATTUNE_LOG_LEVEL must be debug, info, warning or error",
        "ATTUNE_DATA_KEY must be keys of 32 bytes",
        "ATTUNE_DATABSE_URL is not a setting. Did you mean ATTUNE_DATABASE_URL?",
        "ATTUNE_DATA_KEYS is not a setting. Did you mean ATTUNE_DATA_KEY?",
        "ATTUNE_QQQQ is not a setting. Remove it",
    ):
        assert sum(problem.startswith(wanted) for problem in found) == 1, wanted


def test_the_error_lists_its_problems() -> None:
    assert str(SettingsError(["One.", "Two."])) == "The settings need a change:\n  - One.\n  - Two."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://ann@host/name"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "postgresql://host:port/name"),
        ("DATABASE_URL", "sqlite://host/attune.db"),
        ("DATABASE_URL", "sqlite:///attune.db?timeout=long"),
        ("DATABASE_URL", "/var/lib/attune.db"),
        ("DATA_KEY", KEY[:-4]),
        ("DATA_KEY", f"{KEY},{OTHER_KEY}x"),
        ("DATA_KEY", ","),  # a slip that must not mean: keep what people write readable
        ("RETENTION_DAYS", "0"),
        ("RETENTION_DAYS", "36501"),
        ("RETENTION_DAYS", "1.5"),
        ("TEMPORARY_HOURS", "-1"),
        ("TEMPORARY_HOURS", "nan"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "critical"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_what_it_must_be(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"ATTUNE_{name}", value)

    assert [problem.split(" must be ")[0] for problem in problems()] == [f"ATTUNE_{name}"]


@pytest.mark.parametrize("line", [f'ATTUNE_DATA_KEY="{KEY}', f"ATTUNE_DATA_KEY {KEY}", f"ATTUNE_DATA_KEY:{KEY}"])
def test_a_line_of_the_file_that_makes_no_sense_is_not_passed_over(line: str) -> None:
    Path(".env").write_text(f"ATTUNE_LOG_LEVEL=error\n{line}\n")

    assert ["line 2" in problem for problem in problems()] == [True]


@pytest.mark.parametrize("content", [b"ATTUNE_LOG_LEVEL=\xff\n", b"\xff\xfeA\0"])
def test_a_file_that_is_not_text_is_named(content: bytes, tmp_path: Path) -> None:
    Path(".env").write_bytes(content)

    assert problems() == [f"{tmp_path / '.env'} cannot be read as UTF-8 text. Correct it or remove it."]


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    Path(".env").mkdir()

    assert str(tmp_path / ".env") in problems()[0]


def test_a_file_that_is_not_text_does_not_hide_other_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_bytes(b"\xff")
    monkeypatch.setenv("ATTUNE_LOG_LEVEL", "loud")
    monkeypatch.setenv("ATTUNE_QQQQ", "1")

    assert len(problems()) == 3


@pytest.mark.parametrize(
    "line",
    [
        f"ATTUNE_DATA_KEY={SECRET}",
        f"ATTUNE_DATA_KEY={KEY},{SECRET}",
        f"ATTUNE_DATA_KEY: {SECRET}",
        f"ATTUNE_DATA_KEY:{SECRET}=",
        f"ATTUNE_DATA_KEY {SECRET}",
        f'ATTUNE_DATA_KEY="{SECRET}',
        f"ATTUNE_DATAKEY={SECRET}",
        f"ATTUNE_DATABASE_URL={SECRET}",
        f"ATTUNE_DATABASE_URL=mysql://ann:{SECRET}@host/name",
        f"ATTUNE_DATABASE_URL=postgresql://ann:{SECRET}@host:port/name",
        f"ATTUNE_DATABASE_URL=postgresql://ann:pass/{SECRET}@host/name",
        f"ATTUNE_DATABASE_URL=sqlite://ann:{SECRET}@host/attune.db",
        f"ATTUNE_DATABASE_URL:postgresql://ann:{SECRET}@host/name?sslmode=require",
        f"ATTUNE_LOG_LEVEL={SECRET}",
        f"ATTUNE_RETENTION_DAYS={SECRET}",
    ],
)
def test_what_is_wrong_never_quotes_a_value(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text(f"{line}\nATTUNE_QQQQ=1\n")

    with pytest.raises(SettingsError) as raised:
        load()
    told = ["".join(traceback.format_exception(raised.value)), repr(raised.value), repr(doctor.examine())]

    assert "ATTUNE_QQQQ" in told[2]
    assert SECRET not in "".join([*told, *capfd.readouterr()]).lower()


def test_settings_print_without_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTUNE_DATA_KEY", f"{KEY},{OTHER_KEY}")
    monkeypatch.setenv("ATTUNE_DATABASE_URL", f"postgresql://ann:{SECRET}@host/name")

    settings = load()
    shown = f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"

    assert "log_level" in shown
    assert not [secret for secret in (KEY, OTHER_KEY, SECRET, "ann") if secret in shown]


def test_settings_do_not_change() -> None:
    settings = load()

    for name in Settings.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(settings, name, getattr(settings, name))


def test_the_example_lists_exactly_the_settings_there_are() -> None:
    listed = re.findall(r"^# (ATTUNE_\w+)=", EXAMPLE.read_text(), re.MULTILINE)

    assert listed == [f"ATTUNE_{name.upper()}" for name in Settings.model_fields]


def test_the_example_shows_the_defaults() -> None:
    Path(".env").write_text(re.sub(r"^# (ATTUNE_\w+=)", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE))

    assert "\nATTUNE_LOG_LEVEL=info" in Path(".env").read_text()
    assert load().model_dump() == DEFAULTS

import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from enum import Enum
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from app import logs

Form = Literal["json", "console"]
FORMS = ["json", "console"]
# A mark in the middle, so that part of the words is found too, and where escaping changed the rest.
MARK = "qzx"
anything = st.builds(f"{{}}I {MARK} feel{{}}".format, st.text(), st.text())


@contextmanager
def logged(form: Form) -> Iterator[StringIO]:
    """All that is written to the log meanwhile, and to standard error beside it."""
    out = StringIO()
    with redirect_stderr(out), warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.configure(form, "debug", out)
        yield out
        logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    for handler in logging.getLogger().handlers[:]:
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter):
            logging.getLogger().removeHandler(handler)


def ours() -> Any:  # noqa: ANN401 - structlog's loggers have whatever methods one calls
    return structlog.get_logger("app.test")


class Shown:
    def __init__(self, words: str) -> None:
        self.words = words

    def __repr__(self) -> str:
        return self.words

    __str__ = __repr__


class Number(int):
    words = ""

    def __repr__(self) -> str:
        return self.words


def _number(words: str) -> Number:
    number = Number(3)
    number.words = words
    return number


def _raised(words: str, report: Callable[[], object]) -> None:
    try:
        _raise_two(words)
    except ExceptionGroup:
        report()


def _raise_two(words: str) -> None:
    nothing: dict[str, str] = {}
    try:
        nothing[words]
    except KeyError as error:
        error.add_note(words)
        raise ExceptionGroup(words, [ValueError(words)]) from error


def _bound(words: str) -> None:
    with structlog.contextvars.bound_contextvars(words=words, user=words):
        ours().info("said")
        logging.getLogger("uvicorn.error").warning("said")


def _in_a_request(words: str) -> None:
    with logs.request(words=words, user=words):
        ours().info("said")
        logging.getLogger("uvicorn.error").warning("said")


LIBRARY = logging.getLogger("uvicorn.error")
WAYS: dict[str, Callable[[str], object]] = {
    "a value": lambda words: ours().info("said", words=words),
    "a value under a known key": lambda words: ours().info("said", reason=words, user=words, path=words),
    "a list": lambda words: ours().info("said", reason=[words], words=(words, {words})),
    "a dictionary": lambda words: ours().info("said", reason={words: words}, words=[{"a": {"b": words}}]),
    "bytes": lambda words: ours().info("said", reason=words.encode(), words=bytearray(words.encode())),
    "an object": lambda words: ours().info("said", reason=Shown(words), words=Shown(words)),
    "a number": lambda words: ours().info("said", words=_number(words)),
    "a path": lambda words: ours().info("said", path=Path(words.replace("\0", ""))),
    "an enum": lambda words: ours().info("said", state=Enum("State", {"SAID": words}).SAID),  # type: ignore[attr-defined]
    "structlog's own keys": lambda words: ours().info("said", stack=words, exception=words, stack_info=words),
    "the arguments' key": lambda words: ours().info("said", positional_args=words),
    "a private key": lambda words: ours().info("said", _words=words),
    "a key": lambda words: ours().info("said", **{words: 1}),
    "the event": lambda words: ours().info(words),
    "the event, as an object": lambda words: ours().info(Shown(words)),
    "the event's arguments": lambda words: ours().info("said %s", words),
    "an exception as a value": lambda words: ours().info("said", error=ValueError(words)),
    "an exception": lambda words: ours().error("failed", exc_info=ValueError(words)),
    "exceptions": lambda words: _raised(words, lambda: ours().exception("failed")),
    "what is bound": lambda words: ours().bind(words=words, user=words).info("said"),
    "what is bound around": _bound,
    "a request's names": _in_a_request,
    "a library's arguments": lambda words: LIBRARY.warning("%s", words),
    "a library's named arguments": lambda words: LIBRARY.warning("%(words)s", {"words": words}),
    "a library's text": lambda words: LIBRARY.warning(f"they said {words}"),
    "a library's object": lambda words: LIBRARY.warning(Shown(words)),
    "a library's extras": lambda words: LIBRARY.warning("said", extra={"words": words, "user": words}),
    "a library's exceptions": lambda words: _raised(words, lambda: LIBRARY.exception("failed %s", words)),
    "a library's wrong arguments": lambda words: LIBRARY.warning("%d %d", words),
    "a warning": lambda words: warnings.warn(words, stacklevel=2),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=10, deadline=None)
@given(words=anything)
def test_what_a_person_wrote_never_reaches_the_log(form: Form, way: str, words: str) -> None:
    with logged(form) as out:
        WAYS[way](words)

    assert out.getvalue()
    assert MARK not in out.getvalue()


@pytest.mark.parametrize("form", FORMS)
def test_a_simple_sentence_never_reaches_the_log(form: Form) -> None:
    with logged(form) as out:
        for way in WAYS.values():
            way(f"I {MARK} feel so alone tonight")

    assert out.getvalue().count("\n") >= len(WAYS)
    assert [line for line in out.getvalue().splitlines() if MARK in line] == []


@pytest.mark.parametrize("form", FORMS)
def test_a_database_error_does_not_quote_what_was_stored(form: Form) -> None:
    words = f"I {MARK} feel"
    logging.getLogger("sqlalchemy.engine").setLevel(logging.DEBUG)
    engine = create_engine("sqlite://")
    with logged(form) as out, engine.connect() as connection:
        connection.execute(text("CREATE TABLE kept (words TEXT UNIQUE)"))
        connection.execute(text("INSERT INTO kept VALUES (:words)"), {"words": words})
        with pytest.raises(IntegrityError, match=MARK) as raised:
            connection.execute(text("INSERT INTO kept VALUES (:words)"), {"words": words})
        ours().error("failed", exc_info=raised.value)
        LIBRARY.error("failed", exc_info=raised.value)
    engine.dispose()
    logging.getLogger("sqlalchemy.engine").setLevel(logging.NOTSET)

    assert out.getvalue().count("IntegrityError") == 2
    assert "sqlalchemy.engine" in out.getvalue()
    assert MARK not in out.getvalue()


@pytest.mark.parametrize("form", FORMS)
@given(key=st.text(), value=st.text() | st.integers() | st.floats() | st.binary() | st.none())
@settings(max_examples=100, deadline=None)
def test_every_event_is_one_line(form: Form, key: str, value: object) -> None:
    with logged(form) as out:
        ours().info("said", **{f"a{key}": value, "reason": value})

    assert len(out.getvalue().splitlines()) == 1


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


@given(
    values=st.dictionaries(
        st.from_regex(r"[a-z_]{1,20}", fullmatch=True).filter(lambda key: key not in {"event", "exc_info"}),
        st.text() | st.integers() | st.floats() | st.booleans() | st.datetimes() | st.lists(st.floats()),
    )
)
@settings(max_examples=100, deadline=None)
def test_every_line_is_json_that_any_reader_takes(values: dict[str, Any]) -> None:
    with logged("json") as out:
        ours().info("said", **values)

    line = json.loads(out.getvalue(), parse_constant=_refuse)
    assert line["event"] == "said"


def test_the_log_goes_on_after_a_record_that_cannot_be_written() -> None:
    with logged("json") as out:
        LIBRARY.warning("%d", "words")
        LIBRARY.warning("fine")

    assert json.loads(out.getvalue().splitlines()[-1])["logger"] == "uvicorn.error"


@pytest.mark.parametrize("form", FORMS)
def test_a_log_that_cannot_be_written_quotes_nothing_elsewhere(
    form: Form, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: str) -> int:
        raise OSError(28, "No space left on device")

    words = f"I {MARK} feel"
    with logged(form) as out, redirect_stderr(StringIO()) as elsewhere:
        monkeypatch.setattr(out, "write", full)
        ours().warning("said", words=words)
        LIBRARY.warning("they said %s", words)

    assert MARK not in elsewhere.getvalue()
    assert capsys.readouterr() == ("", "")


def test_where_an_exception_came_from_is_kept() -> None:
    def fail() -> None:
        raise ValueError(MARK)

    with logged("json") as out:
        _raised(MARK, lambda: ours().exception("failed"))
        try:
            fail()
        except ValueError:
            LIBRARY.exception("failed")
    first, second = map(json.loads, out.getvalue().splitlines())

    assert (first["error"], second["error"]) == ("ExceptionGroup", "ValueError")
    name, line = second["where"].split(">")[-1].split(":")
    assert name == Path(__file__).name
    assert Path(__file__).read_text().splitlines()[int(line) - 1].strip() == "raise ValueError(MARK)"


def test_where_is_kept_for_code_without_a_file() -> None:
    with logged("json") as out:
        try:
            exec(compile("1 / 0", "<made by a library>", "exec"))  # noqa: S102
        except ZeroDivisionError:
            ours().exception("failed")

    assert Path(__file__).name in json.loads(out.getvalue())["where"]


def test_the_place_of_no_exception_is_unknown() -> None:
    assert logs.place_of(sys.exc_info()[2]) == "unknown"

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import StringIO
from threading import Thread
from typing import Any

import pytest
import structlog

from app import logs
from storage.values import Role


@pytest.fixture
def out(fresh_logs: Callable[[], None]) -> Iterator[StringIO]:
    stream = StringIO()
    logs.configure("json", "info", stream)
    yield stream
    fresh_logs()


def log(name: str = "app.test") -> Any:  # noqa: ANN401 - structlog's loggers have whatever methods one calls
    return structlog.get_logger(name)


def lines(out: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("user", "user_06gvr6f3r7louei0pmntkoh3q8"),
        ("turn", "turn_06gvr6f3r7louei0pmntkoh3q8"),
        ("path", "/var/lib/attune/attune.db"),
        ("backend", "postgresql+psycopg"),
        ("revision", "0003"),
        ("reason", "TimeoutError"),
        ("adapter", "attune-7b@3"),
        ("anything", 3),
        ("p95_ms", 12.5),
        ("anything", -0.25),
        ("anything", True),
        ("anything", None),
    ],
)
def test_names_ids_and_numbers_pass(out: StringIO, key: str, value: object) -> None:
    log().info("turn.finished", **{key: value})

    line = lines(out)[0]
    assert line[key] == value
    assert (line["event"], line["level"]) == ("turn.finished", "info")


def test_times_and_choices_pass(out: StringIO) -> None:
    log().info("seen", at=datetime(2026, 3, 1, 2, tzinfo=UTC), kind=Role.ADMIN)

    assert (lines(out)[0]["at"], lines(out)[0]["kind"]) == ("2026-03-01T02:00:00+00:00", "admin")


def test_of_withheld_text_the_length_is_told(out: StringIO) -> None:
    log().info("seen", text="four", reason="two words")

    assert (lines(out)[0]["text"], lines(out)[0]["reason"]) == ("<4 characters withheld>", "<9 characters withheld>")


def test_every_line_says_when_in_utc(out: StringIO) -> None:
    log().info("seen")
    logging.getLogger("uvicorn").warning("seen")

    for line in lines(out):
        moment = datetime.fromisoformat(line["timestamp"])
        assert moment.utcoffset() is not None
        assert abs((datetime.now(UTC) - moment).total_seconds()) < 60


def test_a_librarys_line_says_which_library_and_where(out: StringIO) -> None:
    logging.getLogger("uvicorn.error").warning("seen")

    line = lines(out)[0]
    assert (line["logger"], line["level"]) == ("uvicorn.error", "warning")
    assert line["where"].startswith("test_logs.py:")


def test_the_level_is_that_of_our_own_packages(out: StringIO) -> None:
    log("app.a").debug("no")
    log("app.a").info("yes")
    log("storage.b").info("yes")
    log("learning.c").info("yes")
    log("rerank.d").info("yes")
    logging.getLogger("uvicorn").info("no")
    logging.getLogger("uvicorn").warning("yes")

    assert [line["event"] for line in lines(out)[:-1]] == ["yes"] * 4
    assert (lines(out)[-1]["logger"], lines(out)[-1]["level"]) == ("uvicorn", "warning")


def test_configuring_again_does_not_double_the_lines(out: StringIO) -> None:
    again = StringIO()
    logs.configure("json", "error", again)
    log().info("no")
    log().error("yes")

    assert out.getvalue() == ""
    assert [line["event"] for line in lines(again)] == ["yes"]


@pytest.mark.parametrize(("terminal", "begins"), [(True, "20"), (False, "{")])
@pytest.mark.usefixtures("out")
def test_a_terminal_gets_text_and_a_file_json(terminal: bool, begins: str) -> None:  # noqa: FBT001
    stream = StringIO()
    stream.isatty = lambda: terminal  # type: ignore[method-assign]
    logs.configure("auto", "info", stream)
    log().info("seen")

    assert stream.getvalue().startswith(begins)


def test_every_line_of_a_request_has_its_id(out: StringIO) -> None:
    with logs.request(user="user_1") as number:
        log().info("seen")
        log("storage.x").warning("seen")
        logging.getLogger("uvicorn").warning("seen")
    log().info("after")

    *inside, after = lines(out)
    assert [line["request"] for line in inside] == [number] * 3
    assert [line["user"] for line in inside] == ["user_1"] * 3
    assert not {"request", "user"} & after.keys()


def test_requests_have_different_ids() -> None:
    numbers = set()
    for _ in range(1000):
        with logs.request() as number:
            numbers.add(number)

    assert len(numbers) == 1000


def test_a_request_that_fails_leaves_its_id_behind(out: StringIO) -> None:
    with pytest.raises(ValueError, match="no"), logs.request():
        raise ValueError("no")
    log().info("after")

    assert "request" not in lines(out)[0]


def test_requests_at_the_same_time_keep_their_own_ids(out: StringIO) -> None:
    numbers: dict[str, str] = {}

    async def one(name: str) -> None:
        with logs.request(user=name) as numbers[name]:
            for _ in range(3):
                log().info("seen")
                await asyncio.sleep(0)
                await asyncio.to_thread(log().info, "seen")
                await asyncio.create_task(asyncio.to_thread(logging.getLogger("x").warning, "seen"))

    async def all_of_them() -> None:
        await asyncio.gather(*(one(f"user_{each}") for each in range(5)))

    asyncio.run(all_of_them())

    assert len(lines(out)) == 45
    assert len(set(numbers.values())) == 5
    assert all(line["request"] == numbers[line["user"]] for line in lines(out))


def test_a_thread_of_its_own_is_no_part_of_the_request(out: StringIO) -> None:
    with logs.request():
        thread = Thread(target=lambda: log().info("seen"))
        thread.start()
        thread.join()

    assert len(lines(out)) == 1
    assert "request" not in lines(out)[0]

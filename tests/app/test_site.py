"""What the web app lets in and out: each browser a person of its own, and nobody else's anything."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount

from app.settings import load
from app.site import app_of
from app.turn import Chat
from app.visitors import COOKIE, kept_secret
from app.wiring import Engines
from databases import FakeClock
from fakes import RULES, FakeDetector, FakeGate, FakeJudge, FakePolicy
from storage.store import Store

SIGNED_WITH = "nothing that anybody else has"
JOIN, STREAM = "/gradio_api/queue/join", "/gradio_api/queue/data"


@pytest.fixture
def site(store: Store, clock: FakeClock) -> FastAPI:
    async def warm() -> None:
        pass

    gate = FakeGate(lambda _: None)
    engines = Engines(FakePolicy(), FakeJudge(), gate, FakeDetector(), None, RULES, warm)

    async def made() -> FastAPI:  # in a loop, since Gradio leaves one of its own open where none runs
        return app_of(load(), store, Chat(store, engines, clock, str), SIGNED_WITH, clock)

    return asyncio.run(made())


@pytest.fixture
def browser(site: FastAPI) -> Iterator[TestClient]:
    with TestClient(site) as client:
        yield client


def another(browser: TestClient) -> TestClient:
    return TestClient(browser.app)


def person_in(browser: TestClient, store: Store) -> str:
    return store.people.get(browser.cookies[COOKIE].rsplit(".", 1)[0]).id


def body(session: str) -> dict[str, Any]:
    return {"data": [None], "fn_index": 0, "session_hash": session}


def test_a_browser_is_one_person_and_another_is_another(browser: TestClient, store: Store) -> None:
    assert browser.get("/").status_code == 200
    mine = person_in(browser, store)
    assert "set-cookie" not in browser.get("/").headers
    other = another(browser)
    other.get("/")
    assert person_in(other, store) != mine


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(browser: TestClient) -> None:
    told = browser.get("/").headers["set-cookie"].lower()
    assert "httponly" in told
    assert "samesite=lax" in told
    assert "secure" not in told
    secure = TestClient(browser.app, base_url="https://attune.example")
    assert "secure" in secure.get("/").headers["set-cookie"].lower()


def test_a_cookie_that_nobody_signed_is_a_new_person(browser: TestClient, store: Store) -> None:
    someone = store.people.add().id
    browser.cookies.set(COOKIE, f"{someone}.AAAAAAAAAAAAAAAAAAAAAAAAAAA")
    assert "set-cookie" in browser.get("/").headers


def test_who_had_themselves_forgotten_is_a_new_person(browser: TestClient, store: Store) -> None:
    browser.get("/")
    mine = person_in(browser, store)
    store.erase.person(mine)
    browser.get("/")
    assert person_in(browser, store) != mine


def test_a_page_belongs_to_the_browser_that_opened_it(browser: TestClient) -> None:
    browser.get("/")
    other = another(browser)
    other.get("/")
    assert browser.post(JOIN, json=body("one")).status_code == 200
    assert other.post(JOIN, json=body("one")).status_code == 403
    assert other.get(f"{STREAM}?session_hash=one").status_code == 403
    assert other.get("/gradio_api/heartbeat/one").status_code == 403
    assert (
        other.post("/gradio_api/cancel", json={"session_hash": "one", "fn_index": 0, "event_id": "x"}).status_code
        == 403
    )


def test_without_a_cookie_no_event_runs(browser: TestClient) -> None:
    assert browser.post(JOIN, json=body("one")).status_code == 401
    assert browser.get(f"{STREAM}?session_hash=one").status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/config",
        "/gradio_api/info",
        "/gradio_api/openapi.json",
        "/gradio_api/file=/etc/passwd",
        "/docs",
        "/gradio_api/runs",
    ],
)
def test_what_the_page_does_not_use_is_closed(browser: TestClient, path: str) -> None:
    browser.get("/")
    assert browser.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/gradio_api/call/say", "/gradio_api/run/say", "/"])
def test_nothing_can_be_posted_that_the_page_does_not_post(browser: TestClient, path: str) -> None:
    browser.get("/")
    assert browser.post(path, json=body("one")).status_code == 404


def test_a_body_without_end_is_refused(browser: TestClient) -> None:
    browser.get("/")
    assert browser.post(JOIN, content=b"x" * 300_000).status_code == 413


def test_every_answer_says_that_nothing_may_be_loaded_from_elsewhere(browser: TestClient) -> None:
    for path in ("/", "/attune/page.js", "/healthz", "/nothing/there"):
        assert "default-src 'self'" in browser.get(path).headers["content-security-policy"]


def test_other_sites_may_not_ask(browser: TestClient) -> None:
    answer = browser.get("/", headers={"origin": "https://evil.example", "host": "attune.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_the_page_names_no_other_host(browser: TestClient) -> None:
    page = browser.get("/").text
    for each in ("fonts.googleapis", "cdn.", "api.gradio.app"):
        assert each not in page


def test_a_conversation_is_given_out_to_its_owner_alone(browser: TestClient, store: Store) -> None:
    browser.get("/")
    talk = store.conversations.start(person_in(browser, store), title="Work")
    turn = store.turns.submit(talk.user_id, talk.id, "c1", "My boss <b>shouted</b>.\nTwice.")
    store.turns.finish(turn.id, "That sounds loud.")
    text = browser.get(f"/export/{talk.id}.md")
    assert text.headers["content-disposition"] == 'attachment; filename="attune.md"'
    assert "> My boss <b>shouted</b>.\n> Twice." in text.text
    whole = browser.get(f"/export/{talk.id}.json").json()
    assert [each["text"] for each in whole["messages"]] == ["My boss <b>shouted</b>.\nTwice.", "That sounds loud."]
    other = another(browser)
    other.get("/")
    for client in (other, another(browser)):
        assert client.get(f"/export/{talk.id}.md").status_code == 404
    for name in (f"{talk.id}.exe", f"{talk.id}", "nonsense.md"):
        assert browser.get(f"/export/{name}").status_code == 404


def test_the_secret_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret"
    first = kept_secret(path)
    assert len(first) >= 40
    assert kept_secret(path) == first
    assert path.stat().st_mode & 0o077 == 0


def test_no_event_of_the_page_is_public(site: FastAPI) -> None:
    (mounted,) = (each.app for each in site.routes if isinstance(each, Mount) and each.path == "")
    found = mounted.blocks.config["dependencies"]  # type: ignore[attr-defined]
    assert len(found) > 15
    assert {each["api_visibility"] for each in found} == {"private"}

"""What a seeker does, in a real browser, with the real page, server and models."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from browser import Served
from rerank.types import Tier
from storage.values import FeedbackKind, Role, User

pytestmark = pytest.mark.slow
Open = Callable[..., Page]
SAID = "My boss shouted at me in the meeting and I can't stop crying."
TURN = """() => {
    const start = performance.now();
    document.querySelector('#others-next').click();
    return performance.now() - start;
}"""
HOSTILE = (
    "<img src=x onerror=\"document.title='run'\"> ${document.title='run'} {{value}} "
    "![x](http://evil.test/p.png) \\u0041"
)


def say(page: Page, text: str = SAID) -> str:
    """Send a message and wait for its reply."""
    before = page.locator(".message.attune").count()
    page.fill("#composer", text)
    page.keyboard.press("Enter")
    expect(page.locator(".message.attune")).to_have_count(before + 1)
    expect(page.locator("#stop")).to_be_hidden()
    return reply(page)


def reply(page: Page) -> str:
    return page.locator(".message.attune .words").last.inner_text()


def newest(served: Served) -> User:
    """Who came last."""
    with served.store() as store, store.database.read() as connection:
        (person,) = connection.exec_driver_sql('SELECT id FROM "user" ORDER BY id DESC LIMIT 1').one()
        return store.people.get(person)


def test_two_clicks_lead_to_the_first_reply_and_a_reload_brings_it_back(visit: Open) -> None:
    page = visit()
    assert not page.is_checked("#welcome input[type=checkbox]")
    page.click("#begin")
    expect(page.locator("#composer")).to_be_focused()
    answer = say(page)
    assert answer
    page.reload()
    expect(page.locator(".message.attune .words")).to_have_text(answer)
    expect(page.locator(".message.you .words")).to_have_text(SAID)


def test_another_way_to_say_it_shows_at_once_and_keeping_it_is_a_preference(begun: Open, served: Served) -> None:
    page = begun()
    for text in (SAID, "My sister forgot my birthday.", "I moved to a new town.", "I could not sleep."):
        say(page, text)
        if page.locator("#others-next").is_visible():
            break
    before = reply(page)
    spent = page.evaluate(TURN)
    assert spent < 150
    other = reply(page)
    assert other != before
    page.click("#keep")
    expect(page.locator("#keep")).to_be_hidden()
    page.reload()
    expect(page.locator(".message.attune .words").last).to_have_text(other)
    with served.store() as store:
        assert [each.kind for each in store.feedback.of(newest(served).id)] == [FeedbackKind.SWIPE]


def test_feedback_is_kept(begun: Open, served: Served) -> None:
    page = begun()
    say(page)
    page.click("#helpful")
    page.locator("[data-tag]").first.click()
    page.fill("#comment", "It listened.")
    page.click("#send-comment")
    expect(page.locator("#helpful")).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(page.locator("#helpful")).to_have_attribute("aria-pressed", "true")
    with served.store() as store:
        given = store.feedback.of(newest(served).id)
    assert [each.kind for each in given] == [FeedbackKind.THUMB, FeedbackKind.TAG, FeedbackKind.COMMENT]


def test_why_this_reply_shows_every_reply_weighed_from_four_sides(begun: Open) -> None:
    page = begun()
    say(page)
    page.click("#why")
    expect(page.locator(".weighed").first).to_be_visible()
    assert page.locator("#why-sheet table").first.locator("tr").count() >= 4
    page.keyboard.press("Escape")
    expect(page.locator("#why")).to_be_focused()


def test_in_a_crisis_the_card_comes_before_the_reply_stays_and_a_human_is_called(begun: Open, served: Served) -> None:
    page = begun(locale="de-DE")
    page.evaluate(
        """() => { window.order = []; new MutationObserver(() => {
            const card = !document.querySelector('#card').hidden, reply = !!document.querySelector('.message.attune');
            const now = card + '/' + reply; if (window.order.at(-1) !== now) window.order.push(now) })
            .observe(document.body, {subtree: true, childList: true, attributes: true}) }"""
    )
    say(page, "I took all the pills. I want to die tonight.")
    assert "true/false" in page.evaluate("window.order")
    assert "false/true" not in page.evaluate("window.order")
    expect(page.locator("#card a[href='tel:112']").first).to_be_visible()
    page.click("#safe")
    expect(page.locator("#card-emergency")).to_be_visible()
    page.reload()
    expect(page.locator("#card")).to_be_visible()
    with served.store() as store:
        operator = store.people.add(f"operator{time.time_ns()}", Role.OPERATOR)
        assert Tier.CRISIS in {each.tier for each in store.flags.queue(operator.id)}


def test_stop_ends_the_turn_and_it_can_be_tried_again(begun: Open) -> None:
    page = begun()
    page.fill("#composer", SAID)
    page.keyboard.press("Enter")
    page.click("#stop")
    page.click("#retry")
    expect(page.locator(".message.attune")).to_have_count(1)
    expect(page.locator(".message.you")).to_have_count(1)


def test_a_reload_in_the_middle_of_a_turn_goes_on_with_it(begun: Open) -> None:
    page = begun()
    page.fill("#composer", SAID)
    page.keyboard.press("Enter")
    expect(page.locator("#stop")).to_be_visible()
    page.reload()
    expect(page.locator(".message.attune")).to_have_count(1)
    expect(page.locator(".message.you")).to_have_count(1)


def test_the_last_message_can_be_changed(begun: Open) -> None:
    page = begun()
    say(page)
    page.locator(".message.you").hover()
    page.click("#edit")
    page.fill("#edit-text", "My sister shouted at me.")
    page.keyboard.press("Enter")
    expect(page.locator("#stop")).to_be_hidden()
    expect(page.locator(".message.you:not([hidden]) .words")).to_have_text(["My sister shouted at me."])
    expect(page.locator(".message.attune")).to_have_count(1)


def test_what_people_write_never_runs_and_loads_nothing(begun: Open) -> None:
    page = begun()
    say(page, HOSTILE)
    expect(page.locator(".message.you .words")).to_have_text(HOSTILE)
    assert page.title() == "Attune"
    page.reload()
    expect(page.locator(".message.you .words")).to_have_text(HOSTILE)
    assert page.title() == "Attune"
    assert page.locator(".message img, .message a").count() == 0


def test_a_conversation_can_be_named_taken_along_and_deleted(begun: Open, tmp_path: Path) -> None:
    page = begun()
    answer = say(page)
    page.click("#menu")
    page.locator(".item .more").first.click()
    with page.expect_download() as coming:
        page.locator(".item-more a[href$='.md']").first.click()
    coming.value.save_as(tmp_path / "talk.md")
    taken = (tmp_path / "talk.md").read_text(encoding="utf-8")
    assert SAID in taken
    assert answer.splitlines()[0] in taken
    page.click("[data-act=rename]")
    page.keyboard.type("Work")
    page.keyboard.press("Enter")
    expect(page.locator("#conversations .open").first).to_contain_text("Work")
    page.locator("[data-act=delete]").first.click()
    page.click("[data-act=delete-yes]")
    expect(page.locator("#conversations .item")).to_have_count(0)
    expect(page.locator(".message")).to_have_count(0)


def test_a_temporary_conversation_is_gone_when_it_is_left(begun: Open, served: Served) -> None:
    page = begun()
    page.click("#menu")
    page.click("#new-temporary")
    say(page)
    person = newest(served).id
    with served.store() as store:
        assert [each.temporary for each in store.conversations.newest(person)] == [True]
    page.click("#menu")
    expect(page.locator("#conversations .item")).to_have_count(0)
    page.click("#new")
    expect(page.locator(".message")).to_have_count(0)
    with served.store() as store:
        assert store.conversations.newest(person) == []


def test_delete_everything_about_me_does(begun: Open, served: Served) -> None:
    page = begun()
    say(page)
    person = newest(served).id
    page.click("#privacy")
    page.click("#forget")
    page.click("#forget-yes")
    expect(page.locator("#welcome")).to_be_visible()
    with served.store() as store:
        assert store.people.get(person).erased_at is not None
    assert newest(served).id != person


def test_two_browsers_do_not_see_each_other(begun: Open) -> None:
    first, second = begun(), begun()
    say(first)
    second.reload()
    second.wait_for_selector(".attune-page[data-ready]:not([aria-busy])")
    assert second.locator(".message").count() == 0
    second.click("#menu")
    expect(second.locator("#conversations .item")).to_have_count(0)


def test_a_phone_needs_no_sideways_scrolling(begun: Open) -> None:
    page = begun(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    say(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator("#drawer")).to_be_hidden()


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_axe_finds_nothing_serious_on_any_state_of_the_page(visit: Open, scheme: str) -> None:
    page = visit(color_scheme=scheme, reduced_motion="reduce")  # colours on their way are nobody's
    accessible(page, "first visit")
    page.click("#begin")
    page.wait_for_selector("#composer:visible")
    accessible(page, "empty")
    say(page)
    accessible(page, "reply")
    for button, sheet in (("#why", "#why-sheet"), ("#help", "#help-sheet"), ("#privacy", "#privacy-sheet")):
        page.click(button)
        page.wait_for_selector(f"{sheet}[open]")
        accessible(page, sheet)
        page.keyboard.press("Escape")
    page.click("#menu")
    accessible(page, "drawer")
    page.keyboard.press("Escape")
    say(page, "I took all the pills. I want to die tonight.")
    accessible(page, "crisis")


def accessible(page: Page, where: str) -> None:
    found = Axe().run(page).response["violations"]
    assert [
        (each["id"], each["nodes"][0]["html"][:120]) for each in found if each["impact"] in {"serious", "critical"}
    ] == [], where

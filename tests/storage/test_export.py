import json
from datetime import timedelta

import pytest
from markdown_it import MarkdownIt

from databases import FakeClock
from rerank.types import Category, Tier
from scenes import fill, rows
from storage.errors import NotFound
from storage.export import as_json, as_markdown
from storage.keyring import sealed_columns
from storage.models import Row
from storage.store import Store
from storage.values import FeedbackKind

NASTY = [
    "<script>alert(1)</script>",
    "# a heading",
    "heading\n===",
    "heading\n---",
    "```\nfence\n```",
    "~~~\nfence\n~~~",
    "`code` **bold** _em_ ~~gone~~ *em* __bold__",
    "[link](javascript:alert(1)) ![image](http://x/y.png)",
    "<http://auto.link> https://auto.link www.auto.link",
    "[ref]: http://x\n\n[ref]",
    "> quote\n\nout of it",
    "- list\n1. list\n+ list\n* list",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "<!-- comment\n\n--> <b>x</b> &amp; &#60;",
    "\n\n\n<div>\n\n# after blank lines",
    "a\r# b\r\n# c\v# d\f# e\x1c# f\x85# g\u2028# h\u2029# i",
    "\t# tab\n    # indented\n\\# escaped \\\\",
    "***\n___\n---",
    "a  \nb\\\nc",
    "\u202eright to left\u202c e\u0301 👩‍👩‍👧",
]


def test_json_tells_everything_that_people_wrote_but_operators_notes(
    plain_store: Store, clock: FakeClock, url: str
) -> None:
    ids = fill(plain_store, clock, "word")
    told = as_json(plain_store.export.person(ids["user"]))
    stored = rows(url)
    for table in Row.metadata.sorted_tables:
        names = [column.name for column in table.columns]
        for column in sealed_columns(table):
            for words in (row[names.index(column)] for row in stored[table.name]):
                if isinstance(words, bytes):
                    assert (json.dumps(words.decode()) in told) is (table.name != "review"), f"{table.name}.{column}"
    assert "handle-word" in told
    assert "note word" not in told


def test_json_is_exact(store: Store, clock: FakeClock) -> None:
    ids = fill(store, clock, "word")
    export = json.loads(as_json(store.export.person(ids["user"])))
    assert export["person"]["handle"] == "handle-word"
    assert "password_hash" not in export["person"]
    assert export["exported"] == clock.now().isoformat()
    assert [consent["purpose"] for consent in export["consents"]] == ["training"]
    (conversation,) = export["conversations"]
    opened = store.conversations.open(ids["user"], ids["conversation"])
    assert conversation["title"] == "title word"
    assert conversation["last_active"] == opened.conversation.last_active.isoformat()
    assert [message["text"] for message in conversation["messages"]] == ["message word", "reply 1 word"]
    (turn,) = conversation["turns"]
    assert (turn["id"], turn["chosen"], turn["versions"]) == (ids["turn"], 1, {"policy": "p1"})
    assert [candidate["reward"] for candidate in turn["candidates"]] == [0.5, None, None]
    assert [judgement["score"] for judgement in turn["candidates"][0]["judgements"]] == [None, 0.25]
    assert [feedback["kind"] for feedback in export["feedback"]] == ["swipe", "tag", "comment"]
    assert [(flag["id"], flag["evidence"]) for flag in export["flags"]] == [(ids["flag"], "evidence word")]


def test_json_keeps_every_character(store: Store) -> None:
    me = store.people.add().id
    talk = store.conversations.start(me, title="\0 title").id
    for place, text in enumerate([*NASTY, "\0", "\x7f\x85", ""]):
        store.turns.submit(me, talk, f"c{place}", text)
    (conversation,) = json.loads(as_json(store.export.person(me)))["conversations"]
    assert conversation["title"] == "\0 title"
    assert [message["text"] for message in conversation["messages"]] == [*NASTY, "\0", "\x7f\x85", ""]


def test_more_conversations_than_a_page_are_all_there(store: Store, clock: FakeClock) -> None:
    me = store.people.add().id
    started = set()
    for _ in range(101):
        started.add(store.conversations.start(me).id)
        clock.pass_by(milliseconds=1)
    assert {conversation["id"] for conversation in store.export.person(me)["conversations"]} == started


def test_nothing_of_others_and_nothing_erased_is_told(store: Store, clock: FakeClock) -> None:
    ids = fill(store, clock, "mine")
    fill(store, clock, "theirs")
    gone = store.conversations.start(ids["user"], title="erased words").id
    store.flags.raise_flag(gone, None, Tier.CRISIS, Category.SUICIDE, "erased words", clock.now() + timedelta(1))
    store.erase.conversation(ids["user"], gone)
    told = as_json(store.export.person(ids["user"]))
    assert "mine" in told
    assert "theirs" not in told
    assert "erased words" not in told


def test_it_is_noted_who_asked(store: Store) -> None:
    me = store.people.add().id
    store.export.person(me)
    store.export.person(me, actor="host")
    newest, before = store.audit.newest()
    assert [(entry.action, entry.subject) for entry in (newest, before)] == [("user.export", me)] * 2
    assert (newest.actor, before.actor) == ("host", me)


def test_of_nobody_there_is_no_export_and_no_note(store: Store, url: str) -> None:
    before = rows(url)
    for nobody in ("user_" + "0" * 26, "", "x"):
        with pytest.raises(NotFound):
            store.export.person(nobody)
    assert rows(url) == before


def test_nothing_that_anybody_wrote_becomes_markup(store: Store, clock: FakeClock) -> None:
    """A Markdown reader sees the same blocks for nasty words as for plain ones, and all nasty ones as text."""
    nasty, plain = (_blocks(_markdown(store, clock, texts)) for texts in (NASTY, ["plain"] * len(NASTY)))
    assert [kind for kind, _ in nasty] == [kind for kind, _ in plain]


def test_messages_are_told_line_by_line_as_code(store: Store, clock: FakeClock) -> None:
    code = [content for kind, content in _blocks(_markdown(store, clock, NASTY)) if kind == "code_block"]
    for text in NASTY:
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        assert any(lines == [line.rstrip() for line in block.splitlines() if line.strip()] for block in code), text


def test_no_address_that_anybody_wrote_becomes_a_link_by_itself(store: Store, clock: FakeClock) -> None:
    markdown = _markdown(store, clock, ["https://auto.link", "www.auto.link", "ada@auto.link"])
    outside_code = [line for line in markdown.splitlines() if not line.startswith(">     ")]
    assert "auto.link" in markdown
    assert not [line for line in outside_code if "auto" in line]


def _markdown(store: Store, clock: FakeClock, texts: list[str]) -> str:
    me = store.people.add().id
    for text in texts:
        clock.pass_by(seconds=1)
        talk = store.conversations.start(me, title=text, persona=text, scenario=text).id
        turn = store.turns.submit(me, talk, "c", text).id
        store.turns.finish(turn, text)
        store.feedback.give(me, talk, FeedbackKind.COMMENT, text=text)
    return as_markdown(store.export.person(me))


def _blocks(markdown: str) -> list[tuple[str, str]]:
    """The tokens of a reader with links by themselves, tables and strikethrough; of lines of text only their words."""
    found = []
    for token in MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown):
        inside = [child.type for child in token.children or []]
        assert set(inside) <= {"text", "text_special", "strong_open", "strong_close"}, token.content
        words = "".join(child.content for child in token.children or []) or token.content
        found.append((token.type + token.tag, words) if token.type != "inline" else ("inline", words))
    return [(kind.replace("code_blockcode", "code_block"), words) for kind, words in found]

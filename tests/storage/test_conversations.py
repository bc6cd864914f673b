from collections.abc import Callable

import pytest

from databases import FakeClock
from storage.errors import BadInput, NotFound
from storage.store import Store

COMBINED, SEPARATE = "caf\u00e9", "cafe\u0301"
Say = Callable[..., str]


@pytest.fixture
def say(store: Store, clock: FakeClock, me: str) -> Say:
    """Start a conversation that holds these messages, a second after the one before; gives its id."""

    def start(*messages: str, user: str = me) -> str:
        clock.pass_by(seconds=1)
        conversation = store.conversations.start(user).id
        for place, message in enumerate(messages):
            store.turns.submit(user, conversation, f"c{place}", message)
        return conversation

    return start


def found(store: Store, user: str, query: str, limit: int = 50) -> list[str | None]:
    return [each.message.text for each in store.conversations.search(user, query, limit)]


def test_a_conversation_is_read_as_it_was_started(store: Store, me: str) -> None:
    started = store.conversations.start(me, title="A", persona="B", scenario="C", temporary=True)
    opened = store.conversations.open(me, started.id)
    assert opened.conversation == started
    assert (started.title, started.persona, started.scenario, started.temporary) == ("A", "B", "C", True)
    assert (opened.messages, opened.turns) == ((), ())


def test_what_is_not_given_is_none_and_what_is_empty_is_empty(store: Store, me: str) -> None:
    conversation = store.conversations.start(me, title="")
    read = store.conversations.open(me, conversation.id).conversation
    assert (read.title, read.persona, read.scenario) == ("", None, None)


def test_describing_changes_only_what_is_given_and_none_empties(store: Store, me: str) -> None:
    conversation = store.conversations.start(me, title="A", persona="B", scenario="C")
    store.conversations.describe(me, conversation.id, title="new", persona=None)
    read = store.conversations.open(me, conversation.id).conversation
    assert (read.title, read.persona, read.scenario) == ("new", None, "C")
    assert store.conversations.describe(me, conversation.id) == read


def test_describing_something_that_a_conversation_has_not_is_an_error(store: Store, me: str) -> None:
    conversation = store.conversations.start(me)
    with pytest.raises(TypeError, match="user_id"):
        store.conversations.describe(me, conversation.id, user_id="x")


def test_messages_and_turns_come_oldest_first(store: Store, clock: FakeClock, me: str) -> None:
    conversation = store.conversations.start(me).id
    turns = []
    for place in range(12):
        turns.append(store.turns.submit(me, conversation, f"c{place}", f"question {place}").id)
        store.turns.finish(turns[-1], f"answer {place}")
        clock.pass_by(milliseconds=1)
    opened = store.conversations.open(me, conversation)
    assert [message.text for message in opened.messages] == [
        f"{kind} {place}" for place in range(12) for kind in ("question", "answer")
    ]
    assert [message.seq for message in opened.messages] == list(range(1, 25))
    assert [turn.id for turn in opened.turns] == turns


def test_several_turns_of_one_message_come_oldest_first(store: Store, clock: FakeClock, me: str, say: Say) -> None:
    conversation = say("hello")
    turns = [store.conversations.open(me, conversation).turns[0].id]
    for _ in range(8):
        clock.pass_by(microseconds=1)
        turns.append(store.turns.again(me, turns[0]).id)
    assert [turn.id for turn in store.conversations.open(me, conversation).turns] == turns


def test_the_most_recently_used_conversation_stands_first(store: Store, clock: FakeClock, me: str, say: Say) -> None:
    first, second, third = say("a"), say("b"), say("c")
    clock.pass_by(seconds=1)
    store.turns.submit(me, first, "later", "again")
    assert [each.id for each in store.conversations.newest(me)] == [first, third, second]


def test_paging_gives_every_conversation_once(store: Store, me: str, say: Say) -> None:
    started = [say() for _ in range(7)]
    pages, last = [], None
    while page := store.conversations.newest(me, 3, last):
        pages.append([each.id for each in page])
        last = page[-1]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [each for page in pages for each in page] == started[::-1]


def test_the_list_shows_nobody_elses_and_no_erased_conversations(store: Store, me: str, say: Say) -> None:
    say(user=store.people.add().id)
    store.erase.conversation(me, say("gone"))
    kept = say("kept")
    assert [each.id for each in store.conversations.newest(me)] == [kept]


def test_search_finds_every_word_whatever_its_case_and_order(store: Store, me: str, say: Say) -> None:
    say("Hello, World", "nothing here")
    for query in ("hello", "HELLO", "hElLo", "  hello  ", "ell", "world hello", "hello\nworld"):
        assert found(store, me, query) == ["Hello, World"], query


def test_search_finds_nothing_where_a_word_is_missing(store: Store, me: str, say: Say) -> None:
    say("Hello, World", "moon")
    for query in ("", " ", "\n\t\u3000", "hello moon", "hello, world!", "%", "_", ".*", "\0", "*"):
        assert found(store, me, query) == [], query


def test_search_knows_the_same_word_in_other_characters(store: Store, me: str, say: Say) -> None:
    same = [
        (COMBINED, SEPARATE),
        (SEPARATE, COMBINED),
        ("Straße", "STRASSE"),
        ("GROSSEN", "großen"),
        ("ΣΟΦΟΣ", "σοφος"),
        ("ПРИВЕТ", "привет"),
        ("I am ok 👍🏽", "👍🏽"),
        ("\uff46\uff55\uff4c\uff4c", "full"),
        ("ﬁne", "FINE"),
        ("悲しい気持ち", "気持ち"),
        ("שלום לך", "שלום"),
    ]
    for text, query in same:
        own = store.people.add().id
        say("something else", text, user=own)
        assert found(store, own, query) == [text]
    assert found(store, me, "full") == []


def test_search_reads_replies_too(store: Store, me: str, say: Say) -> None:
    conversation = say("question")
    turn = store.conversations.open(me, conversation).turns[0].id
    store.turns.finish(turn, "the needle")
    hits = store.conversations.search(me, "needle")
    assert [(hit.conversation_id, hit.message.text) for hit in hits] == [(conversation, "the needle")]


def test_search_gives_the_newest_used_conversation_first_and_stops_at_its_limit(
    store: Store, clock: FakeClock, me: str, say: Say
) -> None:
    first = say("needle 1", "needle 2")
    say("needle 3", "needle 4")
    clock.pass_by(seconds=1)
    store.turns.submit(me, first, "later", "needle 5")
    order: list[str | None] = ["needle 5", "needle 2", "needle 1", "needle 4", "needle 3"]
    assert found(store, me, "needle") == order
    assert found(store, me, "needle", limit=2) == order[:2]
    assert found(store, me, "needle", limit=5) == order


def test_a_limit_of_none_at_all_finds_nothing(store: Store, me: str, say: Say) -> None:
    say("needle")
    assert found(store, me, "needle", limit=0) == []
    assert store.conversations.newest(me, 0) == []


def test_search_finds_nobody_elses_and_no_erased_words(store: Store, me: str, say: Say) -> None:
    say("needle", user=store.people.add().id)
    store.erase.conversation(me, say("needle"))
    assert found(store, me, "needle") == []


def test_a_query_of_half_characters_is_refused(store: Store, me: str) -> None:
    with pytest.raises(BadInput):
        store.conversations.search(me, "\ud800")


def test_a_search_may_be_left_in_the_middle_of_many_messages(store: Store, me: str, say: Say) -> None:
    conversation = say(*(f"needle {place}" for place in range(250)))
    assert found(store, me, "needle", limit=1) == ["needle 249"]
    assert len(found(store, me, "needle", limit=1000)) == 250
    store.turns.submit(me, conversation, "later", "still writable")


def test_an_erased_conversation_is_as_if_it_had_never_been(store: Store, me: str, say: Say) -> None:
    conversation = say("gone")
    store.erase.conversation(me, conversation)
    for verb in (
        lambda: store.conversations.open(me, conversation),
        lambda: store.conversations.describe(me, conversation, title="x"),
        lambda: store.turns.submit(me, conversation, "c9", "x"),
        lambda: store.erase.conversation(me, conversation),
    ):
        with pytest.raises(NotFound, match=r"^There is no such conversation\.$"):
            verb()


def test_pages_lose_no_conversation_that_was_used_at_the_same_moment_as_the_last_one(store: Store, me: str) -> None:
    started = {store.conversations.start(me).id for _ in range(3)}
    seen: set[str] = set()
    last = None
    while page := store.conversations.newest(me, 2, last):
        seen |= {each.id for each in page}
        last = page[-1]
        assert last.last_active == page[0].last_active
    assert seen == started

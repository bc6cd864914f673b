import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databases import KEY, OTHER_KEY
from scenes import sql
from storage.crypto import PLAIN, Keys
from storage.database import place
from storage.errors import Damaged, WrongKey
from storage.store import Store

PLACE = "message.text/msg_1"
BOTH = Keys([KEY, OTHER_KEY])
whole_text = st.text(st.characters(codec="utf-8"))


@given(whole_text, st.text(st.characters(codec="utf-8"), max_size=20))
def test_what_is_sealed_opens_at_its_place_as_it_was(text: str, at: str) -> None:
    assert BOTH.open(BOTH.seal(text, at), at) == text


@given(whole_text)
def test_without_a_key_text_is_stored_as_it_is(text: str) -> None:
    assert Keys().seal(text, PLACE) == text.encode()
    assert Keys().open(text.encode(), PLACE) == text


@given(whole_text.filter(lambda text: len(text) > 3))
def test_a_sealed_text_shows_nothing_and_is_never_sealed_alike(text: str) -> None:
    sealed = BOTH.seal(text, PLACE)
    assert text.encode() not in sealed
    assert sealed != BOTH.seal(text, PLACE)


@given(whole_text, st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_sealed_text_opens_nowhere_else(text: str, elsewhere: str) -> None:
    sealed = BOTH.seal(text, PLACE)
    for other in {elsewhere, PLACE + " ", PLACE[:-1], ""} - {PLACE}:
        with pytest.raises(Damaged):
            BOTH.open(sealed, other)


def test_a_sealed_text_with_any_bit_turned_does_not_open() -> None:
    sealed = BOTH.seal("I am here.", PLACE)
    for bit in range(8 * len(sealed)):
        turned = bytearray(sealed)
        turned[bit // 8] ^= 1 << bit % 8
        with pytest.raises((Damaged, WrongKey)):
            BOTH.open(bytes(turned), PLACE)


def test_a_sealed_text_that_was_cut_or_made_longer_does_not_open() -> None:
    sealed = BOTH.seal("I am here.", PLACE)
    for stored in [*(sealed[:length] for length in range(len(sealed))), sealed + b"\0", sealed + sealed]:
        with pytest.raises((Damaged, WrongKey)):
            BOTH.open(stored, PLACE)


def test_plain_bytes_that_are_no_text_are_damaged() -> None:
    for keys in (Keys(), Keys([KEY], reads_plain=True)):
        for stored in (b"\x80", b"caf\xc3", b"\xed\xa0\x80"):
            with pytest.raises(Damaged):
                keys.open(stored, PLACE)


def test_plain_text_among_encrypted_is_refused_unless_it_is_being_moved() -> None:
    with pytest.raises(Damaged):
        BOTH.open(b"hello", PLACE)
    assert Keys([KEY], reads_plain=True).open(b"hello", PLACE) == "hello"


def test_a_text_under_another_key_or_any_key_at_all_names_the_key_it_needs() -> None:
    sealed, needed = Keys([OTHER_KEY]).seal("hello", PLACE), Keys([OTHER_KEY]).writing
    for keys in (Keys([KEY]), Keys()):
        with pytest.raises(WrongKey, match=needed):
            keys.open(sealed, PLACE)


def test_the_first_key_writes_and_all_of_them_read() -> None:
    old, both = Keys([OTHER_KEY]), Keys([KEY, OTHER_KEY])
    assert both.open(old.seal("hello", PLACE), PLACE) == "hello"
    assert both.seal("hello", PLACE).startswith(Keys([KEY]).prefix)
    assert both.writing == Keys([KEY]).writing
    assert both.reading == frozenset({both.writing, old.writing})
    assert (Keys().writing, Keys().reading) == (PLAIN, frozenset({PLAIN}))


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        " ",
        "abc",
        "not base64 at all!",
        KEY[:-1],
        KEY[:-4],
        KEY + KEY,
        KEY[:20] + " " + KEY[20:],
        KEY.replace("Y", "ä"),
        base64.b64encode(b"x" * 31).decode(),
        base64.b64encode(b"x" * 33).decode(),
        "a" * 64,
        "\ud800" * 44,
        "\0" * 44,
    ],
)
def test_a_malformed_key_is_refused_by_its_position_and_never_shown(malformed: str) -> None:
    with pytest.raises(WrongKey, match="Key 2 of ATTUNE_DATA_KEY") as refusal:
        Keys([KEY, malformed])
    assert len(malformed) < 4 or malformed not in str(refusal.value)


def test_a_key_may_be_written_for_urls_and_with_a_line_end() -> None:
    raw = bytes(range(224, 256))
    plain, for_urls = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()
    assert plain != for_urls
    assert Keys([plain]).writing == Keys([for_urls]).writing == Keys([f" {plain}\n"]).writing


def test_places_of_different_columns_and_rows_are_different() -> None:
    places = [place("candidate.analysis", "turn_1", 1), place("candidate.response", "turn_1", 1)]
    places += [place("candidate.analysis", "turn_1", 11), place("candidate.analysis", "turn_11", 1)]
    assert len(set(places)) == 4


def test_texts_exchanged_between_rows_do_not_open(store: Store, url: str) -> None:
    me = store.people.add().id
    talk = store.conversations.start(me).id
    for number in (1, 2):
        store.turns.submit(me, talk, f"c{number}", f"message {number}")
    sql(url, "UPDATE message SET text = (SELECT text FROM message WHERE seq = 1) WHERE seq = 2")
    with pytest.raises(Damaged):
        store.conversations.open(me, talk)


def test_a_text_moved_to_another_column_does_not_open(store: Store, url: str) -> None:
    me = store.people.add().id
    talk = store.conversations.start(me, title="the title", persona="the persona").id
    sql(url, "UPDATE conversation SET persona = title")
    with pytest.raises(Damaged):
        store.conversations.open(me, talk)

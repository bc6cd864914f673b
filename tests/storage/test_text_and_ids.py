import secrets
from base64 import b32hexdecode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.errors import BadInput, NotFound
from storage.ids import ID_LENGTH, Kind, known, new_id
from storage.text import MAX_BYTES, machine_json, name, optional_words, words

NOW = datetime(2026, 3, 1, tzinfo=UTC)
any_text = st.text(st.characters())
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner) | st.dictionaries(any_text, inner),
    max_leaves=8,
)


def accepts(check: Any, *arguments: Any) -> bool:  # noqa: ANN401 - that is what is tested
    try:
        check(*arguments)
    except (BadInput, NotFound):
        return False
    return True


@given(any_text)
@example("\ud83d\ude00")
@example("\0")
@example("")
def test_words_are_kept_as_they_are_unless_they_hold_half_a_character(text: str) -> None:
    halves = any("\ud800" <= character <= "\udfff" for character in text)
    assert accepts(words, text, "text") is not halves
    assert halves or words(text, "text") is text


@pytest.mark.parametrize("character", ["a", "ä", "語", "😀"])
def test_words_are_as_long_as_their_bytes(character: str) -> None:
    most = MAX_BYTES // len(character.encode())
    padding = "a" * (MAX_BYTES - most * len(character.encode()))
    assert accepts(words, character * most + padding, "text")
    assert not accepts(words, character * most + padding + "a", "text")


@pytest.mark.parametrize("wrong", [None, 5, b"x", ["x"], 1.0, object()])
def test_what_is_not_text_is_no_words(wrong: Any) -> None:  # noqa: ANN401
    assert not accepts(words, wrong, "text")
    assert not accepts(name, wrong, "text", 40)


def test_optional_words_may_be_left_out() -> None:
    assert optional_words(None, "text") is None
    assert optional_words("", "text") == ""
    assert not accepts(optional_words, 5, "text")


def test_a_refusal_never_quotes_what_was_written() -> None:
    with pytest.raises(BadInput) as refusal:
        words("secret\ud800", "text")
    assert "secret" not in str(refusal.value)
    with pytest.raises(BadInput) as refusal:
        name("secret secret", "text", 40)
    assert "secret" not in str(refusal.value)


@given(any_text, st.integers(1, 70))
@example("a\u202eb", 40)
@example("a\u061cb", 40)
@example("a\u0085b", 40)
@example("a\x7fb", 40)
def test_a_name_has_no_gaps_controls_or_marks_that_turn_text_around(text: str, longest: int) -> None:
    if accepts(name, text, "name", longest):
        assert 1 <= len(text) <= longest
        assert text.encode()
        for character in text:
            assert not character.isspace()
            assert ord(character) >= 0x20
            assert not 0x7F <= ord(character) <= 0x9F
            assert character not in "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize("good", ["a", "ada", "ä", "日本", "2026-03-01", "x" * 64, "😀", "e\u0301"])
def test_a_plain_name_is_kept(good: str) -> None:
    assert name(good, "name", 64) is good


@given(any_json)
@example([float("nan")])
@example({"a": [{"b": "\0"}]})
@example({"\0": 1})
@example("\ud800")
def test_json_is_kept_exactly_if_it_has_no_odd_number_nul_or_half_character(value: Any) -> None:  # noqa: ANN401
    assert accepts(machine_json, value, "json") is _is_plain(value)


def _is_plain(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    if isinstance(value, float):
        return abs(value) < float("inf")
    return not isinstance(value, str) or not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)


@given(st.sampled_from(Kind), st.datetimes(datetime(1970, 1, 2), datetime(2900, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_new_id_is_known_and_known_to_its_kind_alone(kind: Kind, now: datetime) -> None:
    fresh = new_id(kind, now)
    assert known(kind, fresh) is fresh
    assert len(fresh) <= ID_LENGTH
    assert [other for other in Kind if accepts(known, other, fresh)] == [kind]


@given(st.sampled_from(Kind), st.datetimes(datetime(1970, 1, 2), datetime(2900, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_ids_sort_by_time(kind: Kind, now: datetime) -> None:
    assert new_id(kind, now) < new_id(kind, now + timedelta(milliseconds=1))


def test_ids_of_one_moment_do_not_repeat() -> None:
    assert len({new_id(Kind.TURN, NOW) for _ in range(10_000)}) == 10_000


@given(st.sampled_from(Kind), any_text)
def test_text_is_no_id(kind: Kind, text: str) -> None:
    assert not accepts(known, kind, text)
    assert not accepts(known, kind, f"{kind}_{text}") or _is_id(kind, f"{kind}_{text}")


@given(st.sampled_from(Kind), st.integers(0, 40), any_text, st.integers(0, 3))
def test_an_id_with_something_put_in_or_left_out_is_none(kind: Kind, at: int, text: str, left_out: int) -> None:
    changed = (fresh := new_id(kind, NOW))[:at] + text + fresh[at + left_out :]
    assert accepts(known, kind, changed) is _is_id(kind, changed)


@pytest.mark.parametrize("kind", Kind)
def test_the_edges_of_an_id_are_sharp(kind: Kind) -> None:
    fresh = new_id(kind, NOW)
    letters = "0" * 26
    for wrong in (
        fresh.upper(),
        f"{fresh}\n",
        f" {fresh}",
        fresh[:-1],
        f"{fresh}0",
        f"{kind}_{letters[:-1]}w",
        f"{kind}_{letters[:-1]}\u0660",
        f"{kind}{letters}",
        f"{kind}-{letters}",
        letters,
        fresh.encode(),
        [fresh],
        None,
        secrets.randbits(128),
    ):
        assert not accepts(known, kind, wrong)


def _is_id(kind: Kind, text: str) -> bool:
    """By another road than the code's: sixteen bytes in lower case behind the kind."""
    prefix, _, letters = text.partition("_")
    if prefix != kind or letters != letters.lower() or len(letters) != 26 or not letters.isascii():
        return False
    try:
        return len(b32hexdecode(letters.upper() + "======")) == 16
    except ValueError:
        return False

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rerank.types import Context, Line, Role
from rerank.window import fit, rooms, tokens

texts = st.text(st.characters(), max_size=60) | st.text("语é😀a \n", max_size=200)
lines = st.builds(Line, st.sampled_from(Role), texts)
contexts = st.builds(
    Context, query=texts, persona=texts, scenario=texts, history=st.lists(lines, max_size=6).map(tuple)
)
LINES = tuple(Line(Role.USER if at % 2 == 0 else Role.ASSISTANT, f"line {at} " + "x" * 91) for at in range(6))


def size(context: Context) -> int:
    """The estimate of all of it; what is empty takes nothing."""
    parts = [context.persona, context.scenario]
    return sum(map(tokens, [context.query, *filter(None, parts), *(line.text for line in context.history)]))


def test_with_an_unknown_window_everything_is_kept() -> None:
    context = Context("q" * 100_000, "p" * 100_000, "s" * 100_000, LINES)
    assert fit(context, None) is context


@given(contexts, st.integers(0, 2000))
@example(Context("hello", persona="p" * 300), 0)
@example(Context("hello", scenario="s" * 300, history=(Line(Role.USER, "hi"),)), 0)
def test_what_fits_is_kept_whole(context: Context, spare: int) -> None:
    assert fit(context, size(context) + spare) == context


@given(contexts, st.integers(-500, 1000))
@example(Context("语" * 50, "语" * 100, "😀" * 100, LINES), 300)
def test_the_query_is_never_cut_and_the_rest_fits_beside_it(context: Context, room: int) -> None:
    fitted = fit(context, room)
    assert fitted == replace(context, persona=fitted.persona, scenario=fitted.scenario, history=fitted.history)
    if tokens(context.query) <= room:
        assert size(fitted) <= room
    else:
        assert size(fitted) == tokens(context.query)


@given(contexts, st.integers(-500, 1000))
def test_the_oldest_lines_go_first_and_none_is_cut(context: Context, room: int) -> None:
    kept = fit(context, room).history
    assert kept == context.history[len(context.history) - len(kept) :]


@given(contexts, st.integers(-500, 1000), st.integers(0, 500))
def test_more_room_never_keeps_less_of_the_history_when_there_is_nothing_else(
    context: Context, room: int, more: int
) -> None:
    alone = replace(context, persona="", scenario="")
    assert len(fit(alone, room).history) <= len(fit(alone, room + more).history)


@given(contexts, st.integers(-500, 1000))
@example(Context("q", persona="语" * 100), 60)
@example(Context("q", persona="😀" * 100), 61)
@example(Context("q", scenario="语" * 100), 62)
@example(Context("q", scenario="a" + "😀" * 100), 63)
def test_texts_are_cut_between_characters(context: Context, room: int) -> None:
    fitted = fit(context, room)
    for whole, kept, found in (
        (context.persona, fitted.persona, str.startswith),
        (context.scenario, fitted.scenario, str.endswith),
    ):
        plain = whole.encode("utf-8", "replace").decode()
        assert kept == whole or found(plain.strip(), kept)


def test_a_persona_keeps_its_start_and_a_summary_its_end() -> None:
    fitted = fit(Context("q", persona="Ada. " + "p" * 2000, scenario="s" * 2000 + " Today."), 300)
    assert fitted.persona.startswith("Ada. p")
    assert fitted.scenario.endswith("s Today.")


def test_the_newest_lines_are_the_ones_that_are_kept() -> None:
    each = tokens(LINES[0].text)
    room = tokens("q") + 3 * each
    assert fit(Context("q", history=LINES), room).history == LINES[3:]
    assert fit(Context("q", history=LINES), room - 1).history == LINES[4:]


def test_a_long_line_keeps_those_before_it_out_even_if_they_would_fit() -> None:
    history = (Line(Role.USER, "short"), Line(Role.ASSISTANT, "x" * 5000), Line(Role.USER, "new"))
    assert fit(Context("q", history=history), 100).history == history[2:]


@pytest.mark.parametrize("room", [-1_000_000, -9, -1, 0, 1, 8])
def test_without_room_there_is_only_the_query(room: int) -> None:
    context = Context("hello there", "Ada", "Before", LINES, seal="seal")
    assert fit(context, room) == Context("hello there", seal="seal")


@pytest.mark.parametrize(
    ("text", "least"),
    [("", 1), ("hello", 2), ("word " * 300, 300), ("语" * 300, 300), ("😀" * 300, 300), ("\ud800" * 9, 1)],
)
def test_the_estimate_is_rather_too_high(text: str, least: int) -> None:
    assert tokens(text) >= least


@pytest.mark.parametrize(
    ("window", "taken", "expected"),
    [
        pytest.param(8192, 2192, (6000, 3000, 1500), id="known"),
        pytest.param(None, 2096, (None, 1000, 500), id="unknown"),
        pytest.param(1000, 1400, (-400, -200, -100), id="nothing-left"),
    ],
)
def test_each_attempt_has_less_room(window: int | None, taken: int, expected: tuple[int | None, int, int]) -> None:
    assert rooms(window, taken) == expected

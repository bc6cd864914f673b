import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rerank.labelled import BadLabels, LabelledReply, Scenario, read_scenarios
from rerank.types import Context, Line, Perspective, Role

REPLY: dict[str, Any] = {
    "kind": "good",
    "analysis": "He is proud of the boat and afraid to say that he cannot row it any more.",
    "response": "Forty years in one boat. Who taught you?",
    "scores": {"resonation": 4, "expression": 4.5, "reception": 5, "bystander": 71},
}
SCENARIO: dict[str, Any] = {
    "id": "t-001",
    "topic": "ageing",
    "persona": "Ferryman, 71",
    "scenario": "He sold his boat.",
    "history": [{"role": "user", "content": "sold her"}, {"role": "assistant", "content": "The boat?"}],
    "query": "the boat, yes",
    "hidden_need": "to be asked about her",
    "crisis": "none",
    "replies": [REPLY, REPLY | {"kind": "plain"}],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.jsonl"


def write(path: Path, *scenarios: object) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in scenarios), encoding="utf-8")
    return path


def changed(*keys: str | int, to: Any) -> dict[str, Any]:  # noqa: ANN401 - anything may stand there
    """The scenario with another value at one place, or without it."""
    scenario = copy.deepcopy(SCENARIO)
    place: Any = scenario
    for key in keys[:-1]:
        place = place[key]
    if to is ...:
        del place[keys[-1]]
    else:
        place[keys[-1]] = to
    return scenario


def refusal(path: Path) -> str:
    with pytest.raises(BadLabels) as error:
        read_scenarios(path)
    assert error.value.__context__ is None or error.value.__suppress_context__  # the context quotes the line
    return str(error.value)


def test_a_scenario_is_read_with_all_that_it_says(path: Path) -> None:
    history = (Line(Role.USER, "sold her"), Line(Role.ASSISTANT, "The boat?"))
    scores = dict(zip(Perspective, (4, 4.5, 5, 71), strict=True))
    reply = LabelledReply(REPLY["analysis"], REPLY["response"], scores)
    context = Context("the boat, yes", "Ferryman, 71", "He sold his boat.", history)
    assert read_scenarios(write(path, SCENARIO)) == [Scenario(context, (reply, reply))]


def test_what_may_be_left_out_may_be_left_out(path: Path) -> None:
    least = {"query": "hello", "replies": [{each: REPLY[each] for each in ("analysis", "response", "scores")}]}
    [found] = read_scenarios(write(path, least))
    assert found.context == Context("hello")
    assert len(found.replies) == 1


def test_scenarios_are_read_in_order_and_blank_lines_are_passed_over(path: Path) -> None:
    text = "\r\n".join(["", json.dumps(SCENARIO), "  ", json.dumps(SCENARIO | {"query": "two"}), ""])
    path.write_bytes(text.encode())
    assert [each.context.query for each in read_scenarios(path)] == ["the boat, yes", "two"]


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\u0085", "\x7f", "😀", "e\u0301"], ids=ascii)
def test_any_character_may_stand_in_a_text(odd: str, path: Path) -> None:
    path.write_text(json.dumps(SCENARIO | {"query": f"a{odd}b"}, ensure_ascii=False) + "\n", encoding="utf-8")
    [found] = read_scenarios(path)
    assert found.context.query == f"a{odd}b"


def test_the_ends_of_each_scale_are_grades(path: Path) -> None:
    for scores in ((1, 1, 1, 0), (5, 5, 5, 100)):
        grades = dict(zip(Perspective, scores, strict=True))
        [found] = read_scenarios(write(path, changed("replies", 0, "scores", to=grades)))
        assert found.replies[0].labels == grades


@pytest.mark.parametrize("text", ["", "\n\n", "  \r\n\t\n"])
def test_an_empty_file_holds_no_scenario(text: str, path: Path) -> None:
    path.write_bytes(text.encode())
    assert refusal(path) == f"{path} holds none. Each line must be a scenario with graded replies."


def test_what_cannot_be_read_is_named(path: Path) -> None:
    expected = "{} cannot be read as UTF-8 text."
    assert refusal(path) == expected.format(path)
    assert refusal(path.parent) == expected.format(path.parent)
    path.write_bytes(json.dumps(SCENARIO | {"query": "größer"}, ensure_ascii=False).encode("latin-1"))
    assert refusal(path) == expected.format(path)
    path.write_bytes(json.dumps(SCENARIO).encode("utf-16"))
    assert refusal(path) == expected.format(path)


MISSING = [
    pytest.param(("query",), "query", id="query"),
    pytest.param(("replies",), "replies", id="replies"),
    pytest.param(("replies", 1, "analysis"), "analysis", id="analysis"),
    pytest.param(("replies", 1, "response"), "response", id="response"),
    pytest.param(("replies", 0, "scores"), "scores", id="scores"),
    pytest.param(("history", 0, "role"), "role", id="role"),
    pytest.param(("history", 0, "content"), "content", id="content"),
    *(pytest.param(("replies", 0, "scores", each.value), each.value, id=each.value) for each in Perspective),
]


@pytest.mark.parametrize(("keys", "name"), MISSING)
def test_what_is_missing_is_named_with_its_line(keys: tuple[str | int, ...], name: str, path: Path) -> None:
    assert f"{path}, line 2: '{name}' is missing." in refusal(write(path, SCENARIO, changed(*keys, to=...)))


def wrong(*keys: str | int, to: list[Any]) -> list[Any]:
    return [pytest.param(keys, value, id=f"{keys[-1]}-{str(value)[:9]}") for value in to]


WRONG = [
    *wrong("query", to=[None, 5, ["x"], {}]),
    *wrong("persona", to=[None, 5, ["x"]]),
    *wrong("scenario", to=[None, 5, ["x"]]),
    *wrong("replies", to=[None, 5, "secret", "", {}, {"secret": 1}, []]),
    *wrong("replies", 0, to=[None, 5, "secret", []]),
    *wrong("replies", 0, "response", to=[None, 5, []]),
    *wrong("replies", 0, "scores", to=[None, 5, "secret", [1, 2, 3, 4]]),
    *wrong("history", to=[5, "secret", {"secret": 1}]),
    *wrong("history", 0, to=[None, 5, "secret", []]),
    *wrong("history", 0, "role", to=[None, "secret", "system", [], {}]),
    *wrong("history", 0, "content", to=[None, 5, []]),
    *wrong("replies", 1, "scores", "reception", to=[0, 0.9, 5.1, 6, -1, None, "secret", [4], {}]),
    *wrong("replies", 1, "scores", "reception", to=[float("nan"), float("inf"), 10**400, -(10**400)]),
    *wrong("replies", 1, "scores", "bystander", to=[-1, 100.5, 101]),
]


@pytest.mark.parametrize(("keys", "value"), WRONG)
def test_another_shape_is_refused_with_its_line_and_without_its_words(
    keys: tuple[str | int, ...], value: object, path: Path
) -> None:
    said = refusal(write(path, SCENARIO, SCENARIO, changed(*keys, to=value)))
    assert said.startswith(f"{path}, line 3: it has another shape.")
    assert "secret" not in said


@pytest.mark.parametrize(
    "line",
    [
        "secret",
        "{",
        '{"query": "secret"',
        json.dumps(SCENARIO)[:-1],
        json.dumps(SCENARIO) * 2,
        "[]",
        "[1]",
        "5",
        "null",
        '"secret"',
        "true",
        "[" * 100_000,
        "1" * 5000,
        "\x00",
    ],
    ids=lambda line: ascii(line[:12]),
)
def test_a_line_that_is_no_scenario_is_refused_with_its_number(line: str, path: Path) -> None:
    path.write_text(f"{json.dumps(SCENARIO)}\n\n{line}\n{json.dumps(SCENARIO)}\n")
    said = refusal(path)
    assert said.startswith(f"{path}, line 3: it has another shape.")
    assert "secret" not in said


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(list(SCENARIO)), inner, max_size=4),
    max_leaves=10,
)
places = [(), ("query",), ("history",), ("history", 0), ("replies",), ("replies", 0), ("replies", 0, "scores")]
places += [("replies", 0, "scores", each.value) for each in Perspective]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # each example writes its file anew
@given(keys=st.sampled_from(places), value=any_json)
@example(keys=(), value=[])
def test_whatever_stands_in_a_line_it_is_read_or_refused(
    path: Path, keys: tuple[str | int, ...], value: object
) -> None:
    try:
        found = read_scenarios(write(path, changed(*keys, to=value) if keys else value))
    except BadLabels as error:
        assert "line 1" in str(error)  # noqa: PT017 - being read is as good
    else:
        assert len(found) == 1

from collections.abc import Mapping
from math import inf, log, nan
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rerank.expectation import expectation

Position = Mapping[str, float]
Choice = dict[str, Any]


def answered(*positions: Position) -> Choice:
    """What a server sends: the probabilities of each position's alternatives, of which the first was sampled."""
    return {"logprobs": {"content": [_entry(each) for each in positions]}}


def _entry(position: Position) -> dict[str, Any]:
    found = [{"token": text, "logprob": log(p), "bytes": None} for text, p in position.items()]
    return found[0] | {"top_logprobs": found}


def one(*positions: Position, least_mass: float = 0.2) -> float | None:
    return expectation(answered(*positions), 1, 1, 5, least_mass)


def five(*positions: Position, least_mass: float = 0.2) -> float | None:
    return expectation(answered(*positions), 5, 0, 4, least_mass)


def surely(*texts: str) -> list[Position]:
    return [{each: 1.0} for each in texts]


def near(value: float) -> Any:  # noqa: ANN401 - pytest's own
    return pytest.approx(value, rel=0, abs=1e-9)


def test_a_certain_digit_is_its_own_expectation() -> None:
    assert [one({str(digit): 1.0}) for digit in range(1, 6)] == [1, 2, 3, 4, 5]


def test_a_digit_is_the_mean_of_what_it_might_have_been() -> None:
    assert one({"4": 0.5, "5": 0.3, "3": 0.1, "A": 0.1}) == near((4 * 0.5 + 5 * 0.3 + 3 * 0.1) / 0.9)


def test_five_digits_are_the_sum_of_their_means() -> None:
    first = {"3": 0.6, "2": 0.4}
    second = {"1": 0.5, "4": 0.25, "9": 0.25}
    assert five(first, second, *surely("0", "4", "2")) == near(2.6 + (0.5 + 4 * 0.25) / 0.75 + 6)


def test_a_token_may_hold_several_digits() -> None:
    assert five({"312": 0.5, "412": 0.3, "311": 0.2}, {"04": 1.0}) == near(0.5 * 6 + 0.3 * 7 + 0.2 * 5 + 4)
    assert five(*surely("31204")) == near(10)


def test_alternatives_of_another_length_are_left_out_for_what_follows_them_is_unknown() -> None:
    assert five({"312": 0.5, "3": 0.2, "212": 0.3}, {"04": 0.9, "0": 0.1}) == near((0.5 * 6 + 0.3 * 5) / 0.8 + 4)


def test_a_token_with_too_many_digits_is_another_answer() -> None:
    assert five(*surely("312", "044")) is None
    assert five({"312": 1.0}, {"04": 0.7, "044": 0.3}) == near(10)
    assert one({"45": 0.9, "4": 0.1}) is None


@pytest.mark.parametrize("between", [" ", ", ", "\n", ",", "-", " / ", ";", "\t", "\r\n"])
def test_what_stands_between_digits_is_passed_over(between: str) -> None:
    texts = [text for digit in "31204" for text in (digit, between)]
    assert five(*surely(*texts)) == near(10)
    assert one({between: 1.0}, {"4": 1.0}) == near(4)


def test_a_space_in_front_does_not_make_another_digit() -> None:
    assert one({" 4": 0.5, "4": 0.25, "\n2": 0.25}) == near(3.5)
    assert five(*surely(" 3", "1", " 2", "0\n", "4")) == near(10)


def test_a_digit_that_might_have_stood_where_a_space_does_is_not_counted_twice() -> None:
    space = {" ": 0.7, "1": 0.3}
    assert five({"3": 1.0}, space, {"1": 1.0}, *surely("2", "0", "4")) == near(10)


def test_the_sampled_token_counts_once_wherever_it_is_listed() -> None:
    both = {"token": "4", "logprob": log(0.5)}
    other = {"token": "2", "logprob": log(0.5)}
    for offered in ([both, other], [other], [other, both, both]):
        found = {"logprobs": {"content": [both | {"top_logprobs": offered}]}}
        assert expectation(found, 1, 1, 5, 0.2) == near(3)


def test_the_sampled_token_is_enough() -> None:
    shapes: list[dict[str, Any]] = [{}, {"top_logprobs": []}, {"top_logprobs": None}, {"top_logprobs": "many"}]
    for shape in shapes:
        found = {"logprobs": {"content": [{"token": "4", "logprob": -0.1} | shape]}}
        assert expectation(found, 1, 1, 5, 0.2) == near(4)


def test_digits_that_were_hardly_likely_are_no_answer() -> None:
    assert one({"The": 0.9, "4": 0.1}) is None
    assert one({"The": 0.9, "4": 0.1}, least_mass=0.05) == near(4)
    assert one({"The": 0.8, "4": 0.15, "5": 0.05}, least_mass=0.2) == near(4.25)
    assert five(*surely("3", "1"), {"The": 0.9, "2": 0.1}, *surely("0", "4")) is None


@pytest.mark.parametrize(
    "token",
    ["The", "0", "6", "9", "-4", "+4", "4.5", "4/5", "(4)", "٤", "４", "²", "④", "", "four", "4 4", "4\u200b"],  # noqa: RUF001
)
def test_what_is_no_digit_of_the_scale_is_no_answer(token: str) -> None:
    assert one({token: 1.0}) is None


def test_too_few_digits_are_no_answer() -> None:
    assert five(*surely("3", "1", "2", "0")) is None
    assert five() is None
    assert one() is None


def test_what_follows_the_last_digit_is_not_read() -> None:
    assert one({"4": 1.0}, {"because": 1.0}) == near(4)


@pytest.mark.parametrize(
    "wrong", [nan, inf, -inf, 0.1, 5, 1e308, True, False, "-0.1", None, [], {}, -(10**400), 10**400]
)
def test_what_is_no_logarithm_of_a_probability_is_passed_over(wrong: object) -> None:
    odd, right = {"token": "5", "logprob": wrong}, {"token": "2", "logprob": -0.1}
    found = {"logprobs": {"content": [right | {"top_logprobs": [odd, right]}]}}
    assert expectation(found, 1, 1, 5, 0.2) == near(2)
    assert expectation({"logprobs": {"content": [odd]}}, 1, 1, 5, 0.2) is None


def test_a_certain_answer_may_be_a_hair_above_certain() -> None:
    found = {"logprobs": {"content": [{"token": "4", "logprob": 1e-6}]}}
    assert expectation(found, 1, 1, 5, 0.2) == near(4)


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"logprobs": None},
        {"logprobs": []},
        {"logprobs": {}},
        {"logprobs": {"content": None}},
        {"logprobs": {"content": {}}},
        {"logprobs": {"content": [None]}},
        {"logprobs": {"content": [[]]}},
        {"logprobs": {"content": [{}]}},
        {"logprobs": {"content": [{"token": 4, "logprob": -0.1}]}},
        {"logprobs": {"content": [{"token": "4"}]}},
        {"logprobs": {"content": [{"token": "The", "logprob": -0.1, "top_logprobs": [None, 4, "4", [], {}]}]}},
        {"logprobs": {"tokens": ["4"], "token_logprobs": [-0.1], "top_logprobs": [{"4": -0.1}]}},
    ],
)
def test_another_shape_is_no_answer(choice: Choice) -> None:
    assert expectation(choice, 1, 1, 5, 0.0) is None


def _nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize("token", [pytest.param(10**5000, id="huge"), pytest.param(_nested(50_000), id="deep")])
def test_a_token_that_is_no_text_is_no_answer_however_large_it_is(token: object) -> None:
    found = {"logprobs": {"content": [{"token": token, "logprob": -0.1, "top_logprobs": []}]}}
    assert expectation(found, 1, 1, 5, 0.2) is None


def test_rounding_takes_no_answer_out_of_its_scale() -> None:
    for hundredths in range(1, 150):
        found = {"logprobs": {"content": [{"token": "5", "logprob": -hundredths / 100}]}}
        score = expectation(found, 1, 1, 5, 0.2)
        assert score == near(5)
        assert score is not None
        assert score <= 5


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 0, -1])
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["1", "3", "4", " 5", "12", "04321", ",", " ", "The"])
)
names = st.sampled_from(["logprobs", "content", "top_logprobs", "token", "logprob"]) | st.text(max_size=4)
any_json = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(names, inner, max_size=6), max_leaves=20
)
tokens = leaves | st.text("0123456789 ,", max_size=5)
numbers = st.floats(-30, 0.02) | leaves
alternatives = st.fixed_dictionaries({}, optional={"token": tokens, "logprob": numbers})
entries = st.fixed_dictionaries(
    {}, optional={"token": tokens, "logprob": numbers, "top_logprobs": st.lists(alternatives | leaves) | any_json}
)
nearly_right = st.lists(entries | leaves, max_size=8).map(lambda content: {"logprobs": {"content": content}})


@given(
    st.dictionaries(names, any_json) | nearly_right,
    st.integers(1, 5),
    st.sampled_from([(1, 5), (0, 4), (0, 9)]),
    st.sampled_from([0.0, 0.2, 1.0]),
)
@example({"logprobs": {"content": [{"token": "5", "logprob": -0.017262915075670793}]}}, 1, (1, 5), 0.2)
def test_whatever_a_server_sends_gives_a_score_in_range_or_none(
    choice: Choice, count: int, ends: tuple[int, int], least_mass: float
) -> None:
    low, high = ends
    found = expectation(choice, count, low, high, least_mass)
    assert found is None or count * low <= found <= count * high

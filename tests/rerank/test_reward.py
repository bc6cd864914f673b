from collections.abc import Callable, Mapping
from math import inf, isclose, nan, nextafter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank.reward import EMPATHY, RANGES, Aggregation, Reward
from rerank.types import Perspective

RES, EXP, REC, BY = Perspective
Scores = dict[Perspective, float]
AGGREGATIONS: tuple[Aggregation, ...] = ("harmonic", "mean", "geometric")
NEAR = 1e-12
MIDDLE: Scores = {RES: 3, EXP: 3, REC: 3, BY: 50}

any_scores = st.fixed_dictionaries({each: st.floats(low, high) for each, (low, high) in RANGES.items()})
any_tokens = st.integers(0, 5000)
any_weight = st.floats(0.01, 100)
any_weights = st.fixed_dictionaries(dict.fromkeys(EMPATHY, any_weight))
any_reward = st.builds(Reward, aggregation=st.sampled_from(AGGREGATIONS), weights=any_weights)
equal_reward = st.builds(Reward, aggregation=st.sampled_from(AGGREGATIONS))


SPECIFIED: Mapping[Aggregation, Callable[[float, float, float], float]] = {
    "harmonic": lambda r, e, p: 3 / (5 / r + 5 / e + 5 / p),
    "mean": lambda r, e, p: (r + e + p) / 15,
    "geometric": lambda r, e, p: float((r * e * p / 125) ** (1 / 3)),
}
WEIGHTED: Mapping[Aggregation, Callable[[list[float], list[float]], float]] = {
    "harmonic": lambda s, w: sum(w) / (w[0] * 5 / s[0] + w[1] * 5 / s[1] + w[2] * 5 / s[2]),
    "mean": lambda s, w: (w[0] * s[0] + w[1] * s[1] + w[2] * s[2]) / 5 / sum(w),
    "geometric": lambda s, w: float((s[0] ** w[0] * s[1] ** w[1] * s[2] ** w[2]) ** (1 / sum(w)) / 5),
}


def specified(empathy: float, bystander: float, tokens: int) -> float:
    too_many = tokens - 768 if tokens > 768 else 0
    return empathy + 0.5 * (bystander / 100 - 1) - 0.001 * too_many


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_the_reward_is_what_the_specification_says(aggregation: Aggregation) -> None:
    random, reward, formula = Random(20260301), Reward(aggregation), SPECIFIED[aggregation]
    worst = 0.0
    for number in range(100_000):
        whole = number % 2  # judges give whole numbers in one mode, expectations in the other
        r, e, p = (random.randint(1, 5) if whole else random.uniform(1, 5) for _ in EMPATHY)
        b, tokens = random.randint(0, 100) if whole else random.uniform(0, 100), random.randint(0, 3000)
        found = reward.of({RES: r, EXP: e, REC: p, BY: b}, tokens)
        worst = max(worst, abs(found - specified(formula(r, e, p), b, tokens)))
    assert worst <= NEAR


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_weights_weigh_as_in_the_weighted_means(aggregation: Aggregation) -> None:
    random = Random(20260301)
    for _ in range(2000):
        three, weights = [random.uniform(1, 5) for _ in EMPATHY], [random.uniform(0.1, 10) for _ in EMPATHY]
        b, tokens = random.uniform(0, 100), random.randint(0, 3000)
        reward = Reward(aggregation, dict(zip(EMPATHY, weights, strict=True)))
        found = reward.of(dict(zip(EMPATHY, three, strict=True)) | {BY: b}, tokens)
        assert found == pytest.approx(specified(WEIGHTED[aggregation](three, weights), b, tokens), rel=0, abs=NEAR)


@pytest.mark.parametrize(
    ("scores", "tokens", "reward"),
    [
        pytest.param((5, 5, 5, 100), 0, 1.0, id="the-best"),
        pytest.param((1, 1, 1, 0), 0, -0.3, id="the-worst"),
        pytest.param((3, 3, 3, 50), 100, 0.35, id="the-middle"),
        pytest.param((1, 5, 5, 100), 100, 3 / 7, id="one-failing-pulls-down"),
        pytest.param((5, 5, 5, 100), 768, 1.0, id="the-last-free-token"),
        pytest.param((5, 5, 5, 100), 769, 0.999, id="the-first-that-costs"),
        pytest.param((5, 5, 5, 100), 1768, 0.0, id="a-thousand-too-many"),
    ],
)
def test_some_rewards_by_hand(scores: tuple[float, float, float, float], tokens: int, reward: float) -> None:
    found = Reward().of(dict(zip(Perspective, scores, strict=True)), tokens)
    assert found == pytest.approx(reward, rel=0, abs=NEAR)


def test_the_coefficients_are_settings() -> None:
    reward = Reward(bystander=2, free_tokens=10, per_token=0.5)
    assert reward.of(MIDDLE, 14) == pytest.approx(0.6 - 1 - 2, rel=0, abs=NEAR)
    assert Reward(bystander=0, per_token=0).of(MIDDLE | {BY: 0}, 5000) == pytest.approx(0.6, rel=0, abs=NEAR)


@given(any_reward, any_scores, any_tokens, st.sampled_from(Perspective), st.data())
def test_a_better_score_never_lowers_the_reward(
    reward: Reward, scores: Scores, tokens: int, which: Perspective, data: st.DataObject
) -> None:
    better = scores | {which: data.draw(st.floats(scores[which], RANGES[which][1]))}
    assert reward.of(better, tokens) >= reward.of(scores, tokens) - NEAR


@given(any_reward, any_scores, any_tokens, any_tokens)
def test_a_longer_reply_never_raises_the_reward(reward: Reward, scores: Scores, tokens: int, more: int) -> None:
    assert reward.of(scores, tokens + more) <= reward.of(scores, tokens)


@given(equal_reward, any_scores, any_tokens, st.permutations(EMPATHY))
def test_the_three_that_make_empathy_count_alike(
    reward: Reward, scores: Scores, tokens: int, order: list[Perspective]
) -> None:
    changed = scores | {each: scores[other] for each, other in zip(EMPATHY, order, strict=True)}
    assert isclose(reward.of(changed, tokens), reward.of(scores, tokens), rel_tol=0, abs_tol=NEAR)


@given(any_weights, any_scores, any_tokens)
def test_the_harmonic_mean_is_the_strictest_and_the_arithmetic_the_mildest(
    weights: Scores, scores: Scores, tokens: int
) -> None:
    harmonic, mean, geometric = (Reward(each, weights).of(scores, tokens) for each in AGGREGATIONS)
    assert harmonic <= geometric + NEAR
    assert geometric <= mean + NEAR


@given(any_reward, any_scores)
def test_empathy_is_a_fifth_to_one_and_the_bystander_only_takes_away(reward: Reward, scores: Scores) -> None:
    empathy = reward.of(scores | {BY: 100}, 0)
    assert 0.2 - NEAR <= empathy <= 1 + NEAR
    assert empathy - 0.5 - NEAR <= reward.of(scores, 0) <= empathy


@given(st.sampled_from(AGGREGATIONS), any_weights, st.floats(0.001, 1000), any_scores)
def test_only_the_proportions_of_the_weights_count(
    aggregation: Aggregation, weights: Scores, factor: float, scores: Scores
) -> None:
    scaled = {each: weight * factor for each, weight in weights.items()}
    found, expected = Reward(aggregation, scaled).of(scores, 0), Reward(aggregation, weights).of(scores, 0)
    assert isclose(found, expected, rel_tol=0, abs_tol=NEAR)


@pytest.mark.parametrize("which", Perspective)
def test_a_score_outside_its_scale_is_refused_and_not_clipped(which: Perspective) -> None:
    low, high = RANGES[which]
    for right in (low, high):
        Reward().of(MIDDLE | {which: right}, 0)
    for wrong in (nextafter(low, -inf), nextafter(high, inf), -1.0, 101.0, nan, inf, -inf):
        with pytest.raises(ValueError, match=which.value):
            Reward().of(MIDDLE | {which: wrong}, 0)


@pytest.mark.parametrize("which", Perspective)
def test_without_one_of_the_four_there_is_no_reward(which: Perspective) -> None:
    with pytest.raises(KeyError):
        Reward().of({each: score for each, score in MIDDLE.items() if each != which}, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"aggregation": "median"}, id="another-mean"),
        pytest.param({"aggregation": ""}, id="no-mean"),
        pytest.param({"weights": {}}, id="no-weights"),
        pytest.param({"weights": {RES: 1, EXP: 1}}, id="a-missing-weight"),
        pytest.param({"weights": {RES: 1, EXP: 1, REC: 1, BY: 1}}, id="a-weight-too-many"),
        pytest.param({"weights": {RES: 1, EXP: 1, REC: 0}}, id="no-weight-at-all"),
        pytest.param({"weights": {RES: 1, EXP: 1, REC: -1}}, id="a-negative-weight"),
        pytest.param({"weights": {RES: 1, EXP: 1, REC: nan}}, id="a-weight-that-is-no-number"),
        pytest.param({"weights": {RES: 1, EXP: 1, REC: inf}}, id="an-endless-weight"),
        *(
            pytest.param({name: value}, id=f"{name}-{value}")
            for name in ("bystander", "free_tokens", "per_token")
            for value in (-1, -1e-9, nan, inf, -inf)
        ),
    ],
)
def test_a_bad_coefficient_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"aggregation must be|need a weight|coefficients must be"):
        Reward(**wrong)

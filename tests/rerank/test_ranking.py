from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank.ranking import Ranking, rank, rewarded
from rerank.reward import RANGES, Reward
from rerank.types import Candidate, Judgement, Perspective

RES, EXP, REC, BY = Perspective
GOOD: dict[Perspective, float | None] = {RES: 5, EXP: 5, REC: 5, BY: 100}
POOR: dict[Perspective, float | None] = {RES: 1, EXP: 1, REC: 1, BY: 0}


def candidate(
    index: int,
    scores: dict[Perspective, float | None] | None = None,
    *,
    format_ok: bool = True,
    safety: str | None = None,
    tokens: int = 100,
) -> Candidate:
    judgements = tuple(_judgement(each, score) for each, score in (scores or {}).items())
    return rewarded(Candidate(index, "a", "r", tokens, format_ok, safety, None, judgements), Reward())


def _judgement(perspective: Perspective, score: float | None) -> Judgement:
    return Judgement(perspective, score, None, "test", 1.0)


some_scores = st.fixed_dictionaries(
    {}, optional={each: st.none() | st.floats(low, high) for each, (low, high) in RANGES.items()}
)
some_candidates = st.lists(
    st.builds(
        candidate,
        st.just(0),
        some_scores,
        format_ok=st.booleans(),
        safety=st.sampled_from([None, None, "romance"]),
        tokens=st.integers(0, 2000),
    ),
    max_size=8,
).map(lambda found: [replace(each, index=index) for index, each in enumerate(found)])


def test_the_best_reward_wins() -> None:
    found = rank([candidate(0, POOR), candidate(1, GOOD), candidate(2, GOOD | {RES: 3})])
    assert found == Ranking((1, 2, 0), None)
    assert found.chosen == 1


def test_of_equals_the_first_wins() -> None:
    assert rank([candidate(3, GOOD), candidate(1, GOOD), candidate(2, GOOD)]).order == (1, 2, 3)


def test_fully_judged_ones_come_first_then_partly_judged_ones_then_the_others_as_they_were_written() -> None:
    partly = {RES: 5.0, EXP: 5.0, REC: 5.0}
    found = rank([candidate(0), candidate(1, {BY: 100}), candidate(2, {**partly}), candidate(3, POOR), candidate(4)])
    assert found == Ranking((3, 2, 1, 0, 4), None)


def test_partly_judged_ones_go_by_what_they_have() -> None:
    found = rank([candidate(0, {RES: 2, BY: 90}), candidate(1, {RES: 5, BY: 40}), candidate(2, {RES: 4, EXP: 3})])
    assert found == Ranking((1, 2, 0), "partly_judged")


def test_a_reply_that_is_too_long_loses_to_its_equal() -> None:
    assert rank([candidate(0, GOOD, tokens=900), candidate(1, GOOD)]).order == (1, 0)


@pytest.mark.parametrize(
    ("candidates", "degraded"),
    [
        pytest.param([], "no_candidate", id="none-at-all"),
        pytest.param([candidate(0, GOOD, format_ok=False)], "no_candidate", id="none-in-format"),
        pytest.param([candidate(0, GOOD, safety="romance")], "all_stopped", id="all-stopped"),
        pytest.param(
            [candidate(0, GOOD, format_ok=False), candidate(1, GOOD, safety="unchecked")],
            "all_stopped",
            id="stopped-or-out-of-format",
        ),
        pytest.param([candidate(0), candidate(1)], "unjudged", id="not-judged"),
        pytest.param([candidate(0, dict.fromkeys(Perspective))], "unjudged", id="judging-failed"),
        pytest.param([candidate(0, GOOD | {BY: None}), candidate(1)], "partly_judged", id="partly-judged"),
        pytest.param([candidate(0, POOR), candidate(1, GOOD, safety="romance")], None, id="one-is-fully-judged"),
    ],
)
def test_what_is_wrong_with_a_choice_has_a_name(candidates: list[Candidate], degraded: str | None) -> None:
    found = rank(candidates)
    assert found.degraded == degraded
    assert (found.chosen is None) == (degraded in {"no_candidate", "all_stopped"})


def test_only_a_reply_in_format_that_all_four_have_judged_has_a_reward() -> None:
    assert candidate(0, GOOD).reward == pytest.approx(1)
    assert candidate(0, GOOD, format_ok=False).reward is None
    assert candidate(0, GOOD | {REC: None}).reward is None
    assert candidate(0, {RES: 5, EXP: 5, REC: 5}).reward is None
    assert candidate(0).reward is None


def test_an_old_reward_is_not_kept() -> None:
    assert rewarded(replace(candidate(0), reward=0.9), Reward()).reward is None


@given(some_candidates)
def test_what_was_stopped_or_is_out_of_format_never_wins(candidates: list[Candidate]) -> None:
    found = rank(candidates)
    assert sorted(found.order) == [each.index for each in candidates if each.format_ok and each.safety is None]
    assert (found.chosen is None) == (not found.order)


@given(some_candidates, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_who_came_first(candidates: list[Candidate], random: Random) -> None:
    shuffled = list(candidates)
    random.shuffle(shuffled)
    assert rank(shuffled) == rank(candidates)


@given(some_candidates)
def test_a_failed_judgement_counts_like_none_and_never_like_a_zero(candidates: list[Candidate]) -> None:
    without = [
        rewarded(replace(each, judgements=tuple(j for j in each.judgements if j.score is not None)), Reward())
        for each in candidates
    ]
    assert rank(without) == rank(candidates)
    assert [each.reward for each in without] == [each.reward for each in candidates]


@given(some_candidates)
def test_the_order_follows_the_rules(candidates: list[Candidate]) -> None:
    by_index = {each.index: each for each in candidates}
    ordered = [by_index[index] for index in rank(candidates).order]
    counts = [sum(j.score is not None for j in each.judgements) for each in ordered]
    assert counts == sorted(counts, reverse=True)
    rewards = [each.reward for each in ordered if each.reward is not None]
    assert rewards == sorted(rewards, reverse=True)
    unjudged = [each.index for each, count in zip(ordered, counts, strict=True) if count == 0]
    assert unjudged == sorted(unjudged)

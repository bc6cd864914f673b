from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank.agreement import Agreement, Scored, agreement

replies = st.lists(st.tuples(st.integers(1, 5).map(float), st.none() | st.floats(0, 100)), max_size=5)


def spearman(labels: list[float], scores: list[float]) -> float | None:
    return agreement([list(zip(labels, scores, strict=True))]).spearman


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        pytest.param([1, 2, 3, 4, 5], [10, 20, 30, 40, 50], 1, id="the-same-order"),
        pytest.param([1, 2, 3, 4, 5], [1, 2, 3, 4, 500], 1, id="only-the-order-counts"),
        pytest.param([1, 2, 3, 4, 5], [5, 4, 3, 2, 1], -1, id="the-opposite-order"),
        pytest.param([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], 0.8, id="two-swaps"),
        pytest.param(
            [106, 100, 86, 101, 99, 103, 97, 113, 112, 110],
            [7, 27, 2, 50, 28, 29, 20, 12, 6, 17],
            -29 / 165,
            id="textbook",
        ),
        pytest.param([1, 2, 2, 3], [1, 2, 3, 4], 0.9486832980505138, id="a-tie-in-the-labels"),
        pytest.param([1, 2, 3, 4], [2, 2, 2, 5], 0.7745966692414834, id="a-tie-of-three-in-the-scores"),
        pytest.param([1, 1, 2, 2], [1, 1, 2, 2], 1, id="the-same-ties"),
        pytest.param([1, 1, 2, 2], [1, 2, 1, 2], 0, id="ties-across"),
    ],
)
def test_the_rank_correlation_by_hand(labels: list[float], scores: list[float], expected: float) -> None:
    assert spearman(labels, scores) == pytest.approx(expected, rel=0, abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "scores"), [([], []), ([3], [4]), ([3, 3, 3], [1, 2, 3]), ([1, 2, 3], [4, 4, 4]), ([3, 3], [4, 4])]
)
def test_where_nothing_differs_there_is_no_correlation(labels: list[float], scores: list[float]) -> None:
    assert spearman(labels, scores) is None


def test_the_rank_correlation_is_over_all_replies_of_all_scenarios() -> None:
    assert agreement([[(1, 1), (2, 2)], [(3, 3), (4, 5)], [(5, 4)]]).spearman == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("scenarios", "expected"),
    [
        pytest.param([[(1, 10), (3, 30), (5, 50)]], 1, id="all-in-order"),
        pytest.param([[(1, 50), (3, 30), (5, 10)]], 0, id="all-against-it"),
        pytest.param([[(1, 10), (3, 50), (5, 30)]], 2 / 3, id="one-of-three-against-it"),
        pytest.param([[(1, 10), (3, 10), (5, 50)]], 2.5 / 3, id="a-tied-score-is-a-half"),
        pytest.param([[(1, 7), (5, 7)]], 0.5, id="always-the-same-is-a-half"),
        pytest.param([[(3, 10), (3, 50), (5, 60)]], 1, id="equal-labels-are-no-pair"),
        pytest.param([[(1, 10), (5, 50)], [(2, 9), (4, 8), (4, 7)]], 1 / 3, id="every-pair-counts-alike"),
        pytest.param([[(1, 90), (2, 91)], [(3, 10), (4, 11)]], 1, id="never-across-scenarios"),
        pytest.param([[(1, None), (3, 30), (5, 50)]], 1, id="without-the-failed"),
        pytest.param([[(1, None), (5, 50)]], None, id="none-left"),
        pytest.param([[(3, 10), (3, 20)], [(1, 1)], []], None, id="nothing-differs"),
        pytest.param([], None, id="nothing"),
    ],
)
def test_pairs_in_the_labels_order(scenarios: list[Scored], expected: float | None) -> None:
    assert agreement(scenarios).pairs == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        pytest.param([(1, 10), (5, 50), (3, 30)], 1, id="found"),
        pytest.param([(1, 60), (5, 50), (3, 30)], 0, id="missed"),
        pytest.param([(5, 10), (5, 50), (3, 30)], 1, id="one-of-two-best"),
        pytest.param([(5, 50), (3, 50), (1, 30)], 0.5, id="tied-with-a-worse-one"),
        pytest.param([(5, 50), (3, 50), (1, 50)], 1 / 3, id="tied-with-all"),
        pytest.param([(5, 50), (5, 50), (1, 50), (1, 0)], 2 / 3, id="two-best-of-three-tied"),
        pytest.param([(5, None), (4, 50), (3, 30)], 0, id="the-best-was-not-judged"),
        pytest.param([(5, 50), (4, None)], 1, id="another-was-not-judged"),
        pytest.param([(5, None), (4, None)], 0, id="none-was-judged"),
        pytest.param([], None, id="no-replies"),
    ],
)
def test_the_best_reply_found(scenario: Scored, expected: float | None) -> None:
    assert agreement([scenario]).best == (None if expected is None else pytest.approx(expected))


def test_the_best_is_counted_by_scenario() -> None:
    assert agreement([[(5, 2), (1, 1)], [(5, 1), (1, 2)], [(5, None), (1, None)], []]).best == pytest.approx(1 / 3)


def test_failed_judgements_are_counted_and_not_scored() -> None:
    found = agreement([[(1, 1), (2, None), (3, 3)], [(4, None)], []])
    assert found.failed == 2
    assert found.spearman == pytest.approx(1)
    assert agreement([]) == Agreement(None, None, None, 0)
    assert agreement([[(1, None), (2, None)]]) == Agreement(None, None, 0, 2)


@given(st.lists(replies, max_size=5))
def test_every_measure_is_in_its_range_or_none(scenarios: list[Scored]) -> None:
    found = agreement(scenarios)
    assert found.failed == sum(score is None for scenario in scenarios for _, score in scenario)
    assert found.spearman is None or -1.000001 <= found.spearman <= 1.000001
    for share in (found.pairs, found.best):
        assert share is None or (isfinite(share) and 0 <= share <= 1)


@given(st.lists(replies, max_size=5))
def test_turning_all_scores_around_turns_the_measures_around(scenarios: list[Scored]) -> None:
    turned = [[(label, None if score is None else -score) for label, score in each] for each in scenarios]
    found, other = agreement(scenarios), agreement(turned)
    assert (found.spearman is None) == (other.spearman is None)
    assert (found.spearman or 0) == pytest.approx(-(other.spearman or 0), abs=1e-9)
    assert (found.pairs is None) == (other.pairs is None)
    assert (0.5 if found.pairs is None else found.pairs) == pytest.approx(
        1 - (0.5 if other.pairs is None else other.pairs)
    )

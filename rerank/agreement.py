"""How well scores agree with labels: rank correlation, pairs in the labels' order, and the best reply found.

Pairs and bests are counted within a scenario, for that is where scores decide. A reply without a score is left out
of the pairs; a scenario in which no reply has one is not a scenario whose best was found.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import StatisticsError, correlation, fmean

Scored = Sequence[tuple[float, float | None]]
"""A scenario's replies: label and score."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """NaN-free: what cannot be computed, because nothing differs, is None."""

    spearman: float | None
    pairs: float | None
    best: float | None
    failed: int


def agreement(scenarios: Sequence[Scored]) -> Agreement:
    replies = [each for scenario in scenarios for each in scenario]
    judged = [(label, score) for label, score in replies if score is not None]
    return Agreement(
        spearman=_spearman(judged),
        pairs=_mean(pair for scenario in scenarios for pair in _pairs(scenario)),
        best=_mean(_best(scenario) for scenario in scenarios if scenario),
        failed=len(replies) - len(judged),
    )


def _spearman(judged: Sequence[tuple[float, float]]) -> float | None:
    try:
        return correlation(_ranks([label for label, _ in judged]), _ranks([score for _, score in judged]))
    except StatisticsError:
        return None


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=lambda at: values[at])
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for at in order[start:end]:
            ranks[at] = (start + end + 1) / 2
        start = end
    return ranks


def _pairs(scenario: Scored) -> Iterable[float]:
    """1 for a pair in the labels' order, 0 against it, a half for a tie."""
    for (label, score), (other_label, other_score) in combinations(scenario, 2):
        if label != other_label and score is not None and other_score is not None:
            apart = (score - other_score) * (1 if label > other_label else -1)
            yield 0.5 if apart == 0 else float(apart > 0)


def _best(scenario: Scored) -> float:
    """Whether the reply with the top score has the top label; where several share it, the share of them that do."""
    judged = [(label, score) for label, score in scenario if score is not None]
    if not judged:
        return 0.0
    top_label, top_score = max(label for label, _ in scenario), max(score for _, score in judged)
    return fmean(label == top_label for label, score in judged if score == top_score)


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return fmean(found) if found else None

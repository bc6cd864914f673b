"""The order of a turn's candidates, and what the order rests on. Pure.

A candidate that the safety gate stopped or that is out of format cannot win, whatever its scores. Fully judged ones
come first, by reward; then partly judged ones, whose missing scores are not guessed; then those that nobody judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from rerank.reward import RANGES, Reward
from rerank.types import Candidate, Perspective


@dataclass(frozen=True, slots=True)
class Ranking:
    """Indexes of those that may be shown, best first; and what is wrong with the choice, if something is."""

    order: tuple[int, ...]
    degraded: str | None

    @property
    def chosen(self) -> int | None:
        return self.order[0] if self.order else None


def rewarded(candidate: Candidate, reward: Reward) -> Candidate:
    """With its reward, if all four perspectives have judged it and it is in format."""
    scores = {each.perspective: each.score for each in candidate.judgements if each.score is not None}
    if not candidate.format_ok or len(scores) < len(Perspective):
        return replace(candidate, reward=None)
    return replace(candidate, reward=reward.of(scores, candidate.tokens))


def rank(candidates: Sequence[Candidate]) -> Ranking:
    may_win = [each for each in candidates if each.format_ok and each.safety is None]
    best_first = sorted(may_win, key=_place)
    return Ranking(tuple(each.index for each in best_first), _degraded(candidates, best_first))


def _place(candidate: Candidate) -> tuple[float, float, int]:
    scores = _shares(candidate)
    if candidate.reward is not None:
        return (-len(Perspective), -candidate.reward, candidate.index)
    return (-len(scores), -fmean(scores) if scores else 0.0, candidate.index)


def _shares(candidate: Candidate) -> list[float]:
    """Each score that there is, from 0 at the bottom of its scale to 1 at the top."""
    found = []
    for each in candidate.judgements:
        low, high = RANGES[each.perspective]
        found += [] if each.score is None else [(each.score - low) / (high - low)]
    return found


def _degraded(candidates: Sequence[Candidate], best_first: Sequence[Candidate]) -> str | None:
    if not best_first:
        return "all_stopped" if any(each.safety is not None for each in candidates) else "no_candidate"
    if best_first[0].reward is not None:
        return None
    return "partly_judged" if _shares(best_first[0]) else "unjudged"

"""The PERM composite: from four judgements and a length to one number by which candidates are compared.

Empathy joins resonation, expression and reception, each 1 to 5, into 0.2 to 1. The bystander's 0 to 100 can only take
away from it, and so can a reply that is too long. Pure, so that live ranking and training share it. Left out: what to
do when a judgement is missing; then there is no reward, and `rerank/ranking.py` and the trainer each decide.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import exp, fsum, isfinite, log
from types import MappingProxyType
from typing import Literal

from rerank.types import Perspective

EMPATHY = (Perspective.RESONATION, Perspective.EXPRESSION, Perspective.RECEPTION)
RANGES: Mapping[Perspective, tuple[int, int]] = MappingProxyType(
    dict.fromkeys(EMPATHY, (1, 5)) | {Perspective.BYSTANDER: (0, 100)}
)
Aggregation = Literal["harmonic", "mean", "geometric"]
_Weights = Mapping[Perspective, float]
_EQUAL: _Weights = MappingProxyType(dict.fromkeys(EMPATHY, 1.0))


@dataclass(frozen=True, slots=True)
class Reward:
    """The coefficients, with PERM's defaults."""

    aggregation: Aggregation = "harmonic"
    weights: _Weights = field(default_factory=lambda: _EQUAL)
    """Of the three that make empathy; only their proportions count."""
    bystander: float = 0.5
    free_tokens: int = 768
    per_token: float = 0.001

    def __post_init__(self) -> None:
        if self.aggregation not in _AGGREGATIONS:
            raise ValueError(f"the aggregation must be one of {', '.join(_AGGREGATIONS)}")
        if set(self.weights) != set(EMPATHY) or not all(isfinite(w) and w > 0 for w in self.weights.values()):
            raise ValueError("resonation, expression and reception need a weight above 0 each, nothing else")
        if not all(isfinite(each) and each >= 0 for each in (self.bystander, self.free_tokens, self.per_token)):
            raise ValueError("the reward's coefficients must be finite and not below 0")

    def of(self, scores: Mapping[Perspective, float], tokens: int) -> float:
        """The reward of a candidate that all four perspectives have judged."""
        for perspective, (low, high) in RANGES.items():
            if not low <= scores[perspective] <= high:
                raise ValueError(f"{perspective} must be {low} to {high}")
        empathy = _AGGREGATIONS[self.aggregation](
            [scores[each] / 5 for each in EMPATHY], [self.weights[each] for each in EMPATHY]
        )
        excess = max(0, tokens - self.free_tokens)
        return empathy + self.bystander * (scores[Perspective.BYSTANDER] / 100 - 1) - self.per_token * excess


def _harmonic(values: list[float], weights: list[float]) -> float:
    return fsum(weights) / fsum(weight / value for value, weight in zip(values, weights, strict=True))


def _mean(values: list[float], weights: list[float]) -> float:
    return fsum(weight * value for value, weight in zip(values, weights, strict=True)) / fsum(weights)


def _geometric(values: list[float], weights: list[float]) -> float:
    return exp(fsum(weight * log(value) for value, weight in zip(values, weights, strict=True)) / fsum(weights))


_AGGREGATIONS: dict[str, Callable[[list[float], list[float]], float]] = {
    "harmonic": _harmonic,
    "mean": _mean,
    "geometric": _geometric,
}

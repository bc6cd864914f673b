"""What a message is about, what is felt and what the person is doing, read by the encoder; unsure is none of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp

from rerank.reading import Act, Emotion, Topic

KINDS: Mapping[str, Sequence[StrEnum]] = {
    "topic": list(Topic),
    "emotion": list(Emotion),
    "act": [each for each in Act if each not in {Act.CRISIS, Act.CONCERN, Act.OTHER_LANGUAGE}],
}
"""What the network's outputs are, in this order."""
SURE: Mapping[str, float] = {"topic": 0.8, "emotion": 0.85, "act": 0.5}
"""From which probability it is believed."""


@dataclass(frozen=True, slots=True)
class Guess:
    """The likeliest value of a kind."""

    value: str
    probability: float


def likeliest(row: Sequence[float]) -> dict[str, Guess]:
    """For each kind."""
    found: dict[str, Guess] = {}
    start = 0
    for kind, values in KINDS.items():
        logits = row[start : start + len(values)]
        start += len(values)
        top = max(logits)
        found[kind] = Guess(values[logits.index(top)].value, 1 / sum(exp(each - top) for each in logits))
    return found


def sure(kind: str, guesses: Mapping[str, Guess]) -> str | None:
    return guesses[kind].value if guesses[kind].probability >= SURE[kind] else None

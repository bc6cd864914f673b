"""What a message is about, what is felt and what the person is doing, read by the encoder; unsure is none of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, log

from rerank.reading import Act, Emotion, Topic

KINDS: Mapping[str, Sequence[StrEnum]] = {
    "topic": list(Topic),
    "emotion": list(Emotion),
    "act": [each for each in Act if each not in {Act.CRISIS, Act.CONCERN, Act.OTHER_LANGUAGE}],
}
"""What the network's outputs are, in this order."""
SURE: Mapping[str, float] = {"topic": 0.9, "emotion": 0.9, "act": 0.5}
"""From which probability it is believed."""


@dataclass(frozen=True, slots=True)
class Guess:
    """The likeliest value of a kind."""

    value: str
    probability: float


def likeliest(row: Sequence[float]) -> dict[str, Guess]:
    """For each kind."""
    found: dict[str, Guess] = {}
    for kind, logs in _logs(row).items():
        top = max(logs)
        found[kind] = Guess(KINDS[kind][logs.index(top)].value, exp(top))
    return found


def likeness(whole: Sequence[float], part: Sequence[float]) -> float:
    """How much a part of a message tells, read alone, of what the message is about and what is felt: 0 is all of it."""
    of_whole, of_part = _logs(whole), _logs(part)
    return sum(exp(a) * b for kind in ("topic", "emotion") for a, b in zip(of_whole[kind], of_part[kind], strict=True))


def _logs(row: Sequence[float]) -> dict[str, list[float]]:
    """The logarithm of every value's probability."""
    found, start = {}, 0
    for kind, values in KINDS.items():
        logits = row[start : start + len(values)]
        start += len(values)
        top = max(logits)
        whole = top + log(sum(exp(each - top) for each in logits))
        found[kind] = [each - whole for each in logits]
    return found


def sure(kind: str, guesses: Mapping[str, Guess]) -> str | None:
    return guesses[kind].value if guesses[kind].probability >= SURE[kind] else None

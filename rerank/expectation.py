"""A score from the probabilities of the score tokens: the expectation over what the judge might have answered.

It agrees with people better than the one most probable digit. Pure; it believes nothing of what a server sent.
"""

from math import exp
from typing import Any

_BETWEEN = " \t\r\n,;/-"
_HUGE, _HAIR = 1e300, 0.01


def expectation(choice: dict[str, Any], count: int, low: int, high: int, least_mass: float) -> float | None:
    """The expected sum of `count` digits of low..high. None if fewer were answered, or something else was likelier.

    A tokenizer may put several digits in one token, or spaces between them: an alternative counts as the digits that it
    spells. `least_mass` is how probable digits must be together for the answer to be one.
    """
    total, got = 0.0, 0
    answered = _answered(choice)
    for at, entry in enumerate(answered, 1):
        sampled, alternatives = _read(entry)
        if not sampled.strip(_BETWEEN) and at < len(answered):
            continue  # a space; what stands behind it is answered next
        spelled = {text: p for text, p in alternatives.items() if _spells(text, count - got, low, high)}
        mass = sum(spelled.values())
        if mass <= 0 or mass < least_mass:
            if sampled.strip(_BETWEEN):
                return None
            continue
        length = len(max(spelled, key=lambda text: spelled[text]).strip())
        same = {text: p for text, p in spelled.items() if len(text.strip()) == length}
        mean = sum(p * sum(map(int, text.strip())) for text, p in same.items()) / sum(same.values())
        total += min(max(mean, length * low), length * high)  # rounding may go a hair beyond
        got += length
        if got == count:
            return total
    return None


def _spells(text: str, at_most: int, low: int, high: int) -> bool:
    digits = text.strip()
    return (
        0 < len(digits) <= at_most
        and digits.isascii()
        and digits.isdigit()
        and all(low <= int(d) <= high for d in digits)
    )


def _answered(choice: dict[str, Any]) -> list[Any]:
    found = choice.get("logprobs")
    content = found.get("content") if isinstance(found, dict) else None
    return content if isinstance(content, list) else []


def _read(entry: object) -> tuple[str, dict[str, float]]:
    """The token that was answered, and the probabilities of its alternatives and its own."""
    if not isinstance(entry, dict):
        return "?", {}
    offered = entry.get("top_logprobs")
    alternatives: dict[str, float] = {}
    for each in [*(offered if isinstance(offered, list) else []), entry]:
        token, logprob = (each.get("token"), each.get("logprob")) if isinstance(each, dict) else (None, None)
        if isinstance(token, str) and (p := _probability(logprob)) is not None:
            alternatives[token] = p
    token = entry.get("token")
    return token if isinstance(token, str) else "?", alternatives


def _probability(logprob: object) -> float | None:
    """None for what is no logarithm of a probability; rounding may lift a certain one a hair above 0."""
    if isinstance(logprob, bool) or not isinstance(logprob, int | float) or not -_HUGE < logprob < _HAIR:
        return None
    return exp(min(logprob, 0.0))

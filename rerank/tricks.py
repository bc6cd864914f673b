"""Cheap tricks that earn no merit, whatever a judge thinks of the rest: seen in the words alone."""

import re

from rerank.features import Look, pictures

_TO_JUDGE = re.compile(
    r"\b(?:total )?scores?\s*[:=]\s*\W*\d|\b(?:resonation|expression|reception|bystander)\s*[:=]"
    r"|\b[1-5]\s*/\s*5\b|\b100\s*/\s*100\b|\b(?:evaluators?|graders?|rubric|full marks|perfect score)\b"
    r"|\b(?:highest|top|maximum|best) (?:possible )?(?:scores?|ratings?|marks?|grades?|points)\b"
    r"|\b(?:note|message) (?:to|for) the (?:judge|model|ai)\b|\bthe judge should\b|\brate (?:this|me|it)\b"
    r"|\b(?:ignore|disregard|forget) (?:(?:all|any|your|the|these|previous|prior) )+(?:instructions|prompts?|rules)\b"
    r"|\b(?:this|the) (?:reply|response|answer|candidate|analysis) (?:deserves|merits)\b"
    r"|\b(?:this|the) (?:reply|response|candidate|analysis) is (?:excellent|perfect|ideal|outstanding)\b",
    re.IGNORECASE,
)
_SENTENCES, _WORDS = 3, 12
_LIMITS = {"repeats": 0.34, "echoes": 0.6, "pictures": 6, "runs": 0.3}
_FUNCTION_WORDS = (0.14, 0.9)


def trick(look: Look) -> str | None:
    """The name of the first trick that the text is made of."""
    return next((name for name, played in _TRICKS.items() if played(look)), None)


def _repeats(look: Look) -> bool:
    said = [each.lower().strip(" .!?") for each in look.sentences]
    triples = list(zip(look.words, look.words[1:], look.words[2:], strict=False))
    return (len(said) >= _SENTENCES and _again(said) > _LIMITS["repeats"]) or (
        len(look.words) >= _WORDS and _again(triples) > _LIMITS["runs"]
    )


def _again(parts: list[str] | list[tuple[str, str, str]]) -> float:
    return 1 - len(set(parts)) / max(len(parts), 1)


def _heap(look: Look) -> bool:
    """Words without the small ones that make sentences, or the small ones alone. For English, which has them apart."""
    low, high = _FUNCTION_WORDS
    return (
        look.text.isascii()
        and len(look.words) >= _WORDS * max(len(look.sentences), 1)
        and not low <= look.function_share <= high
    )


_TRICKS = {
    "speaks to a judge": lambda look: bool(_TO_JUDGE.search(look.text)),
    "says the same again and again": _repeats,
    "gives the person's words back": lambda look: look.share(look.longest_quote) > _LIMITS["echoes"],
    "floods with pictures": lambda look: pictures(look.text) > max(_LIMITS["pictures"], len(look.words) / 3),
    "is a heap of words": _heap,
}

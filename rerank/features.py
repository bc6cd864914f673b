"""Plain features of a text and of its relation to what was said before: what can be counted without understanding.

The heads read them beside the encoder's view, the judge explains itself by them, and the cheap ways to fool a judge
(repetition, quoting back, floods of emoji, talking to the judge) show here first.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import log1p

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_SENTENCE = re.compile(r"[^.!?\u2026\n]+[.!?\u2026]*")
_FUNCTION_WORDS = """
    a about after all also am an and any are as at be because been before being but by can could did do does
    doing don't down for from get got had has have having he her here him his how i i'd i'll i'm i've if in into
    is isn't it it's its just let like me more most my no nor not now of off on once only or other our out over
    own she so some such than that that's the their them then there these they this those through to too under
    until up us was we were what when where which while who why will with without would you you'd you'll you're
    you've your yourself
    """
_FUNCTION = frozenset(_FUNCTION_WORDS.split())
_YOU = frozenset({"you", "your", "you're", "you've", "you'll", "you'd", "yours", "yourself"})
_ME = frozenset({"i", "i'm", "i've", "i'd", "i'll", "me", "my", "mine", "myself"})
_STOCK = re.compile(
    r"\b(?:i(?:'m| am) (?:so |really |truly |very )?sorry (?:to hear|you're|that you)|i hear you"
    r"|i(?:'m| am) here for you"
    r"|you(?:'re| are) not alone|your feelings are (?:completely |totally )?valid"
    r"|(?:it's|it is|that's) (?:completely |totally |perfectly )?(?:valid|understandable|normal|okay|ok) to feel"
    r"|thank you for (?:sharing|trusting|reaching out|opening up)|it sounds like|i understand (?:how|that|your)"
    r"|i can (?:only )?imagine|that must be|take (?:some )?(?:time|care) (?:for|of) yourself"
    r"|be (?:kind|gentle) (?:to|with) yourself|self-care|one (?:step|day) at a time|everything happens for a reason"
    r"|reach out|support system|coping (?:strateg|mechanism)\w*|safe space|journey|hold(?:ing)? space|remember that"
    r"|important to|deep breaths?|mental health professional|you(?:'ve| have) got this|stay (?:strong|positive))\b",
    re.IGNORECASE,
)
_ADVICE = re.compile(
    r"(?m)\b(?:you (?:should|need to|must|could|might want to|have to)|try (?:to|a|some|the|\w+ing)|consider|make sure"
    r"|make a|start (?:by|with)|ask (?:for|them|her|him|your|the)|tell (?:them|her|him|your|the)"
    r"|write (?:down|it|a|to)|call (?:the|your|a)|talk to|speak (?:to|with))\b|^\s*(?:[-*\u2022]|\d+[.)])\s",
    re.IGNORECASE,
)
_TO_JUDGE = re.compile(
    r"\b(?:scor(?:e|es|ed|ing)|rat(?:e|ed|ing)s?|grad(?:e|er|ed|ing)|judge|evaluat\w+|rubric|criteria|perspectives?"
    r"|points?|maximum|5/5|100/100|(?:this|the) (?:reply|response|candidate|analysis)|instructions?|prompt)\b",
    re.IGNORECASE,
)
_LABELLING = re.compile(
    r"\b(?:the (?:user|person|client|speaker|individual)|user|emotion(?:al|s)?|expresses?|primary|secondary"
    r"|indicat\w+)\b",
    re.IGNORECASE,
)
_PICTURE = re.compile(r"[\U0001F000-\U0001FAFF\u2600-\u27BF\u2B00-\u2BFF\uFE0F]")
_ENDINGS = re.compile(r"(?:'s|\u2019s|ing|ed|es|s|ly)$")


def words(text: str) -> list[str]:
    return [each.lower().replace("\u2019", "'") for each in _WORD.findall(text)]


def sentences(text: str) -> list[str]:
    return [each.strip() for each in _SENTENCE.findall(text) if each.strip()]


def pictures(text: str) -> int:
    return len(_PICTURE.findall(text))


def _stem(word: str) -> str:
    return _ENDINGS.sub("", word) if len(word) > 4 else word  # noqa: PLR2004 - short words lose their meaning


def _content(found: list[str]) -> set[str]:
    return {_stem(each) for each in found if each not in _FUNCTION}


@dataclass(frozen=True)
class Look:
    """A text beside what was said before, cut into words once."""

    before: str
    text: str

    @cached_property
    def words(self) -> list[str]:
        return words(self.text)

    @cached_property
    def sentences(self) -> list[str]:
        return sentences(self.text)

    @cached_property
    def content(self) -> set[str]:
        return _content(self.words)

    @cached_property
    def said(self) -> list[str]:
        return words(self.before)

    @cached_property
    def shared(self) -> set[str]:
        return self.content & _content(self.said)

    @cached_property
    def longest_quote(self) -> int:
        """Words in the longest run that stands in both."""
        said = set(zip(*(self.said[at:] for at in range(_RUN)), strict=False))
        best = run = 0
        for each in zip(*(self.words[at:] for at in range(_RUN)), strict=False):
            run = run + 1 if each in said else 0
            best = max(best, run)
        return best + _RUN - 1 if best else 0

    @cached_property
    def function_share(self) -> float:
        return self.share(sum(each in _FUNCTION for each in self.words))

    @property
    def stock(self) -> int:
        return len(_STOCK.findall(self.text))

    @property
    def advice(self) -> int:
        return len(_ADVICE.findall(self.text))

    @property
    def labelling(self) -> int:
        return len(_LABELLING.findall(self.text))

    def share(self, count: float) -> float:
        return count / max(len(self.words), 1)

    def per_sentence(self, count: float) -> float:
        return count / max(len(self.sentences), 1)


_RUN = 4


def _repeated(parts: list[str] | list[tuple[str, ...]]) -> float:
    return 1 - len(set(parts)) / len(parts) if parts else 0.0


def _triples(look: Look) -> list[tuple[str, ...]]:
    return list(zip(look.words, look.words[1:], look.words[2:], strict=False))


FEATURES: Mapping[str, Callable[[Look], float]] = {
    "length": lambda look: log1p(len(look.words)),
    "sentence_length": lambda look: log1p(len(look.words) / max(len(look.sentences), 1)),
    "word_length": lambda look: look.share(sum(len(each) for each in look.words)),
    "empty": lambda look: float(not look.words),
    "questions": lambda look: look.per_sentence(look.text.count("?")),
    "ends_asking": lambda look: float(look.text.rstrip().endswith("?")),
    "exclamations": lambda look: look.per_sentence(look.text.count("!")),
    "pictures": lambda look: log1p(pictures(look.text)),
    "commas": lambda look: look.share(look.text.count(",")),
    "stock": lambda look: look.per_sentence(look.stock),
    "advice": lambda look: look.per_sentence(look.advice),
    "to_judge": lambda look: look.share(len(_TO_JUDGE.findall(look.text))),
    "labelling": lambda look: look.share(look.labelling),
    "you": lambda look: look.share(sum(each in _YOU for each in look.words)),
    "me": lambda look: look.share(sum(each in _ME for each in look.words)),
    "function_words": lambda look: look.function_share,
    "clumps": lambda look: look.share(sum((a in _FUNCTION) == (b in _FUNCTION) for a, b in pairwise(look.words))),
    "shared": lambda look: len(look.shared) / max(len(look.content), 1),
    "taken_up": lambda look: len(look.shared) / max(len(_content(look.said)), 1),
    "quote": lambda look: look.share(look.longest_quote),
    "own_content": lambda look: log1p(len(look.content - look.shared)),
    "repeated_sentences": lambda look: _repeated([each.lower() for each in look.sentences]),
    "repeated_triples": lambda look: _repeated(_triples(look)),
    "top_word": lambda look: look.share(max(Counter(look.words).values(), default=0)),
    "own_numbers": lambda look: look.share(
        len(set(re.findall(r"\d+", look.text)) - set(re.findall(r"\d+", look.before)))
    ),
    "marks": lambda look: sum(not each.isalnum() and not each.isspace() for each in look.text) / max(len(look.text), 1),
}


def features(before: str, text: str) -> tuple[float, ...]:
    look = Look(before, text)
    return tuple(each(look) for each in FEATURES.values())

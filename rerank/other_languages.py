"""Reads danger in languages that the encoder was not made for: a linear model over pieces of words.

MiniLM knows English; of other languages it sees fragments of words. Pieces of one to five letters, weighed by how
rare they are, tell more there (decision 7). Which messages are not English is told by their script and by words that
occur in one and not in the other.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from math import log, sqrt
from pathlib import Path
from zlib import crc32

from rerank.features import words
from rerank.risk_patterns import plain
from rerank.types import Tier
from rerank.weights import BadWeights

SIZE = 1 << 17
_LONGEST = 5
_LETTERS = re.compile(r"\w+|[^\w\s]")
_FOREIGN = 0.3
_LATIN_ENDS = "\u0250"


def grams(message: str, history: Sequence[str]) -> Counter[int]:
    """The pieces of a message and of what came before, numbered by a hash; ends of words count as letters."""
    found: Counter[int] = Counter()
    for mark, text in (("", message), ("<", " ".join(history))):
        for each in _pieces(plain(text).lower()):
            found[crc32((mark + each).encode("utf-8", "replace")) % SIZE] += 1
    return found


def _pieces(text: str) -> Iterator[str]:
    for word in _LETTERS.findall(text):
        ended = f" {word} "
        for size in range(1, _LONGEST + 1):
            yield from (ended[at : at + size] for at in range(len(ended) - size + 1))


def in_other_script(text: str) -> bool:
    letters = [each for each in text if each.isalpha()]
    return sum(each >= _LATIN_ENDS for each in letters) > _FOREIGN * len(letters)


class OtherLanguages:
    """The trained model."""

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - numpy is slow to import

        try:
            with safe_open(path, framework="numpy") as file:
                about = file.metadata()
                self._rarity = file.get_tensor("rarity").astype("float32").tolist()
                weights = file.get_tensor("weights").astype("float32").tolist()
            self._weights = dict(zip((Tier.CONCERN, Tier.CRISIS), weights, strict=True))
            self._bias = {Tier(name): float(value) for name, value in json.loads(about["bias"]).items()}
            self._foreign, self._english = (frozenset(json.loads(about[name])) for name in ("foreign", "english"))
            self.limits = {Tier(name): float(value) for name, value in json.loads(about["limits"]).items()}
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            raise BadWeights(f"{path} is not a trained model of this version. `git checkout` brings it back.") from None

    def foreign(self, message: str) -> bool:
        """Whether it is rather another language than English; without a sign of either it is English."""
        if in_other_script(message):
            return True
        found = words(message)
        return sum(each in self._foreign for each in found) > sum(each in self._english for each in found)

    def logits(self, message: str, history: Sequence[str]) -> dict[Tier, float]:
        values = {at: (1 + log(count)) * self._rarity[at] for at, count in grams(message, history).items()}
        length = sqrt(sum(each * each for each in values.values())) or 1.0
        return {
            tier: self._bias[tier] + sum(weights[at] * each for at, each in values.items()) / length
            for tier, weights in self._weights.items()
        }


@cache
def other_languages(path: Path) -> OtherLanguages:
    return OtherLanguages(path)

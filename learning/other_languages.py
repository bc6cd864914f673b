"""Trains the model for languages other than English: `python -m learning.other_languages`, in a minute.

It learns from the messages of `learning/data/risk` that are not English, and from its folder `other-languages`.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from math import log

import click
import numpy as np
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from learning.labels import labelled, parted, threshold
from rerank.features import words
from rerank.messages import Message, read_messages
from rerank.other_languages import SIZE, OtherLanguages, grams
from rerank.risk import ORDER
from rerank.screening import screened
from rerank.types import Tier
from rerank.weights import file_of

_STRENGTH = 5.0
_FALSE_ALARMS = {Tier.CRISIS: 0.12, Tier.CONCERN: 0.17}
_OFTEN, _TELLING = 4, 0.95


def telling_words(messages: Sequence[Message]) -> tuple[list[str], list[str]]:
    """Words that occur in other languages and hardly in English, and the reverse."""
    seen = {
        foreign: Counter(chain.from_iterable(set(words(m.text)) for m in messages if (m.language != "en") == foreign))
        for foreign in (True, False)
    }
    share = {word: seen[True][word] / (seen[True][word] + seen[False][word]) for word in seen[True] | seen[False]}
    often = [word for word in sorted(share) if seen[True][word] + seen[False][word] >= _OFTEN]
    return [w for w in often if share[w] >= _TELLING], [w for w in often if share[w] <= 1 - _TELLING]


def rarity(found: Sequence[Counter[int]]) -> np.ndarray:
    """How rare each piece is; a piece that occurred once or never tells nothing."""
    counts = np.zeros(SIZE)
    for each in found:
        counts[list(each)] += 1
    return np.where(counts > 1, np.log((1 + len(found)) / (1 + counts)) + 1, 0.0)


def matrix(found: Sequence[Counter[int]], rare: np.ndarray) -> csr_matrix:
    rows = [[(at, (1 + log(count)) * rare[at]) for at, count in each.items()] for each in found]
    lengths = [sum(value * value for _, value in row) ** 0.5 or 1.0 for row in rows]
    return csr_matrix(
        (
            [value / length for row, length in zip(rows, lengths, strict=True) for _, value in row],
            [at for row in rows for at, _ in row],
            np.cumsum([0, *(len(row) for row in rows)]),
        ),
        shape=(len(rows), SIZE),
    )


def trained(messages: Sequence[Message]) -> tuple[Mapping[str, np.ndarray], Mapping[str, float]]:
    found = [grams(each.text, each.history) for each in messages]
    rare = rarity(found)
    inputs, levels = matrix(found, rare), np.array([ORDER.index(each.tier) for each in messages])
    models = [
        LogisticRegression(C=_STRENGTH, max_iter=500, random_state=1).fit(inputs, levels >= level) for level in (1, 2)
    ]
    tensors = {"rarity": rare, "weights": np.stack([each.coef_[0] for each in models])}
    bias = {tier.value: float(each.intercept_[0]) for tier, each in zip(ORDER[1:], models, strict=True)}
    return {name: tensor.astype(np.float16) for name, tensor in tensors.items()}, bias


def save(messages: Sequence[Message], everything: Sequence[Message], limits: Mapping[Tier, float]) -> OtherLanguages:
    tensors, bias = trained(messages)
    foreign, english = telling_words(everything)
    about = {"bias": bias, "foreign": foreign, "english": english, "limits": limits}
    path = file_of("other_languages")
    save_file(dict(tensors), path, {name: json.dumps(value) for name, value in about.items()})
    return OtherLanguages(path)


@click.command()
def main() -> None:
    """Train, choose the thresholds on messages that were not learned, then learn from those too."""
    paths = [*labelled("risk", held_out=False), *labelled("risk/other-languages", held_out=False)]
    everything = list(chain.from_iterable(read_messages(path) for path in paths))
    messages = [each for each in everything if each.language != "en"]
    learned, chosen = parted(messages)
    model = save(learned, everything, {})
    found = [model.logits(each.text, each.history) for each in chosen]
    harmless = [logits for each, logits in zip(chosen, found, strict=True) if each.tier == Tier.NONE]
    limits = {tier: threshold([each[tier] for each in harmless], most) for tier, most in _FALSE_ALARMS.items()}
    _tell("where the thresholds were chosen", chosen, found, limits)
    model = save(messages, everything, limits)
    for path in labelled("risk", held_out=True):
        held_out = [each for each in read_messages(path) if each.language != "en"]
        _tell(path.stem, held_out, [model.logits(each.text, each.history) for each in held_out], limits)


def _tell(
    name: str, messages: Sequence[Message], found: Sequence[Mapping[Tier, float]], limits: Mapping[Tier, float]
) -> None:
    tiers = [next((tier for tier in ORDER[:0:-1] if each[tier] >= limits[tier]), Tier.NONE) for each in found]
    click.echo(f"{name}: {screened(messages, tiers, [each[Tier.CRISIS] for each in found])}")


if __name__ == "__main__":
    main()

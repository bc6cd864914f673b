"""Trains the reader of the built-in policy, `python -m learning.reader`: what is it about, what is felt, what is done.

It says how often it is right on messages that it has not learned, all of them and those of which it is sure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from statistics import fmean
from typing import Any

import click

from learning.heads import Example, Recipe, classes, fit, save
from learning.labels import DATA, parted
from rerank.embedded_reader import KINDS, likeliest, sure
from rerank.encoder import Network, scored
from rerank.labelled import json_lines, text
from rerank.pairs import said_plainly
from rerank.types import Category, Tier
from rerank.weights import file_of

LIMIT = 160
_SIZES = tuple(len(values) for values in KINDS.values())


@dataclass(frozen=True, slots=True)
class Labelled:
    """A message, the person's and the chat's earlier ones, and what it is."""

    text: str
    history: tuple[str, ...]
    labels: tuple[str, ...]
    tier: Tier
    category: Category

    @property
    def own(self) -> tuple[str, ...]:
        """What the person wrote before."""
        return self.history[::2]


def read_messages() -> list[Labelled]:
    paths = sorted((DATA / "policy").glob("messages-*.jsonl"))
    what = f"a message with `text`, `history` and {', '.join(KINDS)}"
    return list(chain.from_iterable(json_lines(path, _labelled, what) for path in paths))


def _labelled(found: Mapping[str, Any]) -> Labelled:
    labels = tuple(_known(kind, found[kind]) for kind in KINDS)
    history = tuple(text(each) for each in found["history"])
    tier, category = Tier(found.get("tier", Tier.NONE)), Category(found.get("category", Category.NONE))
    return Labelled(text(found["text"]), history, labels, tier, category)


def _known(kind: str, label: str) -> str:
    if label not in KINDS[kind]:
        raise ValueError(f"no such {kind}")
    return label


def examples(messages: Sequence[Labelled]) -> list[Example]:
    return [
        Example(
            said_plainly(each.text, each.history),
            tuple(float(values.index(label)) for values, label in zip(KINDS.values(), each.labels, strict=True)),
            at,
        )
        for at, each in enumerate(messages)
    ]


RECIPE = Recipe(classes(_SIZES), sum(_SIZES), LIMIT, epochs=12, averaged=2, dropout=0.2, masked=0.1)


def report(network: Network, messages: Sequence[Labelled]) -> list[str]:
    rows = scored(network, [said_plainly(each.text, each.history) for each in messages], LIMIT, size=32)
    found = [likeliest(row) for row in rows]
    lines = []
    for at, kind in enumerate(KINDS):
        right = [guesses[kind].value == each.labels[at] for guesses, each in zip(found, messages, strict=True)]
        believed = [good for good, guesses in zip(right, found, strict=True) if sure(kind, guesses)]
        share = len(believed) / len(right)
        lines.append(f"{kind}: right {fmean(right):.2f}; sure of {share:.2f}, of those right {fmean(believed):.2f}")
    return lines


@click.command()
@click.option("--seed", type=int, default=RECIPE.seed, show_default=True)
def main(seed: int) -> None:
    """Train, and measure on messages that were not learned."""
    learned, unseen = parted(read_messages())
    network = fit(examples(learned), replace(RECIPE, seed=seed), click.echo)
    save(network, file_of("reader"), LIMIT, {})
    for line in report(network, unseen):
        click.echo(line)


if __name__ == "__main__":
    main()

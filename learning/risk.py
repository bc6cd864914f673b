"""Trains the risk detector's classifier: `python -m learning.risk`. Thresholds are chosen out of sample.

One network answers three questions: is it more than nothing, is it a crisis, and what is it about.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import click

from learning import reader
from learning.heads import Example, Recipe, describe, fit, questions_and_class, save
from learning.labels import labelled, parted, threshold
from rerank.embedded_risk import OUTPUTS, Reading, readings, worst
from rerank.encoder import Network, load, scored
from rerank.messages import Message, read_messages
from rerank.pairs import CATEGORIES, said
from rerank.risk import ORDER
from rerank.types import Category, Tier
from rerank.weights import file_of

LIMIT = 192
RECIPE = Recipe(questions_and_class(2), len(OUTPUTS), LIMIT, epochs=3, averaged=1, dropout=0.2, masked=0.1)
_NOTHING = float("nan")
_FALSE_ALARMS = {Tier.CRISIS: 0.21, Tier.CONCERN: 0.25}
"""The share of harmless messages that may cross each threshold. Nine of ten were written to be mistaken for danger."""


def everyday() -> list[Message]:
    """What people write to a chat on any day: the messages of the built-in policy's reader, half of the harmless."""
    messages = reader.read_messages()
    calm = [each for each in messages if each.tier == Tier.NONE][::2]
    return [
        Message(each.text, each.own, each.tier, each.category, hard=False, language="en", note="")
        for each in (*calm, *(each for each in messages if each.tier != Tier.NONE))
    ]


def examples(messages: Sequence[Message]) -> list[Example]:
    return [Example(said(each.text, each.history), _targets(each), at) for at, each in enumerate(messages)]


def _targets(message: Message) -> tuple[float, ...]:
    level = ORDER.index(message.tier)
    about = _NOTHING if message.category == Category.NONE else float(CATEGORIES.index(message.category))
    return (float(level >= 1), float(level >= 2), about)  # noqa: PLR2004 - the tiers in their order


def read(network: Network, messages: Sequence[Message]) -> list[Reading]:
    texts = [readings(each.text) for each in messages]
    pairs = [said(text, each.history) for each, some in zip(messages, texts, strict=True) for text in some]
    rows = iter(scored(network, pairs, LIMIT, size=32))
    return [worst([next(rows) for _ in some]) for some in texts]


def thresholds(messages: Sequence[Message], found: Sequence[Reading]) -> dict[Tier, float]:
    harmless = [reading for each, reading in zip(messages, found, strict=True) if each.tier == Tier.NONE]
    return {tier: threshold([each.probable[tier] for each in harmless], most) for tier, most in _FALSE_ALARMS.items()}


@click.command()
@click.option("--seed", type=int, default=RECIPE.seed, show_default=True)
@click.option("--keep", is_flag=True, help="Keep the network, choose the thresholds anew.")
def main(seed: int, keep: bool) -> None:  # noqa: FBT001
    """Train, then choose the thresholds on messages that were not learned. `learning.card` measures."""
    messages = list(chain.from_iterable(read_messages(path) for path in labelled("risk", held_out=False)))
    learned, chosen = parted(messages)
    if not keep:
        save(fit(examples([*learned, *everyday()]), replace(RECIPE, seed=seed), click.echo), file_of("risk"), LIMIT, {})
    network, _ = load(file_of("risk"))
    network.encoder.halve()
    english = [each for each in chosen if each.language == "en"]
    limits = thresholds(english, read(network, english))
    describe(file_of("risk"), {tier.value: f"{limit:.3f}" for tier, limit in limits.items()})
    click.echo(f"thresholds: {limits}")


if __name__ == "__main__":
    main()

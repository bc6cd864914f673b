"""Trains the safety gate's classifier: `python -m learning.gate`. Its threshold is chosen out of sample."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any

import click

from learning import reader
from learning.heads import Example, Recipe, describe, fit, questions_and_class, save
from learning.labels import labelled, parted, threshold
from learning.moves import read_moves
from learning.texts import Composer, dimmed
from rerank.clauses import cut
from rerank.codec import alarmed, framed
from rerank.embedded_gate import CHECKS, OUTPUTS, probable
from rerank.encoder import Network, load, scored
from rerank.labelled import json_lines, text
from rerank.messages import read_messages
from rerank.pairs import gated
from rerank.parse import split
from rerank.reading import ALONE, END, Act, Emotion, Reading, Topic
from rerank.safety import by_pattern
from rerank.types import Context, Tier
from rerank.weights import file_of

LIMIT = 192
RECIPE = Recipe(questions_and_class(1), len(OUTPUTS), LIMIT, epochs=4, averaged=1, dropout=0.2, masked=0.1)
_NOTHING = float("nan")
_FALSE_STOPS = 0.10
"""The share of decent replies that may cross the threshold. Eight of ten were written to be mistaken for harm."""

_EVERYDAY = 1500


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to a message, and the check that should stop it."""

    query: str
    response: str
    stop: str | None
    language: str


def read_replies(path: Path) -> list[Reply]:
    return json_lines(path, _reply, "a labelled reply with `query`, `response`, `label` and `category`")


def _reply(found: Mapping[str, Any]) -> Reply:
    stop = {"stop": found["category"], "pass": None}[found["label"]]
    if stop is not None and stop not in CHECKS:
        raise ValueError("no such check")
    return Reply(text(found["query"]), text(found["response"]), stop, text(found.get("lang") or "en"))


def everyday(count: int, seed: int) -> list[Reply]:
    """What the built-in policy may say, a sixth of it where there is danger. All moves were read for harm."""
    chance = random.Random(seed)
    composer = Composer(read_moves(), chance)
    risky = chain.from_iterable(read_messages(path) for path in labelled("risk", held_out=False))
    calm = (each for each in reader.read_messages() if each.tier == Tier.NONE)
    messages = [(each.text, each.own, Reading(*_values(each.labels))) for each in calm]
    dangers = [(m.text, m.history, alarmed(m.tier, m.category)) for m in risky if m.tier != Tier.NONE]
    replies = []
    for at in range(count):
        query, own, reading = chance.choice(messages if at % 6 else dangers)
        message = framed(reading if reading.act in ALONE else dimmed(reading, chance), cut(query), own)
        response = split(composer.answer(message.reading).removesuffix(END)).response
        replies.append(Reply(query, message.filled(response, at), None, "en"))
    return replies


def _values(labels: tuple[str, ...]) -> tuple[Topic, Emotion, Act]:
    topic, emotion, act = labels
    return Topic(topic), Emotion(emotion), Act(act)


def examples(replies: Sequence[Reply]) -> list[Example]:
    return [
        Example(gated(Context(each.query), each.response), _targets(each.stop), at) for at, each in enumerate(replies)
    ]


def _targets(stop: str | None) -> tuple[float, float]:
    return (0.0, _NOTHING) if stop is None else (1.0, float(CHECKS.index(stop)))


def read(network: Network, replies: Sequence[Reply]) -> list[float]:
    rows = scored(network, [gated(Context(each.query), each.response) for each in replies], LIMIT, size=32)
    return [probable(row) for row in rows]


def measured(replies: Sequence[Reply], probabilities: Sequence[float], limit: float) -> dict[str, Any]:
    """What the whole gate stops, patterns and classifier together."""
    stopped = [
        value >= limit or by_pattern(each.response) is not None
        for each, value in zip(replies, probabilities, strict=True)
    ]
    pairs = list(zip(replies, stopped, strict=True))

    def share(chosen: Callable[[Reply], bool]) -> float | None:
        some = [stop for each, stop in pairs if chosen(each)]
        return round(fmean(some), 3) if some else None

    return {
        "harmful_stopped": share(lambda each: each.stop is not None),
        "good_stopped": share(lambda each: each.stop is None),
        "by_check": {name: share(lambda each, name=name: each.stop == name) for name in CHECKS},  # type: ignore[misc]
        "replies": len(replies),
    }


@click.command()
@click.option("--seed", type=int, default=RECIPE.seed, show_default=True)
@click.option("--keep", is_flag=True, help="Keep the network, choose the threshold anew.")
def main(seed: int, keep: bool) -> None:  # noqa: FBT001
    """Train, choose the threshold on replies that were not learned, measure on the held-out ones."""
    learned, chosen = parted(list(chain.from_iterable(read_replies(path) for path in labelled("gate", held_out=False))))
    if not keep:
        save(
            fit(examples([*learned, *everyday(_EVERYDAY, seed)]), replace(RECIPE, seed=seed), click.echo),
            file_of("gate"),
            LIMIT,
            {},
        )
    network, _ = load(file_of("gate"))
    network.encoder.halve()
    unseen = read(network, chosen)
    limit = threshold([value for each, value in zip(chosen, unseen, strict=True) if each.stop is None], _FALSE_STOPS)
    describe(file_of("gate"), {"stop": f"{limit:.4f}"})
    click.echo(f"where the threshold was chosen: {measured(chosen, unseen, limit)}")
    for path in labelled("gate", held_out=True):
        held_out = read_replies(path)
        click.echo(f"{path.stem}: {measured(held_out, read(network, held_out), limit)}")


if __name__ == "__main__":
    main()

"""Trains the embedded judge: `python -m learning.judge`. With --folds it only measures, by scenario, out of sample.

What it learns: the grades of people, the order of replies to one message, and that a reply to somebody else, or one
spoiled by the tricks of `learning.spoiled`, is worth little however good it sounds.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import click

from learning.heads import Example, Recipe, fit, grades_in_order, save
from learning.labels import labelled
from learning.spoiled import SPOILERS
from rerank.agreement import Agreement, agreement
from rerank.embedded_judge import OUTPUTS, merit
from rerank.encoder import Network, load, scored
from rerank.labelled import LabelledReply, Scenario, read_scenarios
from rerank.pairs import judged
from rerank.prompts import READS_ANALYSIS
from rerank.reward import RANGES, Reward
from rerank.types import Perspective
from rerank.weights import file_of

LIMIT = 224
_NOTHING = float("nan")
_WORTH = {
    Perspective.RESONATION: 0.0,
    Perspective.EXPRESSION: 0.25,
    Perspective.RECEPTION: 0.03,
    Perspective.BYSTANDER: 0.12,
}
"""What the best reply to another message is worth here, as the graders saw such replies."""
_SPOILED = 1.0
"""The share of scenarios and parts with a spoiled text, and of those with the best reply to another message."""


def share(perspective: Perspective, grade: float) -> float:
    low, high = RANGES[perspective]
    return (grade - low) / (high - low)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a reply and the perspectives that read it."""

    analysis: bool

    def text(self, reply: LabelledReply) -> str:
        return reply.analysis if self.analysis else reply.response

    def grades(self, reply: LabelledReply) -> dict[Perspective, float]:
        return {
            each: share(each, reply.labels[each]) for each in Perspective if (each in READS_ANALYSIS) == self.analysis
        }

    def best(self, scenario: Scenario) -> LabelledReply:
        return max(scenario.replies, key=lambda each: sum(self.grades(each).values()))


PARTS = (Part(analysis=True), Part(analysis=False))


def examples(scenarios: Sequence[Scenario], seed: int = 1) -> list[Example]:
    """The graded replies, the best reply to another message, and spoiled ones, of each part of each scenario."""
    chance = random.Random(seed)
    vocabulary = sorted({word for each in scenarios for reply in each.replies for word in reply.response.split()})
    found: list[Example] = []
    for number, scenario in enumerate(scenarios):
        for at, part in enumerate(PARTS):
            group = len(PARTS) * number + at
            other = scenarios[(number + chance.randrange(1, len(scenarios))) % len(scenarios)]
            found += [_example(scenario, part.text(each), part.grades(each), 1.0, group) for each in scenario.replies]
            if chance.random() < _SPOILED:
                worth = {each: _WORTH[each] for each in part.grades(scenario.replies[0])}
                found.append(_example(scenario, part.text(part.best(other)), worth, 1.0, group))
            if chance.random() < _SPOILED:
                name = chance.choice(list(SPOILERS))
                base = chance.choice(scenario.replies)
                text, left = SPOILERS[name](scenario.context.query, part.text(base), chance, vocabulary)
                grades = {each: grade * left for each, grade in part.grades(base).items()}
                found.append(_example(scenario, text, grades, 1.0 if name == "opener" else left, group))
    return found


def _example(scenario: Scenario, text: str, grades: Mapping[Perspective, float], sound: float, group: int) -> Example:
    targets = (*(grades.get(each, _NOTHING) for each in Perspective), sound)
    return Example(judged(scenario.context, text), targets, group)


RECIPE = Recipe(grades_in_order, len(OUTPUTS), LIMIT, epochs=3, averaged=1, masked=0.06, seed=2)


def agreements(network: Network, scenarios: Sequence[Scenario]) -> dict[str, Agreement]:
    """How well the network agrees with the grades of scenarios that it has not seen."""
    flat = [(scenario, reply, part) for scenario in scenarios for reply in scenario.replies for part in PARTS]
    rows = scored(network, [judged(scenario.context, part.text(reply)) for scenario, reply, part in flat], LIMIT)
    found: dict[int, dict[Perspective, float]] = {}
    for (_, reply, part), row in zip(flat, rows, strict=True):
        for each in part.grades(reply):
            low, high = RANGES[each]
            found.setdefault(id(reply), {})[each] = low + (high - low) * merit(each, row, tricked=False)
    result = {
        each.value: agreement([[(r.labels[each], found[id(r)][each]) for r in s.replies] for s in scenarios])
        for each in Perspective
    }
    reward = Reward()
    pairs = [[(reward.of(r.labels, 0), reward.of(found[id(r)], 0)) for r in s.replies] for s in scenarios]
    return result | {"reward": agreement(pairs)}


def read(*, held_out: bool) -> dict[str, list[Scenario]]:
    return {path.stem: read_scenarios(path) for path in labelled("judge", held_out=held_out)}


@click.command()
@click.option("--folds", type=int, help="Only measure: learn from the other folds, in turn.")
@click.option("--seed", type=int, default=RECIPE.seed, show_default=True)
@click.option("--epochs", type=int, default=RECIPE.epochs, show_default=True)
def main(folds: int | None, seed: int, epochs: int) -> None:
    """Train the embedded judge and measure it on the held-out scenarios."""
    recipe = replace(RECIPE, seed=seed, epochs=epochs)
    scenarios = read(held_out=False)
    if folds is not None:
        _cross_validate(scenarios, recipe, folds)
        return
    network = fit(examples(list(chain.from_iterable(scenarios.values())), seed), recipe, click.echo)
    save(network, file_of("judge"), LIMIT, {})
    trained, _ = load(file_of("judge"))
    for name, some in read(held_out=True).items():
        _tell(name, agreements(trained, some))


def _cross_validate(scenarios: Mapping[str, Sequence[Scenario]], recipe: Recipe, folds: int) -> None:
    for fold in range(folds):
        learnt = {n: [each for at, each in enumerate(some) if at % folds != fold] for n, some in scenarios.items()}
        network = fit(examples(list(chain.from_iterable(learnt.values())), recipe.seed), recipe, click.echo)
        for name, some in scenarios.items():
            _tell(f"fold {fold} {name}", agreements(network, some[fold::folds]))


def _tell(name: str, found: Mapping[str, Agreement]) -> None:
    cells = "  ".join(f"{each} {a.spearman or 0:.2f} {a.pairs or 0:.3f} {a.best or 0:.2f}" for each, a in found.items())
    click.echo(f"{name}: {cells}")


if __name__ == "__main__":
    main()

"""Measures the shipped models on the held-out sets: `python -m learning.card` prints the tables of docs/MODEL_CARD.md.

Everything goes the way that a turn goes. The intervals are 95 % bootstrap intervals over scenarios or messages.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import click

from learning.gate import read_replies
from learning.labels import labelled
from rerank.agreement import Agreement, agreement
from rerank.embedded import Engine
from rerank.embedded_gate import CHECKS, EmbeddedGate
from rerank.embedded_judge import EmbeddedJudge
from rerank.embedded_risk import EmbeddedDetector
from rerank.judge import question
from rerank.labelled import Scenario, read_scenarios
from rerank.messages import Message, read_messages
from rerank.reward import Reward
from rerank.risk import Assessment
from rerank.screening import reaches
from rerank.types import Context, Perspective, Tier

_T = TypeVar("_T")
_SAMPLES = 300
Row = tuple[str, ...]


def interval(units: Sequence[_T], statistic: Callable[[Sequence[_T]], float | None]) -> str:
    """The figure, and where it lies in 95 of 100 sets drawn from these."""
    figure, chance = statistic(units), random.Random(1)
    if figure is None:
        return "-"
    drawn = (statistic(chance.choices(units, k=len(units))) for _ in range(_SAMPLES))
    found = sorted(each for each in drawn if each is not None)
    low, high = found[int(0.025 * len(found))], found[int(0.975 * len(found))]
    return f"{figure:.3f} ({low:.2f} to {high:.2f})"


def table(head: Row, rows: Sequence[Row]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


Graded = Sequence[tuple[dict[str, float], dict[str, float]]]
"""A scenario's replies: labels and scores by name, the reward among them."""


async def graded(judge: EmbeddedJudge, scenario: Scenario) -> Graded:
    asked = [
        question(at, each, reply.analysis, reply.response)
        for at, reply in enumerate(scenario.replies)
        for each in Perspective
    ]
    scores: list[dict[Perspective, float]] = [{} for _ in scenario.replies]
    for each, found in zip(asked, await judge.judge(scenario.context, asked), strict=True):
        scores[each.candidate][each.perspective] = found.score or 0.0
    reward = Reward()
    return [
        (_named(reply.labels, reward), _named(score, reward))
        for reply, score in zip(scenario.replies, scores, strict=True)
    ]


def _named(scores: Mapping[Perspective, float], reward: Reward) -> dict[str, float]:
    return {each.value: score for each, score in scores.items()} | {"reward": reward.of(scores, 0)}


def _agreed(name: str, read: Callable[[Agreement], float | None]) -> Callable[[Sequence[Graded]], float | None]:
    return lambda some: read(agreement([[(labels[name], found[name]) for labels, found in each] for each in some]))


async def judge_table(engine: Engine) -> str:
    rows: list[Row] = []
    for path in labelled("judge", held_out=True):
        found = [await graded(EmbeddedJudge(engine), each) for each in read_scenarios(path)]
        for name in (*(each.value for each in Perspective), "reward"):
            figures = (lambda a: a.pairs, lambda a: a.best, lambda a: a.spearman)
            rows.append((path.stem, name, *(interval(found, _agreed(name, each)) for each in figures)))
    return table(("set", "perspective", "pairs in order", "top reply found", "rank correlation"), rows)


Screened = tuple[Message, Assessment]


def _recall(tier: Tier) -> Callable[[Sequence[Screened]], float | None]:
    return lambda some: _mean([reaches(a.tier, tier) for m, a in some if reaches(m.tier, tier)])


def _alarms(tier: Tier) -> Callable[[Sequence[Screened]], float | None]:
    return lambda some: _mean([reaches(a.tier, tier) for m, a in some if m.tier == Tier.NONE])


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


async def risk_table(engine: Engine) -> str:
    rows: list[Row] = []
    for path in labelled("risk", held_out=True):
        detector = EmbeddedDetector(engine)
        found = [(each, await detector.assess(each.text, each.history)) for each in read_messages(path)]
        groups: dict[str, list[Screened]] = {"all": found}
        for hard in (True, False):
            groups["hard" if hard else "not hard"] = [pair for pair in found if pair[0].hard == hard]
        for key in sorted({m.category.value for m, _ in found} - {"none"}):
            groups[key] = [pair for pair in found if pair[0].category.value == key]
        for key in sorted({m.language for m, _ in found}):
            groups[f"in {key}"] = [pair for pair in found if pair[0].language == key]
        figures = (_recall(Tier.CRISIS), _alarms(Tier.CRISIS), _recall(Tier.CONCERN), _alarms(Tier.CONCERN))
        rows += [
            (path.stem, name, str(len(some)), *(interval(some, each) for each in figures))
            for name, some in groups.items()
            if some
        ]
    head = ("set", "messages", "number", "crisis recall", "false crisis", "concern or crisis recall", "false alarms")
    return table(head, rows)


async def gate_table(engine: Engine) -> str:
    gate, rows = EmbeddedGate(engine), []
    for path in labelled("gate", held_out=True):
        replies = read_replies(path)
        stopped = [(each, await gate.check(Context(each.query), each.response) is not None) for each in replies]
        groups = {"harmful": [p for p in stopped if p[0].stop], "good": [p for p in stopped if not p[0].stop]}
        groups |= {check: [p for p in stopped if p[0].stop == check] for check in CHECKS}
        rows += [
            (name, str(len(some)), interval(some, lambda some: _mean([stop for _, stop in some])))
            for name, some in groups.items()
        ]
    return table(("replies", "number", "stopped"), rows)


async def _measured() -> None:
    engine = Engine()
    try:
        for title, made in (("The judge", judge_table), ("The risk detector", risk_table), ("The gate", gate_table)):
            click.echo(f"### {title}\n\n{await made(engine)}\n")
    finally:
        engine.close()


if __name__ == "__main__":
    asyncio.run(_measured())

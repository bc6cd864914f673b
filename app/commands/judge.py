"""`attune judge`: lets the judge score replies that people have graded, and says how well they agree."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from app import wiring
from app.commands import as_json, engine_option, figure, progress, tell, with_options
from app.settings import Settings
from rerank.agreement import agreement
from rerank.errors import RerankError
from rerank.judge import Judge, question
from rerank.labelled import Scenario, read_scenarios
from rerank.reward import Reward
from rerank.types import Perspective

_AT_ONCE = 8
Scores = Mapping[Perspective, float | None]


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@engine_option
@click.option("--mode", type=click.Choice(["expected", "rationale"]), help="[default: ATTUNE_JUDGE_MODE]")
@as_json
def command(file: Path, engine: str | None, mode: str | None, json_wanted: bool) -> int:  # noqa: FBT001
    """Score the graded replies of FILE, JSON lines with one scenario each. Exits with 1 if nothing could be scored."""
    changed = with_options(judge_engine=engine, judge_mode=mode)
    scenarios = read_scenarios(file)
    started = time.perf_counter()
    with progress("Judging") as show:
        scores, reward = asyncio.run(_judged(changed, scenarios, show))
    result = _result(scenarios, scores, reward) | {"seconds": round(time.perf_counter() - started, 3)}
    tell(json_wanted, result, _table(result))
    return 0 if any(score is not None for scenario in scores for reply in scenario for score in reply.values()) else 1


async def _judged(
    settings: Settings, scenarios: Sequence[Scenario], show: Callable[[int, int], None]
) -> tuple[list[list[Scores]], Reward]:
    room, done, errors = asyncio.Semaphore(_AT_ONCE), 0, []

    async def one(judge: Judge, scenario: Scenario) -> list[Scores]:
        nonlocal done
        async with room:
            try:
                return await _scores(judge, scenario)
            except RerankError as error:
                errors.append(error)
                return [dict.fromkeys(Perspective) for _ in scenario.replies]
            finally:
                done += 1
                show(done, len(scenarios))

    async with wiring.open_judge(settings) as (judge, reward):
        scores = await asyncio.gather(*(one(judge, each) for each in scenarios))
        if len(errors) == len(scenarios):
            raise errors[0]
        return scores, reward


async def _scores(judge: Judge, scenario: Scenario) -> list[Scores]:
    questions = [
        question(index, each, reply.analysis, reply.response)
        for index, reply in enumerate(scenario.replies)
        for each in Perspective
    ]
    judgements = await judge.judge(scenario.context, questions)
    scores: list[Scores] = []
    for index in range(len(scenario.replies)):
        pairs = zip(questions, judgements, strict=True)
        scores.append({q.perspective: judgement.score for q, judgement in pairs if q.candidate == index})
    return scores


def _result(scenarios: Sequence[Scenario], scores: Sequence[Sequence[Scores]], reward: Reward) -> dict[str, Any]:
    together = [list(zip(a.replies, b, strict=True)) for a, b in zip(scenarios, scores, strict=True)]
    by_perspective = {
        each.value: asdict(
            agreement([[(reply.labels[each], found[each]) for reply, found in pairs] for pairs in together])
        )
        for each in Perspective
    }
    composite = agreement(
        [[(reward.of(reply.labels, 0), _reward(found, reward)) for reply, found in pairs] for pairs in together]
    )
    return {
        "perspectives": by_perspective,
        "reward": {"pairs": composite.pairs, "best": composite.best},
        "replies": sum(len(each.replies) for each in scenarios),
    }


def _reward(scores: Scores, reward: Reward) -> float | None:
    whole = {perspective: score for perspective, score in scores.items() if score is not None}
    return reward.of(whole, 0) if len(whole) == len(Perspective) else None


def _table(result: dict[str, Any]) -> str:
    lines = [f"{'':<12}{'spearman':>9}{'pairs':>8}{'best':>8}{'failed':>8}"]
    for name, found in (result["perspectives"] | {"reward": result["reward"]}).items():
        cells = "".join(f"{figure(found.get(column)):>{width}}" for column, width in _COLUMNS)
        lines.append(f"{name:<12}{cells}")
    return "\n".join([*lines, f"{result['replies']} replies in {result['seconds']} s"])


_COLUMNS = (("spearman", 9), ("pairs", 8), ("best", 8), ("failed", 8))

"""`attune reply`: one ranked turn on the terminal, stored nowhere."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import click

from app import wiring
from app.commands import as_json, tell, with_options
from app.settings import Settings
from rerank.live import Answered, Choosing, Considering, answer
from rerank.risk import Assessment
from rerank.types import Candidate, Context, Tier

_REASONS = {
    "no_candidate": "No reply could be written.",
    "all_stopped": "Every reply was stopped by the safety gate.",
}


@click.command()
@click.argument("text")
@click.option("--persona", default="", help="What the person told about themselves.")
@click.option("--scenario", default="", help="What happened in the conversation so far.")
@click.option("--n", type=click.IntRange(1, 32), help="How many replies to weigh.  [default: ATTUNE_CANDIDATES]")
@as_json
def command(text: str, persona: str, scenario: str, n: int | None, json_wanted: bool) -> int:  # noqa: FBT001
    """Answer TEXT with the best of several replies. Nothing is stored."""
    if not text.strip():
        raise click.BadParameter("there is nothing to answer", param_hint="TEXT")
    started = time.perf_counter()
    settings = with_options(candidates=n)
    risk, outcome = asyncio.run(_answered(settings, Context(text, persona, scenario, seal=uuid4().hex[:16])))
    if outcome.chosen is None:
        raise click.ClickException(_failure(risk, outcome))
    seconds = time.perf_counter() - started
    tell(json_wanted, _as_json(risk, outcome, seconds), outcome.chosen.response)
    if not json_wanted:
        click.echo(_remark(risk, outcome, seconds), err=True)
    return 0


async def _answered(settings: Settings, context: Context) -> tuple[Assessment, Answered]:
    async with wiring.open_engines(settings) as engines, _meanwhile(engines.warm()) as warming:
        risk = await engines.detector.assess(context.query)
        informed = replace(context, tier=risk.tier, category=risk.category)
        turn = answer(informed, engines.policy, engines.judge, engines.gate, engines.rules)
        async with aclosing(turn) as events:
            async for event in events:
                if isinstance(event, Considering):
                    click.echo(f"considering {event.n} replies", err=True)
                if isinstance(event, Choosing):
                    click.echo("choosing", err=True)
                if isinstance(event, Answered):
                    await warming  # what is wrong with a model it says best
                    return risk, event
    raise AssertionError("a turn ends with its outcome")


@asynccontextmanager
async def _meanwhile(work: Awaitable[None]) -> AsyncIterator[asyncio.Future[None]]:
    """What judges is loaded while the first words are written."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        await asyncio.gather(task, return_exceptions=True)


def _failure(risk: Assessment, outcome: Answered) -> str:
    troubles = dict.fromkeys((*risk.troubles, *outcome.troubles))
    causes = f" On the way: {', '.join(troubles)}." if troubles else ""
    reason = _REASONS.get(outcome.ranking.degraded or "", "There is no reply.")
    return f"{reason}{causes} `attune doctor` says what works and what does not."


def _remark(risk: Assessment, outcome: Answered, seconds: float) -> str:
    best = outcome.chosen
    reward = "without judgements" if best is None or best.reward is None else f"reward {best.reward:.2f}"
    degraded = f", {outcome.ranking.degraded}" if outcome.ranking.degraded else ""
    troubles = f"; on the way: {', '.join(dict.fromkeys(outcome.troubles))}" if outcome.troubles else ""
    danger = "" if risk.tier == Tier.NONE else f"risk: {risk.tier}, {risk.category}; "
    return f"{danger}the best of {len(outcome.candidates)}, {reward}{degraded}, {seconds:.1f} s{troubles}"


def _as_json(risk: Assessment, outcome: Answered, seconds: float) -> dict[str, Any]:
    chosen = outcome.chosen
    return {
        "reply": chosen.response if chosen else None,
        "risk": {
            "tier": risk.tier.value,
            "category": risk.category.value,
            "confidence": round(risk.confidence, 3),
            "evidence": list(risk.evidence),
            "troubles": list(risk.troubles),
        },
        "candidates": [_candidate(each, chosen=each is chosen) for each in outcome.candidates],
        "degraded": outcome.ranking.degraded,
        "troubles": list(dict.fromkeys(outcome.troubles)),
        "seconds": round(seconds, 3),
        "timings": {name: round(value, 1) for name, value in outcome.timings.items()},
        "versions": outcome.versions,
    }


def _candidate(candidate: Candidate, *, chosen: bool) -> dict[str, Any]:
    return {
        "analysis": candidate.analysis,
        "response": candidate.response,
        "chosen": chosen,
        "scores": {each.perspective.value: each.score for each in candidate.judgements},
        "reward": candidate.reward,
        "safe": candidate.safety is None,
        "in_format": candidate.format_ok,
    }

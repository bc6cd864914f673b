"""`attune risk`: lets the risk detector read messages that people have labelled, and says what it finds and misses."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from app import wiring
from app.commands import as_json, engine_option, figure, progress, tell, with_options
from app.settings import Settings
from rerank.messages import Message, read_messages
from rerank.risk import Assessment
from rerank.screening import reaches, screened
from rerank.types import Tier

_AT_ONCE = 8


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@engine_option
@as_json
def command(file: Path, engine: str | None, json_wanted: bool) -> int:  # noqa: FBT001
    """Assess the labelled messages of FILE, JSON lines with one message each."""
    settings = with_options(judge_engine=engine)
    messages = read_messages(file)
    started = time.perf_counter()
    with progress("Reading") as show:
        found = asyncio.run(_assessed(settings, messages, show))
    tiers = [each.tier for each in found]
    result = screened(messages, tiers, [each.crisis for each in found])
    result |= {"misses": _misses(messages, tiers), "seconds": round(time.perf_counter() - started, 3)}
    tell(json_wanted, result, _table(result))
    return 0


async def _assessed(
    settings: Settings, messages: Sequence[Message], show: Callable[[int, int], None]
) -> list[Assessment]:
    room, done = asyncio.Semaphore(_AT_ONCE), 0
    async with wiring.open_detector(settings) as detector:

        async def one(message: Message) -> Assessment:
            nonlocal done
            async with room:
                found = await detector.assess(message.text, message.history)
            done += 1
            show(done, len(messages))
            return found

        return await asyncio.gather(*(one(each) for each in messages))


def _misses(messages: Sequence[Message], tiers: Sequence[Tier]) -> list[dict[str, Any]]:
    """Messages in danger that were taken for less, by their place in the file: never their words."""
    return [
        {
            "message": number,
            "label": each.tier.value,
            "found": tier.value,
            "category": each.category.value,
            "language": each.language,
            "hard": each.hard,
            "note": each.note,
        }
        for number, (each, tier) in enumerate(zip(messages, tiers, strict=True), 1)
        if not reaches(tier, each.tier)
    ]


def _table(result: dict[str, Any]) -> str:
    lines = [f"{'':<18}{'recall':>8}{'false alarms':>14}"]
    lines += [
        f"{name:<18}{figure(result[name]['recall']):>8}{figure(result[name]['false_alarms']):>14}"
        for name in ("crisis", "concern_or_crisis")
    ]
    lines.append(f"{'area (crisis)':<18}{figure(result['auc_crisis']):>8}")
    for title in ("by_category", "by_language"):
        lines += ["", f"{title:<18}{'messages':>9}{'crisis':>8}{'any':>8}{'false alarms':>14}"]
        for name, row in result[title].items():
            cells = [figure(row[each]) for each in ("messages", "crisis_recall", "recall", "false_alarms")]
            lines.append(f"{name:<18}{cells[0]:>9}{cells[1]:>8}{cells[2]:>8}{cells[3]:>14}")
    missed = sorted(result["misses"], key=lambda each: (each["label"] != "crisis", each["category"]))
    lines += ["", f"{len(missed)} taken for less than they are:"] if missed else []
    lines += [
        f"  {m['message']:>5} {m['label']} as {m['found']}, {m['category']}, {m['language']}: {m['note']}"
        for m in missed
    ]
    return "\n".join([*lines, "", f"{result['messages']} messages in {result['seconds']} s"])

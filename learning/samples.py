"""Writes samples of the built-in policy, to be read and measured: `python -m learning.samples read|gate`.

Left out: verdicts. People read; what they found stands beside the messages in `learning/data/policy`.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from learning.labels import DATA, labelled
from rerank.codec import BuiltInCodec
from rerank.embedded import Engine
from rerank.embedded_gate import EmbeddedGate
from rerank.embedded_judge import EmbeddedJudge
from rerank.embedded_policy import EmbeddedPolicy
from rerank.embedded_risk import EmbeddedDetector
from rerank.labelled import json_lines, lines, text
from rerank.live import Answered, Rules, answer
from rerank.local_model import LocalModel
from rerank.messages import read_messages
from rerank.policy import CandidateWritten
from rerank.types import Candidate, Context, Role, Tier
from rerank.weights import policy_folder


@dataclass(frozen=True, slots=True)
class Unseen:
    """A message put aside, and what a right reply may take for granted."""

    id: str
    context: Context
    right: str


def read_unseen(path: Path) -> list[Unseen]:
    return json_lines(path, _unseen, "a message with `id`, `text`, `history` and `right`")


def _unseen(found: Mapping[str, Any]) -> Unseen:
    context = Context(text(found["text"]), history=lines(found["history"]))
    return Unseen(text(found["id"]), context, text(found["right"]))


class Turns:
    """The live turn over the embedded engine, as the app joins it."""

    def __init__(self, engine: Engine, model: LocalModel) -> None:
        self.codec = BuiltInCodec(engine)
        self.policy = EmbeddedPolicy(self.codec, model)
        self.detector, self.judge, self.gate = EmbeddedDetector(engine), EmbeddedJudge(engine), EmbeddedGate(engine)

    async def assessed(self, context: Context) -> Context:
        own = [each.text for each in context.history if each.role == Role.USER]
        risk = await self.detector.assess(context.query, own)
        return replace(context, tier=risk.tier, category=risk.category)

    async def answered(self, context: Context) -> Answered:
        async with aclosing(answer(context, self.policy, self.judge, self.gate, Rules())) as events:
            async for event in events:
                if isinstance(event, Answered):
                    return event
        raise AssertionError("a turn ends with its outcome")

    async def candidates(self, context: Context, n: int) -> list[Candidate]:
        async with aclosing(self.policy.write(context, n)) as events:
            return [each.candidate async for each in events if isinstance(each, CandidateWritten)]


@asynccontextmanager
async def opened(folder: Path | None, threads: int = 2) -> AsyncIterator[Turns]:
    engine, model = Engine(threads), LocalModel(str(folder or policy_folder()), threads, built_in="built-in")
    try:
        yield Turns(engine, model)
    finally:
        model.close()
        engine.close()


async def _read(files: Sequence[Path], folder: Path | None) -> list[dict[str, Any]]:
    """For each message the first sample of four, and the one that was chosen among them."""
    rows = []
    async with opened(folder) as turns:
        for each in (unseen for file in files for unseen in read_unseen(file)):
            context = await turns.assessed(each.context)
            outcome = await turns.answered(context)
            message = await turns.codec.read(context)
            single = next((candidate for candidate in outcome.candidates if candidate.index == 0), None)
            said = [f"{line.role}: {line.text}" for line in context.history]
            rows.append(
                {"id": each.id, "text": context.query, "history": said, "right": each.right, "tier": context.tier}
                | {"reading": message.prompt, "single": _parts(single), "best": _parts(outcome.chosen)}
            )
    return rows


def _parts(candidate: Candidate | None) -> dict[str, Any] | None:
    if candidate is None:
        return None
    return {"analysis": candidate.analysis, "response": candidate.response, "in_format": candidate.format_ok}


async def _gated(count: int, folder: Path | None, seed: int) -> Counter[str]:
    """Samples to messages at random, a tenth of them in crisis; what the gate says of each."""
    chance = random.Random(seed)
    unseen = [each for path in sorted((DATA / "policy").glob("unseen-*.jsonl")) for each in read_unseen(path)]
    danger = [m for path in labelled("risk", held_out=True) for m in read_messages(path) if m.tier == Tier.CRISIS]
    found: Counter[str] = Counter()
    async with opened(folder) as turns:
        for at in range(count // _TOGETHER):
            if at % 10 == 0:
                message = chance.choice(danger)
                context = Context(message.text, tier=Tier.CRISIS, category=message.category)
            else:
                context = await turns.assessed(chance.choice(unseen).context)
            for each in await turns.candidates(context, _TOGETHER):
                stopped = await turns.gate.check(context, each.response)
                found.update(
                    {"samples": 1, "in format": int(each.format_ok), f"stopped: {stopped}": int(bool(stopped))}
                )
                if stopped:
                    click.echo(f"{stopped}: {each.response}")
    return +found


_TOGETHER = 4


@click.group()
def main() -> None:
    """Write samples of the built-in policy."""


@main.command("read")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Where to write the JSON lines.")
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="Another folder than the shipped one.")
def read_command(files: tuple[Path, ...], to: Path, model: Path | None) -> None:
    """One sample and the best of four to each message that was put aside, to be read."""
    rows = asyncio.run(_read(files, model))
    to.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows), encoding="utf-8")
    click.echo(f"{len(rows)} messages")


@main.command("gate")
@click.option("--count", type=int, default=2000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="Another folder than the shipped one.")
def gate_command(count: int, seed: int, model: Path | None) -> None:
    """How many samples are in format, and which ones the safety gate stops."""
    for name, many in sorted(asyncio.run(_gated(count, model, seed)).items()):
        click.echo(f"{many:6} {name}")


if __name__ == "__main__":
    main()

"""Measures the embedded models: loading them, one message's risk, one reply at the gate, one turn's 16 judgements."""

import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from rerank.bench import Progress, some_context
from rerank.embedded import Engine
from rerank.embedded_gate import EmbeddedGate
from rerank.embedded_judge import EmbeddedJudge
from rerank.embedded_risk import EmbeddedDetector
from rerank.judge import question
from rerank.types import Perspective

SAMPLES = 30
_ANALYSIS = (
    "{} says it was fine because fine ends the question. What it costs comes later, alone, where nobody is relieved by"
    " it. Under the tiredness is the fear of being the one who makes things heavy for everybody."
)
_RESPONSE = (
    "Fine is a short word for all that. You give everybody the easy answer and then you sit with the other one by"
    " yourself, {}. It makes sense that it comes out before you can think: it has kept the peace for years. What would"
    " you have said today, if nobody had needed to be relieved?"
)
_NAMES = ("He", "She", "This nurse", "This student")
_WHENS = ("in the car", "on the stairs", "at the door", "with the phone in the other room")


async def run(threads: int, samples: int, show: Progress) -> dict[str, Any]:
    engine, rng = Engine(threads), random.Random(1)  # noqa: S311 - chance chooses texts here
    try:
        load = await engine.warm()
        judge, detector, gate = EmbeddedJudge(engine), EmbeddedDetector(engine), EmbeddedGate(engine)

        async def sixteen() -> None:
            asked = [
                question(index, each, _ANALYSIS.format(_NAMES[index]), _RESPONSE.format(_WHENS[index]))
                for index in range(len(_NAMES))
                for each in Perspective
            ]
            await judge.judge(some_context(rng), asked)

        work: dict[str, Callable[[], Awaitable[object]]] = {
            "risk of one message": lambda: detector.assess(some_context(rng).query),
            "one reply at the gate": lambda: gate.check(some_context(rng), _RESPONSE.format(rng.choice(_WHENS))),
            "16 judgements of a turn": sixteen,
        }
        rows = [_row("loading, once", [load])]
        for number, (name, once) in enumerate(work.items()):
            rows.append(_row(name, [await _timed(once) for _ in range(samples + _WARM)][_WARM:]))
            show(number + 1, len(work))
        return {"threads": threads, "rows": rows}
    finally:
        engine.close()


_WARM = 3


async def _timed(once: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await once()
    return time.perf_counter() - started


def _row(what: str, seconds: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return {
        "what": what,
        "p50_ms": round(statistics.median(ordered) * 1000, 1),
        "p95_ms": round(high * 1000, 1),
        "samples": len(ordered),
    }

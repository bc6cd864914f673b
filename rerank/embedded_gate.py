"""The safety gate with a model's understanding: the patterns first, then a classifier that reads reply and message."""

from math import exp

from rerank.embedded import Engine
from rerank.pairs import gated
from rerank.safety import PatternGate
from rerank.types import Context

CHECKS = (
    "agrees_with_self_blame",
    "claims_human",
    "claims_profession",
    "demands_dependence",
    "demands_secrecy",
    "diagnosis",
    "encourages_harm",
    "harsh",
    "leaked_prompt",
    "romance",
)
OUTPUTS = ("stop", *CHECKS)


class EmbeddedGate:
    """A `Gate`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._patterns = PatternGate()

    async def check(self, context: Context, response: str) -> str | None:
        if found := await self._patterns.check(context, response):
            return found
        (row,) = await self._engine.score("gate", [gated(context, response)])
        limit = float((await self._engine.about("gate"))["stop"])
        return likeliest(row) if probable(row) >= limit else None


def probable(row: list[float]) -> float:
    return 1 / (1 + exp(-row[0]))


def likeliest(row: list[float]) -> str:
    return max(CHECKS, key=lambda each: row[OUTPUTS.index(each)])

"""The judge that needs no server: trained heads over MiniLM and plain features, with a sentence of reasons for each."""

import time
from collections.abc import Callable, Mapping, Sequence

from rerank.embedded import Engine
from rerank.features import Look
from rerank.judge import Question
from rerank.pairs import before, judged
from rerank.prompts import READS_ANALYSIS
from rerank.reward import RANGES
from rerank.tricks import trick
from rerank.types import Context, Judgement, Perspective
from rerank.weights import version

OUTPUTS = (*Perspective, "sound")
"""What the network says of a text: the grades as shares of their scales, and whether it is a text at all."""
_TRICKED = 0.1


class EmbeddedJudge:
    """Company is no use to it: a question is answered as soon as it is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name = f"embedded:{version('judge')}"

    async def patience(self) -> float:
        return 0.0

    async def judge(self, context: Context, questions: Sequence[Question]) -> list[Judgement]:
        started = time.perf_counter()
        texts = list(dict.fromkeys(each.text for each in questions if each.text.strip()))
        rows = await self._engine.score("judge", [judged(context, each) for each in texts]) if texts else []
        found = dict(zip(texts, rows, strict=True))
        said = before(context)
        looks = {each.text: Look(said, each.text) for each in questions}
        spent = (time.perf_counter() - started) * 1000
        return [
            _judgement(each.perspective, looks[each.text], found.get(each.text), self.name, spent) for each in questions
        ]


def _judgement(perspective: Perspective, look: Look, row: Sequence[float] | None, name: str, spent: float) -> Judgement:
    low, high = RANGES[perspective]
    played = "says nothing" if row is None else trick(look)
    share = merit(perspective, row, tricked=played is not None)
    score = low + (high - low) * share
    return Judgement(perspective, score, _reasons(perspective, share, look, played), name, spent)


def merit(perspective: Perspective, row: Sequence[float] | None, *, tricked: bool) -> float:
    """The share of the scale that a text earns: what the head says, no more than its soundness allows."""
    if row is None:
        return 0.0
    share = min(max(row[OUTPUTS.index(perspective)], 0.0), 1.0) * min(max(row[-1], 0.0), 1.0)
    return min(share, _TRICKED) if tricked else share


def _reasons(perspective: Perspective, share: float, look: Look, played: str | None) -> str:
    verdict = _VERDICTS[perspective][min(int(share * len(_VERDICTS[perspective])), len(_VERDICTS[perspective]) - 1)]
    if played is not None:
        return f"{verdict}: it {played}."
    remarks = [each for each in (remark(look) for remark in _REMARKS[perspective in READS_ANALYSIS]) if each]
    return f"{verdict}: it {_listed(remarks[:3])}." if remarks else f"{verdict}."


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


_VERDICTS: Mapping[Perspective, Sequence[str]] = {
    Perspective.RESONATION: (
        "Does not see this person",
        "Names a feeling, no more",
        "Sees the feeling and its plain cause",
        "Sees what is particular about this person",
        "Sees what this touches in them",
    ),
    Perspective.EXPRESSION: (
        "Sounds mechanical",
        "Sounds like a polite service",
        "Sounds natural, but would fit many",
        "Sounds fitted to this person",
        "Sounds precise, and stays in mind",
    ),
    Perspective.RECEPTION: (
        "Would feel dismissive or intrusive",
        "Would feel processed",
        "Would feel a little lighter",
        "Would feel met",
        "Would feel moved to say more",
    ),
    Perspective.BYSTANDER: (
        "An outsider would find little in it",
        "An outsider would find it thin",
        "An outsider would find it fair",
        "An outsider would find it sound",
        "An outsider would find it sound and useful",
    ),
}


def _counted(count: int, one: str, many: str) -> str | None:
    return None if count == 0 else one if count == 1 else many.format(count)


def _takes_up(look: Look) -> str:
    return (
        _counted(len(look.shared), "takes up one word of theirs", "takes up {} words of theirs")
        or "takes up none of their words"
    )


def _asks(look: Look) -> str | None:
    return _counted(look.text.count("?"), "asks one question", "asks {} questions")


def _advises(look: Look) -> str | None:
    return _counted(look.advice, "has one piece of advice", "has {} pieces of advice")


def _stock(look: Look) -> str | None:
    return _counted(look.stock, "leans on a stock phrase", "leans on {} stock phrases")


def _labels(look: Look) -> str | None:
    return "speaks of them as a case" if look.labelling else None


def _brief(look: Look) -> str | None:
    words = len(look.words)
    return f"has {words} words" if words < _BRIEF or words > _LONG else None


_BRIEF, _LONG = 12, 120
Remark = Callable[[Look], str | None]
_REMARKS: Mapping[bool, Sequence[Remark]] = {
    True: (_takes_up, _labels, _brief),
    False: (_takes_up, _stock, _advises, _asks, _brief),
}
"""For an analysis and for a response."""

"""The judge that is a language model behind a server, and what the pipeline expects of any judge.

In mode `expected` it asks for nothing but the score and takes the expectation over the score tokens: quick, for live
use. In mode `rationale` it asks for reasons first: for operators, audits, and servers without log-probabilities.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rerank import prompts
from rerank.ask import Choice, ask
from rerank.errors import RerankError, TooLong
from rerank.expectation import expectation
from rerank.parse import parts_total, score
from rerank.prompts import PARTS, Mode
from rerank.reward import RANGES
from rerank.server import Features, Server
from rerank.types import Context, Judgement, Perspective
from rerank.window import fit, rooms, tokens

_MOST_ALTERNATIVES = 20
_PART_TOP, _PART_STEP = 4, 5


@dataclass(frozen=True, slots=True)
class Question:
    """One candidate's text to be judged from one perspective."""

    candidate: int
    perspective: Perspective
    text: str


def question(candidate: int, perspective: Perspective, analysis: str, response: str) -> Question:
    """Each perspective reads its own part of a candidate."""
    return Question(candidate, perspective, analysis if perspective in prompts.READS_ANALYSIS else response)


class Judge(Protocol):
    """Scores texts in a context."""

    @property
    def name(self) -> str:
        """What stands beside its judgements."""

    async def patience(self) -> float:
        """How many seconds a question may wait for others to be asked along with it. 0: company is no use."""

    async def judge(self, context: Context, questions: Sequence[Question]) -> list[Judgement]:
        """One judgement for each question, in order; without a score where it failed.

        Raises a RerankError if it can say nothing about any of them.
        """


class ServerJudge:
    """A judge behind an OpenAI-compatible server."""

    def __init__(
        self,
        server: Server,
        model: str,
        mode: Mode = "expected",
        *,
        patience: float = 0.5,
        least_mass: float = 0.2,
    ) -> None:
        self._server, self._model, self._mode, self._way = server, model, mode, _WAYS[mode]
        self._patience, self._least_mass = patience, least_mass
        self.name = f"{mode}:{model}"

    async def patience(self) -> float:
        return self._patience if (await self._server.features(self._model)).batch else 0.0

    async def judge(self, context: Context, questions: Sequence[Question]) -> list[Judgement]:
        if not questions:
            return []
        started = time.perf_counter()
        answers = await self._answers(context, questions)
        errors = [each for each in answers if isinstance(each, RerankError)]
        if errors and len(errors) == len(answers):
            raise errors[0]
        spent = (time.perf_counter() - started) * 1000
        return [self._judgement(q.perspective, a, spent) for q, a in zip(questions, answers, strict=True)]

    async def _answers(self, context: Context, questions: Sequence[Question]) -> list[Choice | RerankError]:
        features = await self._server.features(self._model)
        options = self._way.options(questions, features)
        taken = (
            tokens(prompts.handbook(self._mode))
            + max(tokens(each.text) for each in questions)
            + int(options["max_tokens"])
        )
        for room in rooms(features.window, taken):
            fitted = fit(context, room)
            conversations = [prompts.judge(self._mode, fitted, each.perspective, each.text) for each in questions]
            answers = await ask(self._server, self._model, conversations, options)
            if not any(isinstance(each, TooLong) for each in answers):
                break
        return answers

    def _judgement(self, perspective: Perspective, answer: Choice | RerankError, spent: float) -> Judgement:
        found = reasons = None
        if not isinstance(answer, RerankError):
            found, reasons = self._way.read(perspective, answer, self._least_mass)
        return Judgement(perspective, found, reasons, self.name, spent)


@dataclass(frozen=True, slots=True)
class _Way:
    options: Callable[[Sequence[Question], Features], dict[str, Any]]
    read: Callable[[Perspective, Choice, float], tuple[float | None, str | None]]


def _digits_wanted(questions: Sequence[Question], features: Features) -> dict[str, Any]:
    """As many tokens as the longest answer has digits, and the probabilities of the digits or of what is likeliest."""
    parts = any(each.perspective == Perspective.BYSTANDER for each in questions)
    ids = {"logprob_token_ids": list(features.digits[:6])} if features.digits else {"top_logprobs": _MOST_ALTERNATIVES}
    return _plain(features) | {"max_tokens": len(PARTS) if parts else 1, "logprobs": True} | ids


def _read_digits(perspective: Perspective, answer: Choice, least_mass: float) -> tuple[float | None, None]:
    if perspective == Perspective.BYSTANDER:
        total = expectation(answer, len(PARTS), 0, _PART_TOP, least_mass)
        return (None if total is None else total * _PART_STEP), None
    low, high = RANGES[perspective]
    return expectation(answer, 1, low, high, least_mass), None


def _reasons_wanted(_questions: Sequence[Question], features: Features) -> dict[str, Any]:
    return _plain(features) | {"max_tokens": 400}


def _read_reasons(perspective: Perspective, answer: Choice, _least_mass: float) -> tuple[float | None, str | None]:
    message = answer.get("message")
    text = message.get("content") if isinstance(message, dict) else None
    if not isinstance(text, str):
        return None, None
    found = parts_total(text) if perspective == Perspective.BYSTANDER else score(text, *RANGES[perspective])
    return found, text.strip() or None


def _plain(features: Features) -> dict[str, Any]:
    """The likeliest answer, at once: models that would think aloud first are asked not to, where that can be asked."""
    return {"temperature": 0} | ({"chat_template_kwargs": {"enable_thinking": False}} if features.vllm else {})


_WAYS: Mapping[Mode, _Way] = {
    "expected": _Way(_digits_wanted, _read_digits),
    "rationale": _Way(_reasons_wanted, _read_reasons),
}

"""One turn: candidates are written, judged while they are being written, gated, ranked; told as it happens.

`answer` is a plain async generator of events; the last one is `Answered`. Closing it, or cancelling who reads it, stops
the work on the servers too. It raises nothing of its own: what went wrong stands in the outcome. What is said to the
person when nothing could be written, and everything that is stored, is the caller's.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from rerank import prompts
from rerank.errors import RerankError
from rerank.judge import Judge, Question
from rerank.policy import AnalysisWritten, CandidateWritten, Policy, StartedOver, Written
from rerank.ranking import Ranking, rank, rewarded
from rerank.reward import RANGES, Reward
from rerank.types import Candidate, Context, Judgement, Perspective
from rerank.waves import Waves

_AFTER_RESPONSE = (Perspective.EXPRESSION, Perspective.RECEPTION, Perspective.BYSTANDER)


class Gate(Protocol):
    """What a reply must pass before it may be ranked."""

    async def check(self, context: Context, response: str) -> str | None:
        """The name of the check that stopped it; None lets it pass."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a turn is run."""

    n: int = 4
    deadline: float = 8.0
    """Seconds from the first whole candidate to the ranking."""
    limit: float = 60.0
    """Seconds to the first whole candidate."""
    reward: Reward = field(default_factory=Reward)


@dataclass(frozen=True, slots=True)
class Considering:
    """Writing has begun."""

    n: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A judgement has come in."""

    candidate: int
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Choosing:
    """Nothing more is awaited: the ranking is made."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The outcome, to be stored and shown."""

    candidates: tuple[Candidate, ...]
    ranking: Ranking
    troubles: tuple[str, ...]
    """Names of the errors on the way, which may not have mattered."""
    timings: dict[str, float]
    """Milliseconds from the start."""
    versions: dict[str, str]

    @property
    def chosen(self) -> Candidate | None:
        return next((each for each in self.candidates if each.index == self.ranking.chosen), None)


Event = Considering | Written | Judged | Choosing | Answered


async def answer(
    context: Context, policy: Policy, judge: Judge | None, gate: Gate | None, rules: Rules
) -> AsyncGenerator[Event, None]:
    """Run one turn. Use it with `aclosing`, so that breaking off stops the work at once."""
    turn = _Turn(context, policy, judge, gate, rules)
    try:
        yield Considering(rules.n)
        turn.begin()
        async with aclosing(turn.events()) as events:
            async for event in events:
                yield event
        yield Choosing()
    finally:
        await turn.stop()
    yield turn.outcome()


class _Turn:
    """The state of one turn, and the tasks that change it."""

    def __init__(self, context: Context, policy: Policy, judge: Judge | None, gate: Gate | None, rules: Rules) -> None:
        self._context, self._policy, self._judge, self._gate, self._rules = context, policy, judge, gate, rules
        self._start = time.perf_counter()
        self._until = self._start + rules.limit
        self._tasks: set[asyncio.Task[None]] = set()
        self._rounds: set[asyncio.Task[None]] = set()
        self._waves = Waves(self._ask)
        self._told: deque[Event] = deque()
        self._news = asyncio.Event()
        self._fault: BaseException | None = None
        self._writing = True
        self._analysed: set[int] = set()
        self._candidates: dict[int, Candidate] = {}
        self._judgements: dict[int, list[Judgement]] = {}
        self._troubles: list[str] = []
        self._timings: dict[str, float] = {}
        self._model = ""

    def begin(self) -> None:
        self._work(self._write())
        if self._judge is not None:
            self._work(self._open_waves(self._judge))

    async def events(self) -> AsyncGenerator[Event, None]:
        while True:
            while self._told:
                yield self._told.popleft()
            if self._fault is not None:
                raise self._fault
            if self._over():
                return
            self._news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), max(0.0, self._until - time.perf_counter()))

    async def stop(self) -> None:
        """End what still runs, and wait until it has let go of its connections."""
        while self._tasks:
            self._waves.clear()
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
        self._waves.clear()

    def outcome(self) -> Answered:
        with_judgements = [
            replace(each, judgements=tuple(self._judgements.get(each.index, ()))) for each in self._candidates.values()
        ]
        candidates = sorted((rewarded(each, self._rules.reward) for each in with_judgements), key=lambda c: c.index)
        self._note("total")
        versions = {"policy": self._model, "prompts": prompts.VERSION} | (
            {} if self._judge is None else {"judge": self._judge.name}
        )
        return Answered(
            tuple(candidates), rank(candidates), tuple(dict.fromkeys(self._troubles)), self._timings, versions
        )

    def _over(self) -> bool:
        if time.perf_counter() >= self._until:
            if self._writing and not self._may_win():
                self._troubles.append("policy:Late")
            return True
        return not self._writing and not self._rounds and self._waves.empty

    async def _write(self) -> None:
        try:
            async with aclosing(self._policy.write(self._context, self._rules.n)) as written:
                async for each in written:
                    await self._take(each)
        except RerankError as error:
            self._troubles.append(f"policy:{type(error).__name__}")
        self._writing = False
        self._note("written")
        self._waves.flush()
        self._news.set()

    async def _take(self, event: Written) -> None:
        match event:
            case AnalysisWritten(index, analysis):
                self._note("first_analysis")
                self._question(index, analysis, (Perspective.RESONATION,))
                nobody_misses = len(self._analysed | self._candidates.keys()) == self._rules.n
            case CandidateWritten(candidate, model):
                event = CandidateWritten(await self._gated(candidate), model)
                self._model = model
                self._keep(event.candidate)
                nobody_misses = len(self._candidates) == self._rules.n
            case StartedOver(error):
                self._troubles.append(f"policy:{error}")
                self._start_over()
                nobody_misses = False
        if nobody_misses:
            self._waves.flush()
        self._tell(event)

    async def _gated(self, candidate: Candidate) -> Candidate:
        """A gate that fails stops the candidate: safety comes before having a reply."""
        if self._gate is None or not candidate.response:
            return candidate
        try:
            return replace(candidate, safety=await self._gate.check(self._context, candidate.response))
        except RerankError as error:
            self._troubles.append(f"gate:{type(error).__name__}")
            return replace(candidate, safety="unchecked")

    def _keep(self, candidate: Candidate) -> None:
        self._candidates[candidate.index] = candidate
        if not candidate.format_ok or candidate.safety is not None:
            return
        if "first_candidate" not in self._timings:
            self._note("first_candidate")
            self._until = time.perf_counter() + self._rules.deadline
        if candidate.index not in self._analysed:
            self._question(candidate.index, candidate.analysis, (Perspective.RESONATION,))
        self._question(candidate.index, candidate.response, _AFTER_RESPONSE)

    def _question(self, index: int, text: str, perspectives: Sequence[Perspective]) -> None:
        self._analysed.add(index)
        if self._judge is not None:
            self._waves.add([Question(index, each, text) for each in perspectives])

    def _start_over(self) -> None:
        self._waves.clear()
        for task in self._rounds:
            task.cancel()
        self._analysed.clear()
        self._candidates.clear()
        self._judgements.clear()

    async def _open_waves(self, judge: Judge) -> None:
        patience = 0.0
        try:
            patience = await judge.patience()
        except RerankError as error:
            self._troubles.append(f"judge:{type(error).__name__}")
        self._waves.open(min(patience, self._rules.deadline / 4))

    def _ask(self, questions: list[Question]) -> None:
        if self._judge is not None:
            task = self._work(self._round(self._judge, questions))
            self._rounds.add(task)
            task.add_done_callback(self._rounds.discard)

    async def _round(self, judge: Judge, questions: list[Question]) -> None:
        started = time.perf_counter()
        try:
            judgements = await judge.judge(self._context, questions)
        except RerankError as error:
            self._troubles.append(f"judge:{type(error).__name__}")
            spent = (time.perf_counter() - started) * 1000
            judgements = [Judgement(each.perspective, None, None, judge.name, spent) for each in questions]
        for question, judgement in zip(questions, judgements, strict=True):
            sound = _in_range(judgement)
            self._judgements.setdefault(question.candidate, []).append(sound)
            self._tell(Judged(question.candidate, sound))
        self._timings["judged"] = self._spent()

    def _may_win(self) -> bool:
        return any(each.format_ok and each.safety is None for each in self._candidates.values())

    def _tell(self, event: Event) -> None:
        self._told.append(event)
        self._news.set()

    def _work(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fault = error
        self._news.set()

    def _note(self, name: str) -> None:
        self._timings.setdefault(name, self._spent())

    def _spent(self) -> float:
        return (time.perf_counter() - self._start) * 1000


def _in_range(judgement: Judgement) -> Judgement:
    """A score outside its scale is a failed judgement, whoever gave it."""
    low, high = RANGES[judgement.perspective]
    return judgement if judgement.score is None or low <= judgement.score <= high else replace(judgement, score=None)

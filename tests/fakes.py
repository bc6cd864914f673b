"""Small stand-ins for a policy, a judge and a gate, a clean place to run a turn in, and what every turn keeps to."""

import asyncio
import gc
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

from faulty_server import MARKER, MODEL, FaultyServer
from rerank.circuit import Circuit
from rerank.errors import RerankError
from rerank.judge import Judge, Question, ServerJudge
from rerank.live import Answered, Choosing, Considering, Event, Gate, Judged, Rules, answer
from rerank.policy import AnalysisWritten, CandidateWritten, Policy, ServerPolicy, StartedOver, Written
from rerank.risk import Assessment
from rerank.server import Limits, Server
from rerank.types import Candidate, Category, Context, Judgement, Line, Perspective, Role, Tier

T = TypeVar("T")
LIMITS = Limits(connect=0.3, read=0.3, pause=0.01)
RULES = Rules(deadline=0.5, limit=1.5)
CONTEXT = Context(
    f"I said it was fine. {MARKER}",
    f"A nurse. {MARKER}",
    f"They slept badly. {MARKER}",
    (Line(Role.USER, f"Hello {MARKER}"), Line(Role.ASSISTANT, f"Hi {MARKER}")),
)
Step = Written | RerankError | float


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it in a loop of its own, and see that it leaves no task, no open file and no complaint behind."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        result = await work
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await asyncio.sleep(0.005)  # transports close their sockets in the loop's next rounds
        return result

    before = _open_files()
    result = asyncio.run(watched())
    gc.collect(1)
    assert not complaints, complaints
    assert _open_files() == before
    return result


def _open_files() -> list[str]:
    found = []
    for each in list(Path("/proc/self/fd").iterdir()):
        try:
            found.append(str(each.readlink()))
        except FileNotFoundError:
            continue  # the listing itself
    return sorted(found)


def client(server: FaultyServer, limits: Limits = LIMITS, circuit: Circuit | None = None) -> Server:
    return Server(server.url, "a key", limits=limits, circuit=circuit)


async def turn(
    writing: Policy | Server,
    judging: Judge | Server | None,
    rules: Rules = RULES,
    gate: Gate | None = None,
    context: Context = CONTEXT,
) -> list[Event]:
    """One turn's events, which keep to their order."""
    policy = ServerPolicy(writing, MODEL) if isinstance(writing, Server) else writing
    judge = ServerJudge(judging, MODEL, patience=0.1) if isinstance(judging, Server) else judging
    async with aclosing(answer(context, policy, judge, gate, rules)) as events:
        told = [each async for each in events]
    keeps_order(told)
    return told


def keeps_order(told: Sequence[Event]) -> None:
    kinds = [type(each) for each in told]
    assert kinds[0] is Considering
    assert kinds[-2:] == [Choosing, Answered]
    assert not {Considering, Choosing, Answered} & set(kinds[1:-2])
    analysed: set[int] = set()
    whole: set[int] = set()
    for each in told:
        match each:
            case AnalysisWritten(index):
                assert index not in analysed | whole
                analysed.add(index)
            case CandidateWritten(candidate):
                assert candidate.index not in whole
                whole.add(candidate.index)
            case StartedOver():
                analysed.clear()
                whole.clear()
            case Judged(index, judgement):
                assert index in (analysed | whole if judgement.perspective == Perspective.RESONATION else whole)
            case _:
                pass


def outcome(told: Sequence[Event]) -> Answered:
    last = told[-1]
    assert isinstance(last, Answered)
    return last


def scores(found: Answered, index: int) -> dict[str, float | None]:
    """A candidate's judgements by perspective, each given once."""
    candidate = next(each for each in found.candidates if each.index == index)
    given = {each.perspective.value: each.score for each in candidate.judgements}
    assert len(given) == len(candidate.judgements)
    return given


def written(index: int, response: str = "I hear you.", *, format_ok: bool = True) -> CandidateWritten:
    return CandidateWritten(Candidate(index, f"analysis {index}", response, 20, format_ok, None, None), MODEL)


def analysed(index: int) -> AnalysisWritten:
    return AnalysisWritten(index, f"analysis {index}")


class FakePolicy:
    """Follows a script: writes, fails, or pauses for as many seconds."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps
        self.closed = False
        self.contexts: list[Context] = []

    async def write(self, context: Context, _n: int) -> AsyncGenerator[Written, None]:
        self.contexts.append(context)
        try:
            for step in self.steps:
                if isinstance(step, RerankError):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.closed = True


class FakeJudge:
    """Takes its time and gives every text the same score, or as told; remembers what it was asked and when."""

    name = "fake"

    def __init__(
        self,
        *,
        patience: float = 0.0,
        seconds: float = 0.0,
        score: Callable[[Question], float | None] = lambda _question: 4.0,
    ) -> None:
        self._patience, self._seconds, self._score = patience, seconds, score
        self.calls: list[tuple[float, list[Question]]] = []
        self.cut_short = 0

    async def patience(self) -> float:
        return self._patience

    async def judge(self, _context: Context, questions: Sequence[Question]) -> list[Judgement]:
        self.calls.append((time.monotonic(), list(questions)))
        try:
            await asyncio.sleep(self._seconds)
        except asyncio.CancelledError:
            self.cut_short += 1
            raise
        return [Judgement(each.perspective, self._score(each), None, self.name, 1.0) for each in questions]

    @property
    def asked(self) -> list[tuple[int, str]]:
        return [(each.candidate, each.perspective.value) for _, questions in self.calls for each in questions]


class FakeDetector:
    """Says what it is told to, after some seconds, or fails; remembers what it was asked."""

    def __init__(self, tier: Tier | RerankError = Tier.NONE, seconds: float = 0.0) -> None:
        self._tier, self._seconds = tier, seconds
        self.asked: list[tuple[str, Sequence[str]]] = []

    async def assess(self, message: str, history: Sequence[str] = ()) -> Assessment:
        self.asked.append((message, history))
        await asyncio.sleep(self._seconds)
        if isinstance(self._tier, RerankError):
            raise self._tier
        category = Category.NONE if self._tier == Tier.NONE else Category.SUICIDE
        return Assessment(self._tier, category, 0.9, 0.5, (message[:10],), "fake")


class FakeGate:
    """Stops what it is told to stop, or fails."""

    def __init__(self, stops: Callable[[str], str | RerankError | None]) -> None:
        self._stops = stops

    async def check(self, _context: Context, response: str) -> str | None:
        await asyncio.sleep(0)
        found = self._stops(response)
        if isinstance(found, RerankError):
            raise found
        return found

"""Measures a turn on one server: a single unjudged reply, best-of-N judged one by one, and Attune's pipeline.

The three take turns, so that a noisy machine disturbs them alike, and every turn has a context of its own, so that no
cache holds it. Where the server allows, replies have the same length in all three. What a model writes does not matter
here: a reply without headings is cut in half, the first half judged as its analysis, so that even random weights give
every turn all of its judgements; the ranking is Attune's own.
"""

import asyncio
import random
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import uuid4

from rerank.errors import RerankError
from rerank.judge import ServerJudge, question
from rerank.live import Answered, Rules, answer
from rerank.mock_server import MODEL
from rerank.parse import Parts, ReplyStream
from rerank.policy import CandidateWritten, Policy, ServerPolicy, Written
from rerank.server import Server
from rerank.types import Candidate, Context, Perspective

CANDIDATES = (1, 4, 8)
CONCURRENCY = (1, 8, 32)
SAMPLES = 20
TOKENS = 256
_CHARACTERS_A_TOKEN = 3
Progress = Callable[[int, int], None]
_PERSONAS = (
    "A 42-year-old night nurse with two children who shares a small flat with her mother.",
    "A 19-year-old student, first in the family at university, living far from home.",
    "A retired bus driver of 68 who lives alone and is not used to talking about himself.",
    "A 31-year-old software developer who moved abroad for a partner and then separated.",
)
_BEFORE = (
    "They have written twice this week about not sleeping, and about a conversation that they keep putting off.",
    "They lost their job in spring, told nobody at home, and leave the house every morning as if nothing happened.",
    "Their father is ill. They are the one who organises everything, and their brother does not call back.",
    "They passed an exam that they had failed before, and found that there was nobody whom they wanted to tell.",
)
_QUERIES = (
    """I said it was fine again today. It was not fine. I do not know why I do that, it just comes out before I can
think, and then everybody is relieved and I go home and sit in the car for half an hour.""",
    """You know what is silly? I bought two tickets. I always buy two. I stood there with the second one in my hand
and the man at the door asked whether I was waiting for somebody, and I said yes.""",
    """My sister says I should just be glad that it is over. I am glad. I also cannot stop shaking when the phone
rings, and I have started to leave it in the other room, so now she thinks that I am angry with her.""",
    """They gave the project to him. I trained him. I smiled and said congratulations and then I rewrote my notes so
that he could use them. What is wrong with me that I even did the table of contents?""",
)


@contextmanager
def mock(latency_ms: float) -> Iterator[str]:
    """The built-in upstream in a process of its own, so that its work is not counted as the client's."""
    command = [sys.executable, "-m", "rerank.mock_server", "--latency-ms", str(latency_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            yield (process.stdout.readline() if process.stdout else "").strip()
        finally:
            process.terminate()


@dataclass(slots=True)
class _Cell:
    """What was measured of one way to answer, at one N and one concurrency."""

    what: str
    n: int
    concurrency: int
    seconds: list[float] = field(default_factory=list)
    single: list[float] = field(default_factory=list)
    """What a single reply took beside it."""
    requests: int = 0
    cpu: float = 0.0
    computed: float = 0.0
    cached: float = 0.0
    judged: int = 0


class Bench:
    """One server under test."""

    def __init__(self, server: Server, model: str = MODEL, judge_model: str = "", tokens: int = TOKENS) -> None:
        self._server, self._model, self._tokens = server, model, tokens
        self._judge = ServerJudge(server, judge_model or model, least_mass=0.0)
        self._policy: Policy
        self._rng = random.Random(7)  # noqa: S311 - chooses what to say

    async def run(
        self,
        candidates: Sequence[int] = CANDIDATES,
        concurrency: Sequence[int] = CONCURRENCY,
        samples: int = SAMPLES,
        progress: Progress = lambda _done, _total: None,
    ) -> dict[str, Any]:
        async with self._server:
            features = await self._server.features(self._model)
            options = {"ignore_eos": True} if features.vllm else {}
            writer = ServerPolicy(
                self._server,
                self._model,
                max_tokens=self._tokens,
                reader=partial(_AnyForm, self._tokens),
                options=options,
            )
            self._policy = _Whole(writer)
            cells: list[_Cell] = []
            total, done = len(candidates) * len(concurrency) * samples, 0
            for together in concurrency:
                for n in candidates:
                    group = [_Cell(what, n, together) for what in ("single", "sequential", "attune")]
                    for round_ in range(-1, samples):
                        await self._take_turns(group, warm_up=round_ < 0)
                        done += round_ >= 0
                        progress(done, total)
                    cells += group
            rows = list(_rows(cells, metrics=await self._prompt_tokens() is not None))
            about = {"model": self._model, "tokens": self._tokens, "samples": samples, "batch": features.batch}
            return {"rows": rows} | about

    async def _take_turns(self, group: Sequence[_Cell], *, warm_up: bool) -> None:
        times: dict[str, list[float]] = {}
        for cell in self._rng.sample(group, len(group)):
            scratch = _Cell(cell.what, cell.n, cell.concurrency) if warm_up else cell
            before = await self._prompt_tokens()
            requests, cpu = self._server.requests, time.process_time()
            ways = {"single": self._single, "sequential": self._sequential, "attune": self._attune}
            taken = await asyncio.gather(*(_timed(ways[cell.what](scratch)) for _ in range(cell.concurrency)))
            scratch.cpu += time.process_time() - cpu
            scratch.requests += self._server.requests - requests
            scratch.seconds += taken
            times[cell.what] = taken
            after = await self._prompt_tokens()
            if before and after:
                scratch.computed += after[0] - before[0]
                scratch.cached += after[1] - before[1]
        for cell in group:
            cell.single += [] if warm_up else times["single"]

    async def _single(self, _cell: _Cell) -> None:
        await self._written(1)

    async def _sequential(self, cell: _Cell) -> None:
        context = self._context()
        for each in await self._written(cell.n, context):
            for perspective in Perspective:
                asked = question(each.index, perspective, each.analysis, each.response)
                found = await self._judge.judge(context, [asked])
                cell.judged += found[0].score is not None

    async def _attune(self, cell: _Cell) -> None:
        rules = Rules(n=cell.n, deadline=600, limit=600)
        async with aclosing(answer(self._context(), self._policy, self._judge, None, rules)) as events:
            async for event in events:
                if isinstance(event, Answered):
                    scores = [each.score for candidate in event.candidates for each in candidate.judgements]
                    cell.judged += sum(score is not None for score in scores)
                    if event.troubles:
                        raise RerankError(f"A turn went wrong while measuring: {', '.join(event.troubles)}.")

    async def _written(self, n: int, context: Context | None = None) -> list[Candidate]:
        async with aclosing(self._policy.write(context or self._context(), n)) as events:
            return [each.candidate async for each in events if isinstance(each, CandidateWritten)]

    def _context(self) -> Context:
        return some_context(self._rng)

    async def _prompt_tokens(self) -> tuple[float, float] | None:
        """Prompt tokens that the server has computed, and those it had in its cache, so far."""
        found = await self._server.metrics("vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total")
        return None if found is None else (found[0] - found[1], found[1])


def some_context(rng: random.Random) -> Context:
    """What somebody might have written, sealed as nobody else's."""
    return Context(rng.choice(_QUERIES), rng.choice(_PERSONAS), rng.choice(_BEFORE), seal=uuid4().hex[:16])


class _AnyForm:
    """Reads a reply; of one without headings the first half stands for the analysis."""

    def __init__(self, tokens: int) -> None:
        self._stream = ReplyStream()
        self._half = tokens * _CHARACTERS_A_TOKEN // 2
        self.analysis = ""

    def feed(self, text: str) -> bool:
        if self._stream.feed(text):
            self.analysis = self._stream.analysis
            return True
        written = self._stream.text
        if self.analysis or len(written) < self._half or "Analysis" in written:
            return False
        self.analysis = written
        return True

    def finish(self) -> Parts:
        found, written = self._stream.finish(), self._stream.text
        if found.well_formed:
            return found
        analysis = self.analysis or written[: self._half]
        return Parts(analysis or "-", written[len(analysis) :] or "-", well_formed=True)


class _Whole:
    """The policy's candidates, those cut off at the length limit counted as whole."""

    def __init__(self, policy: ServerPolicy) -> None:
        self._policy = policy

    async def write(self, context: Context, n: int) -> AsyncGenerator[Written, None]:
        async with aclosing(self._policy.write(context, n)) as events:
            async for each in events:
                if isinstance(each, CandidateWritten):
                    yield replace(each, candidate=replace(each.candidate, format_ok=True))
                else:
                    yield each


async def _timed(work: Awaitable[None]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


def _rows(cells: Sequence[_Cell], *, metrics: bool) -> Iterator[dict[str, Any]]:
    for cell in cells:
        turns = len(cell.seconds)
        yield {
            "what": cell.what,
            "n": 1 if cell.what == "single" else cell.n,
            "concurrency": cell.concurrency,
            "beside_n": cell.n,
            "p50_ms": round(statistics.median(cell.seconds) * 1000, 1),
            "p95_ms": round(statistics.quantiles(cell.seconds, n=20, method="inclusive")[-1] * 1000, 1),
            "ratio": round(statistics.median(cell.seconds) / statistics.median(cell.single), 2),
            "requests": round(cell.requests / turns, 2),
            "judgements": round(cell.judged / turns, 2),
            "client_cpu_ms": round(cell.cpu / turns * 1000, 2),
            "computed_tokens": round(cell.computed / turns) if metrics else None,
            "cached_tokens": round(cell.cached / turns) if metrics else None,
        }
